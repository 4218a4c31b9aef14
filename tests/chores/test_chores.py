"""Chores over the real store: one worker does the duty, all see the result."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.chores.departed import ForgetDeparted
from noti_worker.chores.gauges import CountQueue
from noti_worker.chores.modes import TellModes
from noti_worker.chores.timetable import Timetable
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import DeliveryModes, Trouble
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.reading import Gauges
from noti_worker.store.workers import PostgresWorkers
from tests.worker.fakes import Witness

Connection = psycopg.Connection[Any]


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(Secret(database_url))


@pytest.fixture
def workers(database: Database) -> Iterator[PostgresWorkers]:
    workers = PostgresWorkers(database)
    yield workers
    workers.close()


def test_safe_mode_is_told_again_and_again() -> None:
    witness, modes = Witness(), DeliveryModes({"relay": "dry", "hooks": "live"}, ())
    chore = TellModes(modes, witness)
    assert (chore.run_once(), chore.run_once()) == (1, 1)
    assert witness.facts == [modes, modes]


def test_one_worker_counts_and_all_show_the_same(
    database: Database, workers: PostgresWorkers, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at) VALUES ('email', 'a', 'x', NULL),"
        " ('email', 'b', 'x', NULL), ('sms', 'c', 'x', now() + interval '1 hour')"
    )
    shown: dict[int, Gauges] = {}
    session = database.session("gauges")
    first = CountQueue(1, workers, session, lambda gauges: shown.update({1: gauges}))
    second = CountQueue(2, workers, session, lambda gauges: shown.update({2: gauges}))
    first.run_once()
    connection.execute("INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'd', 'x')")
    second.run_once()
    session.close()
    assert shown[1] == shown[2]
    assert shown[1].depth == {("email", "due"): 2, ("sms", "scheduled"): 1}
    assert shown[1].oldest[("email", "normal")] >= 0


def test_workers_that_were_killed_are_forgotten_after_a_day(workers: PostgresWorkers, connection: Connection) -> None:
    gone, recent, alive = (workers.register("1.0") for _ in range(3))
    connection.execute("UPDATE noti.workers SET heartbeat = now() - interval '25 h' WHERE worker_id = %s", [gone])
    connection.execute("UPDATE noti.workers SET heartbeat = now() - interval '23 h' WHERE worker_id = %s", [recent])
    chore = ForgetDeparted(alive, workers)
    assert chore.run_once() == 1
    left = connection.execute("SELECT worker_id FROM noti.workers ORDER BY 1").fetchall()
    assert left == [(recent,), (alive,)]
    assert chore.run_once() == 0


class Chore:
    def __init__(self, error: Exception | None = None) -> None:
        self.ran = threading.Event()
        self.error = error

    def run_once(self) -> int:
        self.ran.set()
        if self.error is not None:
            raise self.error
        return 1


def test_chores_run_at_once_and_one_that_fails_stops_no_other(wait_for: Callable[..., Any]) -> None:
    witness = Witness()
    away = Chore(DatabaseAway("08006"))
    refused = Chore(DatabaseRefused("42501 InsufficientPrivilege"))
    good = Chore()
    hour = timedelta(hours=1)
    timetable = Timetable({"away": (away, hour), "refused": (refused, hour), "good": (good, hour)}, witness)
    timetable.start()
    try:
        wait_for(lambda: all(chore.ran.is_set() for chore in (away, refused, good)))
        wait_for(lambda: witness.of(Trouble))
        assert [fact.where for fact in witness.of(Trouble)] == ["chore refused"]
    finally:
        timetable.stop()
