"""`requeue`, `retry`, `cancel`, `hold` and `release` from the command line."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from noti_worker import enqueue_many
from tests.cli.conftest import Invoke, read
from tests.store.lives import claim, end, life, queue, status_of
from tests.store.rows import row
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]


def many(connection: Connection, count: int) -> None:
    enqueue_many(connection, [{"channel": "email", "recipient": f"{n}@example.com", "body": "x"} for n in range(count)])


def statuses(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT DISTINCT status FROM noti.notifications_log").fetchall()}


@pytest.mark.parametrize(
    ("command", "before", "after"),
    [
        ("requeue", "failed", "pending"),
        ("cancel", "pending", "cancelled"),
        ("hold", "retrying", "held"),
        ("release", "held", "pending"),
    ],
)
def test_each_moves_what_is_named(noti: Invoke, connection: Connection, command: str, before: str, after: str) -> None:
    first, second = life(connection, before), life(connection, before)
    assert "1 would be" in noti(command, "--dry-run", str(first)).stdout
    assert status_of(connection, first) == before
    result = noti(command, str(first))
    assert (result.exit_code, result.stderr) == (0, "")
    assert status_of(connection, first) == after
    assert status_of(connection, second) == before


def test_what_failed_within_the_hour_is_requeued_by_filter(noti: Invoke, connection: Connection) -> None:
    for _ in range(3):
        life(connection, "failed")
    other = life(connection, "failed", channel="sms", recipient="+491234")
    old = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, status, failed_at) "
        "VALUES ('email', 'a@example.com', 'x', 'failed', now() - interval '2 hours') RETURNING notification_id"
    ).fetchone()
    assert old is not None
    assert noti("requeue", "--channel", "email", "--failed-since", "1h").stdout == "3 requeued\n"
    assert status_of(connection, other) == status_of(connection, old[0]) == "failed"


def test_a_try_in_flight_is_told_apart(noti: Invoke, connection: Connection) -> None:
    made = life(connection, "sending")
    result = noti("cancel", str(made))
    assert result.exit_code == 0
    assert result.stdout.startswith("0 cancelled\n1 noted")
    assert status_of(connection, made) == "sending cancelled"


def test_nothing_moved_is_a_failure_with_the_reason(noti: Invoke, connection: Connection) -> None:
    sent = life(connection, "sent")
    result = noti("requeue", str(sent), "99")
    assert result.exit_code == 1
    assert result.stderr == "1 not: it was sent\n1 not: there is no such notification\n"
    nothing = noti("requeue", "--channel", "voice")
    assert (nothing.exit_code, nothing.stderr) == (1, "nothing fits\n")


def test_a_dry_run_shows_some_and_says_how_many(noti: Invoke, connection: Connection) -> None:
    many(connection, 30)
    result = noti("cancel", "--channel", "email", "--dry-run")
    assert result.exit_code == 0
    first, header, *sample = result.stdout.splitlines()
    assert first == "30 would be cancelled"
    assert header.startswith("id")
    assert len(sample) == 10
    assert statuses(connection) == {"pending"}


def test_json_has_stable_keys(noti: Invoke, connection: Connection) -> None:
    made = queue(connection)
    foreseen = read(noti("hold", str(made), "--dry-run", "--json"))
    assert list(foreseen) == ["dry_run", "done", "noted", "perhaps", "refused", "sample"]
    assert foreseen["sample"][0]["notification_id"] == made
    moved = read(noti("hold", str(made), "99", "--json"))
    refused = {"there is no such notification": 1}
    assert moved == {"dry_run": False, "done": 1, "noted": 0, "perhaps": 0, "refused": refused}


def test_off_a_terminal_many_want_a_yes_beforehand(noti: Invoke, connection: Connection) -> None:
    many(connection, 101)
    refused = noti("hold", "--channel", "email")
    assert refused.exit_code == 2
    assert "101 notifications will be held, and nobody can be asked: --yes does it" in refused.stderr
    assert statuses(connection) == {"pending"}
    assert noti("hold", "--channel", "email", "--yes").stdout == "101 held\n"


ARRIVED = "an earlier try may have arrived"


@pytest.mark.parametrize(
    ("command", "status", "conditions"),
    [("requeue", "failed", ()), ("release", "unknown", ("--status", "unknown")), ("release", "held", ())],
)
def test_conditions_leave_out_what_may_have_arrived(
    noti: Invoke, connection: Connection, command: str, status: str, conditions: tuple[str, ...]
) -> None:
    perhaps = queue(connection)
    claim(connection, perhaps)
    end(connection, status, perhaps, kind="uncertain")
    result = noti(command, "--channel", "email", *conditions)
    assert (result.exit_code, result.stdout) == (1, f"0 {command}d\n")
    assert result.stderr == f"1 not: {ARRIVED}; --may-repeat sends it all the same\n"
    assert "0 would be" in noti(command, "--channel", "email", *conditions, "--dry-run").stdout
    assert status_of(connection, perhaps) == status
    result = noti(command, "--channel", "email", *conditions, "--may-repeat")
    assert (result.exit_code, result.stdout) == (0, f"1 {command}d\n")
    assert result.stderr == "an earlier try of this notification may have arrived: that is a second message\n"
    assert status_of(connection, perhaps) == "pending"


def test_whoever_names_it_is_told_that_it_may_arrive_twice(
    noti: Invoke, in_terminal: Callable[..., str], connection: Connection, database_url: str
) -> None:
    one, other = life(connection, "unknown"), life(connection, "unknown")
    told = noti("release", str(one))
    assert (told.exit_code, told.stdout) == (0, "1 released\n")
    assert "may have arrived: that is a second message" in told.stderr
    shown = in_terminal("release", str(other), keys="n\n", NOTI_DATABASE_URL=database_url)
    assert "an earlier try of this notification may have arrived, then this is a second message. Go on?" in shown
    assert status_of(connection, other) == "unknown"


def test_a_requeue_corrects_what_it_sends_again(noti: Invoke, connection: Connection, database_url: str) -> None:
    one, other = life(connection, "failed", subject="Hello"), life(connection, "failed")
    operator = member_of("noti_operator", database_url)
    words = ("--recipient", "bob@example.com", "--body", "Hello Bob", "--options", '{"cc": []}')
    result = noti("--database-url", operator, "requeue", str(one), *words)
    assert (result.exit_code, result.stderr) == (0, "")
    now = row(connection, one)
    assert (now["status"], now["recipient"], now["subject"], now["body"], now["options"]) == (
        "pending", "bob@example.com", "Hello", "Hello Bob", {"cc": []},
    )  # fmt: skip
    line = connection.execute(
        "SELECT action_by, metadata->'changed' FROM noti.audit_log WHERE action = 'notification_requeued'"
    ).fetchall()
    assert line == [("noti_operator_member", ["recipient", "body", "options"])]
    # What waits is none of an operator's business, and nobody is corrected by the dozen.
    waits = noti("--database-url", operator, "requeue", str(one), "--recipient", "eve@example.com")
    assert waits.stderr == "1 not: it waits already\n"
    assert noti("requeue", str(one), str(other), "--subject", "x").exit_code == 2
    assert noti("requeue", "--channel", "email", "--subject", "x").exit_code == 2
    assert noti("requeue", "--recipient", "ada@example.com").stdout == "1 requeued\n", "without an id it is a condition"
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(operator) as direct:
        direct.execute("UPDATE noti.notifications_log SET recipient = 'eve@example.com'")


def test_what_was_erased_is_not_requeued(noti: Invoke, connection: Connection) -> None:
    one = life(connection, "failed")
    assert noti("erase", "ada@example.com", "--yes").exit_code == 0
    assert noti("requeue", str(one)).stderr == "1 not: it was erased and cannot be sent again\n"
    assert noti("requeue", str(one), "--recipient", "bob@example.com").exit_code == 1
    assert status_of(connection, one) == "failed"


def test_what_waits_for_its_next_try_is_due_at_once(noti: Invoke, connection: Connection, database_url: str) -> None:
    waits, first, sent = life(connection, "retrying"), life(connection, "pending"), life(connection, "sent")
    before = row(connection, waits)
    operator = member_of("noti_operator", database_url)
    assert noti("--database-url", operator, "retry", "--channel", "email").stdout == "1 due now\n"
    now = row(connection, waits)
    assert now["due_at"] < before["due_at"]
    assert [now[name] for name in ("status", "retry_count", "attempt_count", "send_at")] == [
        before[name] for name in ("status", "retry_count", "attempt_count", "send_at")
    ]
    assert noti("retry", str(waits), str(first), str(sent)).stderr.splitlines() == [
        "1 not: it is due already",
        "1 not: it waits for its first try: its send_at says when",
        "1 not: it was sent",
    ]


def test_on_a_terminal_many_need_a_yes(
    in_terminal: Callable[..., str], connection: Connection, database_url: str
) -> None:
    many(connection, 101)
    shown = in_terminal("hold", "--channel", "email", keys="n\n", NOTI_DATABASE_URL=database_url)
    assert "101 notifications will be held. Go on?" in shown
    assert statuses(connection) == {"pending"}
    assert "101 held" in in_terminal("hold", "--channel", "email", keys="y\n", NOTI_DATABASE_URL=database_url)
    assert statuses(connection) == {"held"}
    shown = in_terminal("release", "--channel", "email", "--yes", NOTI_DATABASE_URL=database_url)
    assert "Go on?" not in shown
    assert statuses(connection) == {"pending"}


def test_on_a_terminal_few_are_not_worth_a_question(
    in_terminal: Callable[..., str], connection: Connection, database_url: str
) -> None:
    many(connection, 100)
    assert "Go on?" not in in_terminal("cancel", "--channel", "email", NOTI_DATABASE_URL=database_url)
    assert statuses(connection) == {"cancelled"}
