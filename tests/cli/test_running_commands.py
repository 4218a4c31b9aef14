"""`run`, `migrate` and `demo`, and what happens when no database is configured."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from noti_worker import embedded
from noti_worker.store import migrate
from tests.cli.conftest import Invoke, read

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
PENDING = "".join(f"pending: {file.name[:4]}\n" for file in sorted(VERSIONS.glob("0*.py")))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands in for the worker; takes note of its settings, then of those that a reload would give."""
    seen: list[Any] = []
    module = ModuleType("noti_worker.app")

    def run(settings: Any, reread: Callable[[], Any]) -> int:
        seen.extend((settings, reread()))
        return 7

    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "noti_worker.app", module)
    monkeypatch.setattr("noti_worker.app", module, raising=False)
    return seen


@pytest.fixture
def embedded_directory(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the embedded database would live on a fresh machine."""
    directory = open_directory / "postgres"
    monkeypatch.setattr(embedded, "default_directory", lambda: directory)
    return directory


def test_run_gives_the_settings_to_the_worker_and_its_code_to_the_shell(
    noti: Invoke, app: list[Any], database_url: str
) -> None:
    assert noti("run").exit_code == 7
    assert app[0].database.url.reveal() == database_url
    assert app[1] == app[0]


def test_migrate_says_what_is_pending_and_does_it(bare: Invoke, empty_database_url: str) -> None:
    def noti(*words: str) -> tuple[int, str]:
        result = bare("--database-url", empty_database_url, "migrate", *words)
        return result.exit_code, result.stdout

    assert noti("--check") == (1, PENDING)
    assert noti("--dry-run") == (0, PENDING)
    assert migrate.current(empty_database_url) is None
    assert noti() == (0, f"the schema is at revision {migrate.head()}\n")
    assert noti("--check") == (0, "the schema is up to date\n")
    assert noti() == (0, f"the schema is at revision {migrate.head()}\n")


def test_migrate_prints_sql_that_makes_the_schema(bare: Invoke, empty_database_url: str) -> None:
    statements = bare("migrate", "--sql").stdout
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(statements.encode())
    assert migrate.pending(empty_database_url) == []


def test_an_unknown_revision_is_a_sentence(bare: Invoke, empty_database_url: str) -> None:
    result = bare("--database-url", empty_database_url, "migrate", "--revision", "9999")
    assert result.exit_code == 1
    assert "9999" in result.stderr


def test_without_a_configured_database_a_private_one_is_made_once_and_kept(
    bare: Invoke, embedded_directory: Path, app: list[Any]
) -> None:
    send = ("send", "--channel", "in_app", "--recipient", "user-17", "--body", "Hello")
    reading = (("status",), ("list",), ("top", "--json"), ("doctor",), ("why", "1"), ("migrate", "--check"))
    changing = (("hold", "1"), ("requeue", "1"), ("pause", "everything"), ("erase", "x", "--yes"), ("retention",), send)
    for words in (*reading, *changing, ("circuits", "list"), ("migrate",)):
        none = bare(*words)
        assert none.exit_code == 78, words
        assert f"there is no embedded one in {embedded_directory}" in none.stdout + none.stderr
        assert not embedded_directory.exists(), words
    first = bare("--embedded", *send)
    assert (first.exit_code, first.stdout) == (0, "1\n")
    assert str(embedded_directory) in first.stderr
    assert not (embedded_directory / "data" / "postmaster.pid").exists(), "it was up for the command only"
    again = bare("list", "--json")
    assert again.stderr == ""
    assert [line["recipient"] for line in read(again)] == ["user-17"]
    with embedded.Server(embedded_directory) as server:
        assert bare("run").exit_code == 7
        assert app[0].database.url.reveal() == server.url, "a server that is up is joined"
        assert app[1].database == app[0].database, "to a reload the embedded database is the one that runs"
    assert bare("migrate", "--check").exit_code == 0
    assert bare("status").stdout.startswith(f"database: the embedded one in {embedded_directory}; ")


def test_run_makes_the_embedded_database_unasked(bare: Invoke, embedded_directory: Path, app: list[Any]) -> None:
    assert bare("run").exit_code == 7
    assert bare("list").exit_code == 0


def test_check_of_a_fresh_machine_reports_and_makes_no_schema(bare: Invoke, embedded_directory: Path) -> None:
    assert bare("--embedded", "migrate", "--check").stdout == PENDING
    assert bare("migrate").exit_code == 0
