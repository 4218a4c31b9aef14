"""`limit`: what operators see of limits, and what they do about them."""

from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def ada(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> None:
    """Who sits at the keyboard; a worker has the account relay."""
    monkeypatch.setenv("SUDO_USER", "ada")
    connection.execute('INSERT INTO noti.workers (state) VALUES (\'{"routes": {"email": {"relay": "smtp"}}}\')')


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT scope, tenant_id, name, period, amount, every::text, burst, zone, when_spent, double_every::text"
        " FROM noti.limits ORDER BY scope, tenant_id, name, period"
    ).fetchall()


def test_a_rate_is_set_changed_and_removed(noti: Invoke, connection: Connection) -> None:
    assert (noti("limit", "list").stdout, noti("limit", "list").stderr) == ("", "nothing is limited\n")
    dry = noti("limit", "set", "account", "relay", "14/s", "--dry-run")
    assert dry.stdout == "would be limited: account relay: 14/s (set by ada)\n"
    assert rows(connection) == []
    result = noti("limit", "set", "account", "relay", "14/s", "--burst", "5")
    assert (result.stdout, result.stderr) == ("limited: account relay: 14/s, at most 5 at once (set by ada)\n", "")
    assert noti("limit", "set", "account", "relay", "1/6s").exit_code == 0
    assert rows(connection) == [("account", "", "relay", "", 1, "00:00:06", None, "UTC", "wait", None)]
    assert noti("limit", "list").stdout == "account relay: 1/6s (set by ada)\n"
    assert noti("limit", "remove", "account", "relay", "day").exit_code == 1
    assert (
        noti("limit", "remove", "account", "relay", "--dry-run").stdout == "would be removed: rate of account relay\n"
    )
    assert read(noti("limit", "remove", "account", "relay", "--json")) == {"dry_run": False, "removed": ["rate"]}
    again = noti("limit", "remove", "account", "relay")
    assert (again.exit_code, again.stderr) == (1, "no limit of account relay is set\n")
    lines = connection.execute(
        "SELECT action, metadata->>'by' FROM noti.audit_log WHERE entity_type = 'limit' ORDER BY audit_id"
    ).fetchall()
    assert lines == [("limit_set", "ada"), ("limit_set", "ada"), ("limit_removed", "ada")]


def test_a_quota_is_one_of_a_tenants_channel(noti: Invoke, connection: Connection) -> None:
    words = ("limit", "set", "channel", "email", "1000/day", "--tenant", "acme", "--zone", "Europe/Berlin", "--refuse")
    assert noti(*words).stdout == (
        "limited: channel email of tenant acme: 0 of 1000 of this day used (by the clock of Europe/Berlin);"
        " what is inserted beyond it is refused (set by ada)\n"
    )
    assert noti("limit", "set", "channel", "sms", "30/month").exit_code == 0
    assert noti("limit", "set", "account", "relay", "50/day", "--double-every", "2d").exit_code == 0
    assert rows(connection) == [
        ("account", "", "relay", "day", 50, None, None, "UTC", "wait", "2 days"),
        ("tenant channel", "acme", "email", "day", 1000, None, None, "Europe/Berlin", "refuse", None),
        ("tenant channel", "default", "sms", "month", 30, None, None, "UTC", "wait", None),
    ]
    assert noti("limit", "remove", "channel", "email", "day", "--tenant", "acme").exit_code == 0
    assert len(rows(connection)) == 2


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("account", "relay", "fast"), "write a rate such as", 2),
        (("account", "relay", "0/day"), "a quota has at least 1", 2),
        (("mailbox", "relay", "1/s"), "is not one of 'account', 'channel', 'destination'", 2),
        (("destination", "Example.com", "1/s"), "a domain or host in small letters", 1),
        (("destination", "example.com", "1/day"), "a destination has a rate and no quota", 1),
        (("channel", "mail", "1/s"), "the channel is unknown. Give one of email, sms", 1),
        (("channel", "email", "5/day", "--zone", "Mars/Base"), "the time zone is unknown", 1),
        (("account", "relay", "5/day", "--refuse"), "only a quota of a tenant's channel can refuse", 1),
        (("account", "relay", "5/s", "--double-every", "2d"), "only a quota of a day", 1),
        (("account", "relay", "5/day", "--burst", "3"), "a quota has neither a time nor a burst", 1),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    noti: Invoke, connection: Connection, words: tuple[str, ...], said: str, code: int
) -> None:
    result = noti("limit", "set", *words)
    assert (result.exit_code, rows(connection)) == (code, [])
    assert said in result.stderr


def test_an_account_that_nobody_has_is_told(noti: Invoke) -> None:
    assert noti("limit", "set", "account", "reley", "1/s").stderr == "no running worker has an account reley\n"


def test_it_is_told_what_is_left_and_who_waits(noti: Invoke, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
        " SELECT 'email', 'ada@example.com', 'Hi', 'acme' FROM generate_series(1, 3)"
    )
    connection.execute(
        "INSERT INTO noti.buckets VALUES"
        " ('account', '', 'relay', 7, 10, 2, 0, now() + interval '1 hour', 0.5, now() + interval '1 hour')"
    )
    connection.execute(
        "INSERT INTO noti.usage VALUES ('tenant channel', 'acme', 'email', 'day', 3, current_date,"
        " now() + interval '1 hour', 100, 100, current_date, 2)"
    )
    slowed, quota = noti("limit", "list").stdout.splitlines()
    assert slowed.startswith("account relay: 10/s, at most 2 at once; 5/s just now: it found us too fast at 20")
    assert slowed.endswith("; 3 due messages wait")
    assert quota.startswith("channel email of tenant acme: 100 of 100 of this day used, until 20")
    assert quota.endswith("; 3 due messages wait")
    assert noti("status").stdout.splitlines()[1:3] == [f"LIMITED {slowed}", f"LIMITED {quota}"]
    (told, _) = read(noti("limit", "list", "--json"))["limits"]
    assert (told["name"], told["pace"], told["waiting"], told["set_by"]) == ("relay", 0.5, 3, None)


def test_what_is_not_felt_is_not_in_the_status(noti: Invoke) -> None:
    noti("limit", "set", "account", "relay", "14/s")
    assert "LIMITED" not in noti("status").stdout
