"""A copy that was refused for now is written with the mail that was sent, as a row of its own."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import LaterCopy
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.store.people import listing
from noti_worker.store.people.listing import Story
from noti_worker.store.people.source import for_people
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, Connection, attempts, audit, claim, insert, row, tried
from tests.system.daemon import member_of

GREYLISTED = Outcome(
    Kind.TRANSIENT,
    Scope.RECIPIENT,
    code="451 4.7.1",
    error="the server refused the recipient: 451 4.7.1 <carl@example.com> Greylisted",
    response={"conversation": [{"stage": "rcpt", "code": 451, "text": "4.7.1 Greylisted"}]},
    stage="rcpt",
    rule="smtp.greylisted",
)
LATER = LaterCopy(
    "cc[1]", Verdict(Status.RETRYING, "not accepted for now", wait=timedelta(minutes=1), charge=True), GREYLISTED
)
CROWDED = LaterCopy("bcc[0]", Verdict(Status.RETRYING, "too many at once", wait=timedelta(0)), GREYLISTED)
OPTIONS = (
    '{"cc": ["bea@example.com", "Carl <carl@example.com>"], "bcc": "dora@example.com", "reply_to": "me@example.com"}'
)
SAME = (
    "message_id", "created_at", "send_at", "expires_at", "tenant_id", "entity_type", "entity_id", "channel", "subject",
    "body", "template_id", "template_data", "locale", "priority", "max_retries", "retries_said", "category",
    "on_uncertain", "metadata", "traceparent", "template_version",
)  # fmt: skip
OWN = {
    "notification_id", "copy_of", "recipient", "options", "provider", "status", "due_at", "next_retry_at", "claimed_by",
    "claim_count", "lease_until", "attempt_count", "retry_count", "lost_count", "error_message", "finished_at",
    "held_at", "sent_at", "failed_at", "dispatched_at", "requested", "idempotency_key", "collapse_key", "updated_at",
    "receipt", "receipt_at", "fallback_of", "digest_key",
}  # fmt: skip


def mail(connection: Connection, queue: PostgresQueue, *follows: LaterCopy, **columns: Any) -> Result:
    """A mail that was sent, with what follows."""
    insert(connection, recipient="Ann <ann@example.com>", options=OPTIONS, **columns)
    return tried(claim(queue)[0], follows=follows)


def invariants(connection: Connection) -> list[Any]:
    return connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()


def test_it_is_the_same_message_to_one_address_with_its_first_try_behind_it(
    queue: PostgresQueue, connection: Connection
) -> None:
    whole = {
        "entity_type": "order", "entity_id": "17", "template_id": "t", "template_data": '{"a": 1}', "locale": "de",
        "max_retries": 7, "category": "news", "provider": "smtp", "on_uncertain": "hold", "metadata": '{"m": 1}',
        "traceparent": "00-1", "idempotency_key": "k", "collapse_key": "c", "expires_at": "2100-01-01",
        "template_version": 3,
    }  # fmt: skip
    assert queue.record(1, [mail(connection, queue, LATER, CROWDED, **whole)]) == {1: "applied"}
    sent, copy, other = (row(connection, number) for number in (1, 2, 3))
    assert set(sent) == {*SAME, *OWN}, "a new column: does a copy need it?"
    assert {name: copy[name] for name in SAME} == {name: sent[name] for name in SAME}
    assert (sent["status"], sent["copy_of"], copy["status"], copy["copy_of"]) == ("sent", None, "retrying", 1)
    assert (copy["recipient"], other["recipient"]) == ("Carl <carl@example.com>", "dora@example.com")
    assert copy["options"] == other["options"]
    assert copy["options"] == {
        "cc": ["bea@example.com", "Carl <carl@example.com>"],
        "reply_to": "me@example.com",
        "copy_of": "Ann <ann@example.com>",
    }
    assert (copy["attempt_count"], copy["retry_count"], other["retry_count"]) == (1, 1, 0)
    assert (copy["idempotency_key"], copy["collapse_key"]) == (None, None)
    assert (sent["provider"], copy["provider"]) == ("smtp", "relay"), "the account that took the mail"
    assert copy["next_retry_at"] - other["next_retry_at"] == timedelta(minutes=1)
    assert copy["error_message"] == GREYLISTED.error
    [attempt], [line] = attempts(connection, 2), audit(connection, 2)
    [of_the_mail] = attempts(connection, 1)
    alike = ("account", "provider", "worker", "started_at", "duration_ms")
    assert [attempt[name] for name in alike] == [of_the_mail[name] for name in alike]
    assert (attempt["attempt_number"], attempt["status"], attempt["kind"]) == (1, "retrying", "transient")
    assert (attempt["code"], attempt["stage"], attempt["scope"]) == ("451 4.7.1", "rcpt", "recipient")
    assert (attempt["rule"], attempt["response_data"]) == ("smtp.greylisted", GREYLISTED.response)
    assert line["action"] == "notification_retrying"
    expected = {"reason": "not accepted for now", "kind": "transient", "account": "relay", "attempt": 1, "wait_s": 60}
    assert line["metadata"] == expected
    assert invariants(connection) == []
    found = connection.execute("SELECT count(DISTINCT xmin::text) FROM noti.notifications_log").fetchone()
    assert found == (1,), "one transaction"


def test_what_did_not_say_its_retries_does_not_say_them_in_a_copy_either(
    queue: PostgresQueue, connection: Connection
) -> None:
    queue.record(1, [mail(connection, queue, CROWDED)])
    [copy] = claim(queue)
    assert (copy.notification_id, copy.copy_of, copy.max_retries) == (2, 1, None)
    assert (copy.retry_count, copy.attempt_count, copy.claim_count) == (0, 1, 2)


def test_it_is_sent_and_recorded_as_any_row(queue: PostgresQueue, connection: Connection) -> None:
    queue.record(1, [mail(connection, queue, CROWDED)])
    [copy] = claim(queue)
    assert queue.record(1, [tried(copy)]) == {2: "applied"}
    assert [(one["attempt_number"], one["status"]) for one in attempts(connection, 2)] == [(1, "retrying"), (2, "sent")]
    assert invariants(connection) == []


def test_a_result_that_does_not_count_makes_no_copies(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, options=OPTIONS)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    [owner] = claim(queue, worker_id=8)
    assert queue.record(7, [tried(zombie, follows=(LATER,))]) == {1: "stale"}
    for fate in ("applied", "again"):
        assert queue.record(8, [tried(owner, follows=(LATER,))]) == {1: fate}
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (2,)


@pytest.mark.parametrize("wish", ["cancelled", "held"])
def test_what_was_wished_of_the_mail_in_flight_holds_for_copies_that_did_not_go_out(
    wish: str, queue: PostgresQueue, connection: Connection
) -> None:
    result = mail(connection, queue, LATER)
    connection.execute("UPDATE noti.notifications_log SET status = %s", [wish])
    assert queue.record(1, [result]) == {1: "applied"}
    assert (row(connection, 1)["status"], row(connection, 2)["status"]) == ("sent", wish)
    assert audit(connection, 2)[0]["metadata"]["requested"] == wish
    assert invariants(connection) == []


def test_a_mail_is_recorded_even_if_the_database_refuses_its_copies(
    queue: PostgresQueue, connection: Connection
) -> None:
    connection.execute("ALTER TABLE noti.notifications_log ADD CONSTRAINT test CHECK (copy_of IS NULL)")
    insert(connection, 3, options=OPTIONS)
    results = [tried(one) for one in claim(queue)]
    results[1] = replace(results[1], follows=(LATER, CROWDED))
    assert queue.record(1, results) == dict.fromkeys((1, 2, 3), "applied")
    assert [row(connection, number)["status"] for number in (1, 2, 3)] == ["sent"] * 3
    [attempt] = attempts(connection, 2)
    assert "23514" in attempt["error_message"]
    assert attempt["error_message"].endswith("; not sent to cc[1], bcc[0]")
    assert attempts(connection, 1)[0]["error_message"] is None
    assert invariants(connection) == []


def test_nobody_but_a_worker_makes_copies(connection: Connection) -> None:
    assert connection.execute(
        "SELECT role FROM pg_proc p,"
        " unnest('{noti_worker,noti_app,noti_operator,noti_readonly,public}'::text[]) AS role"
        " WHERE p.proname = 'defer_copies' AND has_function_privilege(role, p.oid, 'EXECUTE')"
    ).fetchall() == [("noti_worker",)]


@pytest.mark.parametrize(
    "columns",
    [{"copy_of": 1}, {"copy_of": 1, "status": "retrying"}, {"copy_of": 1, "status": "sent"}],
    ids=["new", "waiting", "history"],
)
def test_nobody_else_says_that_a_row_is_a_copy(connection: Connection, columns: dict[str, Any]) -> None:
    insert(connection)
    with pytest.raises(psycopg.errors.CheckViolation, match="copy_of belongs to the workers"):
        insert(connection, **columns)
    with pytest.raises(psycopg.errors.CheckViolation, match="copy_of never change"):
        connection.execute("UPDATE noti.notifications_log SET copy_of = 1")


def test_a_copy_outlives_its_mail(queue: PostgresQueue, connection: Connection) -> None:
    queue.record(1, [mail(connection, queue, CROWDED)])
    connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = 1")
    [copy] = claim(queue)
    queue.record(1, [tried(copy)])
    assert "a copy of notification 1" in _events(connection, 2)[0]
    assert invariants(connection) == []


# ---------------------------------------------------------------- what people are told


def _events(connection: Connection, number: int) -> list[str]:
    told = connection.execute("SELECT event, detail FROM noti.why(%s)", [number]).fetchall()
    return [f"{event}: {detail}" for event, detail in told]


def test_the_story_of_the_mail_tells_of_its_copies_and_theirs_of_the_mail(
    queue: PostgresQueue, connection: Connection
) -> None:
    queue.record(1, [mail(connection, queue, LATER, CROWDED)])
    queue.record(1, [tried(claim(queue)[0])])
    story = _events(connection, 1)
    due = connection.execute(
        "SELECT noti.instant(coalesce(sent_at, next_retry_at)) FROM noti.notifications_log"
        " WHERE copy_of = 1 ORDER BY notification_id"
    ).fetchall()
    later, sent = (instant for (instant,) in due)
    start, said = story[-3].split("; it said last: ")
    assert start.startswith("copy: to Carl <carl@example.com>, notification 2: retrying, ")
    assert f"try 2 at {later} (retry 1)" in start
    assert said == "the server refused the recipient: 451 4.7.1 <…> Greylisted"
    assert story[-2] == f"copy: to dora@example.com, notification 3: sent at {sent}"
    assert story[-1].startswith("next: nothing: it was sent at")
    child = _events(connection, 2)
    assert child[0] == "queued: email, normal priority, a copy of notification 1"
    assert child[1].startswith("try 1: relay (smtp) answered 451 4.7.1: the server refused the recipient: 451")
    assert child[2] == "retrying: not accepted for now; next try in 1m"


@pytest.mark.parametrize("role", ["noti_operator", "noti_readonly"])
def test_whoever_reads_stories_reads_of_copies(
    role: str, queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    queue.record(1, [mail(connection, queue, LATER)])
    with for_people(member_of(role, database_url)) as person:
        story, of_the_copy = listing.why(person, 1), listing.why(person, 2)
    [copy] = story.copies
    assert (copy.notification_id, copy.recipient, copy.status) == (2, "Carl <carl@example.com>", "retrying")
    assert (copy.attempt_count, copy.retry_count, copy.error_message) == (1, 1, GREYLISTED.error)
    assert _copy_of(of_the_copy) == 1
    assert [event.event for event in story.events][-2:] == ["copy", "next"]


def _copy_of(story: Story) -> int | None:
    assert story.line is not None
    return story.line.copy_of


# ---------------------------------------------------------------- erasure


@pytest.mark.parametrize(
    ("who", "recipients"),
    [
        ("ann@example.com", ["[erased]", "[erased]"]),  # it was a message to her
        ("carl@example.com", ["Ann <ann@example.com>", "[erased]"]),
        ("bea@example.com", ["Ann <ann@example.com>", "Carl <carl@example.com>"]),
    ],
)
def test_an_erasure_finds_whom_a_waiting_copy_is_about(
    who: str, recipients: list[str], queue: PostgresQueue, connection: Connection
) -> None:
    queue.record(1, [mail(connection, queue, LATER)])
    connection.execute("SELECT * FROM noti.erase(%s, NULL, 0, 1000, false)", [who])
    assert [row(connection, number)["recipient"] for number in (1, 2)] == recipients
    assert row(connection, 2)["status"] == ("retrying" if recipients[1] != "[erased]" else "cancelled")
    everything = connection.execute(
        "SELECT concat(n.*) || concat((SELECT string_agg(concat(t.*), '') FROM noti.notification_attempts_log t),"
        " (SELECT string_agg(concat(a.*), '') FROM noti.audit_log a)) FROM noti.notifications_log n"
    ).fetchall()
    assert [text for (text,) in everything if who in text] == []
    assert invariants(connection) == []
