"""`user`: what is known of a person is shown and given away whole, and nothing of it is left once they are erased."""

import json
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.cli.conftest import Invoke, read
from tests.store.rows import claim, insert, row, tried
from tests.store.test_kept import said
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]

REF, NAME = "customer-8f31", "Adalovelace"
MAIL, PHONE, TOKEN = "Ada.L@b\u00fccher.example", "+49 171 2345678", "t0ken-of-her-phone"
OTHER = "bob@example.com"

WRITTEN = (REF, NAME, "ada.l@", "2345678", TOKEN)
"""How anything may name her."""


@pytest.fixture
def ada(connection: Connection, database_url: str) -> dict[str, int]:
    """All that there may be of a person, and somebody else's message; ids of notifications by what they are."""
    for channel, address, more in (("email", MAIL, "now()"), ("sms", PHONE, "NULL"), ("push", TOKEN, "NULL")):
        connection.execute(
            "INSERT INTO noti.contacts (user_ref, channel, address, label, verified_at, locale)"
            f" VALUES (%s, %s, %s, %s, {more}, 'de')".encode(),
            [REF, channel, address, f"{NAME}'s"],
        )
    connection.execute("UPDATE noti.contacts SET left_at = now(), left_because = 'it is dead' WHERE channel = 'push'")
    connection.execute(
        "INSERT INTO noti.preferences (user_ref, category, allowed, frequency)"
        " VALUES (%s, 'news', false, 'instant'), (%s, '', true, 'daily')",
        [REF, REF],
    )
    connection.execute("SELECT noti.suppress('default', 'email', %s, 'manual', note => %s)", [MAIL, f"{NAME} called"])
    about: dict[str, Any] = {
        "subject": f"Dear {NAME}",
        "body": f"{NAME} <{MAIL}>",
        "template_data": json.dumps({"name": NAME}),
        "metadata": json.dumps({"who": NAME}),
        "entity_type": "user",
        "entity_id": REF,
    }
    ids = {
        "named": insert(connection, recipient=f"user:{REF}", idempotency_key=f"welcome user:{REF}", **about)[0],
        "mailed": insert(connection, recipient=f"{NAME} <ADA.L@xn--bcher-kva.example>", **about)[0],
        "in_app": insert(connection, channel="in_app", recipient=f"user:{REF}", **about)[0],
        "called": insert(connection, channel="sms", recipient="0049 171 2345678", body=NAME)[0],
        "waiting": insert(connection, channel="push", recipient=TOKEN, body=NAME)[0],
        "copied": insert(connection, recipient=OTHER, options=json.dumps({"cc": [MAIL]}))[0],
    }
    refused = Outcome(Kind.PERMANENT, code="550", error=f"{MAIL}: no", response={"line": f"RCPT TO:<{MAIL}> {NAME}"})
    lanes = tuple(Lane(channel, Priority.NORMAL, "default") for channel in (Channel.EMAIL, Channel.SMS, Channel.IN_APP))
    with closing(PostgresQueue(Database(Secret(database_url)))) as queue:
        rows = {n.notification_id: n for n in claim(queue, lanes=lanes)}
        line = InboxLine("default", f"user:{REF}", NAME, NAME, None)
        queue.record(
            1,
            [
                tried(rows[ids["named"]], kept=said(MAIL, options={"to": NAME})),
                tried(rows[ids["mailed"]], Status.FAILED, outcome=refused),
                tried(rows[ids["in_app"]], follows=(line,)),
                tried(rows[ids["called"]], kept=said(PHONE, options=None)),
                tried(rows[ids["copied"]], kept=said(OTHER, options={"cc": [MAIL]})),
            ],
        )
    connection.execute(
        "INSERT INTO noti.receipts (account, provider, event, kind, at, notification_id, tenant_id, recipient, words)"
        " VALUES ('relay', 'smtp', 'e', 'bounced', now(), %s, 'default', %s, %s)",
        [ids["mailed"], MAIL, f"{MAIL} is gone"],
    )
    connection.execute(
        "INSERT INTO noti.replies VALUES ('default', 'relay', 'sms', noti.address_hash('sms', %s), now())", [PHONE]
    )
    return ids


def test_everything_is_shown_with_the_reason_of_what_was_not_sent(
    bare: Invoke, connection: Connection, database_url: str, ada: dict[str, int]
) -> None:
    def reader(*words: str) -> Any:
        return bare("--database-url", member_of("noti_readonly", database_url), "user", "show", *words)

    found = read(reader(REF, "--json"))
    assert [(one["channel"], one["left_because"]) for one in found["contacts"]] == [
        ("email", None),
        ("push", "it is dead"),
        ("sms", None),
    ]
    assert [(one["category"], one["allowed"], one["frequency"]) for one in found["choices"]] == [
        ("", True, "daily"),
        ("news", False, "instant"),
    ]
    assert [(one["reason"], one["in_force"]) for one in found["suppressions"]] == [("manual", True)]
    messages = {one["notification_id"]: (one["status"], one["reason"]) for one in found["notifications"]}
    assert list(messages) == sorted((number for name, number in ada.items() if name != "copied"), reverse=True)
    assert messages[ada["named"]] == ("sent", None)
    assert messages[ada["mailed"]] == ("failed", "reason of failed")
    assert messages[ada["waiting"]] == ("pending", "no worker")
    shown = reader(f"user:{REF}", "--most", "2")
    assert shown.stdout.startswith(f"user {REF} of tenant default\n\naddresses\n")
    for words in ("it is dead", "nothing", "daily", "manual", "pending"):
        assert words in shown.stdout
    assert shown.stderr == "there are more: these are the newest 2 (--most)\n"
    connection.execute("INSERT INTO noti.preferences (tenant_id, user_ref) VALUES ('acme', %s)", [REF])
    assert "Say which by --tenant: acme, default" in reader(REF).stderr
    assert read(reader(REF, "--tenant", "acme", "--json"))["notifications"] == []
    assert reader("nobody").exit_code == 1


