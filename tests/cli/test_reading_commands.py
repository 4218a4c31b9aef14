"""`status`, `list` and `why`, as tables and as JSON."""

import re
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg

from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.cli.conftest import Invoke, read
from tests.store import rows
from tests.store.lives import claim, end, life, queue
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]


def test_list_shows_recipients_and_no_content(noti: Invoke, connection: Connection) -> None:
    queue(connection, subject="Private", body="Secret")
    result = noti("list")
    assert "ada@example.com" in result.stdout
    assert "Secret" not in result.stdout
    assert "Private" not in result.stdout
    assert list(read(noti("list", "--json"))[0]) == [
        "notification_id",
        "tenant_id",
        "channel",
        "priority",
        "status",
        "requested",
        "recipient",
        "template_id",
        "entity_type",
        "entity_id",
        "created_at",
        "due_at",
        "finished_at",
        "retry_count",
        "max_retries",
        "attempt_count",
        "error_message",
        "held_at",
        "age_seconds",
        "message_id",
        "copy_of",
    ]


def test_list_says_of_each_what_matters_now(noti: Invoke, connection: Connection) -> None:
    """Its age and end; of one that waits for a person no time at which it would be due."""
    for status in ("sent", "held", "sending", "retrying", "pending"):
        life(connection, status)
    failed = queue(connection)
    claim(connection, failed)
    error = "550 5.1.1 " + "Recipient address rejected: " * 3 + "User unknown in virtual mailbox table"
    end(connection, "failed", failed, error=error)
    header, *lines = [re.split("  +", line.strip()) for line in noti("list").stdout.splitlines()]
    assert header == ["id", "status", "channel", "recipient", "tries", "age", "when", "last error"]
    assert {line[1]: re.sub("[0-9]+", "N", line[6]) for line in lines} == {
        "sent": "ended Ns ago",
        "held": "waits for a person since Ns",
        "sending": "now",
        "retrying": "due in NmNs",
        "pending": "due since Ns",
        "failed": "ended Ns ago",
    }
    assert lines[0][7] == error  # whole: what decides stands at its end


def test_list_takes_every_condition(noti: Invoke, connection: Connection) -> None:
    wanted = queue(
        connection,
        channel="sms",
        recipient="+491234",
        tenant_id="acme",
        priority="high",
        template_id="welcome",
        category="billing",
        provider="relay",
        entity_type="order",
        entity_id="17",
    )
    queue(connection)
    claim(connection, wanted)
    end(connection, "failed", wanted, error="Number unknown", account="spare", kind="dead")
    for words in (
        "--channel sms",
        "--channel sms --channel push",
        "--status failed",
        "--priority high",
        "--tenant acme",
        "--recipient +491234",
        "--template welcome",
        "--category billing",
        "--provider relay",
        "--entity order",
        "--entity order:17",
        "--account spare",
        "--kind dead",
        "--error unknown",
        "--failed-since 1h",
        "--status failed --since 1h",
        "--channel sms --since 1h",
        "--status failed --since 1h --recipient +491234 --entity order:17",
        "--channel sms --created-since 2020-01-01T00:00:00Z",
    ):
        found = read(noti("list", "--json", *words.split()))
        assert [line["notification_id"] for line in found] == [wanted], words
    assert read(noti("list", "--json", "--created-before", "1h")) == []
    connection.execute("SELECT noti.requeue(%s)", (wanted,))
    assert read(noti("list", "--json", "--status", "failed", "--since", "1h")) == []


def test_since_asks_when_a_row_came_to_the_status_that_is_named(noti: Invoke, connection: Connection) -> None:
    old = "now() - interval '2 hours'"
    for status, column in (("failed", "failed_at"), ("sent", "finished_at"), ("held", "held_at")):
        for at in (old, "now()"):
            connection.execute(
                f"INSERT INTO noti.notifications_log (channel, recipient, body, status, {column}, created_at)"
                f" VALUES ('email', 'ada@example.com', 'x', '{status}', {at}, {old})".encode()
            )
    for number, status in enumerate(("failed", "sent", "held")):
        found = read(noti("list", "--json", "--status", status, "--since", "1h"))
        assert [line["notification_id"] for line in found] == [2 * number + 2], status
    assert read(noti("list", "--json", "--since", "1h")) == []  # without a status: created


