"""Which status may follow which, what moves with it, and in which words the rest is refused."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.changes import actions, finish, refused, update
from tests.store.rows import claim, decided, insert, row, tried

Connection = psycopg.Connection[Any]

MOVES = {
    ("pending", "cancelled"),
    ("pending", "held"),
    ("retrying", "cancelled"),
    ("retrying", "held"),
    ("held", "pending"),
    ("held", "cancelled"),
    ("unknown", "pending"),
    ("gathering", "pending"),
    ("gathering", "cancelled"),
    ("gathering", "held"),
    ("unknown", "cancelled"),
    ("failed", "pending"),
    ("expired", "pending"),
    ("cancelled", "pending"),
    ("suppressed", "pending"),
}
ADVICE = {
    "pending": "It can be cancelled or held, and sent at another time by its send_at.",
    "retrying": "It can be cancelled or held, and sent at another time by its send_at.",
    "held": "It can be cancelled, or released with status = 'pending'.",
    "unknown": "It can be cancelled, or released with status = 'pending'.",
    "gathering": "It can be cancelled or held, or released to go out alone with status = 'pending'.",
    "sent": "It is history: add AND finished_at IS NULL to the UPDATE.",
}


def bring_to(connection: Connection, queue: PostgresQueue, status: Status) -> int:
    """Make a notification that has `status`, the way that a worker or an application would; gives its id."""
    match status:
        case Status.PENDING:
            [number] = insert(connection)
        case Status.CANCELLED | Status.SUPPRESSED:
            [number] = insert(connection, status=status.value)
        case Status.GATHERING:
            [number] = insert(connection, digest_key="news")
        case Status.SENDING:
            [number] = insert(connection)
            claim(queue)
        case _:
            number = finish(connection, queue, status)
    assert row(connection, number)["status"] == status.value
    return number


@pytest.mark.parametrize("old", [status for status in Status if status is not Status.SENDING])
def test_only_the_moves_of_the_diagram_are_possible(connection: Connection, queue: PostgresQueue, old: Status) -> None:
    number = bring_to(connection, queue, old)
    advice = ADVICE.get(old, "It can only be queued again, with status = 'pending'.")
    for new in Status:
        if new is old:
            update(connection, f"status = '{new}'", number)
            assert row(connection, number)["status"] == old.value
        elif (old.value, new.value) not in MOVES:
            assert refused(connection, f"status = '{new}'", number) == (
                "23514",
                f"noti: notification {number}: {old} cannot become {new}. {advice}",
            )
    assert actions(connection) == []
    for possible in [new for start, new in sorted(MOVES) if start == old]:
        update(connection, f"status = '{possible}', send_at = '2100-01-01 00:00+00'", number)
        assert row(connection, number)["status"] == possible
        number = bring_to(connection, queue, old)
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_a_row_in_flight_can_only_be_cancelled_or_held(connection: Connection, queue: PostgresQueue) -> None:
    bring_to(connection, queue, Status.SENDING)
    for new in set(Status) - {Status.SENDING, Status.CANCELLED, Status.HELD}:
        assert refused(connection, f"status = '{new}'") == (
            "55006",
            (
                f"noti: notification 1: it is being sent and cannot become {new}. "
                "Cancel or hold it, or wait for the result."
            ),
        )


def test_a_plain_bulk_cancel_by_an_application_works(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, 3, entity_type="order", entity_id="17")
    [sent] = claim(queue, 1)
    queue.record(1, [tried(sent)])
    cancelled = connection.execute(
        """
        UPDATE noti.notifications_log SET status = 'cancelled', finished_at = NULL
         WHERE entity_type = 'order' AND entity_id = '17' AND finished_at IS NULL
        """
    )
    assert cancelled.rowcount == 2
    assert [row(connection, number)["status"] for number in (1, 2, 3)] == ["sent", "cancelled", "cancelled"]
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_a_cancel_in_flight_is_noted_and_the_holder_decides(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    [claimed] = claim(queue)
    update(connection, "status = 'cancelled', finished_at = now()")
    update(connection, "status = 'cancelled'")
    found = row(connection, 1)
    assert (found["status"], found["requested"], found["finished_at"]) == ("sending", "cancelled", None)
    assert actions(connection) == ["cancel_requested"]
    queue.record(1, [tried(claimed, Status.RETRYING)])
    assert row(connection, 1)["status"] == "cancelled"


def test_a_hold_does_not_take_back_a_cancel_but_a_cancel_replaces_a_hold(
    connection: Connection, queue: PostgresQueue
) -> None:
    bring_to(connection, queue, Status.SENDING)
    update(connection, "status = 'held'")
    assert row(connection, 1)["requested"] == "held"
    update(connection, "status = 'cancelled'")
    update(connection, "status = 'held'")
    assert row(connection, 1)["requested"] == "cancelled"
    assert actions(connection) == ["hold_requested", "cancel_requested"]


@pytest.mark.parametrize(
    ("status", "assignments"),
    [
        (Status.SENDING, "requested = 'cancelled'"),
        (Status.SENDING, "requested = 'held', status = 'cancelled'"),
        (Status.HELD, "requested = 'cancelled', status = 'pending'"),
        (Status.PENDING, "requested = 'held', status = 'held'"),
    ],
)
def test_requested_is_not_for_applications(
    connection: Connection, queue: PostgresQueue, status: Status, assignments: str
) -> None:
    bring_to(connection, queue, status)
    assert refused(connection, assignments) == (
        "23514",
        "noti: notification 1: requested is set for you. Set the status instead.",
    )


def test_times_follow_the_status(connection: Connection) -> None:
    insert(connection)
    for column in ("finished_at", "held_at", "sent_at", "failed_at"):
        assert refused(connection, f"{column} = now()") == (
            "23514",
            (
                "noti: notification 1: finished_at, held_at, sent_at and failed_at follow the status. "
                "Set the status instead."
            ),
        )


# ------------------------------------------------------------------------------------ requeue, send_at, max_retries


def test_a_requeue_starts_afresh(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, expires_at="2001-01-01 00:00+00", max_retries=3)
    [claimed] = claim(queue)
    queue.record(1, [decided(claimed, Status.EXPIRED)])
    before = row(connection, 1)
    update(connection, "status = 'pending'")
    after = row(connection, 1)
    assert (after["retry_count"], after["lost_count"], after["next_retry_at"], after["expires_at"]) == (
        0,
        0,
        None,
        None,
    )
    assert after["send_at"] > before["finished_at"]
    assert after["due_at"] == after["send_at"]
    assert after["claim_count"] == before["claim_count"]  # old tokens stay dead
    assert [n.notification_id for n in claim(queue)] == [1]


def test_a_requeue_keeps_a_send_at_and_an_expiry_that_come_with_it(
    connection: Connection, queue: PostgresQueue
) -> None:
    finish(connection, queue)
    update(connection, "status = 'pending', send_at = '2100-01-01 00:00+00', expires_at = '2100-01-02 00:00+00'")
    after = row(connection, 1)
    assert (after["due_at"].year, after["expires_at"].year) == (2100, 2100)
    assert claim(queue) == []


def test_a_rescheduled_waiting_row_really_moves(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.RETRYING)
    update(connection, "send_at = '2100-01-01 00:00+00'")
    assert row(connection, 1)["due_at"].year == 2100
    update(connection, "send_at = '2025-01-01 00:00+00'")
    assert [n.notification_id for n in claim(queue)] == [1]


def test_max_retries_cannot_fall_below_what_is_spent(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.RETRYING)  # one of three is spent
    update(connection, "max_retries = 0")
    assert row(connection, 1)["max_retries"] == 1
    update(connection, "max_retries = 3, next_retry_at = NULL")
    [claimed] = claim(queue)  # in flight, and it may spend a second one
    update(connection, "max_retries = 0")
    assert row(connection, 1)["max_retries"] == 2
    queue.record(1, [tried(claimed, Status.RETRYING)])
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_every_change_of_a_person_has_an_audit_line(connection: Connection) -> None:
    insert(connection)
    update(connection, "send_at = '2100-01-01 00:00+00', priority = 'high'")
    update(connection, "metadata = '{\"a\": 1}', category = 'x', error_message = 'x'")
    update(connection, "status = 'held', body = 'other'")
    lines = connection.execute("SELECT action, metadata FROM noti.audit_log ORDER BY audit_id OFFSET 1").fetchall()
    assert lines == [
        ("notification_changed", {"from": "pending", "to": "pending", "changed": ["priority", "send_at"]}),
        ("notification_changed", {"from": "pending", "to": "pending", "changed": ["category", "metadata"]}),
        ("notification_held", {"from": "pending", "to": "held", "changed": ["body"]}),
    ]


def test_a_cancel_that_waited_for_a_claim_finds_the_row_in_flight(
    connection: Connection, database_url: str, wait_for: Callable[..., Any]
) -> None:
    """Written against the row as it was, judged by the row as it is: no cancelled row is in flight."""
    insert(connection)

    def cancel() -> None:
        with psycopg.connect(database_url, autocommit=True) as application:
            update(application, "status = 'cancelled'")

    with connection.transaction():
        connection.execute(
            "UPDATE noti.notifications_log SET status = 'sending', claimed_by = 1, claim_count = claim_count + 1, "
            "lease_until = now() + interval '2 min'"
        )
        waiting = threading.Thread(target=cancel)
        waiting.start()
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        wait_for(lambda: connection.execute(blocked).fetchone() == (1,), what="the cancel waits for the claim")
    waiting.join()
    found = row(connection, 1)
    assert (found["status"], found["requested"], found["finished_at"]) == ("sending", "cancelled", None)
