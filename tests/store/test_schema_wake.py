"""An insert wakes sleeping workers: a hint for rows that are due, at most one per statement, and it can be off."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.store.rows import insert

Connection = psycopg.Connection[Any]


@pytest.fixture
def listener(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute("LISTEN noti_wake")
        yield opened


def heard(listener: Connection) -> int:
    """How many hints came; a round trip brings everything that was committed before it."""
    listener.execute("SELECT 1")
    return len(list(listener.notifies(timeout=0)))


def test_a_due_row_wakes_once_per_statement(connection: Connection, listener: Connection) -> None:
    insert(connection, 1000)
    assert heard(listener) == 1


@pytest.mark.parametrize("columns", [{"send_at": "2100-01-01 00:00+00"}, {"status": "held"}, {"status": "sent"}])
def test_a_row_that_is_not_due_wakes_nobody(
    connection: Connection, listener: Connection, columns: dict[str, object]
) -> None:
    insert(connection, 1, **columns)
    assert heard(listener) == 0


def test_a_row_that_is_due_in_a_moment_wakes_who_would_sleep_past_it(
    connection: Connection, listener: Connection
) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at)"
        " VALUES ('email', 'a@example.com', 'x', clock_timestamp() + interval '2 seconds')"
    )
    assert heard(listener) == 1


def test_an_insert_of_nothing_wakes_nobody(connection: Connection, listener: Connection) -> None:
    insert(connection, 0)
    assert heard(listener) == 0


def test_an_open_producer_mutes_only_those_who_share_its_gate(
    connection: Connection, listener: Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as open_producer:
        insert(open_producer)
        gate = open_producer.info.backend_pid % 4
        insert(connection)
        assert heard(listener) == (0 if connection.info.backend_pid % 4 == gate else 1)
        open_producer.commit()
        insert(connection)
        assert heard(listener) >= 2


@pytest.mark.parametrize("value", ["off", "False", "no", "0"])
def test_the_wake_can_be_switched_off_for_a_database(database_url: str, listener: Connection, value: str) -> None:
    name = listener.info.dbname
    listener.execute(f"ALTER DATABASE {name} SET noti.wake = '{value}'")
    with psycopg.connect(database_url, autocommit=True) as quiet:
        insert(quiet)
        assert heard(listener) == 0
        quiet.execute("SET noti.wake = 'on'")
        insert(quiet)
        assert heard(listener) == 1


def test_two_phase_commit_works_with_the_wake_off(open_directory: Path) -> None:
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    settings = {"max_prepared_transactions": "2", "fsync": "off"}
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, settings) as server:
        migrate.upgrade(server.url)
        with psycopg.connect(server.url) as connection:
            connection.execute("SET noti.wake = 'off'")
            connection.commit()
            insert(connection)
            connection.execute("PREPARE TRANSACTION 'noti'")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("COMMIT PREPARED 'noti'")
            assert connection.execute("SELECT count(*) FROM noti.audit_log").fetchone() == (1,)
            connection.execute("BEGIN")
            insert(connection)
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="NOTIFY"):
                connection.execute("PREPARE TRANSACTION 'noti'")


@pytest.mark.fault("F70")
def test_a_full_queue_of_notifications_refuses_nobody(open_directory: Path) -> None:
    """Any login can fill it, and holds up whoever notifies; workers find the rows when they look."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    settings = {"max_notify_queue_pages": "64", "fsync": "off"}
    if server_version(bin_) < 17:
        pytest.skip("the queue is 8 GB there, and cannot be made smaller")
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, settings) as server:
        migrate.upgrade(server.url)
        with (
            psycopg.connect(server.url) as idle,
            psycopg.connect(server.url, autocommit=True) as other,
            psycopg.connect(server.url, autocommit=True) as application,
        ):
            idle.execute("LISTEN noti_wake")
            idle.commit()
            application.execute("LISTEN noti_wake")
            idle.execute("SELECT 1")  # whoever listens and leaves a transaction open keeps all that comes
            insert(application)
            assert heard(application) == 1
            while used(other) < 0.5:
                other.execute("SELECT pg_notify('mine', repeat('x', 7900) || g) FROM generate_series(1, 8) g")
            insert(application)
            assert heard(application) == 0
            while used(other) < 0.95:
                other.execute("SELECT pg_notify('mine', repeat('x', 7900))")
            with pytest.raises(psycopg.OperationalError, match="too many notifications"):
                other.execute("SELECT pg_notify('mine', repeat('x', 7900) || g) FROM generate_series(1, 8) g")
            insert(application)
            application.execute("SELECT noti.pause('channel', 'sms'), noti.open_circuit('relay')")
            idle.rollback()
            assert idle.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (3,)


def used(connection: Connection) -> float:
    [(share,)] = connection.execute("SELECT pg_notification_queue_usage()").fetchall()
    return float(share)


def server_version(bin_: str | None) -> int:
    """The major version; ours, unless a folder of binaries was named."""
    if bin_ is None:
        return 18
    return int(subprocess.check_output([f"{bin_}/postgres", "--version"], text=True).split()[2].split(".")[0])
