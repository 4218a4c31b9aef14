"""Migrating: up, down and up again, by function and by command line, alone and two at once, and what is refused."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from noti_worker.domain.errors import ConfigurationError, DatabaseAway, DatabaseRefused
from noti_worker.embedded import Server
from noti_worker.store import migrate, revisions
from tests.migrations.describe import describe

ROOT = Path(__file__).parents[2]


def alembic(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def one(url: str, query: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return found[0]


def described(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        return describe(connection)


def test_up_and_down_and_up_again(empty_database_url: str) -> None:
    assert migrate.current(empty_database_url) is None
    pending = migrate.pending(empty_database_url)
    newest_first = ScriptDirectory.from_config(migrate._config()).walk_revisions()
    assert pending == revisions.known() == [step.revision for step in newest_first][::-1]
    assert (pending[0], pending[-1], sorted(pending)) == ("0001", migrate.head(), pending)
    migrate.upgrade(empty_database_url)
    first = described(empty_database_url)
    assert migrate.current(empty_database_url) == migrate.head()
    assert migrate.pending(empty_database_url) == []
    migrate.upgrade(empty_database_url)  # nothing to do
    migrate.downgrade(empty_database_url, "base")
    assert migrate.current(empty_database_url) is None
    assert described(empty_database_url).strip() == ""
    migrate.upgrade(empty_database_url)
    assert described(empty_database_url) == first


def test_down_leaves_nothing_but_the_version_table(database_url: str) -> None:
    migrate.downgrade(database_url, "base")
    left = """
    SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'noti'::regnamespace
    """
    assert one(database_url, left) == ["alembic_version", "alembic_version_pkc"]
    assert one(database_url, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'noti'::regnamespace") == 0


def test_a_step_down_brings_back_what_was(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0006")
    before = described(empty_database_url)
    migrate.upgrade(empty_database_url, "0007")
    assert described(empty_database_url) != before
    migrate.downgrade(empty_database_url, "0006")
    assert described(empty_database_url) == before


def test_the_version_stands_in_our_schema(database_url: str) -> None:
    assert one(database_url, "SELECT version_num FROM noti.alembic_version") == migrate.head()
    assert one(database_url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0


@pytest.mark.parametrize("way", ["option", "environment", "driver"])
def test_the_command_line_takes_its_database(empty_database_url: str, tmp_path: Path, way: str) -> None:
    url = empty_database_url
    match way:
        case "option":
            done = alembic("-x", f"url={url}", "upgrade", "head", cwd=tmp_path)
        case "environment":
            done = alembic("upgrade", "head", NOTI_DATABASE_URL=url)
        case _:
            done = alembic("upgrade", "head", NOTI_DATABASE_URL=url.replace("postgresql:", "postgresql+psycopg:"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Running upgrade  -> 0001" in done.stderr
    assert migrate.current(url) == migrate.head()


def test_the_command_line_without_a_database_says_what_to_do() -> None:
    done = alembic("upgrade", "head")
    assert done.returncode == 1
    assert done.stderr.endswith("no database: use alembic -x url=postgresql://… or set NOTI_DATABASE_URL\n")


def test_the_printed_sql_makes_the_same_schema(empty_database_url: str, database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(migrate.sql().encode())
    assert described(empty_database_url) == described(database_url)
    assert migrate.current(empty_database_url) == migrate.head()
    assert alembic("upgrade", "head", "--sql").stdout.strip() == migrate.sql().strip()


def test_two_migrations_at_once_do_not_collide(empty_database_url: str) -> None:
    answers: list[int] = []

    def go() -> None:
        answers.append(alembic("upgrade", "head", NOTI_DATABASE_URL=empty_database_url).returncode)

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0, 0, 0]
    assert migrate.current(empty_database_url) == migrate.head()


def test_a_schema_that_the_administrator_made_is_enough(empty_database_url: str) -> None:
    """A role without CREATE on the database may migrate into a schema of its own."""
    role = f"noti_test_{uuid4().hex[:8]}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(f"CREATE SCHEMA noti AUTHORIZATION {role}".encode())
        try:
            migrate.upgrade(empty_database_url.replace("//postgres@", f"//{role}@"))
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_other_defaults_of_the_database_change_nothing(empty_database_url: str, database_url: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(empty_database_url)["dbname"]
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for setting in (
            "default_transaction_isolation = 'serializable'",
            "search_path = pg_temp",
            "DateStyle = 'German'",
            "TimeZone = 'Asia/Kolkata'",
            "standard_conforming_strings = off",
        ):
            connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    migrate.upgrade(empty_database_url)
    assert described(empty_database_url) == described(database_url)


def test_whoever_may_insert_may_call_what_the_check_calls(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        migrate.upgrade(empty_database_url)
        connection.execute("SET ROLE noti_app")
        insert = (
            "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries) VALUES ('sms', 'a', 'b', %s)"
        )
        connection.execute(insert, [1000])
        with pytest.raises(psycopg.errors.CheckViolation, match="noti: max_retries is out of range"):
            connection.execute(insert, [1001])


# ------------------------------------------------------------------------------------ refusals


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(request: pytest.FixtureRequest, cluster: Server) -> Iterator[tuple[str, str]]:
    """A database in another encoding, and its URL."""
    name = f"encoded_{uuid4().hex}"
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as administrator:
        administrator.execute(
            f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0".encode()
        )
        yield request.param, cluster.url_of(name)
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_database_in_another_encoding_is_refused(encoded: tuple[str, str]) -> None:
    encoding, url = encoded
    with pytest.raises(DatabaseRefused) as caught:
        migrate.upgrade(url)
    assert str(caught.value) == (
        f"0A000: noti-worker needs a database in UTF8, and this one is in {encoding}. "
        "Create one with ENCODING 'UTF8' TEMPLATE template0."
    )
    assert migrate.current(url) is None


def test_an_old_server_is_refused(empty_database_url: str) -> None:
    """No such server is at hand: the check runs with another server's number in place of its own."""
    check = (ROOT / "migrations/versions/0001_requirements.sql").read_text()
    old = re.sub(r"current_setting\('server_version(_num)?'\)", lambda m: "'140012'" if m[1] else "'14.12'", check)
    with psycopg.connect(empty_database_url) as connection, pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        connection.execute(old.encode())
    assert caught.value.diag.message_primary == (
        "noti-worker needs PostgreSQL 15 or newer, and this server is 14.12. Upgrade the server first."
    )


