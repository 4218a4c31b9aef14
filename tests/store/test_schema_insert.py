"""What may be inserted, what is filled in, and in which words the rest is refused."""

from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg import sql

from noti_worker import enqueue
from tests.store.changes import refusal
from tests.store.rows import insert, row

Connection = psycopg.Connection[Any]

GOOD: dict[str, object] = {"channel": "email", "recipient": "ann@example.com", "subject": "Hello", "body": "Hi"}
WORKERS = (
    "noti: the claim and count columns belong to the workers. Leave out claimed_by, lease_until, dispatched_at, "
    "requested, claim_count, attempt_count, lost_count and retry_count."
)
FOLLOW = "noti: finished_at, held_at, sent_at and failed_at follow the status. Leave them out: they are set for you."
CHANNELS = "Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app."


def statement(connection: Connection, columns: dict[str, object]) -> str:
    return (
        sql.SQL("INSERT INTO noti.notifications_log ({}) VALUES ({})")
        .format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Literal, columns.values()))
        )
        .as_string(connection)
    )


def test_four_columns_are_enough(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body) VALUES ('email', 'ann', 's', 'b')"
    )
    found = row(connection, 1)
    assert (found["status"], found["priority"], found["tenant_id"], found["max_retries"]) == (
        "pending",
        "normal",
        "default",
        3,
    )
    assert found["due_at"] == found["created_at"]
    assert found["message_id"] is not None


def test_explicit_nulls_become_the_defaults(connection: Connection) -> None:
    nulls = [
        "tenant_id",
        "status",
        "priority",
        "max_retries",
        "message_id",
        "created_at",
        "updated_at",
        "claim_count",
        "attempt_count",
        "lost_count",
        "retry_count",
        "finished_at",
        "held_at",
        "send_at",
        "options",
        "claimed_by",
        "lease_until",
    ]
    [notification_id] = insert(connection, 1, **dict.fromkeys(nulls))
    found = row(connection, notification_id)
    assert [name for name in nulls[:11] if found[name] is None] == []
    assert (found["status"], found["priority"], found["tenant_id"], found["max_retries"]) == (
        "pending",
        "normal",
        "default",
        3,
    )
    assert found["due_at"] == found["created_at"]


def test_history_may_be_inserted_with_its_status_alone(connection: Connection) -> None:
    times = {
        "sent": {"finished_at", "sent_at"},
        "failed": {"finished_at", "failed_at"},
        "cancelled": {"finished_at"},
        "suppressed": {"finished_at"},
        "expired": {"finished_at"},
        "held": {"held_at"},
    }
    for status, expected in times.items():
        found = row(connection, insert(connection, status=status)[0])
        assert {name for name in ("finished_at", "held_at", "sent_at", "failed_at") if found[name]} == expected
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


WRONG: list[tuple[dict[str, object], str]] = [
    ({"channel": None}, f"channel is missing. {CHANNELS}"),
    ({"channel": "emial"}, f"channel is unknown. {CHANNELS}"),
    ({"recipient": None}, "recipient is missing. Give one address for the channel."),
    ({"recipient": ""}, "recipient is missing. Give one address for the channel."),
    ({"body": None}, "there is nothing to send. Give a body or a template_id."),
    ({"priority": "asap"}, "priority is unknown. Give one of low, normal, high, urgent."),
    (
        {"status": "new"},
        "status is unknown. Leave it out for a new notification, or set cancelled, held or pending.",
    ),
    ({"on_uncertain": "guess"}, "on_uncertain is unknown. Give one of retry, hold, fail, or leave it out."),
    ({"entity_type": "order"}, "entity_type and entity_id come together. Give both or neither."),
    ({"entity_id": "17"}, "entity_type and entity_id come together. Give both or neither."),
    ({"max_retries": -1}, "max_retries is out of range. Give a number from 0 to 1000."),
    ({"max_retries": 1001}, "max_retries is out of range. Give a number from 0 to 1000."),
    ({"tenant_id": ""}, "tenant_id is empty. Leave it out for the default tenant."),
]


def test_a_wrong_value_is_refused_in_two_sentences(connection: Connection) -> None:
    for columns, message in WRONG:
        assert refusal(connection, statement(connection, GOOD | columns)) == ("23514", f"noti: {message}")


def test_a_senseless_time_is_refused(connection: Connection) -> None:
    senseless = ("infinity", "-infinity", "1999-12-31 00:00+00", "2200-01-02 00:00+00")
    for column, value in product(("created_at", "updated_at", "send_at", "expires_at"), senseless):
        assert refusal(connection, statement(connection, GOOD | {column: value})) == (
            "23514",
            f"noti: {column} is not a sensible time. Give one between the years 2000 and 2200 (infinity is none).",
        )


