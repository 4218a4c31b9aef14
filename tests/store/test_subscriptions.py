"""What a link does to the suppression list, and for which rows there are links."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Channel
from noti_worker.domain.subscription import Subscription
from noti_worker.store.connect import Database
from noti_worker.store.people.subscriptions import Subscriptions
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, insert


@pytest.fixture
def subscriptions(database: Database) -> Iterator[Subscriptions]:
    opened = Subscriptions(database)
    yield opened
    opened.close()


def subscribed(connection: Connection, category: str = "news", **columns: Any) -> Subscription:
    """A row of that category, as its link names it."""
    [number] = insert(connection, category=category, **columns)
    found = connection.execute(
        "SELECT tenant_id, channel, noti.address_hash(channel, recipient) FROM noti.notifications_log"
        " WHERE notification_id = %s",
        [number],
    ).fetchone()
    assert found is not None
    tenant, channel, address_hash = found
    return Subscription(tenant, Channel(channel), address_hash, category, number)


def entries(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT address, category, reason, source, notification_id, hits, lifted_at IS NOT NULL, requested_by"
        " FROM noti.suppressions ORDER BY suppression_id"
    ).fetchall()


def can_be_left(connection: Connection, *categories: str, tenant: str = "", left: bool = True) -> None:
    for category in categories:
        connection.execute(
            "INSERT INTO noti.categories (tenant_id, category, can_be_left) VALUES (%s, %s, %s)",
            [tenant, category, left],
        )


def test_leaving_is_an_optout_from_the_category_alone(subscriptions: Subscriptions, connection: Connection) -> None:
    one = subscribed(connection, recipient="Ann <Ann@Example.com>")
    subscriptions.leave(one)
    assert entries(connection) == [
        ("ann@example.com", "news", "optout", "unsubscribe", one.notification_id, 1, False, None)
    ]


def test_leaving_twice_changes_nothing(subscriptions: Subscriptions, connection: Connection) -> None:
    one = subscribed(connection)
    subscriptions.leave(one)
    before = connection.execute("SELECT * FROM noti.suppressions").fetchall()
    lines = connection.execute("SELECT count(*) FROM noti.audit_log").fetchall()
    subscriptions.leave(one)
    assert connection.execute("SELECT * FROM noti.suppressions").fetchall() == before
    assert connection.execute("SELECT count(*) FROM noti.audit_log").fetchall() == lines


def test_what_was_left_is_taken_back_and_left_again(subscriptions: Subscriptions, connection: Connection) -> None:
    one = subscribed(connection)
    subscriptions.leave(one)
    assert subscriptions.stay(one)
    assert subscriptions.stay(one), "once more says the same"
    assert [entry[-2:] for entry in entries(connection)] == [(True, "the person, on the page of the link")]
    subscriptions.leave(one)
    assert [entry[-2] for entry in entries(connection)] == [True, False]


@pytest.mark.parametrize("gone", ["erased", "deleted"])
def test_a_link_works_when_the_notification_is_gone(
    subscriptions: Subscriptions, connection: Connection, gone: str
) -> None:
    one = subscribed(connection)
    [row] = insert(connection, category="news")
    if gone == "erased":
        connection.execute(
            "UPDATE noti.notifications_log SET recipient = '[erased]' WHERE notification_id = %s", [one.notification_id]
        )
    else:
        connection.execute("UPDATE noti.notifications_log SET status = 'cancelled'")
        connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = %s", [one.notification_id])
    subscriptions.leave(one)
    assert entries(connection) == [(None, "news", "optout", "unsubscribe", one.notification_id, 1, False, None)]
    subscriptions.leave(one)
    assert len(entries(connection)) == 1
    assert subscriptions.stay(one)
    assert row


def test_an_optout_of_before_that_would_end_holds_for_good(
    subscriptions: Subscriptions, connection: Connection
) -> None:
    one = subscribed(connection)
    connection.execute(
        "SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout', 'news',"
        " expires_at => clock_timestamp() + interval '1 hour')"
    )
    subscriptions.leave(one)
    found = connection.execute("SELECT source, hits, expires_at FROM noti.suppressions").fetchall()
    assert found == [("unsubscribe", 2, None)]


@pytest.mark.parametrize(
    "other",
    [
        "SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout')",
        "SELECT noti.suppress('', 'email', 'ann@example.com', 'optout', source => 'reply')",
        "SELECT noti.suppress('', 'email', 'ann@example.com', 'optout', 'news')",
        "UPDATE noti.suppressions SET reported_at = reported_at - interval '25 hours'",
        "UPDATE noti.suppressions SET source = 'receipt'",
    ],
)
def test_what_was_not_done_just_now_by_the_link_is_not_undone_by_it(
    subscriptions: Subscriptions, connection: Connection, other: str
) -> None:
    one = subscribed(connection)
    subscriptions.leave(one)
    connection.execute(other.encode())
    assert not subscriptions.stay(one)


def test_other_tenants_addresses_and_categories_are_not_touched(
    subscriptions: Subscriptions, connection: Connection
) -> None:
    one = subscribed(connection)
    others = [
        subscribed(connection, "offers"),
        subscribed(connection, recipient="bea@example.com"),
        subscribed(connection, tenant_id="acme"),
    ]
    for other in others:
        subscriptions.leave(other)
    subscriptions.leave(one)
    assert subscriptions.stay(one)
    assert [entry[-2] for entry in entries(connection)] == [False, False, False, True]


def test_a_dead_address_and_a_complaint_are_not_lifted(subscriptions: Subscriptions, connection: Connection) -> None:
    one = subscribed(connection)
    for reason in ("dead", "complaint"):
        connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', %s, 'news')", [reason])
    assert subscriptions.stay(one)
    assert [entry[-2] for entry in entries(connection)] == [False, False]


def test_whoever_plays_with_a_link_is_stopped_after_ten_rounds(
    subscriptions: Subscriptions, connection: Connection
) -> None:
    one = subscribed(connection)
    stays = []
    for _ in range(12):
        subscriptions.leave(one)
        stays.append(subscriptions.stay(one))
    assert stays == [True] * 10 + [False] * 2
    assert len(entries(connection)) == 11


def test_an_application_may_not_act_for_the_person(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET ROLE noti_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT noti.resubscribe('default', 'email', sha256('x'), 'news')")
        connection.execute("SET ROLE noti_worker")
        assert connection.execute("SELECT noti.resubscribe('default', 'email', sha256('x'), 'news')").fetchone() == (
            True,
        )
        assert connection.execute("SELECT noti.unsubscribe('default', 'email', sha256('x'), 'news', 1)").fetchone() == (
            1,
        )


def test_rows_of_categories_that_can_be_left_have_the_hash_of_their_address(
    queue: PostgresQueue, connection: Connection
) -> None:
    can_be_left(connection, "news", "offers")
    can_be_left(connection, "offers", tenant="default", left=False)
    can_be_left(connection, "orders", left=False)
    for category in ("news", "offers", "orders", "unheard-of", None):
        insert(connection, category=category)
    insert(connection, category="news", recipient="nobody")
    rows = claim(queue)
    briefings = queue.brief(rows)
    found = {n.category: briefings[n.notification_id].leaves for n in rows if n.notification_id in briefings}
    [expected] = connection.execute("SELECT noti.address_hash('email', 'ann@example.com')").fetchall()
    assert {category: leaves for category, leaves in found.items() if leaves is not None} == {"news": expected[0]}


def test_no_question_of_a_link_walks_through_the_list(connection: Connection) -> None:
    connection.execute("SET enable_seqscan = off")
    for condition, index in (("lifted_at IS NULL", "suppressions_live"), ("lifted_at > now()", "suppressions_lifted")):
        plan = connection.execute(
            f"EXPLAIN SELECT FROM noti.suppressions WHERE address_hash = sha256('x') AND {condition}".encode()
        ).fetchall()
        assert index in str(plan)
