"""assert_invariants() is silent after normal traffic and names each planted violation, and only it."""

from typing import Any

import psycopg
import pytest

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, NORMAL, claim, decided, insert, tried

Connection = psycopg.Connection[Any]

IN_APP = Lane(Channel.IN_APP, Priority.NORMAL, "default")


def violations(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()


def in_app(notification: Notification) -> Result:
    """An in-app message that was rendered and is recorded with its inbox row."""
    line = InboxLine(notification.tenant_id, notification.recipient, body="Hi")
    return tried(notification, follows=(line,))


def traffic(connection: Connection, queue: PostgresQueue, other: PostgresQueue) -> None:
    """Two workers, every way to end, a loss, a late result, and people who interfere.

    Afterwards 1 is sent, 2 retrying after one try, 3 failed, 4 unknown, 5 in flight, 6 sent after a loss,
    7 cancelled by an application, 8 sent in-app, 9 history, 10 expired without a try.
    """
    insert(connection, 7)
    insert(connection, channel="in_app", recipient="user:1")
    insert(connection, status="sent")
    claimed = claim(queue, 4)
    statuses = (Status.SENT, Status.RETRYING, Status.FAILED, Status.UNKNOWN)
    queue.record(1, [tried(one, status) for one, status in zip(claimed, statuses, strict=True)])
    claim(queue, 1)
    [zombie] = claim(queue, 1, lease=AT_ONCE)
    [rescued] = claim(other, 1, worker_id=2)
    assert other.record(2, [tried(rescued)]) == {6: "applied"}
    assert queue.record(1, [tried(zombie)]) == {6: "stale"}
    connection.execute("SELECT noti.cancel(7)")
    [message] = claim(other, worker_id=2, lanes=[IN_APP])
    assert other.record(2, [in_app(message)]) == {8: "applied"}
    insert(connection)
    [expired] = claim(queue, lanes=[NORMAL])
    queue.record(1, [decided(expired, Status.EXPIRED)])


def test_normal_traffic_violates_nothing(
    connection: Connection, queue: PostgresQueue, other_queue: PostgresQueue
) -> None:
    traffic(connection, queue, other_queue)
    statuses = connection.execute("SELECT status FROM noti.notifications_log ORDER BY notification_id").fetchall()
    assert [status for (status,) in statuses] == [
        "sent",
        "retrying",
        "failed",
        "unknown",
        "sending",
        "sent",
        "cancelled",
        "sent",
        "sent",
        "expired",
    ]
    assert violations(connection) == []


@pytest.mark.parametrize(
    ("plant", "violation"),
    [
        (
            "DELETE FROM noti.audit_log WHERE entity_id = '2' AND action = 'notification_triggered'",
            ("inserted without audit line", 2, "status retrying"),
        ),
        (
            "DELETE FROM noti.audit_log WHERE entity_id = '9'",
            ("inserted without audit line", 9, "status sent"),
        ),
        (
            "DELETE FROM noti.audit_log WHERE entity_id = '3' AND action = 'notification_failed'",
            ("final status without audit line", 3, "status failed"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET status = 'failed' WHERE notification_id = 1",
            ("sent without a sent try", 1, "claimed 1 times"),
        ),
        ("DELETE FROM noti.inbox", ("sent in_app without inbox row", 8, "sent at <time>")),
        (
            "UPDATE noti.notifications_log SET attempt_count = 2 WHERE notification_id = 3",
            ("tries are not numbered 1 to attempt_count", 3, "numbers 1, attempt_count 2"),
        ),
        (
            "DELETE FROM noti.notification_attempts_log WHERE notification_id = 3",
            ("tries are not numbered 1 to attempt_count", 3, "numbers none, attempt_count 1"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET attempt_number = 3 WHERE notification_id = 6 AND worker = '2'",
            ("tries are not numbered 1 to attempt_count", 6, "numbers 1,3, attempt_count 2"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET attempt_number = 1 WHERE notification_id = 6 AND worker = '2'",
            ("tries are not numbered 1 to attempt_count", 6, "numbers 1,1, attempt_count 2"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET claim_count = 1 WHERE notification_id = 6 AND status = 'sent'",
            ("two results for one claim", 6, "claim 1"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET claim_count = 5 WHERE notification_id = 1",
            ("try of a claim that never was", 1, "claim 5 of 1"),
        ),
        (
            "UPDATE noti.notification_attempts_log SET claim_count = 0 WHERE notification_id = 1",
            ("try of a claim that never was", 1, "claim 0 of 1"),
        ),
        (
            "UPDATE noti.notifications_log SET max_retries = 0 WHERE notification_id = 2",
            ("more retries than allowed", 2, "1 of 0"),
        ),
        (
            "UPDATE noti.notifications_log SET claimed_by = 4, lease_until = now() WHERE notification_id = 1",
            ("finished but still claimed", 1, "sent, claimed by 4"),
        ),
        (
            "UPDATE noti.notifications_log SET claimed_by = NULL, lease_until = NULL WHERE notification_id = 5",
            ("sending without a claim", 5, "claimed 1 times"),
        ),
        (
            "UPDATE noti.notifications_log SET status = 'pending' WHERE notification_id = 5",
            ("claimed without sending", 5, "pending, claimed by 1"),
        ),
        (
            "UPDATE noti.notifications_log SET requested = 'held' WHERE notification_id = 2",
            ("lease, mark or request without a claim", 2, "status retrying"),
        ),
        (
            "UPDATE noti.notifications_log SET dispatched_at = now() WHERE notification_id = 2",
            ("lease, mark or request without a claim", 2, "status retrying"),
        ),
        (
            "UPDATE noti.notifications_log SET lease_until = now() WHERE notification_id = 2",
            ("lease, mark or request without a claim", 2, "status retrying"),
        ),
        (
            "UPDATE noti.notifications_log SET lease_until = NULL WHERE notification_id = 5",
            ("claim without a lease", 5, "claimed by 1"),
        ),
        (
            "UPDATE noti.notifications_log SET finished_at = NULL WHERE notification_id = 3",
            ("status and times disagree", 3, "status failed"),
        ),
        (
            "UPDATE noti.notifications_log SET held_at = NULL WHERE notification_id = 4",
            ("status and times disagree", 4, "status unknown"),
        ),
        (
            "UPDATE noti.notifications_log SET failed_at = now() WHERE notification_id = 7",
            ("status and times disagree", 7, "status cancelled"),
        ),
    ],
)
def test_a_planted_violation_is_named_and_nothing_else(
    connection: Connection,
    queue: PostgresQueue,
    other_queue: PostgresQueue,
    plant: str,
    violation: tuple[str, int, str],
) -> None:
    traffic(connection, queue, other_queue)
    connection.execute("ALTER TABLE noti.notifications_log DROP CONSTRAINT notifications_log_sane")
    connection.execute("SET session_replication_role = replica")  # no triggers
    assert connection.execute(plant.encode()).rowcount == 1
    [(invariant, notification_id, detail)] = violations(connection)
    assert (invariant, notification_id) == violation[:2]
    assert detail.startswith(violation[2].removesuffix("<time>"))


def test_every_invariant_has_its_planted_violation(connection: Connection) -> None:
    found = connection.execute(
        """
        SELECT m[1] FROM pg_proc, regexp_matches(prosrc, 'SELECT ''([^'']+)''', 'g') AS m
         WHERE proname = 'assert_invariants' AND pronamespace = 'noti'::regnamespace
        """
    ).fetchall()
    [cases] = [mark for mark in test_a_planted_violation_is_named_and_nothing_else.pytestmark if mark.args]  # type: ignore[attr-defined]
    assert {name for (name,) in found} == {violation[0] for _, violation in cases.args[1]}