def test_a_senseless_time_of_history_is_refused(connection: Connection) -> None:
    for column in ("finished_at", "sent_at"):
        assert refusal(connection, statement(connection, GOOD | {"status": "sent", column: "infinity"})) == (
            "23514",
            "noti: finished_at is not a sensible time. Give one between the years 2000 and 2200 (infinity is none).",
        )


LARGEST = {
    "recipient": (4096, "4096 bytes"),
    "subject": (4096, "4096 bytes"),
    "body": (1_048_576, "1 MB"),
    "tenant_id": (128, "128 bytes"),
    "entity_type": (128, "128 bytes"),
    "entity_id": (256, "256 bytes"),
    "template_id": (256, "256 bytes"),
    "locale": (64, "64 bytes"),
    "idempotency_key": (256, "256 bytes"),
    "category": (256, "256 bytes"),
    "provider": (256, "256 bytes"),
    "collapse_key": (256, "256 bytes"),
    "traceparent": (256, "256 bytes"),
    "error_message": (8192, "8192 bytes"),
}


def test_a_text_has_its_largest_size(connection: Connection) -> None:
    entity = {"entity_type": "order", "entity_id": "17"}
    for column, (most, words) in LARGEST.items():
        insert(connection, 1, **(entity | {column: "x" * most}))
        assert refusal(connection, statement(connection, GOOD | entity | {column: "x" * (most + 1)})) == (
            "23514",
            f"noti: {column} is larger than {words}. Make it smaller, or store it elsewhere and send a link.",
        )


def test_the_workers_columns_cannot_be_inserted(connection: Connection) -> None:
    columns: dict[str, object] = {
        "claimed_by": 1,
        "lease_until": "2100-01-01 00:00+00",
        "dispatched_at": "2025-01-01 00:00+00",
        "requested": "cancelled",
        "claim_count": 2_147_483_647,
        "attempt_count": 1,
        "lost_count": 5,
        "retry_count": 1,
    }
    for name, value in columns.items():
        assert refusal(connection, statement(connection, GOOD | {name: value})) == ("23514", WORKERS)
        assert refusal(connection, statement(connection, GOOD | {name: value, "status": "sent"})) == ("23514", WORKERS)


def test_the_workers_statuses_cannot_be_inserted(connection: Connection) -> None:
    for status in ("sending", "retrying", "unknown"):
        assert refusal(connection, statement(connection, GOOD | {"status": status})) == (
            "23514",
            (
                f"noti: a new notification cannot be {status}. "
                "Leave status out; held and finished history may be inserted too."
            ),
        )


def test_a_retry_cannot_be_inserted(connection: Connection) -> None:
    assert refusal(connection, statement(connection, GOOD | {"next_retry_at": "2030-01-01 00:00+00"})) == (
        "23514",
        "noti: next_retry_at belongs to the workers. Use send_at to send later.",
    )


def test_nobody_jumps_the_line_with_a_time_of_long_ago(connection: Connection) -> None:
    for columns in ({}, {"max_retries": None, "priority": None}, {"status": "held"}):
        found = row(connection, insert(connection, send_at="2000-01-01 00:00+00", **columns)[0])
        assert found["send_at"] == found["due_at"] == found["created_at"]
    [later] = insert(connection, send_at="2100-01-01 00:00+00")
    assert row(connection, later)["due_at"].year == 2100
    history = row(connection, insert(connection, status="sent", send_at="2001-01-01 00:00+00")[0])
    assert history["send_at"].year == 2001


def test_times_that_do_not_fit_the_status_are_refused(connection: Connection) -> None:
    past = "2025-01-01 00:00+00"
    misfits: list[dict[str, object]] = [
        {"finished_at": past},
        {"held_at": past},
        {"sent_at": past},
        {"failed_at": past},
        {"status": "failed", "sent_at": past},
        {"status": "sent", "held_at": past},
    ]
    for columns in misfits:
        assert refusal(connection, statement(connection, GOOD | columns)) == ("23514", FOLLOW)


def test_copy_and_bulk_inserts_are_audited_row_by_row(connection: Connection) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY noti.notifications_log (channel, recipient, subject, body) FROM STDIN") as copy,
    ):
        for number in range(500):
            copy.write_row(("email", f"user{number}@example.com", "s", "b"))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES (%s, %s, %s)",
            [("sms", f"+491700000{number:03}", "b") for number in range(500)],
        )
    assert connection.execute(
        "SELECT count(*), count(DISTINCT entity_id) FROM noti.audit_log WHERE action = 'notification_triggered'"
    ).fetchone() == (1000, 1000)


