"""The daemon in databases as people have them: it sends, and says when it cannot."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from noti_worker.embedded import Server
from tests.pgbouncer import pgbouncer
from tests.replica import Replica
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


def run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One command on a database; `top`, which has no end, for its first line."""
    command = [sys.executable, "-m", "noti_worker", *words]
    environ = {**os.environ, "NOTI_DATABASE_URL": url}
    if words[0] != "top":
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        return subprocess.CompletedProcess(command, process.wait(30), first, process.stderr.read())


def test_people_read_on_a_standby(own_server: Server, daemons: Daemons, wait_for: Callable[..., Any]) -> None:
    """The register of workers is unlogged, so a standby has none of it: it is left out, and that is said."""
    directory = own_server.directory.parent / "replica"
    directory.mkdir()
    daemons.configure(SANDBOX)
    daemon = daemons.start_ready(NOTI_DATABASE_URL=own_server.url)
    with psycopg.connect(own_server.url, autocommit=True) as primary, Replica(own_server, directory) as replica:
        primary.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, send_at) VALUES"
            " ('email', 'ada@example.com', 'x', NULL), ('email', 'ada@example.com', 'x', now() + interval '1 hour')"
        )
        wait_for(lambda: primary.execute("SELECT 1 FROM noti.notifications_log WHERE status = 'sent'").fetchone())
        position = primary.execute("SELECT pg_current_wal_lsn()::text").fetchone()

        def follows() -> bool:
            try:
                with psycopg.connect(replica.url()) as standby:
                    there = standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position)
                    return there.fetchone() == (True,)
            except psycopg.OperationalError:
                return False

        wait_for(follows)
        url = replica.url()
        for words in (["why", "1"], ["why", "2"], ["list"], ["status"], ["circuits", "list"]):
            for form in ([], ["--json"]):
                done = run(url, *words, *form)
                assert done.returncode == 0, (words, done.stderr)
                assert done.stdout + done.stderr, words
        watched = run(url, "top", "--json")
        assert json.loads(watched.stdout)["standby"] is True, watched
        assert "Traceback" not in watched.stderr
        told = run(url, "doctor")
        assert told.returncode == 1
        assert "the database takes no writes: it is a standby" in told.stdout
        assert "could not be looked at" not in told.stdout
        assert "Traceback" not in told.stderr
        assert "workers: not known here, for this is a standby" in run(url, "status").stdout
        assert "no worker" not in run(url, "why", "2").stdout + told.stdout
        for words in (["hold", "2"], ["pause", "channel", "email"]):
            refused = run(url, *words)
            assert (refused.returncode, refused.stdout) == (1, ""), words
            assert "25006" in refused.stderr, words
    assert daemon.stop() == 0
