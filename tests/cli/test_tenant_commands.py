"""`tenant`: what operators see of tenants, and what they do about them."""

from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sits at the keyboard."""
    monkeypatch.setenv("SUDO_USER", "ada")


def insert(connection: Connection, tenant: str, rows: int = 1, **fields: str) -> None:
    values = {"channel": "email", "recipient": "a@b.example", "body": "x", "tenant_id": tenant} | fields
    connection.execute(
        f"INSERT INTO noti.notifications_log ({', '.join(values)})"
        f" SELECT {', '.join(f'%({name})s' for name in values)} FROM generate_series(1, {rows})",
        values,
    )


def audit(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT entity_type, action, metadata->>'by' FROM noti.audit_log WHERE action <> 'notification_triggered'"
        " ORDER BY audit_id"
    ).fetchall()


def test_a_tenant_is_added_bounded_and_shown(noti: Invoke, connection: Connection) -> None:
    assert noti("tenant", "list").stderr == "there is no tenant\n"
    insert(connection, "busy")
    assert noti("tenant", "add", "acme").stdout == "added: tenant acme\n"
    assert noti("tenant", "add", "acme").stderr == "tenant acme is there already\n"
    words = (
        "tenant",
        "set",
        "acme",
        "--channels",
        "email, push",
        "--waiting-rows",
        "10k",
        "--highest-priority",
        "high",
    )
    bounds = "rows waiting 10000; priority high; channels email, push"
    assert noti(*words, "--dry-run").stdout == f"would be set: tenant acme: {bounds}\n"
    assert noti(*words).stdout == f"set: tenant acme: {bounds}\n"
    rest = "rows waiting 10000; channels email, push"
    assert noti("tenant", "set", "acme", "--highest-priority", "none").stdout == f"set: tenant acme: {rest}\n"
    listed = noti("tenant", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["acme", "active"], ["busy", "active"]]
    assert listed[1].endswith(rest)
    assert [(one["tenant_id"], one["known"]) for one in read(noti("tenant", "list", "--json"))] == [
        ("acme", True),
        ("busy", False),
    ]
    refused = noti("tenant", "set", "acme", "--hosts", "https://a.example")
    assert (refused.exit_code, "a host is a name in small letters" in refused.stderr) == (1, True)
    assert noti("tenant", "set", "acme").exit_code == 2
    assert noti("tenant", "set", "acme", "--waiting-rows", "many").exit_code == 2
    unknown = noti("tenant", "show", "nobody")
    assert (unknown.exit_code, "there is no tenant nobody" in unknown.stderr) == (1, True)
    assert audit(connection) == [
        ("tenant", "tenant_added", "ada"),
        ("tenant", "tenant_set", "ada"),
        ("tenant", "tenant_set", "ada"),
    ]


def test_a_suspended_tenant_is_told_by_status_until_it_is_resumed(noti: Invoke, connection: Connection) -> None:
    insert(connection, "acme", 3)
    insert(connection, "acme", 2, channel="sms", status="held")
    said = noti("tenant", "suspend", "acme", "--reason", "unpaid").stdout
    assert said == "suspended: tenant acme; noti-worker tenant resume acme lets it send again\n"
    shown = noti("status").stdout
    assert "SUSPENDED tenant acme by ada since " in shown
    assert "the tenant acme is suspended by ada since " in shown  # why the lane waits
    for words in (("status", "--tenant", "acme"), ("tenant", "show", "acme")):
        lines = noti(*words).stdout.splitlines()
        assert lines[0].startswith("tenant acme: suspended by ada since ")
        assert lines[0].endswith(" (unpaid)")
        assert lines[1].startswith("email: 3 due; the oldest since ")
        assert "the tenant acme is suspended by ada" in lines[1]
        assert lines[2] == "sms: 2 held"
    found = read(noti("status", "--tenant", "acme", "--json"))
    assert [obstacle["cause"] for obstacle in found["channels"][0]["blocked_by"]] == ["suspended", "no_worker"]
    assert noti("tenant", "resume", "acme").stdout == "resumed: tenant acme\n"
    assert noti("tenant", "resume", "acme").exit_code == 1
    assert noti("status").stdout.count("SUSPENDED") == 0
    assert audit(connection) == [("tenant", "tenant_suspended", "ada"), ("tenant", "tenant_resumed", "ada")]


def test_settings_are_set_shown_and_taken_away(noti: Invoke, connection: Connection) -> None:
    assert noti("tenant", "setting", "acme").stderr == "nothing is set for tenant acme\n"
    noti("tenant", "setting", "acme", "flag.beta", "true")
    noti("tenant", "setting", "acme", "zone", "Europe/Berlin")
    shown = noti("tenant", "setting", "acme", "retention_days", "30").stdout.splitlines()
    assert shown == [
        "flag.beta = true (set by ada)",
        "retention_days = 30 (set by ada)",
        'zone = "Europe/Berlin" (set by ada)',
    ]
    assert noti("tenant", "setting", "acme", "zone").stdout == 'zone = "Europe/Berlin" (set by ada)\n'
    near = noti("tenant", "setting", "acme", "retention_day", "30")
    assert (near.exit_code, "did you mean retention_days?" in near.stderr) == (1, True)
    wrong = noti("tenant", "setting", "acme", "zone", "Mars/Base")
    assert (wrong.exit_code, "the time zone is unknown" in wrong.stderr) == (1, True)
    assert read(noti("tenant", "setting", "acme", "flag.beta", "--remove", "--json")) == {
        "retention_days": 30,
        "zone": "Europe/Berlin",
    }
    assert noti("tenant", "setting", "acme", "flag.beta", "--remove").exit_code == 1


def test_usage_is_counted_by_month(noti: Invoke, connection: Connection) -> None:
    insert(connection, "acme", status="sent", created_at="2026-03-01")
    connection.execute(
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, claim_count, status, account,"
        " provider, created_at) VALUES (1, 1, 1, 'retrying', 'relay', 'smtp', '2026-03-02'),"
        " (1, 2, 2, 'sent', 'relay', 'smtp', '2026-03-02')"
    )
    [line] = read(noti("tenant", "usage", "acme", "2026-03", "--json"))
    assert (line["channel"], line["account"], line["sent"], line["tries"]) == ("email", "relay", 1, 2)
    assert noti("tenant", "usage", "acme", "2026-03").stdout.splitlines()[1].split() == [
        "email", "relay", "smtp", "1", "2",
    ]  # fmt: skip
    assert noti("tenant", "usage", "acme", "2026-04").stderr == "tenant acme tried nothing in 2026-04\n"
    assert noti("tenant", "usage", "acme", "March").exit_code == 2
