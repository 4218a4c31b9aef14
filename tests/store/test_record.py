"""Recording: row, attempt, audit line and inbox together, fenced, and exactly once."""

import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Notification, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, Connection, attempts, audit, claim, decided, ids, insert, row, tried

pytestmark = pytest.mark.usefixtures("either_way")

CLEARED = {"claimed_by": None, "lease_until": None, "dispatched_at": None, "requested": None, "lost_count": 0}


def _one(queue: PostgresQueue, connection: Connection) -> Notification:
    insert(connection)
    [notification] = claim(queue)
    return notification


def test_a_refused_copy_stands_in_the_try_and_in_why_but_is_no_error_of_the_row(
    queue: PostgresQueue, connection: Connection
) -> None:
    n = _one(queue, connection)
    outcome = Outcome(Kind.OK, code="250", error="cc[1]: 550 5.1.1 no such user")
    queue.record(1, [tried(n, outcome=outcome)])
    assert row(connection, n.notification_id)["error_message"] is None
    [attempt] = attempts(connection, n.notification_id)
    assert attempt["error_message"] == "cc[1]: 550 5.1.1 no such user"
    story = connection.execute("SELECT detail FROM noti.why(%s)", [n.notification_id]).fetchall()
    assert any("accepted it (250), but cc[1]: 550 5.1.1 no such user" in line[0] for line in story)


def test_a_sent_row_is_finished_with_its_try_and_its_audit_line(queue: PostgresQueue, connection: Connection) -> None:
    n = _one(queue, connection)
    outcome = Outcome(Kind.OK, code="250", response={"dialog": ["EHLO", "250 ok"]}, provider_message_id="q17")
    result = tried(n, outcome=outcome, since=time.monotonic() - 30, seconds=2.5)
    assert queue.record(1, [result]) == {n.notification_id: "applied"}

    stands = row(connection, n.notification_id)
    assert stands["status"] == "sent"
    assert stands["finished_at"] == stands["sent_at"] == stands["updated_at"]
    assert (stands["failed_at"], stands["held_at"], stands["error_message"]) == (None, None, None)
    assert (stands["attempt_count"], stands["retry_count"], stands["claim_count"]) == (1, 0, 1)
    assert stands | CLEARED == stands

    [attempt] = attempts(connection, n.notification_id)
    assert (attempt["attempt_number"], attempt["status"], attempt["kind"], attempt["code"]) == (1, "sent", "ok", "250")
    assert (attempt["provider"], attempt["account"], attempt["worker"]) == ("smtp", "relay", "1")
    assert (attempt["provider_message_id"], attempt["duration_ms"]) == ("q17", 2500)
    assert attempt["response_data"] == {"dialog": ["EHLO", "250 ok"]}
    assert (attempt["claim_count"], attempt["error_message"]) == (1, None)
    assert timedelta(seconds=29) < stands["sent_at"] - attempt["started_at"] < timedelta(seconds=35)

    [line] = audit(connection, n.notification_id)
    assert (line["tenant_id"], line["entity_type"], line["action"]) == ("default", "notification", "notification_sent")
    assert (line["action_by_type"], line["action_by"]) == ("worker", "worker 1")
    assert line["metadata"] == {"reason": "reason of sent", "kind": "ok", "account": "relay", "attempt": 1}


