"""Quotas in the database: exact to one, by the days and months of a zone; who is told, and what inserts are told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random
from typing import Any

import psycopg
import pytest

from noti_worker.domain.closures import QUOTA, Closure
from noti_worker.domain.limits import TENANT_CHANNEL, Limit
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.limits import PostgresLimits
from noti_worker.store.upkeep.quotas import watch_quotas
from tests.store.rows import Connection

DAY = Limit(TENANT_CHANNEL, "acme", "email", "day", 10)


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


def used(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT period, taken, amount FROM noti.usage ORDER BY period").fetchall()


def test_a_quota_gives_its_amount_and_is_closed_then_until_something_comes_back(
    store: Callable[[], PostgresLimits], queue: PostgresQueue, connection: Connection
) -> None:
    limits = store()
    first = limits.take({DAY: 7})[DAY]
    assert (first.granted, first.again_in, first.told) == (7, None, None)
    assert queue.closures().all == frozenset()
    second = limits.take({DAY: 7})[DAY]
    assert (second.granted, second.told) == (3, "nearly")
    assert queue.closures().all == frozenset()  # what was taken may still come back
    third = limits.take({DAY: 1})[DAY]
    assert (third.granted, third.told) == (0, "spent")
    assert third.again_in is not None
    assert queue.closures().all == {Closure("tenant channel", "email", "acme", QUOTA)}
    assert limits.take({DAY: 1})[DAY].told is None
    limits.take({DAY: -2})
    assert queue.closures().all == frozenset()
    assert used(connection) == [("day", 8, 10)]


def test_four_fifths_are_told_once(store: Callable[[], PostgresLimits], connection: Connection) -> None:
    limits = store()
    assert [limits.take({DAY: want})[DAY].told for want in (7, 1, -1, 1, 1)] == [None, "nearly", None, None, None]
    lines = connection.execute(
        "SELECT tenant_id, entity_id, action, metadata->>'amount', metadata->>'taken' FROM noti.audit_log"
    ).fetchall()
    assert lines == [("acme", "tenant channel:email", "quota_nearly_spent", "10", "8")]


def test_whoever_takes_at_the_same_time_gets_the_amount_and_not_one_more(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    of, taken = Limit(TENANT_CHANNEL, "acme", "email", "month", 1000), list[int]()

    def worker(number: int) -> None:
        limits, dice = store(), Random(number)
        for _ in range(60):
            got = limits.take({of: dice.randint(1, 9)})[of].granted
            back = dice.randint(0, got) if dice.random() < 0.2 else 0
            taken.append(got - back)
            if back:
                limits.take({of: -back})

    threads = [threading.Thread(target=worker, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used(connection) == [("month", sum(taken), 1000)]
    assert 900 <= sum(taken) <= 1000


def began(connection: Connection, days_ago: int) -> None:
    connection.execute("UPDATE noti.usage SET since = since - %s, began = began - %s", [days_ago, days_ago])


def test_a_new_day_begins_anew(
    store: Callable[[], PostgresLimits], queue: PostgresQueue, connection: Connection
) -> None:
    limits = store()
    limits.take({DAY: 10})
    limits.take({DAY: 1})
    began(connection, 1)
    connection.execute("UPDATE noti.spent SET until = clock_timestamp()")
    assert queue.closures().all == frozenset()
    assert limits.take({DAY: 4})[DAY].granted == 4
    assert used(connection) == [("day", 4, 10)]


@pytest.mark.parametrize(
    ("zone", "period"), [("UTC", "day"), ("Pacific/Kiritimati", "day"), ("America/St_Johns", "month")]
)
def test_days_and_months_are_those_of_the_zone(
    store: Callable[[], PostgresLimits], connection: Connection, zone: str, period: str
) -> None:
    limits, of = store(), Limit(TENANT_CHANNEL, "acme", "email", period, 1, zone=zone)
    limits.take({of: 1})
    limits.take({of: 1})
    found = connection.execute(
        "SELECT u.since = date_trunc(%(period)s, clock_timestamp() AT TIME ZONE %(zone)s)::date,"
        " s.until = (u.since + ('1 ' || %(period)s)::interval) AT TIME ZONE %(zone)s, s.until > clock_timestamp()"
        " FROM noti.usage u, noti.spent s",
        {"zone": zone, "period": period},
    ).fetchall()
    assert found == [(True, True, True)]


def test_a_quota_that_grows_has_twice_as_much_after_its_days(
    store: Callable[[], PostgresLimits], connection: Connection
) -> None:
    limits, warm = store(), Limit("account", "", "relay", "day", 50, doubling=2.0)
    amounts = []
    for days in (0, 1, 1, 2, 4):
        began(connection, days)
        limits.take({warm: 1})
        [(_, _, amount)] = used(connection)
        amounts.append(amount)
    assert amounts == [50, 70, 100, 200, 800]
    began(connection, 10_000)
    assert limits.take({warm: 1000})[warm].granted == 1000


REFUSING = (
    "INSERT INTO noti.limits (scope, tenant_id, name, period, amount, when_spent)"
    " VALUES ('tenant channel', 'acme', 'email', 'day', 3, 'refuse')"
)
INSERT = (
    "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
    " SELECT %s, 'ada@example.com', 'Hi', %s FROM generate_series(1, %s)"
)


def test_what_is_inserted_beyond_a_quota_is_refused_in_words(database: Database, connection: Connection) -> None:
    connection.execute(REFUSING)
    session = database.session("chores")
    connection.execute(INSERT, ["email", "acme", 2])
    assert watch_quotas(session) == 0
    connection.execute(INSERT, ["email", "acme", 1])
    assert watch_quotas(session) == 1
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        connection.execute(INSERT, ["email", "acme", 1])
    assert str(refused.value).startswith(
        "noti: the 3 email of this day for the tenant acme are used up, together with what waits. Try again after "
    )
    connection.execute(INSERT, ["sms", "acme", 1])
    connection.execute(INSERT, ["email", "other", 1])
    connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE notification_id = 1")
    assert watch_quotas(session) == 0
    connection.execute(INSERT, ["email", "acme", 1])
    watch_quotas(session)
    connection.execute("DELETE FROM noti.limits")
    connection.execute(INSERT, ["email", "acme", 1])
    session.close()


def test_what_was_sent_counts_with_what_waits(
    store: Callable[[], PostgresLimits], database: Database, connection: Connection
) -> None:
    connection.execute(REFUSING)
    limits, session = store(), database.session("chores")
    [of] = (limits.news() or ([],))[0]
    limits.take({of: 2})
    assert watch_quotas(session) == 0
    connection.execute(INSERT, ["email", "acme", 1])
    assert watch_quotas(session) == 1
    began(connection, 1)
    assert watch_quotas(session) == 0
    session.close()


def test_a_quota_that_is_changed_is_asked_again(
    store: Callable[[], PostgresLimits], queue: PostgresQueue, connection: Connection
) -> None:
    limits = store()
    connection.execute(REFUSING.replace("3, 'refuse'", "3, 'wait'"))
    [of] = (limits.news() or ([],))[0]
    limits.take({of: 5})
    limits.take({of: 5})
    assert queue.closures().all != frozenset()
    connection.execute("UPDATE noti.limits SET amount = 4")
    assert queue.closures().all == frozenset()
    [of] = (limits.news() or ([],))[0]
    assert limits.take({of: 5})[of].granted == 1
    connection.execute("DELETE FROM noti.limits")
    assert (used(connection), queue.closures().all) == ([], frozenset())


def test_accounts_whose_quota_may_be_another_are_open_until_the_next_take(
    store: Callable[[], PostgresLimits], queue: PostgresQueue
) -> None:
    limits, warm = store(), Limit("account", "", "relay", "day", 1)
    limits.take({warm: 1})
    limits.take({warm: 1})
    limits.reopen(["other"])
    assert queue.closures().all == {Closure("account", "relay", "", QUOTA)}
    limits.reopen(["relay"])
    assert queue.closures().all == frozenset()


@pytest.mark.parametrize(
    "wrong",
    [
        "('account', '', 'relay', 'day', 0, NULL, NULL, 'UTC', 'wait', NULL)",
        "('account', '', 'relay', '', 5, NULL, NULL, 'UTC', 'wait', NULL)",
        "('account', 'acme', 'relay', '', 5, '1 s', NULL, 'UTC', 'wait', NULL)",
        "('tenant channel', 'acme', 'mail', '', 5, '1 s', NULL, 'UTC', 'wait', NULL)",
        "('account', '', 'relay', '', 5, '1 s', 0, 'UTC', 'wait', NULL)",
        "('account', '', 'relay', 'week', 5, NULL, NULL, 'UTC', 'wait', NULL)",
        "('account', '', 'relay', 'day', 5, NULL, NULL, 'UTC', 'refuse', NULL)",
        "('account', '', 'relay', 'month', 5, NULL, NULL, 'UTC', 'wait', '2 days')",
        "('account', '', 'relay', 'day', 5, NULL, NULL, 'Mars/Base', 'wait', NULL)",
        "('account', '', 'relay', 'day', 5, NULL, NULL, 'utc+1:garbage', 'wait', NULL)",
    ],
)
def test_what_makes_no_sense_is_no_limit(connection: Connection, wrong: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        connection.execute(
            "INSERT INTO noti.limits"
            " (scope, tenant_id, name, period, amount, every, burst, zone, when_spent, double_every)"
            f" VALUES {wrong}".encode()
        )
    assert str(refused.value).startswith("noti: ")
