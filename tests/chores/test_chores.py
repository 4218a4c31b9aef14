"""Chores over the real store: one worker does the duty, all see the result."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from noti_worker.chores.departed import ForgetDeparted
from noti_worker.chores.gauges import CountQueue
from noti_worker.chores.modes import TellModes
from noti_worker.chores.quotas import WatchQuotas
from noti_worker.chores.retention import Retention
from noti_worker.chores.timetable import Timetable
from noti_worker.domain.ages import Ages
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import DeliveryModes, Retained, Trouble
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database, Session
from noti_worker.store.people.gauges import Gauges
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.upkeep.duties import Duties
from noti_worker.store.upkeep.retention import NOT_OURS
from tests.store.rows import silence
from tests.worker.fakes import Witness

Connection = psycopg.Connection[Any]


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(Secret(database_url))


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    session = database.session("chores")
    yield session
    session.close()


def test_safe_mode_is_told_again_and_again() -> None:
    witness, modes = Witness(), DeliveryModes({"relay": "dry", "hooks": "live"}, ())
    chore = TellModes(lambda: modes, witness)
    assert (chore.run_once(), chore.run_once()) == (1, 1)
    assert witness.facts == [modes, modes]


def test_one_worker_counts_and_all_show_the_same(session: Session, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at) VALUES ('email', 'a', 'x', NULL),"
        " ('email', 'b', 'x', NULL), ('sms', 'c', 'x', now() + interval '1 hour')"
    )
    connection.execute("SELECT noti.pause('tenant', 'acme')")
    shown: dict[int, Gauges] = {}
    first = CountQueue(Duties(session, 1), session, lambda gauges: shown.update({1: gauges}))
    second = CountQueue(Duties(session, 2), session, lambda gauges: shown.update({2: gauges}))
    first.run_once()
    connection.execute("INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'd', 'x')")
    second.run_once()
    assert shown[1] == shown[2]
    assert shown[1].depth == {("email", "due"): 2, ("sms", "scheduled"): 1}
    assert shown[1].oldest[("email", "normal")] >= 0
    assert (shown[1].pauses["tenant"][0], shown[1].pauses["tenant"][1] > 0) == (1, True)


def test_workers_that_were_killed_are_forgotten_after_a_day(
    database: Database, session: Session, connection: Connection
) -> None:
    with closing(PostgresWorkers(database)) as workers:
        gone, recent, alive = (workers.register("1.0") for _ in range(3))
    silence(connection, gone, 25 * 60 * 60)
    silence(connection, recent, 23 * 60 * 60)
    chore = ForgetDeparted(Duties(session, alive), session)
    assert chore.run_once() == 1
    left = connection.execute("SELECT worker_id FROM noti.workers ORDER BY 1").fetchall()
    assert left == [(recent,), (alive,)]
    assert chore.run_once() == 0


DAY = timedelta(days=1)
OLD = (
    "INSERT INTO noti.notifications_log (channel, recipient, body, status, finished_at)"
    " SELECT 'email', 'a', 'x', 'sent', now() - interval '2 days' FROM generate_series(1, %s)"
)
STRAY = (
    "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
    " VALUES ('default', 'test', '1', 'test', 'db', 'test', 'infinity')"
)


def test_one_worker_deletes_and_all_tell_of_stray_lines(session: Session, connection: Connection) -> None:
    connection.execute(OLD.encode(), [3])
    connection.execute(STRAY.encode())
    witness = Witness()
    shown: list[object] = []
    first, second = (
        Retention(Duties(session, number), session, Ages({"sent": DAY}), witness, shown.append) for number in (1, 2)
    )
    assert first.run_once() == 3
    assert second.run_once() == 0
    assert shown == [{"audit_log": 1}] * 2
    assert witness.of(Retained) == [Retained({"sent": 3}, (), (), (), {"audit_log": 1})]
    connection.execute("UPDATE noti.duties SET last_run = NULL")
    connection.execute("SET session_replication_role = replica; DELETE FROM noti.audit_log WHERE entity_id = '1'")
    assert first.run_once() == 0
    assert len(witness.of(Retained)) == 1  # nothing done is no line
    assert shown[-1] == {}


def test_a_run_ends_with_the_worker(session: Session, connection: Connection) -> None:
    connection.execute(OLD.encode(), [2000])
    chore = Retention(Duties(session, 1), session, Ages({"sent": DAY}), Witness(), lambda stray: None)
    chore.stop()
    assert 0 < chore.run_once() < 2000


def test_what_a_worker_may_not_do_and_is_urgent_is_told_after_the_rest(
    database_url: str, session: Session, connection: Connection
) -> None:
    connection.execute(OLD.encode(), [3])
    connection.execute(STRAY.encode())
    name = f"noti_test_{uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA noti TO {name}".encode())
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA noti TO {name}".encode())
    stranger = Database(Secret(database_url.replace("//postgres@", f"//{name}@"))).session("retention")
    chore = Retention(Duties(session, 1), stranger, Ages({"sent": DAY}), Witness(), lambda stray: None)
    with pytest.raises(DatabaseRefused) as caught:
        chore.run_once()
    assert str(caught.value) == f"audit_log has lines in its default partition; but {NOT_OURS}"
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)
    assert chore.run_once() == 0  # said once in each period, and the duty is given back
    assert connection.execute("SELECT held_by FROM noti.duties WHERE duty = 'retention'").fetchone() == (None,)
    stranger.close()
    connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


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
    chores = {"away": (away, hour), "refused": (refused, hour), "good": (good, hour)}
    timetable = Timetable(chores, witness, lambda: False)
    timetable.start()
    try:
        wait_for(lambda: all(chore.ran.is_set() for chore in (away, refused, good)))
        wait_for(lambda: witness.of(Trouble))
        assert [fact.where for fact in witness.of(Trouble)] == ["chore refused"]
    finally:
        timetable.stop()


def test_a_worker_that_is_stopping_begins_no_chore() -> None:
    asked = threading.Event()
    late = Chore()

    def stopping() -> bool:
        asked.set()
        return True

    timetable = Timetable({"late": (late, timedelta(hours=1))}, Witness(), stopping)
    timetable.start()
    try:
        assert asked.wait(20)
    finally:
        timetable.stop()
    assert not late.ran.is_set()


def test_quotas_are_watched_by_one_worker_and_only_while_one_refuses(session: Session, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, period, amount, when_spent)"
        " VALUES ('tenant channel', 'default', 'email', 'day', 1, 'refuse')"
    )
    connection.execute("INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'a', 'x')")
    refuses, now = False, 100.0
    one = WatchQuotas(Duties(session, 1), session, lambda: refuses, lambda: now)
    other = WatchQuotas(Duties(session, 2), session, lambda: refuses, lambda: now)
    assert one.run_once() == 0
    assert connection.execute("SELECT 1 FROM noti.duties WHERE duty = 'quotas'").fetchone() is None
    refuses = True
    assert (one.run_once(), other.run_once()) == (1, 0)
    assert connection.execute("SELECT channel, amount FROM noti.full_quotas").fetchall() == [("email", 1)]


def test_buckets_that_nobody_takes_from_are_forgotten(session: Session, connection: Connection) -> None:
    bucket = "INSERT INTO noti.buckets VALUES ('account', '', %s, 1, 1, 1, 1, clock_timestamp() - %s::interval, 1)"
    for name, age in (("old", "25 hours"), ("new", "23 hours")):
        connection.execute(bucket, [name, age])
    ForgetDeparted(Duties(session, 1), session).run_once()
    assert connection.execute("SELECT name FROM noti.buckets").fetchall() == [("new",)]
