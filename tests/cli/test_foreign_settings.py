"""Databases as people have them: what commands print does not hang on the settings of a database or a terminal."""

import os
import subprocess
import sys

import psycopg
import pytest

from tests.cli.conftest import Invoke
from tests.store.lives import Connection, claim, end, queue

ODD = {
    "DateStyle": "German", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kolkata", "bytea_output": "escape",
    "standard_conforming_strings": "off", "extra_float_digits": "-10", "search_path": "nowhere",
    "default_transaction_isolation": "serializable", "client_encoding": "LATIN1",
}  # fmt: skip


@pytest.fixture(params=["false", "true"], ids=["direct", "pooled"])
def odd(connection: Connection, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every new session of the database begins oddly."""
    for name, value in ODD.items():
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'".encode())
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGDATESTYLE", "Postgres")
    monkeypatch.setenv("NOTI_DATABASE__PGBOUNCER", request.param)


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    "words",
    [
        ("doctor",), ("doctor", "--json"), ("list",), ("list", "--json"), ("why", "1"), ("why", "1", "--json"),
        ("status",), ("status", "--json"), ("hold", "2"), ("requeue", "1", "--dry-run"),
        ("migrate",), ("migrate", "--check"), ("pause", "channel", "email", "--dry-run"),
        ("send", "--dry-run", "--channel", "email", "--recipient", "żółw@example.com", "--body", "…"),
        ("erase", "żółw@example.com", "--dry-run"), ("retention", "--dry-run"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_command_reads_and_writes_the_same(noti: Invoke, connection: Connection, words: tuple[str, ...]) -> None:
    failed = queue(connection, recipient="żółw@example.com", body="…")
    claim(connection, failed)
    end(connection, "failed", failed, error="no such user: żółw", account="relay", kind="permanent")
    queue(connection, recipient="żółw@example.com", body="…")
    done = noti(*words)
    assert "could not be looked at" not in done.stdout
    assert done.exit_code == 0 or words[0] == "doctor", done.stderr + done.stdout


@pytest.mark.parametrize("environ", [{"PGCLIENTENCODING": "LATIN1"}, {"PGCLIENTENCODING": "SQL_ASCII"}])
def test_a_new_database_is_migrated_whatever_the_environment_says(
    empty_database_url: str, environ: dict[str, str]
) -> None:
    given = {**os.environ, **environ, "NOTI_DATABASE_URL": empty_database_url}
    command = [sys.executable, "-m", "noti_worker", "migrate"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)
