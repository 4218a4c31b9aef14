"""The circuits of accounts in the database: who opens, who probes, what closes, and what is told."""

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.circuits import Waits
from noti_worker.domain.closures import CIRCUIT, Closure
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.circuits import PostgresCircuits
from tests.store.rows import Connection, insert

WAITS = Waits(timedelta(seconds=30), timedelta(minutes=2))
SHORT = Waits(timedelta(milliseconds=1), timedelta(minutes=2))
LEASE = timedelta(minutes=1)


@pytest.fixture
def circuits(database_url: str) -> Any:
    store = PostgresCircuits(Database(Secret(database_url)))
    yield store
    store.close()


def audit(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT entity_id, action, metadata->>'by', metadata->>'reason' FROM noti.audit_log"
        " WHERE entity_type = 'circuit' ORDER BY audit_id"
    ).fetchall()


def wait(connection: Connection) -> timedelta:
    found = connection.execute("SELECT wait FROM noti.circuits WHERE name = 'relay'").fetchone()
    assert found is not None
    return timedelta(seconds=found[0].total_seconds())


def due(connection: Connection) -> None:
    connection.execute("UPDATE noti.circuits SET retry_at = now() - interval '1 second'")


def test_who_comes_first_opens_it_and_one_line_is_written(
    circuits: PostgresCircuits, queue: PostgresQueue, connection: Connection
) -> None:
    assert circuits.open_circuit(1, "relay", "no login", WAITS)
    assert not circuits.open_circuit(2, "relay", "no login either", WAITS)
    assert queue.closures().all == {Closure("account", "relay", cause=CIRCUIT)}
    assert audit(connection) == [("account:relay", "circuit_opened", "worker 1", "no login")]