@pytest.mark.fault("F45")
def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE noti.alembic_version SET version_num = '9999'")
    unknown = "the database is at revision 9999, which this version does not know: install a newer noti-worker"
    for call in (migrate.pending, migrate.upgrade):
        with pytest.raises(DatabaseRefused) as caught:
            call(database_url)
        assert str(caught.value) == unknown


def test_an_unknown_revision_is_refused(database_url: str) -> None:
    with pytest.raises(DatabaseRefused, match=r"^Can't locate revision identified by 'nonsense'$"):
        migrate.upgrade(database_url, "nonsense")


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    for call in (migrate.upgrade, migrate.current, migrate.pending):
        with pytest.raises(ConfigurationError) as caught:
            call("postgresql://noti:secret@[host/noti")
        assert str(caught.value) == (
            "database.url cannot be read: give postgresql://user:password@host:port/name or a libpq string"
        )


def test_a_server_that_does_not_answer_is_away(tmp_path: Path) -> None:
    for call in (migrate.upgrade, migrate.current, migrate.pending):
        with pytest.raises(DatabaseAway, match=r"^no answer: "):
            call(f"postgresql://noti:secret@/noti?host={tmp_path}")


def test_a_migration_waits_a_moment_only_for_the_lock_of_another(empty_database_url: str) -> None:
    """Held by an open transaction, the advisory lock is given up after a while and nothing is changed."""

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def hasten(_1: Any, _2: Any, statement: str, parameters: Any, _3: Any, _4: Any) -> tuple[str, Any]:
        return statement.replace("lock_timeout = '60s'", "lock_timeout = '200ms'"), parameters

    try:
        with psycopg.connect(empty_database_url) as other:
            other.execute("SELECT pg_advisory_xact_lock(7700150)")
            with pytest.raises(DatabaseAway, match=r"^55P03: canceling statement due to lock timeout$"):
                migrate.upgrade(empty_database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", hasten)
    assert migrate.current(empty_database_url) is None


@pytest.mark.fault("F72")
def test_behind_a_dump_a_migration_gives_way_and_begins_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0009")
    gave_way: list[float] = []
    with psycopg.connect(empty_database_url) as dump, psycopg.connect(empty_database_url, autocommit=True) as other:
        dump.execute("LOCK TABLE noti.notifications_log IN ACCESS SHARE MODE")

        def rest(seconds: float) -> None:
            """Between two tries nobody waits."""
            gave_way.append(seconds)
            other.execute("SET lock_timeout = '1s'")
            other.execute(
                "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'a@example.com', 'x')"
            )
            if len(gave_way) == 2:
                dump.rollback()

        with pytest.raises(DatabaseAway, match=r"^55P03: canceling statement due to lock timeout$"):
            migrate.upgrade(empty_database_url)
        migrate.upgrade(empty_database_url, rest=rest)
    assert gave_way == [migrate.PAUSE] * 2
    assert migrate.current(empty_database_url) == migrate.head()


def test_a_migration_that_the_server_ended_in_a_deadlock_is_begun_again(empty_database_url: str) -> None:
    ended: list[str] = []

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def deadlock(_1: Any, _2: Any, statement: str, parameters: Any, _3: Any, _4: Any) -> tuple[str, Any]:
        if "CREATE TABLE noti.contacts" in statement and len(ended) < 2:
            ended.append(statement)
            return (
                "DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected'; END $$",
                parameters,
            )
        return statement, parameters

    try:
        migrate.upgrade(empty_database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", deadlock)
    assert len(ended) == 2
    assert migrate.current(empty_database_url) == migrate.head()


def test_migrations_import_nothing_of_the_package() -> None:
    for path in (ROOT / "migrations").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) noti_worker", path.read_text(), re.MULTILINE), path


def test_an_installed_package_brings_its_migrations(tmp_path: Path, empty_database_url: str) -> None:
    """As in a wheel: the migrations lie inside the package, there is no source tree, and any path will do."""
    package = tmp_path / "100 % ours %(here)s" / "noti_worker"
    for part in ("domain", "store"):
        (package / part).mkdir(parents=True)
        for path in (ROOT / "noti_worker" / part).glob("*.py"):
            (package / part / path.name).write_bytes(path.read_bytes())
    (package / "__init__.py").write_text("")
    for path in (ROOT / "migrations").rglob("*"):
        if path.is_file() and path.suffix in {".py", ".sql", ".mako"}:
            inside = package / "migrations" / path.relative_to(ROOT / "migrations")
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_bytes(path.read_bytes())
    script = f"from noti_worker.store import migrate; migrate.upgrade({empty_database_url!r}); print(migrate.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=package.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(package.parent))
    assert migrate.current(empty_database_url) == migrate.head()
