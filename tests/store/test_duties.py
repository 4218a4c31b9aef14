"""Duties that one worker does at a time."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from noti_worker.store.connect import Database
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.upkeep.duties import Duties
from tests.store.rows import Connection, silence

HOUR = timedelta(hours=1)


def _opened(database: Database, worker_id: int) -> Iterator[Duties]:
    session = database.session("chores")
    yield Duties(session, worker_id)
    session.close()


@pytest.fixture
def ours(database: Database) -> Iterator[Duties]:
    yield from _opened(database, 1)


@pytest.fixture
def theirs(database: Database) -> Iterator[Duties]:
    """The duties as a second process sees them."""
    yield from _opened(database, 2)


def test_of_two_workers_one_does_a_duty_in_each_period(ours: Duties, theirs: Duties, connection: Connection) -> None:
    assert ours.take("retention", HOUR)
    assert not theirs.take("retention", HOUR)
    ours.finish("retention", {"deleted": 7})
    assert not theirs.take("retention", HOUR)
    assert not ours.take("retention", HOUR)
    found = connection.execute("SELECT held_by, lease_until, state FROM noti.duties").fetchone()
    assert found == (None, None, {"deleted": 7})
    connection.execute("UPDATE noti.duties SET last_run = last_run - interval '55 minutes'")
    assert theirs.take("retention", HOUR)


def test_the_period_counts_from_when_the_duty_was_taken(ours: Duties, connection: Connection) -> None:
    ours.take("retention", HOUR)
    # It took us four of the five minutes of the lease.
    connection.execute("UPDATE noti.duties SET lease_until = lease_until - interval '4 minutes'")
    ours.finish("retention", {})
    found = connection.execute("SELECT clock_timestamp() - last_run FROM noti.duties").fetchone()
    assert found is not None
    assert timedelta(minutes=4) <= found[0] < timedelta(minutes=5)


def test_two_that_reach_for_a_duty_at_once_do_not_both_get_it(ours: Duties, theirs: Duties) -> None:
    for number in range(20):
        got: list[bool] = []
        start = threading.Barrier(2)

        def take(duties: Duties, duty: str, start: threading.Barrier, got: list[bool]) -> None:
            start.wait(5)
            got.append(duties.take(duty, HOUR))

        threads = [
            threading.Thread(target=take, args=(duties, f"duty {number}", start, got)) for duties in (ours, theirs)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False, True]


def test_the_duty_of_a_worker_that_was_lost_goes_to_another_who_then_keeps_it(
    ours: Duties, theirs: Duties, connection: Connection
) -> None:
    ours.take("retention", HOUR)
    connection.execute("UPDATE noti.duties SET lease_until = clock_timestamp() - interval '1 second'")
    assert theirs.take("retention", HOUR)
    ours.finish("retention", {"by": "the lost one"})
    assert connection.execute("SELECT held_by, state FROM noti.duties").fetchone() == (2, None)


def test_the_duty_of_a_dead_worker_does_not_wait_for_its_lease(
    database: Database, workers: PostgresWorkers, theirs: Duties, connection: Connection
) -> None:
    dead = workers.register("1")
    with closing(database.session("chores")) as session:
        Duties(session, dead).take("retention", HOUR)
    assert not theirs.take("retention", HOUR)
    silence(connection, dead, 16)
    assert theirs.take("retention", HOUR)


def test_what_a_duty_left_is_there_for_everybody(ours: Duties, theirs: Duties) -> None:
    assert theirs.state("gauges") is None
    ours.take("gauges", HOUR)
    ours.finish("gauges", {"depth": 3})
    assert theirs.state("gauges") == {"depth": 3}


def test_duties_do_not_know_each_other(ours: Duties) -> None:
    assert ours.take("retention", HOUR)
    assert ours.take("gauges", HOUR)
