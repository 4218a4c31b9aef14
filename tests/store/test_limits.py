"""The buckets in the database: exact, whoever takes at the same time, and empty at first."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from random import Random

import psycopg
import pytest

from noti_worker.domain.closures import Skip
from noti_worker.domain.lanes import Floor, Lane, Share
from noti_worker.domain.limits import ACCOUNT, RATE, TENANT_CHANNEL, Limit
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.limits import PostgresLimits
from tests.domain.test_limits import DESTINATIONS
from tests.store.rows import LEASE, Connection


def limit(amount: int, burst: int, name: str = "relay") -> Limit:
    return Limit(ACCOUNT, "", name, RATE, amount, 1.0, burst)


@pytest.fixture
def store(database: Database) -> Iterator[Callable[[], PostgresLimits]]:
    """Makes the limits of one worker."""

    def open_() -> PostgresLimits:
        session = database.session("claims")
        limits = PostgresLimits(database, session)
        ending.callback(session.close)
        ending.callback(limits.close)
        return limits

    with ExitStack() as ending:
        yield open_


def filled(connection: Connection, tokens: float, ago: str = "0") -> None:
    connection.execute(
        "UPDATE noti.buckets SET tokens = %s, filled_at = clock_timestamp() - %s::interval", [tokens, ago]
    )


def test_a_new_bucket_is_empty_and_says_when_to_come_again(store: Callable[[], PostgresLimits]) -> None:
    slow = limit(1, 1)
    grant = store().take({slow: 3})[slow]
    assert grant.granted == 0
    assert grant.again_in is not None
    assert 0.5 < grant.again_in <= 1.0


def test_a_bucket_holds_no_more_than_its_burst(store: Callable[[], PostgresLimits], connection: Connection) -> None:
    limits, of = store(), limit(1, 10)
    limits.take({of: 1})
    filled(connection, 0, "1 hour")
    assert limits.take({of: 7})[of].granted == 7
    assert limits.take({of: 7})[of].granted == 3


def test_what_is_given_back_can_be_taken_by_others(store: Callable[[], PostgresLimits], connection: Connection) -> None:
    one, other, of = store(), store(), limit(1, 10)
    one.take({of: 1})
    filled(connection, 10)
    assert one.take({of: 10})[of].granted == 10
    assert other.take({of: 4})[of].granted == 0
    one.take({of: -4})
    assert other.take({of: 10})[of].granted == 4
    one.take({of: -100})
    assert other.take({of: 100})[of].granted == 10


def test_each_bucket_is_its_own(store: Callable[[], PostgresLimits], connection: Connection) -> None:
    limits, relay, spare = store(), limit(1, 5), limit(1, 5, "spare")
    lane = Limit(TENANT_CHANNEL, "acme", "relay", RATE, 1, 1.0, 5)
    limits.take({relay: 1, spare: 1, lane: 1})
    filled(connection, 5)
    assert limits.take({relay: 5})[relay].granted == 5
    assert {of: grant.granted for of, grant in limits.take({spare: 2, relay: 2, lane: 3}).items()} == {
        spare: 2,
        relay: 0,
        lane: 3,
    }


def test_a_few_coins_are_worth_no_walk(store: Callable[[], PostgresLimits], connection: Connection) -> None:
    limits, of = store(), limit(1000, 100)
    limits.take({of: 1})
    filled(connection, 0)
    grant = limits.take({of: 100})[of]
    assert grant.again_in is not None
    assert 0.02 < grant.again_in <= 0.05  # for half a bucket


def test_whoever_takes_at_the_same_time_gets_no_more_than_there_is(store: Callable[[], PostgresLimits]) -> None:
    of, names, seconds = limit(400, 20), range(6), 2.0
    taken: list[tuple[float, int]] = []

    def worker(number: int) -> None:
        limits, dice = store(), Random(number)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            got = limits.take({of: dice.randint(1, 9)})[of].granted
            back = dice.randint(0, got) if dice.random() < 0.2 else 0
            taken.append((time.monotonic(), got - back))
            if back:
                limits.take({of: -back})

    store().take({of: 1})
    began = time.monotonic()
    threads = [threading.Thread(target=worker, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    assert sum(count for _, count in taken) <= 20 + 400 * took
    assert sum(count for _, count in taken) >= 0.5 * 400 * seconds


def test_a_take_leaves_one_row_a_bucket_whatever_an_old_snapshot_keeps(
    store: Callable[[], PostgresLimits], connection: Connection, database_url: str
) -> None:
    limits, of = store(), limit(10_000, 1000)
    with psycopg.connect(database_url) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM noti.buckets")
        for _ in range(50):
            limits.take({of: 1})
        assert connection.execute("SELECT count(*), max(n) FROM noti.buckets").fetchone() == (1, 50)


def test_a_bucket_that_is_slowed_has_half_its_rate_and_a_hundredth_more_each_second(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    limits, of = store(), limit(1000, 1000)
    assert limits.slow_down(of, 0) is None  # nobody has taken from it
    limits.take({of: 1})
    assert limits.slow_down(of, 0) == 0.5
    assert limits.slow_down(of, 0) == 0.5  # answers of one second are one answer
    connection.execute("UPDATE noti.buckets SET slowed_at = slowed_at - interval '10 seconds'")
    pace = limits.slow_down(of, 0)
    assert pace is not None
    assert 0.29 < pace < 0.35  # half of what it was then
    slowed = "UPDATE noti.buckets SET pace = 0.1, filled_at = clock_timestamp() - interval '1 s', slowed_at = "
    connection.execute(slowed + "clock_timestamp()")
    assert 90 <= limits.take({of: 1000})[of].granted < 200
    connection.execute(slowed + "clock_timestamp() - interval '1 hour'")
    assert limits.take({of: 1000})[of].granted == 1000


def test_a_bucket_that_is_told_to_wait_grants_nothing_until_then(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    limits, of = store(), limit(100, 100)
    limits.take({of: 1})
    filled(connection, 100)
    limits.slow_down(of, 60)
    grant = limits.take({of: 1})[of]
    assert grant.granted == 0
    assert grant.again_in is not None
    assert 59 < grant.again_in < 61
    limits.slow_down(of, 1e9)
    again = limits.take({of: 1})[of].again_in
    assert again is not None
    assert again < 301


SET = (
    "INSERT INTO noti.limits (scope, name, amount, every, burst) VALUES ('account', 'relay', 14, '1 s', %s)"
    " ON CONFLICT ON CONSTRAINT limits_pkey DO UPDATE SET burst = EXCLUDED.burst"
)


def test_rows_are_told_once_and_again_when_one_changes(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    one, other = store(), store()
    assert one.news() == ([], [])
    assert one.news() is None
    connection.execute(SET, [None])
    assert one.news() == ([limit(14, 2)], [])
    assert one.news() is None
    connection.execute(SET, [9])
    assert one.news() == ([limit(14, 9)], []) == other.news()
    connection.execute("DELETE FROM noti.limits")
    assert one.news() == ([], [])


def test_two_who_change_limits_at_once_are_both_seen(
    store: Callable[[], PostgresLimits], connection: Connection, database_url: str
) -> None:
    limits = store()
    limits.news()
    with psycopg.connect(database_url) as first:
        first.execute(SET, [3])
        second = threading.Thread(
            target=lambda: connection.execute(
                "INSERT INTO noti.limits (scope, name, amount, every) VALUES ('account', 'spare', 1, '6 s')"
            )
        )
        second.start()
        assert limits.news() is None
    second.join()
    assert {one.name for one in (limits.news() or ([],))[0]} == {"relay", "spare"}


def test_a_limit_that_is_set_anew_is_not_slowed_any_more(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    limits, of = store(), limit(14, 3)
    limits.take({of: 1})
    limits.slow_down(of, 300)
    connection.execute(SET, [3])
    again = limits.take({of: 1})[of].again_in
    assert again is not None
    assert again < 1
    assert connection.execute("SELECT pace, slowed_at FROM noti.allowance()").fetchall() == [(1.0, None)]


def test_each_change_is_an_audit_line(connection: Connection) -> None:
    connection.execute(SET, [3])
    connection.execute("DELETE FROM noti.limits")
    lines = connection.execute(
        "SELECT entity_id, action, metadata->>'amount', metadata->>'burst' FROM noti.audit_log ORDER BY audit_id"
    ).fetchall()
    assert lines == [("account:relay", "limit_set", "14", "3"), ("account:relay", "limit_removed", "14", "3")]


def test_the_database_says_of_each_message_where_it_goes_as_the_worker_does(connection: Connection) -> None:
    for channel, recipient, to in DESTINATIONS:
        said = connection.execute("SELECT noti.destination(%s, %s)", [channel, recipient]).fetchone()
        assert (recipient, said) == (recipient, (to,))


LANE = Lane(Channel.EMAIL, Priority.NORMAL, "default")


def test_a_claim_passes_over_destinations_or_takes_one_alone(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) SELECT 'email', 'ada@' || d || '.example', 'x'"
        " FROM generate_series(1, 3), unnest(ARRAY['slow', 'SLOW', 'quick']) d"
    )
    share = [Share(LANE, 100, Floor())]
    slow = Skip(destinations=frozenset({(LANE, "slow.example")}))
    only = replace(slow, only=True)
    for skip, recipients in ((slow, {"ada@quick.example"}), (only, {"ada@slow.example", "ada@SLOW.example"})):
        spots = queue.peek(1, share, 100, LEASE, (), skip=skip)
        rows = queue.claim(1, share, 100, LEASE, (), skip=skip)
        assert [spot.notification_id for spot in spots] == [row.notification_id for row in rows]
        assert {row.recipient for row in rows} == recipients
        queue.release(1, rows)
    other = Skip(destinations=frozenset({(replace(LANE, tenant_id="other"), "slow.example")}))
    assert len(queue.claim(1, share, 100, LEASE, (), skip=other)) == 9
