"""`noti.obstacles`: each cause that keeps a row from being sent, as fields, and the accounts of living workers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from noti_worker.store.connect import Connection as People
from noti_worker.store.people import gauges, listing, overview, source
from noti_worker.store.people.obstacles import Obstacle, obstacles
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, Connection, claim, insert, silence

LATER = datetime(2090, 1, 1, tzinfo=UTC)
BEFORE = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture
def people(database_url: str) -> Iterator[People]:
    with source.for_people(database_url) as connection:
        yield connection


def lives(connection: Connection, *accounts: tuple[str, str, str], worker: int = 1, channels: str = "email") -> None:
    """A worker that lives, with (account, provider, mode) on its route for e-mail."""
    connection.execute(
        "INSERT INTO noti.workers (worker_id, state) VALUES (%s, jsonb_build_object('channels', %s::text[]))"
        " ON CONFLICT (worker_id) DO UPDATE SET heartbeat = clock_timestamp()",
        [worker, channels.split()],
    )
    for position, (account, provider, mode) in enumerate(accounts):
        connection.execute(
            "INSERT INTO noti.worker_routes VALUES (%s, 'email', %s, %s, %s, %s)",
            [worker, position, account, provider, mode],
        )


def told(people: People, notification_id: int) -> list[Obstacle]:
    return list(obstacles(people, [notification_id])[notification_id])


RELAY = ("relay", "smtp", "live")


def held(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, status="held", held_at=BEFORE)


def in_flight(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    claim(queue)
    connection.execute("SELECT noti.cancel(1)")


def not_due(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, send_at=LATER)


def expired(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, expires_at=BEFORE)


def paused(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    connection.execute("SELECT noti.pause('channel', 'email', 'a fair', %s, 'ada')", [LATER])
    connection.execute("SELECT noti.pause('everything', paused_by => 'bob')")


def lost(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    claim(queue, worker_id=7, lease=AT_ONCE)
    connection.execute("SELECT noti.hold(1)")


def unserved(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, channel="sms", recipient="+4915112340001")


def no_worker(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    silence(connection, 1, 16)


def safe_mode(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, provider="ses")
    connection.execute("INSERT INTO noti.worker_routes VALUES (1, 'email', 1, 'spare', 'ses', 'dry')")


def ahead(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, priority="low")
    insert(connection, 2)


def limited(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    bucket = "INSERT INTO noti.buckets VALUES (%s, %s, %s, 1, 10, 2, 0, %s, 0.5, %s)"
    connection.execute(bucket, ["account", "", "relay", LATER, None])
    connection.execute(bucket, ["tenant channel", "default", "email", LATER, LATER])
    connection.execute(bucket, ["account", "", "other", LATER, None])


def used_up(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    connection.execute(
        "INSERT INTO noti.spent VALUES ('tenant channel', 'default', 'email', 'day', 50, %s, %s)", [BEFORE, LATER]
    )


def free(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)


def over(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, status="cancelled")
    connection.execute("SELECT noti.pause('everything')")


Fields = tuple[str, str, str | None, datetime | None, datetime | None, str | None, str | None]
ANY = datetime(2000, 1, 1, tzinfo=UTC)
"""Some instant near now."""

CASES: list[tuple[Callable[[Connection, PostgresQueue], None], list[Fields]]] = [
    (held, [("held", "notification", None, BEFORE, None, None, None)]),
    (in_flight, [("in_flight", "worker", "1", None, ANY, None, "cancelled")]),
    (not_due, [("not_due", "notification", None, None, LATER, None, None)]),
    (expired, [("expired", "notification", None, BEFORE, None, None, None)]),
    (
        paused,
        [("pause", "channel", "email", ANY, LATER, "ada", None), ("pause", "everything", None, ANY, None, "bob", None)],
    ),
    (lost, [("lost_claim", "worker", "7", None, ANY, None, "held")]),
    (unserved, [("unserved", "channel", "sms", None, None, None, None)]),
    (no_worker, [("no_worker", "everything", None, ANY, None, None, "silent")]),
    (ahead, [("ahead", "lane", "email low default", None, None, None, "2")]),
    (safe_mode, [("safe_mode", "channel", "email", None, None, None, "dry")]),
    (
        limited,
        [
            ("limit", "tenant channel", "email", LATER, ANY, None, "slowed"),
            ("limit", "account", "relay", None, ANY, None, None),
        ],
    ),
    (used_up, [("quota", "tenant channel", "email", BEFORE, LATER, None, None)]),
    (free, []),
    (over, []),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_each_cause_has_its_fields(
    connection: Connection, queue: PostgresQueue, people: People, make: Callable[..., None], expected: list[Fields]
) -> None:
    lives(connection, RELAY)
    make(connection, queue)
    assert [_plain(one) for one in told(people, 1)] == expected


def _plain(one: Obstacle) -> Fields:
    def at(instant: datetime | None) -> datetime | None:
        return instant if instant in {None, LATER, BEFORE} else ANY

    return one.cause, one.scope, one.name, at(one.since), at(one.until), one.by, one.code


def test_causes_stand_beside_each_other(connection: Connection, people: People) -> None:
    insert(connection, send_at=LATER)
    connection.execute("SELECT noti.pause('tenant', 'default')")
    causes = [one.cause for one in told(people, 1)]
    assert causes == ["pause", "not_due", "no_worker"]
    story = listing.why(people, 1)
    assert [one.cause for one in story.blocked_by] == causes
    assert story.events[-1].detail is not None
    assert "the tenant default is paused" in story.events[-1].detail


def test_what_waits_longest_says_what_blocks_it(connection: Connection, people: People) -> None:
    insert(connection, 2)
    insert(connection, tenant_id="free")
    lives(connection, RELAY)
    connection.execute("SELECT noti.pause('tenant', 'default', paused_by => 'ada')")
    found = {lane.tenant_id: lane.blocked_by for lane in overview.waiting(people)}
    assert [(one.cause, one.scope, one.name, one.by) for one in found["default"]] == [
        ("pause", "tenant", "default", "ada")
    ]
    assert found["free"] == ()


def accounts(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT account, provider, mode FROM noti.accounts_for(noti.facts(1))").fetchall()


def test_the_accounts_come_from_the_routes_of_living_workers(connection: Connection) -> None:
    insert(connection)
    lives(connection, RELAY, ("spare", "ses", "dry"))
    assert accounts(connection) == [RELAY, ("spare", "ses", "dry")]
    connection.execute("UPDATE noti.notifications_log SET provider = 'ses'")
    assert accounts(connection) == [("spare", "ses", "dry")]
    connection.execute("UPDATE noti.notifications_log SET provider = 'relay'")
    assert accounts(connection) == [RELAY]
    lives(connection, ("ses", "smtp", "live"), worker=2)
    connection.execute("UPDATE noti.notifications_log SET provider = 'ses'")
    # Where an account has the name, the name means it; elsewhere it means the provider.
    assert sorted(accounts(connection)) == [("ses", "smtp", "live"), ("spare", "ses", "dry")]
    silence(connection, 1, 16)
    assert accounts(connection) == [("ses", "smtp", "live")]


def test_a_worker_of_the_version_before_tells_its_routes_in_its_state(connection: Connection, people: People) -> None:
    insert(connection)
    lives(connection, RELAY)
    connection.execute(
        """INSERT INTO noti.workers (worker_id, state) VALUES
           (2, '{"channels": ["email"], "routes": {"email": {"old": "ses"}}, "modes": {"old": "dry"}}'),
           (3, '{"routes": "odd", "modes": 1}'), (4, '{"routes": {"email": []}}'), (5, NULL)"""
    )
    assert accounts(connection) == [RELAY, ("old", "ses", "dry")]
    assert gauges.routes(people) == {"email": {"relay": "smtp", "old": "ses"}}
    connection.execute("SELECT noti.pause('account', 'relay')")
    assert told(people, 1) == []
    connection.execute("SELECT noti.pause('account', 'old')")
    assert [one.name for one in told(people, 1)] == ["relay", "old"]
    # Once it has a table of its own, its state counts no more.
    connection.execute("INSERT INTO noti.worker_routes VALUES (2, 'email', 0, 'new', 'ses', 'live')")
    assert accounts(connection) == [RELAY, ("new", "ses", "live")]


def test_routes_keep_their_order(connection: Connection, people: People) -> None:
    lives(connection, ("zeta", "smtp", "live"), ("alpha", "ses", "live"), ("mid", "smtp", "live"))
    assert list(gauges.routes(people)["email"]) == ["zeta", "alpha", "mid"]