def test_an_audit_line_has_neither_address_nor_body(connection: Connection) -> None:
    insert(
        connection, recipient="ann@example.com", subject="Very secret", body="hidden words", options='{"cc": ["c@x.y"]}'
    )
    found = connection.execute("SELECT audit_log::text FROM noti.audit_log").fetchone()
    assert found is not None
    assert not any(word in found[0] for word in ("ann@", "secret", "hidden", "c@x"))


def test_an_audit_line_says_what_was_asked_for(connection: Connection) -> None:
    connection.execute("SET timezone = 'Asia/Kolkata'")
    insert(connection)
    insert(connection, entity_type='a "quoted" \\ word', entity_id="\u2028{},\n", template_id="NULL", body=None)
    insert(connection, send_at="2030-01-01 00:00:00.5+00", expires_at="2031-01-01 00:00+00", priority="low")
    insert(connection, status="sent", entity_type=" ", entity_id="17")
    found = connection.execute(
        """
        SELECT a.metadata = jsonb_strip_nulls(jsonb_build_object(
                 'status', n.status, 'channel', n.channel, 'priority', n.priority, 'entity_type', n.entity_type,
                 'entity_id', n.entity_id, 'template_id', n.template_id, 'send_at', n.send_at,
                 'expires_at', n.expires_at))
          FROM noti.audit_log a JOIN noti.notifications_log n ON a.entity_id = n.notification_id::text
        """
    ).fetchall()
    assert found == [(True,)] * 4


def test_a_used_key_is_a_unique_violation_or_nothing(connection: Connection) -> None:
    insert(connection, idempotency_key="k")
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert(connection, idempotency_key="k")
    nothing = connection.execute(
        """
        INSERT INTO noti.notifications_log (channel, recipient, body, idempotency_key) VALUES ('email', 'a', 'b', 'k')
        ON CONFLICT DO NOTHING
        """
    )
    assert nothing.rowcount == 0
    assert len(insert(connection, idempotency_key="k", tenant_id="acme")) == 1
    assert connection.execute("SELECT count(*) FROM noti.audit_log").fetchone() == (2,)


def test_an_application_needs_no_right_on_the_audit_log(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE noti_test_app")
        connection.execute("GRANT USAGE ON SCHEMA noti TO noti_test_app")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON noti.notifications_log TO noti_test_app")
        connection.execute("SET LOCAL ROLE noti_test_app")
        assert connection.execute("SELECT noti.send('email', 'a@example.com', 's', 'b')").fetchone() == (1,)
        assert connection.execute("SELECT noti.cancel(1)").fetchone() == ("cancelled",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("SELECT * FROM noti.audit_log")
        connection.execute("RESET ROLE")
        assert connection.execute("SELECT action, action_by FROM noti.audit_log ORDER BY audit_id").fetchall() == [
            ("notification_triggered", f"{connection.info.user} as noti_test_app"),
            ("notification_cancelled", f"{connection.info.user} as noti_test_app"),
        ]


def said(connection: Connection, notification_id: int) -> tuple[int, bool]:
    found = row(connection, notification_id)
    return found["max_retries"], found["retries_said"]


def test_retries_are_said_only_when_they_were_given(connection: Connection) -> None:
    """What is not said is the channel's matter; workers of the version before read 3."""

    def send(more: str) -> int:
        call = f"SELECT noti.send('email', 'ann@example.com', body => 'x'{more})"
        found = connection.execute(call.encode()).fetchone()
        assert found is not None
        return int(found[0])

    unsaid = [
        *insert(connection),
        *insert(connection, max_retries=None),
        *insert(connection, max_retries=None, tenant_id=None),
        *insert(connection, max_retries=None, status="held"),
        send(""),
        send(", max_retries => NULL"),
        enqueue(connection, channel="email", recipient="ann@example.com", body="x"),
        enqueue(connection, channel="email", recipient="ann@example.com", body="x", max_retries=None),
    ]
    assert [said(connection, one) for one in unsaid] == [(3, False)] * len(unsaid)
    given = [
        *insert(connection, max_retries=3),
        *insert(connection, max_retries=0, tenant_id=None),
        send(", max_retries => 5"),
        enqueue(connection, channel="email", recipient="ann@example.com", body="x", max_retries=1),
    ]
    assert [said(connection, one) for one in given] == [(3, True), (0, True), (5, True), (1, True)]
    connection.execute("UPDATE noti.notifications_log SET max_retries = 4 WHERE notification_id = %s", [unsaid[0]])
    assert said(connection, unsaid[0]) == (4, True)
