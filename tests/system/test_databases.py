"""The daemon in databases as people have them: it sends, and says when it cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from tests.pgbouncer import pgbouncer
from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

ODD = {
    "DateStyle": "German", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kolkata", "bytea_output": "escape",
    "standard_conforming_strings": "off", "extra_float_digits": "-10", "search_path": "nowhere",
    "default_transaction_isolation": "serializable", "client_encoding": "LATIN1", "statement_timeout": "50ms",
    "plpgsql.extra_errors": "all", "array_nulls": "off", "transform_null_equals": "on",
}  # fmt: skip


@pytest.fixture(params=["direct", "pooled"])
def way(
    request: pytest.FixtureRequest,
    daemons: Daemons,
    database_url: str,
    open_directory: Path,
    wait_for: Callable[..., Any],
) -> Iterator[str]:
    """The URL of a database with odd settings."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        for name, value in ODD.items():
            owner.execute(f"ALTER DATABASE {owner.info.dbname} SET {name} = '{value}'".encode())
    if request.param == "direct":
        yield daemons.database_url
    else:
        with pgbouncer(open_directory, database_url, "transaction", wait_for) as url:
            yield url


def test_an_odd_database_is_served(
    daemons: Daemons, way: str, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure(f"[database]\npgbouncer = {str('127.0.0.1' in way).lower()}\n{SANDBOX}")
    daemon = daemons.start_ready(NOTI_DATABASE_URL=way, PGCLIENTENCODING="LATIN1", PGDATESTYLE="Postgres")
    connection.execute("SET client_encoding = 'utf8'; SET statement_timeout = 0")
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body, send_at)"
        " VALUES ('email', 'żółw@example.com', '…', '😀', now()), ('email', 'bad@example.invalid', 'x', 'x', NULL)"
    )
    wait_for(lambda: connection.execute("SELECT status FROM noti.notifications_log").fetchall() == [("sent",)] * 2)
    assert daemon.get("/health/ready")[0] == 200
    assert [line for line in daemon.log if line.get("level") in {"warning", "error"}] == []
    assert daemon.stop() == 0


def test_a_database_that_takes_no_writes_is_told_and_waited_for(
    daemons: Daemons,
    connection: psycopg.Connection[Any],
    database_url: str,
    wait_for: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some hosts do that to a disk that is full: nobody works around it."""
    monkeypatch.setenv("NOTI_DATABASE_URL", database_url)
    daemons.configure(SANDBOX)
    daemon = daemons.start_ready()
    read_only = f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = "
    ours = "datname = current_database() AND application_name LIKE 'noti-worker%'"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"{read_only} on".encode())
        owner.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}".encode())
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'ada@example.com', 'x')"
        )
        wait_for(lambda: daemon.get("/health/ready")[0] == 503)
        told = CliRunner().invoke(main, ["doctor"])
        assert "the database takes no writes: it is a standby, or read-only by default" in told.stdout
        for words in (["why", "1"], ["list"], ["status"]):
            done = CliRunner().invoke(main, words)
            assert (done.exit_code, done.stderr) == (0, ""), words
        refused = CliRunner().invoke(main, ["hold", "1"])
        assert refused.exit_code == 1
        assert "25006" in refused.stderr
        owner.execute("SET default_transaction_read_only = off")
        owner.execute(f"{read_only} off".encode())
    wait_for(lambda: connection.execute("SELECT status FROM noti.notifications_log").fetchone() == ("sent",), 60)
    wait_for(lambda: daemon.get("/health/ready")[0] == 200)
    assert daemon.stop() == 0
