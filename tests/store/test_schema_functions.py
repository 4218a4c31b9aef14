"""The functions for applications: send, cancel, hold, release, requeue; the views queue and dead."""

import threading
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.changes import refusal
from tests.store.rows import AT_ONCE, claim, insert, row, tried

Connection = psycopg.Connection[Any]

SEND = "SELECT noti.send('email', 'ann@example.com', 'Hello', 'Hi', idempotency_key => 'k'"


def one(connection: Connection, query: str) -> Any:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return found[0]


def test_send_takes_every_field_by_name(connection: Connection) -> None:
    number = one(
        connection,
        """
        SELECT noti.send(channel => 'push', recipient => 'token', subject => 's', body => 'b', template_id => 't',
          template_data => '{"a": 1}', tenant_id => 'acme', entity_type => 'order', entity_id => '17',
          priority => 'high', send_at => '2100-01-01 00:00+00', expires_at => '2100-01-02 00:00+00',
          idempotency_key => 'k', max_retries => 7, locale => 'de', category => 'news', provider => 'fcm',
          collapse_key => 'c', on_uncertain => 'hold',
          options => '{"o": 1}', metadata => '{"m": 1}', traceparent => '00-1')
        """,
    )
    found = row(connection, number)
    assert {
        name: found[name] for name in ("channel", "recipient", "subject", "body", "template_id", "template_data")
    } == {
        "channel": "push",
        "recipient": "token",
        "subject": "s",
        "body": "b",
        "template_id": "t",
        "template_data": {"a": 1},
    }
    names = (
        "tenant_id",
        "entity_type",
        "entity_id",
        "priority",
        "idempotency_key",
        "max_retries",
        "locale",
        "category",
    )
    assert [found[name] for name in names] == ["acme", "order", "17", "high", "k", 7, "de", "news"]
    others = ("provider", "collapse_key", "on_uncertain", "options", "metadata", "traceparent")
    assert [found[name] for name in others] == ["fcm", "c", "hold", {"o": 1}, {"m": 1}, "00-1"]
    assert (found["send_at"].year, found["expires_at"].day) == (2100, 2)


def test_send_fills_nulls_in(connection: Connection) -> None:
    number = one(
        connection,
        "SELECT noti.send('sms', '+49170', body => 'b', tenant_id => NULL, priority => NULL, max_retries => NULL)",
    )
    found = row(connection, number)
    assert (found["tenant_id"], found["priority"], found["max_retries"]) == ("default", "normal", 3)


@pytest.mark.parametrize("field", ["options", "template_data", "metadata"])
def test_send_takes_objects_only(connection: Connection, field: str) -> None:
    assert refusal(connection, f"SELECT noti.send('sms', '+49170', body => 'b', {field} => '[1]')") == (
        "23514",
        f"noti: {field} is not a JSON object. Give one, or leave it out.",
    )


def test_the_same_key_and_content_give_the_same_id(connection: Connection, queue: PostgresQueue) -> None:
    first = one(connection, f'{SEND}, options => \'{{"a": 1, "b": 2}}\')')
    # By value, and what is not content may differ.
    assert (
        one(connection, f"{SEND}, options => '{{\"b\": 2.0, \"a\": 1}}', priority => 'low', metadata => '{{}}')")
        == first
    )
    [claimed] = claim(queue)
    queue.record(1, [tried(claimed, Status.FAILED)])
    assert one(connection, f'{SEND}, options => \'{{"a": 1, "b": 2}}\')') == first  # also when that one failed
    assert one(connection, "SELECT count(*) FROM noti.notifications_log") == 1


