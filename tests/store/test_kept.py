"""What a try said is kept where its category wishes so: with the try, for its time, and never of anybody else."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.ages import Ages
from noti_worker.domain.kept import Kept
from noti_worker.domain.notification import Status
from noti_worker.domain.ports import Fate
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database, Session
from noti_worker.store.people import listing
from noti_worker.store.people.source import for_people
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.upkeep import retention
from tests.store.rows import Connection, claim, insert, tried
from tests.store.test_erasure import erase
from tests.system.daemon import member_of

MONTH = timedelta(days=30)


def said(to: str = "ann@example.com", **changes: Any) -> Kept:
    fields: dict[str, Any] = {"html": None, "options": {"cc": ["bob@example.com"]}, "truncated": False}
    return Kept("email", to, "Hello", "Dear \0Ann", **({"span": MONTH} | fields | changes))


def kept(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT notification_id, attempt_number, recipient, body, options FROM noti.kept_contents ORDER BY kept_id"
    ).fetchall()


def test_rows_of_a_category_know_for_how_long_and_others_ask_nothing(
    queue: PostgresQueue, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO noti.categories (tenant_id, category, keep_content) VALUES ('', 'orders', '90 days'),"
        " ('acme', 'orders', NULL), ('', 'news', NULL)"
    )
    wanted = {
        insert(connection, category="orders")[0]: timedelta(days=90),
        insert(connection, category="news")[0]: None,
        insert(connection)[0]: None,
    }
    rows = claim(queue)
    assert {n.notification_id: queue.brief([n])[n.notification_id].keeps if n.category == "orders" else None
            for n in rows} == wanted  # fmt: skip
    assert queue.brief([n for n in rows if n.category == "news"]).get(rows[1].notification_id) is None
    [acme] = insert(connection, category="orders", tenant_id="acme")
    of_acme = replace(rows[0], notification_id=acme, tenant_id="acme")
    assert queue.brief([of_acme]) == {}


@pytest.fixture
def of_worker(database_url: str) -> Database:
    """With the rights of a worker."""
    return Database(Secret(member_of("noti_worker", database_url)))


@pytest.fixture
def queue(of_worker: Database) -> Iterator[PostgresQueue]:
    with closing(PostgresQueue(of_worker)) as opened:
        yield opened


def test_it_is_written_with_the_try_once_and_only_of_tries_that_were_recorded(
    queue: PostgresQueue, connection: Connection
) -> None:
    first, second, third = insert(connection, 3)
    rows = {n.notification_id: n for n in claim(queue)}
    results = [
        tried(rows[first], kept=said()),
        tried(rows[second], Status.FAILED, kept=said(options={})),
        tried(rows[third]),
    ]
    for fate in ("applied", "again"):
        fates: dict[int, Fate] = dict(queue.record(1, results))
        assert fates[first] == fates[second] == fate
        assert kept(connection) == [
            (first, 1, "ann@example.com", "Dear \ufffdAnn", {"cc": ["bob@example.com"]}),
            (second, 1, "ann@example.com", "Dear \ufffdAnn", None),
        ]
    late = tried(replace(rows[third], claim_count=rows[third].claim_count + 1), kept=said())
    assert queue.record(1, [late]) == {third: "stale"}
    assert len(kept(connection)) == 2


def test_the_story_in_full_has_it_and_its_time_ends_it(
    queue: PostgresQueue, connection: Connection, of_worker: Database, database_url: str
) -> None:
    first, second = insert(connection, 2)
    one, two = claim(queue)
    queue.record(1, [tried(one, kept=said()), tried(two, kept=said(span=timedelta(hours=1)))])
    with for_people(database_url) as people:
        assert listing.why(people, first).contents == ()
        [content] = listing.why(people, first, full=True).contents
    assert (content.attempt_number, content.subject, content.body) == (1, "Hello", "Dear \ufffdAnn")
    connection.execute("UPDATE noti.kept_contents SET kept_until = now() WHERE notification_id = %s", [second])
    with closing(Session(of_worker, "retention")) as session:
        for dry_run in (True, False):
            done = retention.run(session, Ages(), wait=lambda seconds: False, seconds=60, dry_run=dry_run)
            assert done.deleted == {"kept_contents": 1}
    assert [number for number, *_ in kept(connection)] == [first]


@pytest.mark.parametrize("who", ["ann@example.com", "Bob@example.com"])
def test_it_is_erased_with_whom_it_went_to_and_outlives_no_erasure(
    queue: PostgresQueue, connection: Connection, who: str
) -> None:
    to_user, outlived, other = (insert(connection, recipient=to)[0] for to in ("user:1", "user:2", "eve@example.com"))
    rows = {n.notification_id: n for n in claim(queue)}
    queue.record(
        1,
        [
            tried(rows[to_user], kept=said()),
            tried(rows[outlived], kept=said()),
            tried(rows[other], kept=said("eve@example.com", options=None)),
        ],
    )
    connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = %s", [outlived])
    assert erase(connection, who, dry_run=True).kept == 2
    assert erase(connection, who).kept == 2
    assert [number for number, *_ in kept(connection)] == [other]
    erase(connection, "eve@example.com")
    assert kept(connection) == []
