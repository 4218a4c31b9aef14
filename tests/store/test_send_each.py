"""One message on several channels: noti.send(channels => …), and what waits for what."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import Lane
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Channel, Drop, Notification, Priority, Status, Wait
from noti_worker.domain.permits.answered import answered
from noti_worker.store.client import enqueue_each
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, decided, row, tried
from tests.store.test_contacts import contact

EACH = [Lane(channel, Priority.NORMAL, "default") for channel in Channel]


def send(connection: Connection, channels: str, **fields: Any) -> dict[str, int]:
    given = {"channels": channels, "recipient": "user:42", "body": "Hi"} | fields
    asked = ", ".join(f"{name} => %s" for name in given)
    query = f"SELECT * FROM noti.send({asked})".encode()
    return dict(connection.execute(query, [*given.values()]).fetchall())


def test_a_plain_call_is_the_one_message_that_it_was(connection: Connection) -> None:
    for call in (
        "noti.send('email', 'ann@example.com', 'Hello', 'Hi')",
        "noti.send(channel => 'email', recipient => 'ann@example.com', body => 'Hi')",
        "noti.send('email'::varchar, 'ann@example.com', body => 'Hi')",
    ):
        found = connection.execute(f"SELECT pg_typeof({call})::text".encode()).fetchone()
        assert found == ("bigint",)
    named = connection.execute(
        "SELECT channel FROM noti.send(channels => '{email,sms}', recipient => 'user:42', body => 'Hi')"
    ).fetchall()
    assert named == [("email",), ("sms",)]


def test_each_channel_gets_its_options_and_its_key_once(connection: Connection) -> None:
    more = {
        "idempotency_key": "order-17",
        "options": '{"email": {"cc": ["bea@example.com"]}}',
        "policy": "first_success",
    }
    ids = send(connection, "{email,sms,email}", **more)
    assert list(ids) == ["email", "sms"]
    mail, text = (row(connection, ids[channel]) for channel in ids)
    assert (mail["options"], text["options"]) == ({"cc": ["bea@example.com"]}, None)
    assert [n["idempotency_key"] for n in (mail, text)] == ["order-17:email", "order-17:sms"]
    assert (mail["fallback_of"], text["fallback_of"]) == (None, ids["email"])
    assert send(connection, "{email,sms}", **more) == ids


@pytest.mark.parametrize(
    ("channels", "fields", "words"),
    [
        ("{email,pigeon}", {}, 'no channel "pigeon". Known are'),
        ("{}", {}, "no channel is named. Give some"),
        ("{email}", {"policy": "best"}, "policy is unknown. Give all"),
        ("{email}", {"options": '{"cc": []}'}, 'options names "cc", which is no channel. Give'),
        ("{preferred}", {"recipient": "ann@example.com"}, "preferred channels of an address are not known. Name"),
    ],
)
def test_a_wrong_call_is_told(connection: Connection, channels: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=words):
        send(connection, channels, **fields)


def test_preferred_is_where_the_person_is_reached_and_did_not_refuse(connection: Connection) -> None:
    contact(connection, "+4915112345678", channel="sms", place=2)
    contact(connection, "ann@example.com", place=1)
    contact(connection, "token", channel="push", place=3)
    contact(connection, "gone", channel="chat", left_at="2026-01-01", left_because="x")
    refuse = "INSERT INTO noti.preferences (user_ref, category, channel, allowed) VALUES ('42', %s, %s, %s)"
    connection.execute(refuse, ["", "push", False])
    connection.execute(refuse, ["news", "sms", False])
    connection.execute(refuse, ["alarm", "", False])
    connection.execute("INSERT INTO noti.categories (category, mandatory) VALUES ('law', true)")
    assert list(send(connection, "{preferred}")) == ["email", "sms"]
    assert list(send(connection, "{in_app,preferred}", category="news")) == ["in_app", "email"]
    assert list(send(connection, "{preferred}", category="alarm")) == []
    assert list(send(connection, "{preferred}", category="law")) == ["email", "sms", "push"]
    assert list(send(connection, "{preferred}", tenant_id="acme")) == []


def test_the_helper_gives_an_id_per_channel(connection: Connection) -> None:
    ids = enqueue_each(
        connection, ["email", "in_app"], policy="first_success", recipient="user:42", body="Hi", locale="de"
    )
    assert list(ids) == ["email", "in_app"]
    assert row(connection, ids["in_app"])["fallback_of"] == ids["email"]
    with pytest.raises(ValueError, match="channel 'emial' is unknown; did you mean 'email'"):
        enqueue_each(connection, ["emial"], recipient="user:42", body="Hi")
    with pytest.raises(TypeError, match="channels are given, not a channel"):
        enqueue_each(connection, ["email"], channel="sms", recipient="user:42", body="Hi")


@pytest.mark.parametrize(
    ("first", "second", "becomes"),
    [
        (Status.SENT, None, (Status.SUPPRESSED, "notification 1 was delivered by email")),
        (Status.FAILED, None, None),
        (Status.EXPIRED, None, None),
        (Status.RETRYING, None, (Status.RETRYING, "it waits for notification 1 by email")),
        (Status.SENT, Status.SUPPRESSED, (Status.SUPPRESSED, "notification 1 was delivered by email")),
        (Status.FAILED, Status.SENT, (Status.SUPPRESSED, "notification 2 was delivered by sms")),
        (Status.FAILED, Status.RETRYING, (Status.RETRYING, "it waits for notification 2 by sms")),
        (Status.FAILED, Status.FAILED, None),
        ("cancel", None, (Status.CANCELLED, "notification 1, whose place it was to take, was cancelled")),
        ("gone", None, (Status.SUPPRESSED, "notification 1, whose place it was to take, was removed")),
    ],
)
def test_the_next_channel_is_used_only_when_those_before_it_failed(
    queue: PostgresQueue,
    connection: Connection,
    first: Status | str,
    second: Status | None,
    becomes: tuple[Status, str] | None,
) -> None:
    send(connection, "{email,sms,push}" if second else "{email,sms}", policy="first_success")
    connection.execute("UPDATE noti.notifications_log SET send_at = NULL")
    *before, last = sorted(claim(queue, lanes=EACH), key=lambda n: n.notification_id)
    ends = [end for end in (first, second) if isinstance(end, Status)]
    queue.record(1, [_ended(n, end) for n, end in zip(before, ends, strict=False)])
    if first in {"cancel", "gone"}:
        queue.release(1, before)
        connection.execute("SELECT noti.cancel(1)")
    if first == "gone":
        connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = 1")
    stop = answered(last, queue.brief([last])[last.notification_id], Policy(), last.claimed_at)
    match stop:
        case Wait():
            assert stop.delay >= timedelta(seconds=2)
            assert (Status.RETRYING, stop.reason) == becomes
        case Drop():
            assert (stop.status, stop.reason) == becomes
        case _:
            assert (stop, becomes) == (None, None)


def _ended(n: Notification, status: Status) -> Result:
    return decided(n, status) if status is Status.SUPPRESSED else tried(n, status)
