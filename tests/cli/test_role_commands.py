"""Commands as the people who give them: readers read, operators steer, and both without content."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read
from tests.store.rows import insert
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
As = Callable[[str], Callable[..., Any]]

READING = [
    ("status",),
    ("status", "--json"),
    ("list", "--json"),
    ("list", "--recipient", "ann@example.com", "--error", "x", "--kind", "permanent", "--account", "relay"),
    ("why", "1", "--json"),
    ("receipts", "list", "--json"),
    ("receipts", "count"),
    ("requeue", "--status", "failed", "--dry-run"),
    ("cancel", "--channel", "email", "--dry-run"),
    ("doctor", "--json"),
    ("migrate", "--check"),
]
STEERING = [
    ("hold", "1"),
    ("release", "1"),
    ("cancel", "1"),
    ("requeue", "1"),
    ("hold", "--channel", "email", "--yes"),
    ("release", "--channel", "email", "--yes"),
    ("pause", "channel", "email", "--reason", "the relay moves"),
    ("resume", "channel", "email"),
    ("pause", "everything", "--dry-run"),
    ("erase", "ann@example.com", "--yes"),
]


@pytest.fixture
def as_(bare: Invoke, database_url: str, connection: Connection) -> As:
    insert(connection, 2)
    connection.execute('INSERT INTO noti.workers (host, state) VALUES (\'h\', \'{"channels": ["email", "in_app"]}\')')
    return lambda role: lambda *words: bare("--database-url", member_of(role, database_url), *words)


@pytest.mark.parametrize("role", ["noti_readonly", "noti_operator"])
def test_readers_and_operators_read(as_: As, role: str) -> None:
    for words in READING:
        result = as_(role)(*words)
        assert (result.exit_code, "42501" in result.stdout + result.stderr) == (0, False), (words, result.stderr)


def test_operators_steer(as_: As) -> None:
    for words in STEERING:
        result = as_("noti_operator")(*words)
        assert result.exit_code == 0, (words, result.stderr)


def test_operators_see_which_requests_are_kept_and_not_what_they_hold(as_: As, database_url: str) -> None:
    assert as_("noti_operator")("receipts", "requests", "--json").exit_code == 0
    assert "42501" in as_("noti_readonly")("receipts", "requests").stderr
    with (
        psycopg.connect(member_of("noti_operator", database_url)) as operator,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        operator.execute("SELECT body FROM noti.receipts_raw")


def test_readers_do_not_steer(as_: As, connection: Connection) -> None:
    for words in STEERING:
        result = as_("noti_readonly")(*words)
        if words[0] in {"release", "requeue", "resume"}:  # nothing is held, failed or paused
            assert result.exit_code == 1, words
        else:
            assert (result.exit_code, "42501" in result.stderr) == (1, True), (words, result.stderr)
            assert "noti-worker doctor tells what to grant" in result.stderr
    statuses = connection.execute("SELECT DISTINCT status FROM noti.notifications_log").fetchall()
    assert statuses == [("pending",)]


def test_an_application_sends_from_the_command_line(as_: As) -> None:
    sent = read(as_("noti_app")("send", "--channel", "in_app", "--recipient", "user:1", "--body", "Hi", "--json"))
    assert sent["recipient"] == "user:1"
