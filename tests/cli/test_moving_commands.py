"""`requeue`, `cancel`, `hold` and `release` from the command line."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from noti_worker import enqueue_many
from tests.cli.conftest import Invoke, read
from tests.store.lives import life, queue, status_of

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
        ("release", "unknown", "pending"),
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
    assert list(foreseen) == ["dry_run", "done", "noted", "refused", "sample"]
    assert foreseen["sample"][0]["notification_id"] == made
    moved = read(noti("hold", str(made), "99", "--json"))
    assert moved == {"dry_run": False, "done": 1, "noted": 0, "refused": {"there is no such notification": 1}}


def test_off_a_terminal_nobody_is_asked(noti: Invoke, connection: Connection) -> None:
    many(connection, 101)
    assert noti("hold", "--channel", "email").stdout == "101 held\n"


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
