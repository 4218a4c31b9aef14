"""A person is erased from real tables: the content goes, the facts stay, and nobody else's content is touched."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.people.source import for_people
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.upkeep import erasure
from noti_worker.store.upkeep.erasure import Erased
from tests.store.rows import Connection, claim, insert, row, tried

ADA, BOB = "ada@example.com", "bob@example.com"
CANARY = "c4n4ry"
TABLES = (
    "notifications_log", "notification_attempts_log", "audit_log", "inbox", "attachments", "suppressions", "receipts",
    "receipts_raw",
)  # fmt: skip
FACTS = (
    "notification_id, tenant_id, channel, priority, status, message_id, attempt_count, created_at, finished_at, sent_at"
)


def erase(connection: Connection, who: str = ADA, tenant: str | None = None, *, dry_run: bool = False) -> Erased:
    connection.row_factory = dict_row
    try:
        return erasure.erase(connection, who, tenant, dry_run=dry_run)
    finally:
        connection.row_factory = psycopg.rows.tuple_row


@pytest.fixture
def violations(connection: Connection) -> Callable[[], list[Any]]:
    return lambda: connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()


def everything(connection: Connection) -> str:
    """All rows of all tables as one text."""
    return "\n".join(
        str(connection.execute(f"SELECT coalesce(json_agg(t), '[]')::text FROM noti.{table} t".encode()).fetchone())
        for table in TABLES
    )


def quoting(what: str, to: str) -> Outcome:
    return Outcome(Kind.PERMANENT, code="550", error=f"{to}: {what}", response={"line": f"RCPT TO:<{to}> {what}"})


@pytest.fixture
def attachment(connection: Connection) -> str:
    made = connection.execute(
        "INSERT INTO noti.attachments (filename, content) VALUES (%s, 'x') RETURNING attachment_id::text", [CANARY]
    ).fetchone()
    assert made is not None
    return str(made[0])


def content(attachment: str | None = None) -> dict[str, Any]:
    options = {"headers": {"X-Who": CANARY}} | ({"attachments": [attachment.upper()]} if attachment else {})
    return {
        "subject": CANARY,
        "body": CANARY,
        "template_data": json.dumps({"name": CANARY}),
        "metadata": json.dumps({"note": CANARY}),
        "options": json.dumps(options),
    }


def test_all_content_goes_and_all_facts_stay(
    connection: Connection, queue: PostgresQueue, attachment: str, violations: Callable[[], list[Any]]
) -> None:
    key = f"welcome-{ADA}"
    [sent, failed] = [
        insert(connection, recipient=to, **content(attachment), idempotency_key=k)[0]
        for to, k in ((ADA, key), ("Ada@Example.COM", None))
    ]
    first, second = claim(queue)
    queue.record(1, [tried(first), tried(second, Status.FAILED, outcome=quoting(CANARY, ADA))])
    [waiting] = insert(connection, recipient=ADA, entity_type="user", entity_id=ADA, **content())
    facts = f"SELECT {FACTS} FROM noti.notifications_log WHERE notification_id = ANY (%s) ORDER BY 1".encode()
    before = connection.execute(facts, [[sent, failed]]).fetchall()
    found = erase(connection, dry_run=True)
    assert (found.erased, found.cancelled) == (3, 1)
    done = erase(connection)
    assert done == Erased(erased=3, cancelled=1, tries=1, lines=3, attachments=1)
    assert connection.execute(facts, [[sent, failed]]).fetchall() == before
    assert row(connection, waiting)["status"] == "cancelled"
    assert {row(connection, each)["recipient"] for each in (sent, failed, waiting)} == {"[erased]"}
    left = everything(connection).lower()
    assert CANARY not in left
    assert ADA not in left
    assert violations() == []
    audited = connection.execute(
        "SELECT entity_id::bigint, metadata->>'to' FROM noti.audit_log WHERE action = 'notification_erased' ORDER BY 1"
    ).fetchall()
    assert audited == [(sent, "sent"), (failed, "failed"), (waiting, "cancelled")]
    told = connection.execute("SELECT event, detail FROM noti.why(%s)", [failed]).fetchall()
    assert [event for event, _ in told] == ["queued", "try 1", "failed", "erased", "next"]
    assert erase(connection) == Erased()  # nothing left to do


def test_others_keep_what_is_theirs_and_lose_the_copies(connection: Connection, queue: PostgresQueue) -> None:
    copied = {"cc": ["Ada <ADA@example.com>", "eve@example.com"], "bcc": ADA, "reply_to": ADA, "html": "<p>"}
    [done] = insert(connection, recipient=BOB, body="for Bob", options=json.dumps(copied))
    [one] = claim(queue)
    queue.record(1, [tried(one, Status.FAILED, outcome=quoting("no such user", ADA))])
    [waiting] = insert(connection, recipient=BOB, options=json.dumps({"cc": [ADA]}))
    [similar] = insert(connection, recipient=f"m{ADA}")
    [number] = insert(connection, channel="sms", recipient=ADA.upper())
    [hostile] = insert(connection, recipient=BOB, options=json.dumps(["cc", {"cc": ADA}]))
    message_id = row(connection, done)["message_id"]
    erased = erase(connection)
    assert (erased.erased, erased.copies, erased.cancelled) == (0, 2, 0)
    assert row(connection, done)["options"] == {"cc": ["eve@example.com"], "bcc": [], "html": "<p>"}
    assert row(connection, done)["body"] == "for Bob"
    assert row(connection, done)["message_id"] == message_id
    assert row(connection, done)["error_message"] == "[erased]: no such user"
    assert (row(connection, waiting)["status"], row(connection, waiting)["options"]) == ("pending", {"cc": []})
    assert row(connection, similar)["recipient"] == f"m{ADA}"
    assert row(connection, number)["recipient"] == ADA.upper()  # only e-mail addresses have no case
    assert row(connection, hostile)["recipient"] == BOB
    tries = connection.execute("SELECT error_message, response_data FROM noti.notification_attempts_log").fetchall()
    assert tries == [("[erased]: no such user", {"line": "RCPT TO:<[erased]> no such user"})]


def test_an_attachment_that_somebody_else_still_gets_stays(connection: Connection, attachment: str) -> None:
    insert(connection, recipient=ADA, status="sent", options=json.dumps({"attachments": [attachment]}))
    insert(connection, recipient=BOB, status="sent", options=json.dumps({"attachments": [attachment]}))
    assert erase(connection).attachments == 0
    assert erase(connection, BOB).attachments == 1


def test_in_app_messages_and_those_whose_notification_is_gone(
    connection: Connection, queue: PostgresQueue, violations: Callable[[], list[Any]]
) -> None:
    lane = Lane(Channel.IN_APP, Priority.NORMAL, "default")
    insert(connection, 2, channel="in_app", recipient="user:17", subject=None, body=CANARY)
    claimed = claim(queue, lanes=[lane])
    queue.record(1, [inboxed(one) for one in claimed])
    connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = %s", [claimed[0].notification_id])
    done = erase(connection, "user:17")
    assert (done.erased, done.inbox) == (1, 2)
    assert connection.execute("SELECT DISTINCT recipient, body FROM noti.inbox").fetchall() == [("[erased]", None)]
    assert CANARY not in everything(connection)
    assert violations() == []


def inboxed(one: Any) -> Result:
    return tried(one, follows=(InboxLine(one.tenant_id, one.recipient, body=CANARY),))


def test_lines_that_outlived_their_notification_are_cleaned(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, recipient=ADA)
    [one] = claim(queue)
    queue.record(1, [tried(one, Status.FAILED, outcome=quoting("gone", ADA))])
    connection.execute("DELETE FROM noti.notifications_log")
    assert ADA in everything(connection)
    assert erase(connection, tenant="default") == Erased()  # tries carry no tenant
    done = erase(connection, ADA.upper())
    assert done.tries == 1
    assert ADA not in everything(connection)


def test_the_suppression_list_forgets_the_address_and_goes_on_to_stop_it(
    connection: Connection, queue: PostgresQueue
) -> None:
    for tenant, address in (("default", f"Ada <{ADA.upper()}>"), ("acme", ADA), ("default", BOB)):
        connection.execute(
            "SELECT noti.suppress(%s, 'email', %s, 'optout', note => %s)", [tenant, address, f"{ADA} said so"]
        )
    connection.execute("SELECT noti.heard('default', 'whatsapp', '+4915112345', NULL, 'hello', account => 'wa')")
    assert erase(connection, tenant="acme").suppressions == 1
    assert erase(connection, dry_run=True).suppressions == 1
    done = erase(connection)
    assert done.suppressions == 2  # his entry loses what it says of her
    assert done
    assert ADA not in everything(connection).lower()
    kept = connection.execute("SELECT address, note FROM noti.suppressions ORDER BY suppression_id").fetchall()
    assert kept == [(None, None), (None, None), (BOB, "[erased] said so")]
    insert(connection, recipient=ADA)
    [n] = claim(queue)
    assert queue.brief([n])[n.notification_id].suppression is not None
    connection.execute("SELECT noti.suppress('default', 'email', %s, 'optout')", [ADA])
    assert connection.execute(
        "SELECT address, hits FROM noti.suppressions ORDER BY suppression_id LIMIT 1"
    ).fetchone() == (
        None,  # and does not learn it again
        2,
    )
    assert connection.execute("SELECT count(*) FROM noti.replies").fetchone() == (1,)
    erase(connection, "+49 151 12345")
    assert connection.execute("SELECT count(*) FROM noti.replies").fetchone() == (0,)


def test_only_the_named_tenant(connection: Connection) -> None:
    here, there = (insert(connection, recipient=ADA, tenant_id=tenant)[0] for tenant in ("acme", "other"))
    assert erase(connection, tenant="acme").erased == 1
    assert row(connection, here)["recipient"] == "[erased]"
    assert row(connection, there)["recipient"] == ADA


def test_what_is_in_flight_is_named_cancelled_and_erased_later(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection, recipient=ADA)
    [one] = claim(queue)
    done = erase(connection)
    assert done == Erased(in_flight=(one.notification_id,))
    assert row(connection, one.notification_id)["requested"] == "cancelled"
    assert row(connection, one.notification_id)["recipient"] == ADA
    queue.record(1, [tried(one, Status.RETRYING)])
    connection.row_factory = dict_row
    assert erasure.again(connection, ADA, None, done) == Erased(erased=1, tries=1, lines=1)


def test_a_row_that_somebody_has_locked_holds_up_nothing(connection: Connection, database_url: str) -> None:
    locked, free = insert(connection, 2, recipient=ADA)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [locked])
        assert erase(connection) == Erased(erased=1, cancelled=1, in_flight=(locked,))
    assert row(connection, free)["recipient"] == "[erased]"
    assert erase(connection).erased == 1


@pytest.mark.parametrize("nobody", ["", "  ", "[erased]"])
def test_nobody_is_refused(connection: Connection, nobody: str) -> None:
    with pytest.raises(BadNotification, match="there is nobody to erase"):
        erase(connection, nobody)


@pytest.mark.parametrize("field", ["recipient", "subject", "body", "options"])
def test_the_way_of_the_erasure_forges_nothing(connection: Connection, field: str) -> None:
    """The setting by which triggers know it opens history for nothing but the marks of an erasure."""
    [done] = insert(connection, recipient=ADA, status="sent")
    value = '{"cc": ["eve@example.com"]}' if field == "options" else "forged"
    connection.execute("SET noti.erasing = 'on'; SET ROLE noti_operator")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"UPDATE noti.notifications_log SET {field} = %s".encode(), [value])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE noti.audit_log SET metadata = NULL")
    connection.execute("RESET ROLE")
    if field != "options":
        with pytest.raises(psycopg.errors.CheckViolation, match="its content is history"):
            connection.execute(f"UPDATE noti.notifications_log SET {field} = %s".encode(), [value])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute("UPDATE noti.audit_log SET action = 'forged'")
    assert row(connection, done)["recipient"] == ADA


@pytest.mark.slow
def test_a_million_rows_are_walked_along_the_primary_key(connection: Connection, database_url: str) -> None:
    connection.execute("ALTER TABLE noti.notifications_log DISABLE TRIGGER USER")
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries)"
        " SELECT 'email', 'user' || n || '@example.com', 'x', 3 FROM generate_series(1, 1000000) n"
    )
    connection.execute("ALTER TABLE noti.notifications_log ENABLE TRIGGER USER")
    page = "EXPLAIN SELECT * FROM noti.notifications_log a WHERE a.notification_id > 500000 ORDER BY 1 LIMIT 1000"
    plan = "\n".join(line for (line,) in connection.execute(page.encode()))
    assert "Index Scan using notifications_log_pkey" in plan
    assert "Sort" not in plan
    with for_people(database_url) as operator:
        seen: list[int] = []
        steps = "SELECT last, seen FROM noti.erase('User777777@example.com', NULL, %s, 1000, false)"
        at: int | None = 0
        slowest = 0.0
        while at is not None:
            step = clock(operator)
            answer = operator.execute(steps.encode(), [at]).fetchone()
            assert answer is not None
            at = answer["last"]
            seen.append(answer["seen"])
            slowest = max(slowest, clock(operator) - step)
    assert (len(seen), sum(seen)) == (1001, 1_000_000)
    assert slowest < 1.0
    assert connection.execute(
        "SELECT count(*) FROM noti.notifications_log WHERE recipient = '[erased]'"
    ).fetchone() == (1,)


def clock(connection: Any) -> float:
    [answer] = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchall()
    return float(answer["now"])


def posted(connection: Connection, *requests: str) -> None:
    """Requests that were kept and read, but for the last."""
    connection.execute(
        "INSERT INTO noti.receipts_raw (account, provider, body, read_at)"
        " SELECT 'mail', 'sendgrid', convert_to(body, 'UTF8'),"
        "        CASE WHEN n < cardinality(%(all)s::text[]) THEN now() END"
        "   FROM unnest(%(all)s::text[]) WITH ORDINALITY AS r (body, n)",
        {"all": list(requests)},
    )


def receive(connection: Connection, **said: object) -> None:
    document = {"account": "mail", "provider": "sendgrid", "kind": "bounced"} | said
    connection.execute("SELECT noti.receive(%s)", [json.dumps([document])])


def test_what_providers_told_is_cleaned_and_what_they_posted_goes(connection: Connection) -> None:
    hers, his = insert(connection, recipient=ADA, status="sent"), insert(connection, recipient=BOB, status="sent")
    acme = insert(connection, recipient=ADA, status="sent", tenant_id="acme")
    for n, (id_,) in enumerate((hers, his, acme)):
        receive(connection, event=f"e{n}", notification_id=id_, words=f"no {CANARY}", code="5.1.1")
    receive(connection, event="copy", notification_id=his[0], recipient=ADA, words=f"<{ADA}> is gone")
    posted(connection, f'[{{"email": "{ADA.upper()}"}}]', "To=ada%40example.com", BOB, f"{ADA} is not read yet")
    assert erase(connection, dry_run=True).receipts == 0, "it looks into no text"
    assert erase(connection, tenant="acme").receipts == 1
    done = erase(connection)
    assert done.receipts == 2
    kept = "SELECT event, recipient, words, code, kind FROM noti.receipts ORDER BY receipt_id"
    assert connection.execute(kept).fetchall() == [
        ("e0", None, "[erased]", "5.1.1", "bounced"),
        ("e1", None, f"no {CANARY}", "5.1.1", "bounced"),  # said of his message
        ("e2", None, "[erased]", "5.1.1", "bounced"),
        ("copy", "[erased]", "<[erased]> is gone", None, "bounced"),
    ]
    left = "SELECT convert_from(body, 'UTF8') FROM noti.receipts_raw ORDER BY raw_id"
    assert connection.execute(left).fetchall() == [(BOB,), (f"{ADA} is not read yet",)]
    # What comes later of her message brings her address back nowhere.
    receive(
        connection, event="late", notification_id=hers[0], recipient=ADA, words=f"<{ADA}> complained", kind="complained"
    )
    assert connection.execute(
        "SELECT receipt FROM noti.notifications_log WHERE notification_id = %s", hers
    ).fetchone() == ("complained",)
    connection.execute("DELETE FROM noti.receipts_raw")
    assert ADA not in everything(connection)