def test_everything_is_given_away_as_json_in_a_file_of_ones_own(
    noti: Invoke, database_url: str, bare: Invoke, ada: dict[str, int], tmp_path: Path
) -> None:
    file = tmp_path / "ada.json"
    assert noti("user", "export", REF, "--output", str(file)).stdout.startswith("30 rows about user ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert noti("user", "export", REF, "--output", str(file)).exit_code == 2
    found = json.loads(file.read_text())
    counts = {name: len(held) for name, held in found.items() if isinstance(held, list)}
    assert counts.pop("audit_log") >= 5
    assert counts == {
        "contacts": 3, "preferences": 2, "notifications_log": 5, "notification_attempts_log": 4, "kept_contents": 2,
        "inbox": 1, "receipts": 1, "suppressions": 1, "replies": 1,
    }  # fmt: skip
    assert found["not_readable_by_this_role"] == {}
    assert {one["notification_id"] for one in found["notifications_log"]} == {*ada.values()} - {ada["copied"]}
    assert f"Dear {NAME}" in {one["subject"] for one in found["notifications_log"]}
    operator = read(bare("--database-url", member_of("noti_operator", database_url), "user", "export", REF))
    assert operator["notifications_log"][0].get("body") is None
    assert "body" in operator["not_readable_by_this_role"]["notifications_log"]


def left(connection: Connection) -> list[tuple[str, str]]:
    """Every row of every table of the schema that still names her, whatever tables there will be."""
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'noti'::regnamespace"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
    ).fetchall()
    assert len(tables) > 25
    patterns = [f"%{word.lower()}%" for word in WRITTEN]
    return [
        (table, line)
        for (table,) in tables
        for (line,) in connection.execute(
            f"SELECT t::text FROM {table} t WHERE lower(replace(t::text, ' ', '')) LIKE ANY (%s)".encode(), [patterns]
        )
    ]


def test_after_an_erasure_no_column_of_any_table_names_the_person(
    bare: Invoke, connection: Connection, database_url: str, ada: dict[str, int]
) -> None:
    def operator(*words: str) -> Any:
        return bare("--database-url", member_of("noti_operator", database_url), "user", "erase", REF, *words)

    named = {table for table, _ in left(connection)}
    assert named >= {
        "noti." + name
        for name in ("contacts", "preferences", "notifications_log", "notification_attempts_log", "kept_contents",
                     "inbox", "receipts", "suppressions")
    }  # fmt: skip
    assert operator().exit_code == 2
    dry = read(operator("--dry-run", "--json"))
    assert (dry["erased"], dry["copies"], dry["contacts"], dry["choices"], dry["kept"]) == (5, 1, 3, 2, 3)
    assert {table for table, _ in left(connection)} == named
    with closing(PostgresQueue(Database(Secret(database_url)))) as queue:
        [flying] = claim(queue, lanes=(Lane(Channel.PUSH, Priority.NORMAL, "default"),))
        early = operator("--yes", "--wait", "0")
        assert (early.exit_code, "contacts" in early.stdout) == (1, False)
        assert queue.record(1, [tried(flying, kept=said(TOKEN))]) == {ada["waiting"]: "applied"}
    done = read(operator("--yes", "--json"))
    assert (done["contacts"], done["choices"], done["in_flight"]) == (3, 2, [])
    assert left(connection) == []
    assert connection.execute("SELECT count(*) FROM noti.replies").fetchone() == (0,)
    assert row(connection, ada["copied"])["recipient"] == OTHER
    assert connection.execute(
        "SELECT address, address_hash = noti.address_hash('email', %s), lifted_at FROM noti.suppressions", [MAIL]
    ).fetchall() == [(None, True, None)]
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
    assert operator("--yes").stderr == "nothing names this recipient\n"


def test_why_in_full_prints_what_was_sent(bare: Invoke, database_url: str, ada: dict[str, int]) -> None:
    def why(role: str, *words: str) -> Any:
        return bare("--database-url", member_of(role, database_url), "why", str(ada["named"]), *words)

    shown = why("noti_operator", "--full").stdout
    assert f"try 1: what was sent to {MAIL}, kept until " in shown
    assert f"\n  subject: Hello\n  to: {NAME}\n  | Dear \ufffdAnn\n" in shown
    [content] = read(why("noti_operator", "--full", "--json"))["contents"]
    assert (content["body"], content["truncated"]) == ("Dear \ufffdAnn", False)
    assert "what was sent to" not in why("noti_operator").stdout
    assert why("noti_readonly", "--full").exit_code == 1
