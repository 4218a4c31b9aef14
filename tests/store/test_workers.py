"""The register of workers and the dead list."""

import os
import socket
from contextlib import closing
from datetime import timedelta

from noti_worker.domain.account import RouteLine
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.store.connect import Database
from noti_worker.store.people.gauges import routes
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.upkeep.departed import forget_departed
from tests.store.rows import Connection, silence

HOUR = timedelta(hours=1)


def test_a_worker_registers_with_where_and_what_it_is(workers: PostgresWorkers, connection: Connection) -> None:
    worker_id = workers.register("1.2.3")
    query = "SELECT worker_id, host, pid, version FROM noti.workers"
    assert connection.execute(query).fetchall() == [(worker_id, socket.gethostname(), os.getpid(), "1.2.3")]


def test_a_heartbeat_tells_the_operator_and_learns_the_time(workers: PostgresWorkers, connection: Connection) -> None:
    worker_id = workers.register("1")
    silence(connection, worker_id, 60)
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
    silence(connection, silent, 15.1)
    silence(connection, alive, 13)
    silence(connection, me, 60)
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
    silence(connection, leaving, 60)
    workers.leave(leaving)
    assert workers.beat(staying, {}).dead == ()
    workers.leave(leaving)


def test_only_workers_that_were_silent_for_long_are_forgotten(
    database: Database, workers: PostgresWorkers, connection: Connection
) -> None:
    long, short = workers.register("1"), workers.register("1")
    silence(connection, long, 3700)
    silence(connection, short, 3500)
    with closing(database.session("chores")) as session:
        assert forget_departed(session, HOUR) == 1
    assert connection.execute("SELECT worker_id FROM noti.workers").fetchall() == [(short,)]


def email(*accounts: str, mode: Mode = Mode.LIVE) -> list[RouteLine]:
    return [RouteLine(Channel.EMAIL, account, "smtp", mode) for account in accounts]


def told(connection: Connection) -> list[tuple[object, ...]]:
    query = "SELECT worker_id, channel, position, account, provider, mode FROM noti.worker_routes ORDER BY 1, 2, 3"
    return connection.execute(query).fetchall()


def test_routes_are_told_in_their_order_and_replace_those_of_before(
    workers: PostgresWorkers, connection: Connection
) -> None:
    workers.routes(1, [*email("relay", "spare"), RouteLine(Channel.SMS, "box", "sandbox", Mode.DRY)])
    workers.routes(2, email("relay"))
    assert told(connection) == [
        (1, "email", 1, "relay", "smtp", "live"),
        (1, "email", 2, "spare", "smtp", "live"),
        (1, "sms", 1, "box", "sandbox", "dry"),
        (2, "email", 1, "relay", "smtp", "live"),
    ]
    workers.routes(1, email("spare", mode=Mode.REDIRECT))
    assert told(connection) == [
        (1, "email", 1, "spare", "smtp", "redirect"),
        (2, "email", 1, "relay", "smtp", "live"),
    ]
    workers.routes(1, [])
    assert [line[0] for line in told(connection)] == [2]


def test_a_thousand_accounts_are_all_told(database: Database, workers: PostgresWorkers, connection: Connection) -> None:
    worker_id = workers.register("1")
    names = [f"account-{number:04}" for number in range(1000)]
    workers.routes(worker_id, email(*names))
    assert workers.beat(worker_id, {"channels": ["email"]}).known
    assert connection.execute("SELECT state FROM noti.workers").fetchall() == [({"channels": ["email"]},)]
    with closing(database.session("reading")) as session:
        assert list(routes(session)["email"]) == names


def test_the_routes_of_all_living_workers_are_known_those_of_the_version_before_too(
    database: Database, workers: PostgresWorkers, connection: Connection
) -> None:
    new, dead, old, odd = (workers.register("1") for _ in range(4))
    workers.routes(new, email("relay"))
    workers.routes(dead, email("gone"))
    silence(connection, dead, 15.1)
    workers.beat(old, {"routes": {"email": {"spare": "ses"}, "sms": {"box": "sandbox"}}})
    workers.beat(odd, {"routes": {"email": "odd"}})
    with closing(database.session("reading")) as session:
        assert routes(session) == {"email": {"relay": "smtp", "spare": "ses"}, "sms": {"box": "sandbox"}}


def test_the_routes_of_who_left_or_was_forgotten_go_too(
    database: Database, workers: PostgresWorkers, connection: Connection
) -> None:
    leaving, long, short = (workers.register("1") for _ in range(3))
    for worker_id in (leaving, long, short, 4711):  # nobody knows the last one
        workers.routes(worker_id, email("relay"))
    silence(connection, long, 3700)
    workers.leave(leaving)
    assert [line[0] for line in told(connection)] == [long, short, 4711]
    with closing(database.session("chores")) as session:
        forget_departed(session, HOUR)
    assert [line[0] for line in told(connection)] == [short]