@pytest.mark.parametrize(
    ("status", "expected", "attempt_status"),
    [
        (Status.RETRYING, {"retry_count": 1, "error_message": "try again later"}, "retrying"),
        (Status.FAILED, {"retry_count": 0, "error_message": "no such user"}, "failed"),
        (Status.HELD, {"retry_count": 0, "error_message": "bad credentials"}, "held"),
        (Status.UNKNOWN, {"retry_count": 0, "error_message": "the line broke"}, "unknown"),
        (Status.EXPIRED, {"retry_count": 0, "error_message": "try again later"}, "failed"),
    ],
)
def test_a_try_that_did_not_succeed_is_told_as_it_was(
    queue: PostgresQueue, connection: Connection, status: Status, expected: dict[str, Any], attempt_status: str
) -> None:
    n = _one(queue, connection)
    assert queue.record(1, [tried(n, status)]) == {n.notification_id: "applied"}
    stands = row(connection, n.notification_id)
    assert stands | expected | CLEARED | {"status": status.value, "attempt_count": 1} == stands
    assert (stands["finished_at"] is not None) == (status in {Status.FAILED, Status.EXPIRED})
    assert (stands["failed_at"] is not None) == (status is Status.FAILED)
    assert (stands["held_at"] is not None) == (status in {Status.HELD, Status.UNKNOWN})
    [attempt] = attempts(connection, n.notification_id)
    assert (attempt["status"], attempt["error_message"]) == (attempt_status, expected["error_message"])
    assert [line["action"] for line in audit(connection, n.notification_id)] == [f"notification_{status}"]


def test_a_retry_waits_from_the_database_clock_and_the_audit_line_says_how_long(
    queue: PostgresQueue, connection: Connection
) -> None:
    n = _one(queue, connection)
    queue.record(1, [tried(n, Status.RETRYING)])
    stands = row(connection, n.notification_id)
    assert stands["next_retry_at"] - stands["updated_at"] == timedelta(minutes=1)
    assert stands["due_at"] == stands["next_retry_at"]
    assert audit(connection, n.notification_id)[0]["metadata"]["wait_s"] == 60
    assert claim(queue) == []


def test_a_throttled_try_is_numbered_but_charges_nothing(queue: PostgresQueue, connection: Connection) -> None:
    n = _one(queue, connection)
    verdict = Verdict(Status.RETRYING, "throttled", wait=timedelta(0), charge=False)
    queue.record(1, [tried(n, Status.RETRYING, verdict=verdict)])
    [again] = claim(queue)
    assert (again.retry_count, again.attempt_count) == (0, 1)
    queue.record(1, [tried(again)])
    assert [attempt["attempt_number"] for attempt in attempts(connection, n.notification_id)] == [1, 2]


@pytest.mark.parametrize("status", [Status.SUPPRESSED, Status.EXPIRED, Status.CANCELLED, Status.FAILED, Status.HELD])
def test_a_decision_without_a_try_is_an_audit_line_with_its_reason(
    queue: PostgresQueue, connection: Connection, status: Status
) -> None:
    n = _one(queue, connection)
    assert queue.record(1, [decided(n, status, kind="lost")]) == {n.notification_id: "applied"}
    stands = row(connection, n.notification_id)
    assert (stands["status"], stands["attempt_count"]) == (status.value, 0)
    assert stands["error_message"] == (None if status is Status.CANCELLED else f"reason of {status}")
    assert attempts(connection, n.notification_id) == []
    [line] = audit(connection, n.notification_id)
    assert line["metadata"] == {"reason": f"reason of {status}", "kind": "lost"}