@pytest.mark.parametrize(
    "other",
    [
        "channel => 'sms', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi'",
        "channel => 'email', recipient => 'bob@example.com', subject => 'Hello', body => 'Hi'",
        "channel => 'email', recipient => 'ann@example.com', subject => NULL, body => 'Hi'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Ho'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi', template_id => 't'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi', template_data => '{}'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi', locale => 'de'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi', options => '{}'",
        "channel => 'email', recipient => 'ann@example.com', subject => 'Hello', body => 'Hi', provider => 'relay'",
    ],
)
def test_the_same_key_and_other_content_are_refused(connection: Connection, other: str) -> None:
    one(connection, f"{SEND})")
    assert refusal(connection, f"SELECT noti.send({other}, idempotency_key => 'k')") == (
        "23505",
        (
            "noti: the idempotency key belongs to another message, notification 1. "
            "Use a new key, or send the same content."
        ),
    )
    assert one(connection, f"SELECT noti.send({other}, idempotency_key => 'k', tenant_id => 'acme')") > 1


def test_two_who_send_with_one_key_get_one_id(connection: Connection, database_url: str) -> None:
    answers: list[int] = []

    def send_too() -> None:
        with psycopg.connect(database_url, autocommit=True) as other:
            answers.append(one(other, f"{SEND})"))

    with connection.transaction():
        first = one(connection, f"{SEND})")
        second = threading.Thread(target=send_too)
        second.start()
    second.join()
    assert answers == [first]


def test_what_a_transaction_rolls_back_was_never_sent(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        one(connection, f"{SEND})")
    assert one(connection, "SELECT count(*) FROM noti.notifications_log") == 0
    assert one(connection, "SELECT count(*) FROM noti.audit_log") == 0


def test_the_moves_answer_with_the_status(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, 2)
    story = [
        ("hold", "held"),
        ("hold", "held"),
        ("requeue", "held"),
        ("release", "pending"),
        ("release", "pending"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
        ("hold", "cancelled"),
        ("release", "cancelled"),
        ("requeue", "pending"),
    ]
    for function, answer in story:
        assert one(connection, f"SELECT noti.{function}(1)") == answer
    queue.record(1, [tried(claimed) for claimed in claim(queue)])
    for function in ("cancel", "hold", "release", "requeue"):
        assert one(connection, f"SELECT noti.{function}(2)") == "sent"
        assert one(connection, f"SELECT noti.{function}(99)") is None


def test_the_moves_of_a_row_in_flight_are_noted(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    claim(queue)
    assert one(connection, "SELECT noti.hold(1)") == "held requested"
    assert one(connection, "SELECT noti.release(1)") == "sending"
    assert row(connection, 1)["requested"] is None
    assert one(connection, "SELECT noti.cancel(1)") == "cancelled requested"
    for function in ("hold", "release", "requeue", "cancel"):
        assert one(connection, f"SELECT noti.{function}(1)") == "cancelled requested"


def test_the_queue_says_what_each_row_waits_for(connection: Connection, queue: PostgresQueue) -> None:
    numbers = {
        "waiting": insert(connection)[0],
        "unknown": insert(connection)[0],
        "in flight": insert(connection)[0],
        "lost": insert(connection)[0],
    }
    waiting, unknown = claim(queue, 2)
    queue.record(1, [tried(waiting, Status.RETRYING), tried(unknown, Status.UNKNOWN)])
    claim(queue, 1)
    claim(queue, 1, lease=AT_ONCE)
    numbers["held"] = insert(connection, status="held")[0]
    numbers["due"] = insert(connection)[0]
    numbers["scheduled"] = insert(connection, send_at="2100-01-01 00:00+00")[0]
    numbers["expiring"] = insert(connection, expires_at="2001-01-01 00:00+00")[0]
    insert(connection, status="sent")
    found = connection.execute("SELECT state, notification_id FROM noti.queue").fetchall()
    assert dict(found) == numbers
    assert len(found) == len(numbers)


def test_dead_letters_are_those_that_failed(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, 2)
    failed, sent = claim(queue)
    queue.record(1, [tried(failed, Status.FAILED), tried(sent)])
    dead = "SELECT notification_id, error_message FROM noti.dead"
    assert connection.execute(dead.encode()).fetchall() == [(1, "no such user")]
    one(connection, "SELECT noti.requeue(1)")
    assert connection.execute(dead.encode()).fetchall() == []
