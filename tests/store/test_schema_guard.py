"""What may be changed in a notification, when, and in which words the rest is refused."""

from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.changes import actions, finish, refusal, refused, update
from tests.store.rows import LEASE, claim, insert, row, tried

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


# ------------------------------------------------------------------------------------ the claim


def test_a_stale_copy_written_back_does_not_break_the_fence(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    [claimed] = claim(queue)
    for assignments in (
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
    ):
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


def test_an_orm_may_write_a_fresh_copy_back(connection: Connection, queue: PostgresQueue) -> None:
    finish(connection, queue, Status.RETRYING)
    fresh = row(connection, 1) | {"status": "cancelled", "updated_at": "2025-01-01 00:00+00"}
    names = [name for name in fresh if name not in {"notification_id", "due_at"}]
    assignments = ", ".join(f"{name} = %({name})s" for name in names)
    connection.execute(f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = 1".encode(), fresh)
    found = row(connection, 1)
    assert found["status"] == "cancelled"
    assert found["finished_at"] is not None
    assert found["updated_at"] >= found["finished_at"]


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
            "noti: notification 1: notification_id, tenant_id, message_id, created_at and copy_of never change. "
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
    assert queue.extend(1, [first], 2 * LEASE) == {}
    assert queue.dispatch(1, first)
    assert queue.release(1, [first]) == {(first.notification_id, 1): "released"}
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
        ("max_retries = NULL", "max_retries is null. Leave the column out or give a value."),
        ("max_retries = -1", "max_retries is out of range. Give a number from 0 to 1000."),
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


# ------------------------------------------------------------------------------------ what is finished

FINISHED = {
    "priority": "'urgent'",
    "send_at": "'2100-01-01 00:00+00'",
    "expires_at": "'2100-01-01 00:00+00'",
    "next_retry_at": "'2100-01-01 00:00+00'",
    "max_retries": "7",
    "on_uncertain": "'hold'",
    "category": "'other'",
    "metadata": "'{\"a\": 1}'",
}


def test_a_finished_row_changes_only_with_its_requeue(connection: Connection, queue: PostgresQueue) -> None:
    sent, failed = finish(connection, queue, Status.SENT), finish(connection, queue)
    for column, value in FINISHED.items():
        assert refused(connection, f"{column} = {value}", sent) == (
            "23514",
            f"noti: notification {sent}: it is sent and does not change any more. Insert a new notification instead.",
        )
        assert refused(connection, f"{column} = {value}", failed) == (
            "23514",
            (
                f"noti: notification {failed}: it is failed and does not change any more. "
                "Change it in the UPDATE that sets status = 'pending', which queues it again."
            ),
        )
    together = ", ".join(f"{column} = {value}" for column, value in FINISHED.items() if column != "next_retry_at")
    update(connection, f"status = 'pending', {together}", failed)
    found = row(connection, failed)
    assert (found["status"], found["priority"], found["category"], found["metadata"]) == (
        "pending", "urgent", "other", {"a": 1},
    )  # fmt: skip


def test_nobody_jumps_the_line_with_a_time_of_long_ago(connection: Connection) -> None:
    insert(connection)
    created = row(connection, 1)["created_at"]
    update(connection, "send_at = '2000-01-01 00:00+00'")
    found = row(connection, 1)
    assert (found["send_at"], found["due_at"]) == (created, created)


def test_a_document_is_bounded_as_text_when_it_changes(connection: Connection) -> None:
    insert(connection)
    for column in ("template_data", "options", "metadata"):
        assert refused(connection, f"{column} = '[1e131071, 1e131071]'") == (
            "23514",
            (
                f"noti: notification 1: {column} is larger than 256 kB as text. "
                "Make it smaller, or store it elsewhere and send a link."
            ),
        )
