"""What status and top ask for: bounded, by index, and right."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from noti_worker import enqueue_many
from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.connect import Connection
from noti_worker.store.people import overview, source
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.store.rows import Connection as Plain
from tests.store.rows import claim, decided, insert, tried

LATER = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def people(database_url: str) -> Iterator[Connection]:
    with source.for_people(database_url) as connection:
        yield connection


def test_the_lanes_that_wait_longest_come_first_whatever_their_priority(people: Connection, connection: Plain) -> None:
    for tenant, priority, minutes, count in (("a", "low", 50, 3), ("b", "urgent", 5, 1), ("c", "normal", 90, 2)):
        insert(connection, count, tenant_id=tenant, priority=priority)
        connection.execute(
            "UPDATE noti.notifications_log SET next_retry_at = now() - %s * interval '1 minute' WHERE tenant_id = %s",
            [minutes, tenant],
        )
    insert(connection, tenant_id="later", send_at=LATER)
    insert(connection, tenant_id="held", status="held")
    found = overview.waiting(people)
    assert [(lane.tenant_id, lane.priority, lane.rows, lane.oldest_id) for lane in found] == [
        ("c", "normal", 2, 5),
        ("a", "low", 3, 1),
        ("b", "urgent", 1, 4),
    ]
    assert found[0].oldest_due_seconds == pytest.approx(5400, abs=60)
    assert [lane.tenant_id for lane in overview.waiting(people, top=1, bound=2)] == ["c"]
    assert overview.waiting(people, top=1, bound=2)[0].bounded


def test_all_parts_are_of_one_instant(people: Connection, connection: Plain, database_url: str) -> None:
    rows, ended = insert(connection, 3000), threading.Event()

    def fewer() -> None:
        with psycopg.connect(database_url, autocommit=True) as application:
            while rows and not ended.is_set():
                application.execute("SELECT noti.cancel(%s)", [rows.pop()])

    with ThreadPoolExecutor(1) as thread:
        cancelling = thread.submit(fewer)
        try:
            seen = [overview.overview(people) for _ in range(10)]
        finally:
            ended.set()
        cancelling.result()
    assert [sum(line.due for line in now.channels) for now in seen] == [
        sum(lane.rows for lane in now.waiting) for now in seen
    ]
    assert seen[0] != seen[-1]


def test_rows_in_flight_do_not_wait(people: Connection, connection: Plain, queue: PostgresQueue) -> None:
    insert(connection)
    claim(queue)
    assert overview.waiting(people) == []


def test_failures_are_told_by_cause_with_the_newest_of_each(
    people: Connection, connection: Plain, queue: PostgresQueue
) -> None:
    insert(connection, 4)
    first, second, third, untried = claim(queue)
    queue.record(1, [tried(first, Status.FAILED), tried(second, Status.FAILED, account="spare")])
    queue.record(1, [tried(third, Status.FAILED), decided(untried, Status.FAILED, kind="permanent")])
    insert(connection, status="failed", failed_at="2026-01-01 00:00+00")
    found = [(f.account, f.kind, f.rows, f.example_id, f.error) for f in overview.failures(people)]
    assert found == [
        ("relay", "permanent", 2, 3, "no such user"),
        ("spare", "permanent", 1, 2, "no such user"),
        (None, "permanent", 1, 4, "reason of failed"),
    ]
    assert [f.rows for f in overview.failures(people, bound=1)] == [1]
    assert overview.failures(people, bound=1)[0].bounded


def test_causes_differ_by_their_words_and_codes_not_by_numbers_and_names(
    people: Connection, connection: Plain, queue: PostgresQueue
) -> None:
    texts = [
        "550 5.1.1 user 4711 unknown",
        "550 5.1.1 user 4712 unknown",
        "550 5.7.1 user 4711 unknown",
        "552 5.1.1 user 4711 unknown",
        "<ann@example.com>: no such user, see https://example.com/1",
        "<ann@example.com>: no such user, see https://example.com/2",
        "message 0190c7e2-5a6f-7c11-8f3d-2b1e5c9f0a11 refused in 300 s",
        "message 0190c7e2-5a6f-7c11-8f3d-2b1e5c9f0a12 refused in 7 s",
        "message refused",
    ]
    insert(connection, len(texts))
    refused = [
        tried(row, Status.FAILED, outcome=Outcome(Kind.PERMANENT, error=text))
        for row, text in zip(claim(queue), texts, strict=True)
    ]
    queue.record(1, refused)
    assert sorted(f.rows for f in overview.failures(people)) == [1, 1, 1, 2, 2, 2]
    assert sum(f.rows for f in overview.failures(people)) == len(texts)


def test_many_causes_end_in_one_line_for_the_rest(people: Connection, connection: Plain, queue: PostgresQueue) -> None:
    insert(connection, 27)
    words = [chr(97 + number) for number in range(25)] + ["a", "a"]
    refused = [
        tried(row, Status.FAILED, outcome=Outcome(Kind.PERMANENT, error=word))
        for row, word in zip(claim(queue), words, strict=True)
    ]
    queue.record(1, refused)
    found = overview.failures(people)
    assert (len(found), found[0].rows, found[-1].rows, found[-1].error) == (21, 3, 5, "5 other causes")
    assert (found[-1].channel, found[-1].status, found[-1].example_id) == (None, None, None)


def test_what_expired_or_was_suppressed_is_told_with_its_reason(
    people: Connection, connection: Plain, queue: PostgresQueue
) -> None:
    insert(connection, 4)
    first, second, third, fourth = claim(queue)
    queue.record(1, [decided(first, Status.EXPIRED), decided(second, Status.EXPIRED)])
    queue.record(1, [decided(third, Status.SUPPRESSED), tried(fourth)])
    insert(connection, status="expired", created_at="2026-01-01 00:00+00", finished_at="2026-01-01 00:00+00")
    found = overview.failures(people)
    assert [(f.status, f.account, f.rows, f.error) for f in found] == [
        ("expired", None, 2, "reason of expired"),
        ("suppressed", None, 1, "reason of suppressed"),
    ]
    assert found[1].example_id == 3
    now = overview.rates(people)
    assert [now.sent, now.failed, now.untried] == pytest.approx([0.2, 0.0, 0.6])


def test_what_the_suppression_list_stopped_is_one_cause_for_each_reason(
    people: Connection, connection: Plain, queue: PostgresQueue
) -> None:
    insert(connection, 3)
    reasons = ("dead", "optout", "dead")
    for number, (n, reason) in enumerate(zip(claim(queue), reasons, strict=True), 250):
        verdict = Verdict(Status.SUPPRESSED, f"the suppression list stops it: entry {number}, as was said")
        queue.record(1, [Result(n, verdict, kind=reason)])
    assert [(line.kind, line.rows) for line in overview.failures(people)] == [("dead", 2), ("optout", 1)]


def test_an_account_that_accepts_nothing_is_told_until_it_accepts(
    people: Connection, connection: Plain, queue: PostgresQueue
) -> None:
    insert(connection, 9)
    first, *others = claim(queue)
    slow, away = Outcome(Kind.THROTTLED, error="slow down"), Outcome(Kind.TRANSIENT, error="closed")
    queue.record(1, [tried(first)])
    queue.record(1, [tried(row, Status.RETRYING, outcome=slow) for row in others[:2]])
    assert overview.refusing(people) == []
    queue.record(1, [tried(others[2], Status.RETRYING, outcome=away)])
    queue.record(1, [tried(row, Status.RETRYING, outcome=away, account="spare") for row in others[3:6]])
    found = [(r.account, r.tries, r.kind, r.answered_before, r.error) for r in overview.refusing(people)]
    assert found == [("relay", 3, "transient", True, "closed"), ("spare", 3, "transient", False, "closed")]
    # That it refuses a message says that it works.
    queue.record(1, [tried(others[6], Status.FAILED)])
    assert [r.account for r in overview.refusing(people)] == ["spare"]


def test_what_is_held_says_by_whom_and_why(people: Connection, connection: Plain, queue: PostgresQueue) -> None:
    insert(connection, 3)
    first, second, third = claim(queue)
    queue.record(1, [tried(first, Status.HELD), tried(second, Status.HELD), tried(third, Status.UNKNOWN)])
    insert(connection, status="held")
    connection.execute("SELECT noti.hold(%s)", insert(connection))
    found = {(h.status, h.reason): (h.rows, h.example_id) for h in overview.held(people)}
    assert found == {
        ("held", "reason of held"): (2, 1),
        ("unknown", "reason of unknown"): (1, 3),
        ("held", "inserted as held"): (1, 4),
        ("held", "held by postgres"): (1, 5),
    }


def test_rates_are_of_the_last_minutes_and_of_less_when_much_happens(people: Connection, connection: Plain) -> None:
    add = (
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, claim_count, created_at)"
        " SELECT n, 1, %s, 1, now() - %s::interval FROM generate_series(1, %s) n"
    )
    for status, ago, count in (("sent", "1 hour", 5), ("sent", "2 minutes", 10), ("retrying", "1 minute", 5)):
        connection.execute(add, [status, ago, count])
    now = overview.rates(people)
    assert (now.sent, now.retried, now.failed, now.other, now.seconds) == (2.0, 1.0, 0.0, 0.0, 300.0)
    few = overview.rates(people, bound=5)
    assert few.sent == 0
    assert few.seconds == pytest.approx(60, abs=5)
    assert few.retried == pytest.approx(5, rel=0.1)


def test_every_part_finds_its_rows_by_index(people: Connection) -> None:
    enqueue_many(people, [{"channel": "email", "recipient": "a@example.com", "body": "x"}] * 3000)
    people.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, status)"
        " SELECT 'email', 'a@example.com', 'x', (array['sent', 'failed', 'held'])[1 + n % 3]"
        " FROM generate_series(1, 9000) n"
    )
    people.execute(
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, claim_count)"
        " SELECT n, 1, 'sent', 1 FROM generate_series(1, 9000) n"
    )
    people.execute("ANALYZE")
    asked: dict[str, dict[str, Any]] = {
        "read_waiting": {"channels": ["email"], "priorities": ["normal"], "lanes": 9, "top": 3, "bound": 100},
        "read_held": {"bound": 100},
        "read_failures": {"span": overview.FAILURES_SPAN, "bound": 100, "seen": 100},
        "read_accounts": {"span": overview.RATES_SPAN, "bound": 100},
        "read_rates": {"span": overview.RATES_SPAN, "bound": 100},
    }
    for name, given in asked.items():
        with source.by_index(people):
            lines = people.execute(f"EXPLAIN {statement(name).sql}".encode(), given).fetchall()
        plan = "\n".join(line["QUERY PLAN"] for line in lines)
        assert "Seq Scan on notification" not in plan, plan
        assert "Seq Scan on audit" not in plan, plan
