"""What may be changed in a notification, when, and in which words the rest is refused."""

from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.refusals import refusal
from tests.store.rows import LEASE, claim, decided, insert, row, tried

Connection = psycopg.Connection[Any]

CLAIM_COLUMNS = (
    "noti: notification 1: the claim and count columns belong to the workers. "
    "Read the row again and update only the columns that you mean to change."
)
IN_FLIGHT = (
    "noti: notification 1: it is being sent and its content cannot change now. "
    "Try again when its status is not sending."
)
CONTENT = {
    "channel": "'sms'",
    "recipient": "'bob@example.com'",
    "subject": "'other'",
    "body": "'other'",
    "template_id": "'other'",
    "template_data": "'{\"a\": 1}'",
    "locale": "'de'",
    "options": "'{\"a\": 1}'",
    "provider": "'other'",
}
FROZEN = CONTENT | {"on_uncertain": "'hold'"}


def update(connection: Connection, assignments: str, number: int = 1) -> None:
    connection.execute(f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = {number}".encode())


def refused(connection: Connection, assignments: str, number: int = 1) -> tuple[str, str]:
    return refusal(connection, f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = {number}")


def actions(connection: Connection) -> list[str]:
    """What the database itself wrote into the audit log after the insert, oldest first."""
    query = "SELECT action FROM noti.audit_log WHERE action_by_type = 'db' ORDER BY audit_id OFFSET 1"
    return [action.removeprefix("notification_") for (action,) in connection.execute(query.encode()).fetchall()]


def finish(connection: Connection, queue: PostgresQueue, status: Status = Status.FAILED) -> int:
    """Insert a notification, try it once, record the result; gives its id."""
    [number] = insert(connection)
    [claimed] = claim(queue)
    assert queue.record(1, [tried(claimed, status)]) == {number: "applied"}
    return number


# ------------------------------------------------------------------------------------ the claim


@pytest.mark.parametrize(
    "assignments",
    [
        "claimed_by = NULL, lease_until = NULL, claim_count = 0, status = 'pending', metadata = '{}'",
        "body = 'forged', claim_count = claim_count + 2",
        "claimed_by = 2",
        "claimed_by = NULL",
        "claimed_by = NULL, lease_until = NULL",
        "claim_count = claim_count + 1, claimed_by = 9, lease_until = NULL",
        "claim_count = NULL",
        "lease_until = lease_until - interval '1 s'",
        "lease_until = lease_until + interval '1 h', dispatched_at = now()",
        "attempt_count = 7",
        "retry_count = 1",
        "lost_count = 1",
    ],
)
def test_a_stale_copy_written_back_does_not_break_the_fence(
    connection: Connection, queue: PostgresQueue, assignments: str
) -> None:
    insert(connection)
    [claimed] = claim(queue)
    assert refused(connection, assignments) == ("55006", CLAIM_COLUMNS)
    assert queue.record(1, [tried(claimed)]) == {1: "applied"}


def test_an_orm_that_wrote_the_whole_row_back_is_refused_while_it_is_in_flight(
    connection: Connection, queue: PostgresQueue
) -> None:
    insert(connection)
    before = row(connection, 1)
    claim(queue)
    names = [name for name in before if name not in {"notification_id", "due_at"}]
    assignments = ", ".join(f"{name} = %({name})s" for name in names)
    assert refusal(
        connection, f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = 1", before
    ) == (
        "55006",
        CLAIM_COLUMNS,
    )


def test_a_finished_row_cannot_be_claimed_by_hand(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.SENT)
    forged = "body = 'forged', claim_count = claim_count + 1, claimed_by = 9, lease_until = now(), status = 'sending'"
    assert refused(connection, forged) == ("55006", CLAIM_COLUMNS)
    assert row(connection, 1)["body"] == "Hi"


@pytest.mark.parametrize(
    "assignments",
    [
        "tenant_id = 'acme'",
        "message_id = gen_random_uuid()",
        "created_at = created_at - interval '1 day'",
    ],
)
def test_the_identity_of_a_row_never_changes(connection: Connection, assignments: str) -> None:
    insert(connection)
    assert refused(connection, assignments) == (
        "23514",
        (
            "noti: notification 1: notification_id, tenant_id, message_id and created_at never change. "
            "Insert a new notification instead."
        ),
    )


def test_the_moves_of_a_worker_do_not_pay_for_the_guard(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, 2)
    connection.execute(
        "CREATE OR REPLACE FUNCTION noti.on_update() RETURNS trigger LANGUAGE plpgsql "
        "AS $$BEGIN RAISE 'the guard ran'; END$$"
    )
    first, second = claim(queue)
    assert queue.extend(1, [first], 2 * LEASE) == frozenset()
    assert queue.dispatch(1, first)
    assert queue.release(1, [first]) == 1
    assert queue.record(1, [tried(second)]) == {second.notification_id: "applied"}
    with pytest.raises(psycopg.errors.RaiseException, match="the guard ran"):
        update(connection, "status = 'cancelled'")


# ------------------------------------------------------------------------------------ content


def test_content_may_change_while_a_row_waits(connection: Connection) -> None:
    insert(connection)
    message_id = row(connection, 1)["message_id"]
    for column, value in CONTENT.items():
        update(connection, f"{column} = {value}")
    assert row(connection, 1)["message_id"] == message_id
    assert actions(connection) == ["changed"] * len(CONTENT)


def test_content_cannot_change_in_flight(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    claim(queue)
    for column, value in FROZEN.items():
        assert refused(connection, f"{column} = {value}") == ("55006", IN_FLIGHT)


def test_the_content_of_a_sent_row_is_history(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.SENT)
    for column, value in CONTENT.items():
        assert refused(connection, f"{column} = {value}") == (
            "23514",
            "noti: notification 1: it is sent and its content is history. Insert a new notification instead.",
        )


def test_the_content_of_a_failed_row_changes_only_with_its_requeue(
    connection: Connection, queue: PostgresQueue
) -> None:
    for column, value in CONTENT.items():
        number = finish(connection, queue)
        before = row(connection, number)
        assert refused(connection, f"{column} = {value}", number) == (
            "23514",
            (
                f"noti: notification {number}: it is failed and its content is history. "
                "Correct it in the UPDATE that sets status = 'pending', which queues it again."
            ),
        )
        update(connection, f"status = 'pending', send_at = '2100-01-01 00:00+00', {column} = {value}", number)
        after = row(connection, number)
        assert after["status"] == "pending"
        assert after["message_id"] != before["message_id"]  # another message for those who deduplicate


def test_a_requeue_without_correction_keeps_the_message_id(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue)
    before = row(connection, 1)
    update(connection, "status = 'pending'")
    assert row(connection, 1)["message_id"] == before["message_id"]


def test_a_correction_of_a_row_that_was_never_tried_keeps_the_message_id(connection: Connection) -> None:
    insert(connection, status="cancelled")
    before = row(connection, 1)
    update(connection, "status = 'pending', recipient = 'bob@example.com'")
    assert row(connection, 1)["message_id"] == before["message_id"]


def test_a_correction_between_two_tries_is_another_message(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.RETRYING)
    before = row(connection, 1)
    update(connection, "recipient = 'bob@example.com'")
    assert row(connection, 1)["message_id"] != before["message_id"]


@pytest.mark.parametrize(
    ("assignments", "fault"),
    [
        ("priority = 'asap'", "priority is unknown. Give one of low, normal, high, urgent."),
        ("priority = NULL", "priority is null. Leave the column out or give a value."),
        ("body = NULL", "there is nothing to send. Give a body or a template_id."),
        ("recipient = NULL", "recipient is missing. Give one address for the channel."),
        (
            "expires_at = 'infinity'",
            "expires_at is not a sensible time. Give one between the years 2000 and 2200 (infinity is none).",
        ),
        (
            "next_retry_at = 'infinity'",
            "next_retry_at is not a sensible time. Give one between the years 2000 and 2200 (infinity is none).",
        ),
        (
            "metadata = jsonb_build_object('a', repeat('x', 300000))",
            "metadata is larger than 256 kB. Make it smaller, or store it elsewhere and send a link.",
        ),
    ],
)
def test_a_wrong_value_is_refused_without_showing_the_row(connection: Connection, assignments: str, fault: str) -> None:
    insert(connection)
    assert refused(connection, assignments) == ("23514", f"noti: notification 1: {fault}")


# ------------------------------------------------------------------------------------ moves

MOVES = {
    ("pending", "cancelled"),
    ("pending", "held"),
    ("retrying", "cancelled"),
    ("retrying", "held"),
    ("held", "pending"),
    ("held", "cancelled"),
    ("unknown", "pending"),
    ("unknown", "cancelled"),
    ("failed", "pending"),
    ("expired", "pending"),
    ("cancelled", "pending"),
    ("suppressed", "pending"),
}
ADVICE = {
    "pending": "It can be cancelled or held.",
    "retrying": "It can be cancelled or held.",
    "held": "It can be cancelled, or released with status = 'pending'.",
    "unknown": "It can be cancelled, or released with status = 'pending'.",
    "sent": "It is history: add AND finished_at IS NULL to the UPDATE.",
}


def bring_to(connection: Connection, queue: PostgresQueue, status: Status) -> int:
    """Make a notification that has `status`, the way that a worker or an application would; gives its id."""
    match status:
        case Status.PENDING:
            [number] = insert(connection)
        case Status.CANCELLED | Status.SUPPRESSED:
            [number] = insert(connection, status=status.value)
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


def test_requested_is_not_for_applications(connection: Connection, queue: PostgresQueue) -> None:
    bring_to(connection, queue, Status.SENDING)
    assert refused(connection, "requested = 'cancelled'") == (
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
    update(connection, "metadata = '{\"a\": 1}', error_message = 'x'")  # nothing that changes what happens
    update(connection, "status = 'held', body = 'other'")
    lines = connection.execute("SELECT action, metadata FROM noti.audit_log ORDER BY audit_id OFFSET 1").fetchall()
    assert lines == [
        ("notification_changed", {"from": "pending", "to": "pending", "changed": ["priority", "send_at"]}),
        ("notification_held", {"from": "pending", "to": "held", "changed": ["body"]}),
    ]