def test_eight_workers_at_once_open_it_once(database_url: str, connection: Connection) -> None:
    opened: list[bool] = []

    def go(worker_id: int) -> None:
        store = PostgresCircuits(Database(Secret(database_url)))
        opened.append(store.open_circuit(worker_id, "relay", "gone", WAITS))
        store.close()

    threads = [threading.Thread(target=go, args=[number]) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [*[False] * 7, True]
    assert len(audit(connection)) == 1


def test_a_probe_is_one_workers_until_it_ends_or_its_holder_is_lost(
    circuits: PostgresCircuits, connection: Connection
) -> None:
    one, two = (
        connection.execute("INSERT INTO noti.workers DEFAULT VALUES RETURNING worker_id").fetchone() for _ in range(2)
    )
    assert one is not None
    assert two is not None
    circuits.open_circuit(one[0], "relay", "gone", WAITS)
    assert circuits.take_probes(one[0], ["relay"], LEASE) == []  # not yet
    due(connection)
    assert circuits.take_probes(one[0], ["spare"], LEASE) == []
    assert circuits.take_probes(one[0], ["relay"], LEASE) == ["relay"]
    assert circuits.take_probes(two[0], ["relay"], LEASE) == []
    connection.execute("UPDATE noti.workers SET heartbeat = now() - interval '1 minute' WHERE worker_id = %s", [one[0]])
    assert circuits.take_probes(two[0], ["relay"], LEASE) == ["relay"]
    assert not circuits.end_probe(one[0], "relay", "it works", None)  # too late
    assert circuits.end_probe(two[0], "relay", "it works", None)
    assert [line[1:3] for line in audit(connection)] == [
        ("circuit_opened", f"worker {one[0]}"),
        ("circuit_closed", f"worker {two[0]}"),
    ]


def test_waits_double_up_to_the_longest_and_a_good_probe_closes(
    circuits: PostgresCircuits, queue: PostgresQueue, connection: Connection
) -> None:
    circuits.open_circuit(1, "relay", "gone", WAITS)
    waits = [wait(connection)]
    for _ in range(3):
        due(connection)
        circuits.take_probes(1, ["relay"], LEASE)
        assert circuits.end_probe(1, "relay", "still gone", WAITS)
        waits.append(wait(connection))
    assert waits == [timedelta(seconds=seconds) for seconds in (30, 60, 120, 120)]
    assert len(audit(connection)) == 1  # its state has not changed
    due(connection)
    circuits.take_probes(1, ["relay"], LEASE)
    assert circuits.end_probe(1, "relay", "it works", None)
    assert not queue.closures()


def test_one_that_flaps_waits_longer_and_ten_good_minutes_make_it_forget(
    circuits: PostgresCircuits, connection: Connection
) -> None:
    for _ in range(2):
        circuits.open_circuit(1, "relay", "gone", WAITS)
        due(connection)
        circuits.take_probes(1, ["relay"], LEASE)
        circuits.end_probe(1, "relay", "it works", None)
    assert wait(connection) == timedelta(seconds=60)
    connection.execute("UPDATE noti.circuits SET closed_at = now() - interval '11 minutes'")
    circuits.open_circuit(1, "relay", "gone", WAITS)
    assert wait(connection) == timedelta(seconds=30)


def test_a_person_closes_and_opens_it_and_what_was_is_forgotten(
    circuits: PostgresCircuits, queue: PostgresQueue, connection: Connection
) -> None:
    circuits.open_circuit(1, "relay", "gone", WAITS)
    closing = connection.execute("SELECT noti.close_circuit('relay', 'ada'), noti.close_circuit('spare', 'ada')")
    assert closing.fetchone() == (True, False)
    assert not queue.closures()
    opening = connection.execute("SELECT noti.open_circuit('relay', 'they said so', 'ada', interval '5 seconds')")
    assert opening.fetchone() == (True,)
    assert wait(connection) == timedelta(seconds=5)
    assert [line[1:] for line in audit(connection)] == [
        ("circuit_opened", "worker 1", "gone"),
        ("circuit_closed", "ada", None),
        ("circuit_opened", "ada", "they said so"),
    ]


def test_a_new_configuration_has_it_tried_soon_but_no_more_than_once_a_minute(
    circuits: PostgresCircuits, connection: Connection
) -> None:
    circuits.open_circuit(1, "relay", "gone", Waits(timedelta(minutes=20), timedelta(minutes=30)))

    def seconds() -> float:
        found = connection.execute(
            "SELECT extract(epoch FROM retry_at - clock_timestamp())::float8 FROM noti.circuits"
        ).fetchone()
        assert found is not None
        return float(found[0])

    circuits.hasten_probes(["relay"])
    assert 0 < seconds() <= 60  # it was opened just now
    connection.execute(
        "UPDATE noti.circuits SET opened_at = now() - interval '10 minutes', retry_at = now() + interval '1 hour'"
    )
    circuits.hasten_probes(["spare"])
    assert seconds() > 3000
    circuits.hasten_probes(["relay"])
    assert seconds() <= 0


def test_a_change_wakes_the_workers(database_url: str, circuits: PostgresCircuits, connection: Connection) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN noti_wake")
        circuits.open_circuit(1, "relay", "gone", WAITS)
        connection.execute("SELECT noti.close_circuit('relay')")
        assert len(list(listener.notifies(timeout=20, stop_after=2))) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("noti.open_circuit('')", "the account is missing"),
        ("noti.open_circuit(repeat('x', 257))", "too long"),
        ("noti.open_circuit('relay', first_wait => interval '0')", "the wait is too short or too long"),
        ("noti.open_circuit('relay', first_wait => NULL)", "the wait is too short or too long"),
    ],
)
def test_nonsense_is_refused_in_words(connection: Connection, call: str, words: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=words):
        connection.execute(f"SELECT {call}".encode())


def test_why_says_that_the_account_is_in_trouble_and_when_it_is_tried(
    circuits: PostgresCircuits, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO noti.workers (state) VALUES"
        """ ('{"channels": ["email"], "routes": {"email": {"relay": "smtp"}}}'::jsonb)"""
    )
    circuits.open_circuit(1, "relay", "the server refused the login", WAITS)
    (number,) = insert(connection)
    found = connection.execute("SELECT detail FROM noti.why(%s) WHERE event = 'next'", [number]).fetchone()
    assert found is not None
    assert "the account relay is in trouble since" in found[0]
    assert "it is tried again at" in found[0]
    assert "(the server refused the login)" in found[0]