def test_the_result_of_a_zombie_is_stale_and_changes_nothing(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    [owner] = claim(queue, worker_id=8)
    before = row(connection, zombie.notification_id)
    assert queue.record(7, [tried(zombie, Status.FAILED)]) == {zombie.notification_id: "stale"}
    assert row(connection, zombie.notification_id) == before
    assert queue.record(8, [tried(owner)]) == {owner.notification_id: "applied"}
    assert row(connection, zombie.notification_id)["status"] == "sent"
    told = [(a["status"], a["attempt_number"], a["kind"], a["worker"]) for a in attempts(connection, 1)]
    assert told == [("lost", 1, "uncertain", "7"), ("stale", 1, "permanent", "7"), ("sent", 2, "ok", "8")]
    assert [line["action_by"] for line in audit(connection, 1)] == ["worker 8"]


def test_a_stale_decision_leaves_no_trace(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    claim(queue, worker_id=8)
    assert queue.record(7, [decided(zombie, Status.EXPIRED)]) == {zombie.notification_id: "stale"}
    assert [a["status"] for a in attempts(connection, zombie.notification_id)] == ["lost"]
    assert audit(connection, zombie.notification_id) == []


def test_a_worker_that_took_its_own_lost_row_again_is_fenced_from_its_first_try(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection)
    [first] = claim(queue, worker_id=7, lease=AT_ONCE)
    [second] = claim(queue, worker_id=7)
    assert queue.record(7, [tried(first)]) == {first.notification_id: "stale"}
    assert row(connection, first.notification_id)["status"] == "sending"
    queue.record(7, [tried(second), tried(first)])
    assert [a["status"] for a in attempts(connection, first.notification_id)] == ["lost", "stale", "sent"]


@pytest.mark.parametrize("make", [tried, decided])
def test_a_result_that_is_flushed_again_writes_nothing(queue: PostgresQueue, connection: Connection, make: Any) -> None:
    statuses = [Status.SENT, Status.RETRYING, Status.FAILED, Status.HELD]
    insert(connection, len(statuses))
    rows = claim(queue)
    results = [make(n, status) for n, status in zip(rows, statuses, strict=True)]

    def written() -> list[Any]:
        return [(row(connection, id_), attempts(connection, id_), audit(connection, id_)) for id_ in ids(rows)]

    queue.record(1, results)
    before = written()
    assert queue.record(1, results) == dict.fromkeys(ids(rows), "again")
    assert written() == before


def test_a_try_that_is_flushed_again_after_the_next_claim_is_again_too(
    queue: PostgresQueue, connection: Connection
) -> None:
    n = _one(queue, connection)
    verdict = Verdict(Status.RETRYING, "at once", wait=timedelta(0), charge=True)
    first = tried(n, Status.RETRYING, verdict=verdict)
    queue.record(1, [first])
    claim(queue, worker_id=2)
    assert queue.record(1, [first]) == {n.notification_id: "again"}
    assert len(attempts(connection, n.notification_id)) == 1


def test_a_stale_result_is_kept_once(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    claim(queue, worker_id=8)
    queue.record(7, [tried(zombie)])
    assert queue.record(7, [tried(zombie)]) == {zombie.notification_id: "again"}
    assert [a["status"] for a in attempts(connection, zombie.notification_id)] == ["lost", "stale"]


def test_a_late_result_counts_while_nobody_else_took_the_row(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [late] = claim(queue, lease=AT_ONCE)
    assert queue.record(1, [tried(late)]) == {late.notification_id: "applied"}


def test_a_locked_row_is_busy_and_does_not_hold_up_the_rest(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    insert(connection, 3)
    rows = claim(queue)
    first, locked, last = ids(rows)
    results = [tried(n) for n in rows]
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [locked])
        assert queue.record(1, results) == {first: "applied", locked: "busy", last: "applied"}
        assert attempts(connection, locked) == []
    assert queue.record(1, results) == {first: "again", locked: "applied", last: "again"}


def test_a_mixed_batch_goes_in_one_statement(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 200)
    rows = claim(queue, 200)
    statuses = [Status.SENT, Status.RETRYING, Status.FAILED, Status.HELD, Status.UNKNOWN]
    results = [tried(n, statuses[number % 5]) for number, n in enumerate(rows)]
    before = _writes(connection)
    assert set(queue.record(1, list(reversed(results))).values()) == {"applied"}
    assert _writes(connection) == before + 1
    count = connection.execute("SELECT status, count(*) FROM noti.notifications_log GROUP BY 1").fetchall()
    assert dict(count) == {status.value: 40 for status in statuses}


def _writes(connection: Connection) -> int:
    """How many transactions have written so far: each takes one id."""
    found = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    assert found is not None
    return int(found[0])


def test_nothing_to_record_asks_nobody(queue: PostgresQueue) -> None:
    assert queue.record(1, []) == {}


def _in_app(n: Notification, text: str = "Hi Ann") -> tuple[InboxLine]:
    return (InboxLine(n.tenant_id, n.recipient, "Hello", text, "<p>Hi</p>"),)


def _inbox(connection: Connection) -> list[tuple[Any, ...]]:
    query = "SELECT notification_id, tenant_id, recipient, subject, body, html FROM noti.inbox ORDER BY 1"
    return connection.execute(query).fetchall()


def test_an_in_app_message_stands_in_the_inbox_exactly_when_its_row_is_sent(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, 2, recipient="ann")
    sent, failed = claim(queue)
    queue.record(1, [tried(sent, follows=_in_app(sent)), tried(failed, Status.FAILED, follows=_in_app(failed))])
    assert _inbox(connection) == [(sent.notification_id, "default", "ann", "Hello", "Hi Ann", "<p>Hi</p>")]
    found = connection.execute(
        "SELECT n.xmin = t.xmin AND n.xmin = i.xmin AND n.xmin = a.xmin FROM noti.notifications_log n"
        " JOIN noti.notification_attempts_log t USING (notification_id) JOIN noti.inbox i USING (notification_id)"
        " JOIN noti.audit_log a ON a.entity_id = n.notification_id::text AND a.action = 'notification_sent'"
    ).fetchall()
    assert found == [(True,)]


def test_an_in_app_message_of_a_stale_or_repeated_result_is_not_put_there(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    [owner] = claim(queue, worker_id=8)
    queue.record(7, [tried(zombie, follows=_in_app(zombie, "from the zombie"))])
    assert _inbox(connection) == []
    for _ in range(2):
        queue.record(8, [tried(owner, follows=_in_app(owner))])
    assert [message[4] for message in _inbox(connection)] == ["Hi Ann"]


def test_an_in_app_message_is_put_there_once_even_if_it_is_sent_again(
    queue: PostgresQueue, connection: Connection
) -> None:
    n = _one(queue, connection)
    connection.execute(
        "INSERT INTO noti.inbox (notification_id, tenant_id, recipient, body) VALUES (%s, 'default', 'ann', 'first')",
        [n.notification_id],
    )
    assert queue.record(1, [tried(n, follows=_in_app(n))]) == {n.notification_id: "applied"}
    assert [message[4] for message in _inbox(connection)] == ["first"]


def test_a_try_is_recorded_with_its_stage_its_scope_and_the_rule_that_judged_it(
    queue: PostgresQueue, connection: Connection
) -> None:
    n = _one(queue, connection)
    outcome = Outcome(Kind.THROTTLED, Scope.ACCOUNT, stage="rcpt", rule="too many")
    queue.record(1, [tried(n, Status.RETRYING, outcome=outcome)])
    [attempt] = attempts(connection, n.notification_id)
    assert (attempt["stage"], attempt["scope"], attempt["rule"]) == ("rcpt", "account", "too many")


def test_what_nobody_judged_has_no_stage_and_no_rule(queue: PostgresQueue, connection: Connection) -> None:
    n = _one(queue, connection)
    queue.record(1, [tried(n)])
    [attempt] = attempts(connection, n.notification_id)
    assert (attempt["stage"], attempt["scope"], attempt["rule"]) == (None, "message", None)


def test_several_rows_may_follow_from_one_result_and_its_own_are_told_apart(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, 3, recipient="ann")
    first, second, third = claim(queue)
    results = [
        tried(first, follows=_in_app(first, "one")),
        tried(second),
        tried(third, follows=_in_app(third, "three")),
    ]
    queue.record(1, results)
    assert [(line[0], line[4]) for line in _inbox(connection)] == [
        (first.notification_id, "one"),
        (third.notification_id, "three"),
    ]


def test_what_a_provider_calls_a_message_is_kept_to_the_character(queue: PostgresQueue, connection: Connection) -> None:
    names = ["", "one", "two\x1fthree", "{x,NULL}", '"\\', None, "NULL", "four"]
    insert(connection, len(names))
    rows = claim(queue)
    results = [
        tried(n, outcome=Outcome(Kind.OK, provider_message_id=name, response={"said": name} if name else None))
        for n, name in zip(rows, names, strict=True)
    ]
    assert set(queue.record(1, results).values()) == {"applied"}
    kept = [attempts(connection, id_)[0] for id_ in ids(rows)]
    assert [one["provider_message_id"] or "" for one in kept] == [name or "" for name in names]
    assert [(one["response_data"] or {}).get("said", "") for one in kept] == [name or "" for name in names]
