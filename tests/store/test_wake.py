"""The hint that rows came in: heard, missed, silenced, closed, and never an error."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue.wake import PostgresWake
from tests.store.rows import Connection, insert

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'noti-worker wake'"


@pytest.fixture
def wake(database: Database) -> Iterator[PostgresWake]:
    """A wake that listens, with the hint of its connection taken."""
    opened = PostgresWake(database)
    assert opened.wait(5)
    yield opened
    opened.close()


def _waited(wake: PostgresWake, timeout: float) -> tuple[bool, float]:
    began = time.monotonic()
    return wake.wait(timeout), time.monotonic() - began


def test_a_row_that_comes_in_is_a_hint(wake: PostgresWake, connection: Connection) -> None:
    assert wake.wait(0.05) is False
    threading.Timer(0.1, insert, args=[connection]).start()
    hinted, seconds = _waited(wake, 10)
    assert hinted
    assert seconds < 5
    assert wake.wait(0.05) is False


def test_a_hint_that_came_while_nobody_waited_is_kept(wake: PostgresWake, connection: Connection) -> None:
    connection.execute("NOTIFY noti_wake")
    hinted, seconds = _waited(wake, 10)
    assert hinted
    assert seconds < 5
    assert wake.wait(0.05) is False


@pytest.mark.fault("F53")
def test_a_storm_of_notifications_is_no_more_hints_than_asked_for(wake: PostgresWake, connection: Connection) -> None:
    ends = threading.Event()

    def storm() -> None:
        while not ends.is_set():
            connection.execute("SELECT count(pg_notify('noti_wake', n::text)) FROM generate_series(1, 100) n")

    thread = threading.Thread(target=storm)
    thread.start()
    began, hints = time.monotonic(), 0
    while time.monotonic() - began < 0.5:
        hints += wake.wait(0.5, apart=0.02)
    ends.set()
    thread.join()
    assert 2 < hints <= 26


def test_another_channel_is_no_hint(wake: PostgresWake, connection: Connection) -> None:
    connection.execute("NOTIFY noti_wake_check, 'of another worker'")
    assert wake.wait(0.1) is False


@pytest.mark.fault("F18")
def test_a_terminated_line_is_made_anew_and_gives_one_hint(wake: PostgresWake, connection: Connection) -> None:
    [(pid,)] = connection.execute(LISTENERS).fetchall()
    connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert wake.wait(10) is True
    [(other,)] = connection.execute(LISTENERS).fetchall()
    assert other != pid
    connection.execute("NOTIFY noti_wake")
    assert wake.wait(5) is True


def test_a_database_that_is_away_is_waited_out_in_silence() -> None:
    wake = PostgresWake(Database(Secret("postgresql://127.0.0.1:1/nowhere")))
    for _ in range(3):
        hinted, seconds = _waited(wake, 0.2)
        assert not hinted
        assert seconds >= 0.2
    wake.close()


def test_a_silent_line_that_carries_its_check_is_kept(database: Database, connection: Connection) -> None:
    wake = PostgresWake(database, check_every=0.05)
    assert wake.wait(5)
    [(pid,)] = connection.execute(LISTENERS).fetchall()
    assert wake.wait(0.5) is False
    assert connection.execute(LISTENERS).fetchall() == [(pid,)]
    wake.close()


@pytest.mark.fault("F18")
def test_a_line_that_swallows_its_check_is_given_up(
    database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = PostgresWake(database, check_every=0.05)
    assert wake.wait(5)
    monkeypatch.setattr(wake, "_take", lambda channel, payload: None)  # as a pooler does
    connection.execute("NOTIFY noti_wake")
    assert wake.wait(0.3) is False
    assert wake._connection is None
    wake.close()


def test_without_a_line_to_listen_on_it_only_waits() -> None:
    wake = PostgresWake(None)
    hinted, seconds = _waited(wake, 0.1)
    assert not hinted
    assert seconds >= 0.1
    wake.close()


@pytest.mark.parametrize("listens", [True, False])
def test_closing_ends_a_wait_of_another_thread(
    database: Database, connection: Connection, wait_for: Callable[..., Any], listens: bool
) -> None:
    wake = PostgresWake(database if listens else None)
    assert wake.wait(0.05) is listens
    began = time.monotonic()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(wake.wait(60)))
    thread.start()
    wait_for(wake._turn.locked)
    wake.close()
    thread.join(5)
    assert answers == [False]
    assert time.monotonic() - began < 5
    wait_for(lambda: connection.execute(LISTENERS).fetchall() == [])
    wake.close()
    assert wake.wait(60) is False
