"""The register of workers, the dead list, and duties that one worker does at a time."""

import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from noti_worker.store.connect import Database
from noti_worker.store.workers import PostgresWorkers
from tests.store.rows import Connection

HOUR = timedelta(hours=1)


@pytest.fixture
def others(database: Database) -> Iterator[PostgresWorkers]:
    """The register as a second process sees it."""
    opened = PostgresWorkers(database)
    yield opened
    opened.close()


def _silence(connection: Connection, worker_id: int, seconds: float) -> None:
    connection.execute(
        "UPDATE noti.workers SET heartbeat = clock_timestamp() - %s WHERE worker_id = %s",
        [timedelta(seconds=seconds), worker_id],
    )


def test_a_worker_registers_with_where_and_what_it_is(workers: PostgresWorkers, connection: Connection) -> None:
    worker_id = workers.register("1.2.3")
    query = "SELECT worker_id, host, pid, version FROM noti.workers"
    assert connection.execute(query).fetchall() == [(worker_id, socket.gethostname(), os.getpid(), "1.2.3")]


def test_a_heartbeat_tells_the_operator_and_learns_the_time(workers: PostgresWorkers, connection: Connection) -> None:
    worker_id = workers.register("1")
    _silence(connection, worker_id, 60)
    beat = workers.beat(worker_id, {"channels": ["email"], "in_flight": 3})
    assert beat.known
    assert beat.dead == ()
    found = connection.execute("SELECT heartbeat, state, clock_timestamp() FROM noti.workers").fetchone()
    assert found is not None
    assert found[1] == {"channels": ["email"], "in_flight": 3}
    assert found[0] <= beat.now <= found[2]
    assert found[2] - found[0] < timedelta(seconds=10)


def test_only_silent_others_are_dead(workers: PostgresWorkers, connection: Connection) -> None:
    silent, alive, me = (workers.register("1") for _ in range(3))
    _silence(connection, silent, 15.1)
    _silence(connection, alive, 13)
    _silence(connection, me, 60)
    assert workers.beat(me, {}).dead == (silent,)


def test_a_worker_that_the_register_forgot_is_told_and_enters_again(
    workers: PostgresWorkers, connection: Connection
) -> None:
    worker_id = workers.register("1")
    connection.execute("TRUNCATE noti.workers")
    assert not workers.beat(worker_id, {"in_flight": 3}).known
    row = connection.execute("SELECT worker_id, version, state, pid FROM noti.workers").fetchone()
    assert row == (worker_id, "1", {"in_flight": 3}, os.getpid())
    assert workers.beat(worker_id, {}).known
    assert workers.register("1") > worker_id


def test_who_left_is_not_dead(workers: PostgresWorkers, connection: Connection) -> None:
    leaving, staying = workers.register("1"), workers.register("1")
    _silence(connection, leaving, 60)
    workers.leave(leaving)
    assert workers.beat(staying, {}).dead == ()
    workers.leave(leaving)


def test_of_two_workers_one_does_a_duty_in_each_period(
    workers: PostgresWorkers, others: PostgresWorkers, connection: Connection
) -> None:
    assert workers.take_duty(1, "retention", HOUR)
    assert not others.take_duty(2, "retention", HOUR)
    workers.finish_duty("retention", 1, {"deleted": 7})
    assert not others.take_duty(2, "retention", HOUR)
    assert not workers.take_duty(1, "retention", HOUR)
    found = connection.execute("SELECT held_by, lease_until, state FROM noti.duties").fetchone()
    assert found == (None, None, {"deleted": 7})
    connection.execute("UPDATE noti.duties SET last_run = last_run - interval '55 minutes'")
    assert others.take_duty(2, "retention", HOUR)


def test_the_period_counts_from_when_the_duty_was_taken(workers: PostgresWorkers, connection: Connection) -> None:
    workers.take_duty(1, "retention", HOUR)
    # It took us four of the five minutes of the lease.
    connection.execute("UPDATE noti.duties SET lease_until = lease_until - interval '4 minutes'")
    workers.finish_duty("retention", 1, {})
    found = connection.execute("SELECT clock_timestamp() - last_run FROM noti.duties").fetchone()
    assert found is not None
    assert timedelta(minutes=4) <= found[0] < timedelta(minutes=5)


def test_two_that_reach_for_a_duty_at_once_do_not_both_get_it(
    workers: PostgresWorkers, others: PostgresWorkers
) -> None:
    for number in range(20):
        got: list[bool] = []
        start = threading.Barrier(2)

        def take(
            register: PostgresWorkers, worker_id: int, duty: str, start: threading.Barrier, got: list[bool]
        ) -> None:
            start.wait(5)
            got.append(register.take_duty(worker_id, duty, HOUR))

        pairs = ((workers, 1), (others, 2))
        threads = [threading.Thread(target=take, args=(*pair, f"duty {number}", start, got)) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False, True]


def test_the_duty_of_a_worker_that_was_lost_goes_to_another_who_then_keeps_it(
    workers: PostgresWorkers, others: PostgresWorkers, connection: Connection
) -> None:
    workers.take_duty(1, "retention", HOUR)
    connection.execute("UPDATE noti.duties SET lease_until = clock_timestamp() - interval '1 second'")
    assert others.take_duty(2, "retention", HOUR)
    workers.finish_duty("retention", 1, {"by": "the lost one"})
    assert connection.execute("SELECT held_by, state FROM noti.duties").fetchone() == (2, None)


def test_the_duty_of_a_dead_worker_does_not_wait_for_its_lease(
    workers: PostgresWorkers, others: PostgresWorkers, connection: Connection
) -> None:
    dead, alive = workers.register("1"), others.register("1")
    workers.take_duty(dead, "retention", HOUR)
    assert not others.take_duty(alive, "retention", HOUR)
    _silence(connection, dead, 16)
    assert others.take_duty(alive, "retention", HOUR)


def test_what_a_duty_left_is_there_for_everybody(workers: PostgresWorkers, others: PostgresWorkers) -> None:
    assert others.duty_state("gauges") is None
    workers.take_duty(1, "gauges", HOUR)
    workers.finish_duty("gauges", 1, {"depth": 3})
    assert others.duty_state("gauges") == {"depth": 3}


def test_only_workers_that_were_silent_for_long_are_forgotten(workers: PostgresWorkers, connection: Connection) -> None:
    long, short = workers.register("1"), workers.register("1")
    _silence(connection, long, 3700)
    _silence(connection, short, 3500)
    assert workers.forget(HOUR) == 1
    assert connection.execute("SELECT worker_id FROM noti.workers").fetchall() == [(short,)]


def test_duties_do_not_know_each_other(workers: PostgresWorkers) -> None:
    assert workers.take_duty(1, "retention", HOUR)
    assert workers.take_duty(1, "gauges", HOUR)