def test_list_says_when_there_are_more(noti: Invoke, connection: Connection) -> None:
    for _ in range(3):
        queue(connection)
    result = noti("list", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert "there are more" in result.stderr
    assert noti("list", "--limit", "3").stderr == ""
    assert "nothing fits" in noti("list", "--status", "sent").stderr


def test_what_a_row_contains_cannot_steer_the_terminal(noti: Invoke, connection: Connection) -> None:
    evil = "\x1b[2J\x07\u202egnp\u2028\x9b"
    made = queue(connection, recipient=f"a{evil}@example.com")
    claim(connection, made)
    end(connection, "failed", made, error=f"no\n{evil}")
    for words in (("list",), ("why", str(made)), ("requeue", "--dry-run", str(made))):
        shown = noti(*words).stdout
        assert not {"\x1b", "\x07", "\u202e", "\u2028", "\x9b"} & set(shown), words
    assert "\x1b" not in noti("list", "--json").stdout


def test_why_tells_what_the_logs_still_know_of_a_deleted_notification(noti: Invoke, connection: Connection) -> None:
    made = life(connection, "failed")
    connection.execute("DELETE FROM noti.notifications_log")
    lines = noti("why", str(made)).stdout.splitlines()
    assert lines[0] == f"notification {made}: removed"
    assert "queued" in lines[1]
    assert lines[-1].endswith("nothing: the notification was removed, and this is what the logs still tell")
    told = read(noti("why", str(made), "--json"))
    assert (told["notification"], told["blocked_by"]) == (None, [])
    assert told["events"]


def test_what_keeps_a_notification_back_is_codes_and_fields_for_programs(noti: Invoke, connection: Connection) -> None:
    made = queue(connection)
    connection.execute(
        "SELECT noti.pause('channel', 'email', 'moving house', '2090-01-01 00:00+00', 'ada');"
        'INSERT INTO noti.workers (worker_id, state) VALUES (1, \'{"channels": ["sms"]}\')'
    )
    told = read(noti("why", str(made), "--json"))["blocked_by"]
    lane = read(noti("status", "--json"))["waiting"][0]["blocked_by"]
    assert lane == told
    assert [(one["cause"], one["scope"], one["name"], one["until"], one["by"], one["code"]) for one in told] == [
        ("pause", "channel", "email", "2090-01-01T00:00:00+00:00", "ada", None),
        ("unserved", "channel", "email", None, None, None),
    ]
    assert list(told[0]) == ["cause", "scope", "name", "since", "until", "by", "code"]
    assert told[0]["since"] is not None


def test_why_tells_the_story_line_by_line(noti: Invoke, connection: Connection) -> None:
    made = life(connection, "failed")
    lines = noti("why", str(made)).stdout.splitlines()
    assert lines[0] == f"notification {made}: email to ada@example.com, failed"
    message_id = connection.execute("SELECT message_id FROM noti.notifications_log").fetchone()
    assert message_id is not None
    assert lines[1] == f"message id {message_id[0]}"
    assert len(lines) >= 4
    assert all(line[:2] == "20" and line[19] == "Z" for line in lines[2:] if not line.startswith(" "))
    told = read(noti("why", str(made), "--json"))
    assert list(told) == ["notification", "events", "blocked_by", "tries", "copies"]
    assert list(told["tries"][0]) == [
        "attempt_number", "status", "account", "provider", "kind", "code", "stage", "scope", "rule",
        "provider_message_id", "worker", "started_at", "duration_ms",
    ]  # fmt: skip
    assert told["blocked_by"] == []  # it is over
    assert list(told["events"][0]) == [
        "at",
        "event",
        "detail",
        "by",
        "attempt_number",
        "account",
        "provider",
        "kind",
        "code",
        "duration_ms",
    ]


def test_why_says_by_which_ids_to_ask_and_who_sent_it(noti: Invoke, connection: Connection, database_url: str) -> None:
    rows.insert(connection)
    connection.execute("INSERT INTO noti.workers (worker_id, host, pid) VALUES (1, 'mill', 4711), (2, 'barn', 8)")
    accepted = Outcome(Kind.OK, code="250", provider_message_id="4Xy", error="redirected to delivery.redirect_to.email")
    verdict = Verdict(Status.SENT, "safe mode: it was sent to delivery.redirect_to.email instead of its recipient")
    with closing(PostgresQueue(Database(Secret(database_url)))) as worker:
        rows.claim(worker, worker_id=2, lease=rows.AT_ONCE)
        worker.record(1, [rows.tried(row, verdict=verdict, outcome=accepted) for row in rows.claim(worker)])
    shown = noti("why", "1").stdout.splitlines()
    assert shown[0] == "notification 1: email to ann@example.com, sent to staging instead"
    assert shown[1].endswith("; provider id of relay: 4Xy")
    assert "(by worker barn:8#2)" in shown[3]
    assert "provider id 4Xy" in shown[4]
    assert "(by worker mill:4711#1)" in shown[4]
    tries = read(noti("why", "1", "--json"))["tries"]
    assert [(one["status"], one["worker"], one["provider_message_id"]) for one in tries] == [
        ("lost", "barn:8#2", None),
        ("sent", "mill:4711#1", "4Xy"),
    ]


def test_why_full_prints_all_that_is_kept_of_the_answers(
    noti: Invoke, connection: Connection, database_url: str
) -> None:
    rows.insert(connection, max_retries=5)
    web = {"status": 503, "headers": {"server": "x"}, "body": "call ann@example.com\nor wait \x1b[2J"}
    mail = {"conversation": [{"stage": "rcpt", "code": 451, "text": "4.7.1 <ann@example.com> later", "ms": 3.2}]}
    again = Verdict(Status.RETRYING, "not accepted for now", wait=timedelta(0))
    with closing(PostgresQueue(Database(Secret(database_url)))) as worker:
        for response in (web, mail, None):
            outcome = Outcome(Kind.TRANSIENT, code="503", error="they said no", response=response)
            worker.record(1, [rows.tried(row, verdict=again, outcome=outcome) for row in rows.claim(worker)])
    masked, full = (noti("why", "1", *words).stdout for words in ((), ("--full",)))
    before_now = masked[: masked.rindex("\n", 0, masked.index("  next "))]  # what is next is told by the clock
    assert full.startswith(before_now)
    assert [line.rstrip() for line in full.partition("  next ")[2].splitlines()[2:]] == [
        "try 1, relay, retrying: what was answered",
        "  status: 503",
        '  headers: {"server": "x"}',
        "  body: call ann@example.com or wait \N{REPLACEMENT CHARACTER}[2J",
        "",
        "try 2, relay, retrying: what was answered",
        "  stage  code  answer                         time",
        "  rcpt   451   4.7.1 <ann@example.com> later  3 ms",
        "",
        "try 3, relay, retrying: nothing is kept of an answer",
    ]
    told = read(noti("why", "1", "--full", "--json"))
    assert [one["response"] for one in told["answers"]] == [web, mail, None]
    connection.execute("SELECT noti.erase('ann@example.com', NULL, 0, 1000, false)")
    erased = read(noti("why", "1", "--full", "--json"))
    assert [one["response"] for one in erased["answers"]] == [None, None, None]


def test_answers_in_full_are_for_operators(bare: Invoke, connection: Connection, database_url: str) -> None:
    made = life(connection, "failed")
    for role, code in (("noti_operator", 0), ("noti_readonly", 1)):
        url = member_of(role, database_url)
        assert bare("--database-url", url, "why", str(made)).exit_code == 0
        result = bare("--database-url", url, "why", str(made), "--full")
        assert result.exit_code == code, result.stderr
    assert "it is for members of noti_operator" in result.stderr


def test_on_a_terminal_the_table_is_drawn_and_content_is_no_markup(
    noti: Invoke, connection: Connection, in_terminal: Callable[..., str], database_url: str
) -> None:
    queue(connection, recipient="[bold]a@example.com")
    shown = in_terminal("list", NOTI_DATABASE_URL=database_url)
    assert "─" in shown
    assert "[bold]a@example.com" in shown


def test_why_tells_of_all_that_is_about_an_entity(noti: Invoke, connection: Connection) -> None:
    first = life(connection, "sent", entity_type="order", entity_id="17")
    second = queue(connection, entity_type="order", entity_id="17")
    queue(connection, entity_type="order", entity_id="18")
    heads = [line for line in noti("why", "--entity", "order:17").stdout.splitlines() if line.startswith("notif")]
    assert [head.split(":")[0] for head in heads] == [f"notification {first}", f"notification {second}"]
    told = read(noti("why", "--entity", "order:17", "--json"))
    assert [story["notification"]["notification_id"] for story in told] == [first, second]
    assert told[1]["events"][-1]["event"] == "next"


def test_why_says_when_an_entity_has_no_story_or_too_many(noti: Invoke, connection: Connection) -> None:
    result = noti("why", "--entity", "order:17")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no notification about order:17\n")
    for _ in range(21):
        queue(connection, entity_type="order", entity_id="17")
    result = noti("why", "--entity", "order:17")
    assert result.stdout.startswith("notification 2:")
    assert "these are the newest 20" in result.stderr


def test_why_needs_an_id_or_an_entity(noti: Invoke) -> None:
    for words in ((), ("1", "--entity", "order:17"), ("--entity", "order")):
        assert noti("why", *words).exit_code == 2, words


def test_on_a_terminal_why_is_a_timeline(
    connection: Connection, in_terminal: Callable[..., str], database_url: str
) -> None:
    made = life(connection, "failed")
    connection.execute("UPDATE noti.notifications_log SET created_at = created_at WHERE notification_id = %s", (made,))
    shown = in_terminal("why", str(made), NOTI_DATABASE_URL=database_url)
    assert shown.count("●") >= 2
    assert shown.count("○") == 1
    assert "\x1b[31m●" in shown  # failed is red


def test_one_long_recipient_does_not_make_every_line_of_a_pipe_long(noti: Invoke, connection: Connection) -> None:
    long = "https://example.com/" + "x" * 300
    queue(connection)
    queue(connection, channel="webhook", recipient=long, body="{}")
    lines = noti("list").stdout.splitlines()
    assert long in lines[1]  # whole
    assert max(map(len, (lines[0], lines[2]))) < 130
