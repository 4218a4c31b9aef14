"""`tenant`: what operators see of tenants, and what they do about them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.store.people.source import for_people
from noti_worker.store.upkeep import removal
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


EVERYTHING = """
INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, claim_count, status, created_at)
  SELECT notification_id, 1, 1, 'sent', unnest(ARRAY[now(), now() - interval '3 years'])
    FROM noti.notifications_log WHERE tenant_id = %(tenant)s AND status = 'sent';
INSERT INTO noti.inbox (tenant_id, notification_id, recipient, body)
  SELECT %(tenant)s, max(notification_id), 'user', 'x' FROM noti.notifications_log WHERE tenant_id = %(tenant)s;
INSERT INTO noti.templates (tenant_id, template_id, body) VALUES (%(tenant)s, 'hello', 'x');
INSERT INTO noti.attachments (tenant_id, filename, content_type, content) VALUES (%(tenant)s, 'a', 'text/plain', 'x');
INSERT INTO noti.limits (scope, tenant_id, name, amount, every)
  VALUES ('tenant channel', %(tenant)s, 'email', 1, '1 s');
INSERT INTO noti.limits (scope, tenant_id, name, period, amount) VALUES ('tenant channel', %(tenant)s, 'sms', 'day', 1);
INSERT INTO noti.categories (tenant_id, category) VALUES (%(tenant)s, 'news');
INSERT INTO noti.contacts (tenant_id, user_ref, channel, address) VALUES (%(tenant)s, '42', 'push', 'x');
INSERT INTO noti.preferences (tenant_id, user_ref, category) VALUES (%(tenant)s, '42', 'news');
INSERT INTO noti.cap_places (person, tenant_id, category, notification_id) VALUES (sha256(''), %(tenant)s, 'news', 1);
INSERT INTO noti.kept_contents (tenant_id, notification_id, attempt_number, channel, recipient, kept_until)
  SELECT %(tenant)s, max(notification_id), 1, 'email', 'x', now() FROM noti.notifications_log
   WHERE tenant_id = %(tenant)s;
INSERT INTO noti.settings VALUES (%(tenant)s, 'flag.beta', 'true');
INSERT INTO noti.replies VALUES (%(tenant)s, 'relay', 'sms', sha256(''), now());
INSERT INTO noti.full_quotas VALUES (%(tenant)s, 'sms', 'day', 1, now());
INSERT INTO noti.spent VALUES ('tenant channel', %(tenant)s, 'sms', 'day', 1, now(), now());
INSERT INTO noti.usage VALUES ('tenant channel', %(tenant)s, 'sms', 'day', 1, now(), now(), 1, 1, now(), 0);
INSERT INTO noti.buckets VALUES ('tenant channel', %(tenant)s, 'email', 1, 1, 1, 1, now(), 1);
INSERT INTO noti.circuits (scope, tenant_id, name, retry_at) VALUES ('tenant account', %(tenant)s, 'relay', now());
INSERT INTO noti.receipts (account, provider, event, kind, at, tenant_id)
  VALUES ('relay', 'ses', %(tenant)s, 'delivered', now(), %(tenant)s);
INSERT INTO noti.provider_references (reference, account, notification_id)
  SELECT 'r', 'relay', max(notification_id) FROM noti.notifications_log WHERE tenant_id = %(tenant)s;
INSERT INTO noti.pauses (scope, name) VALUES ('tenant', %(tenant)s);
INSERT INTO noti.accounts (tenant_id, name, provider, channels) VALUES (%(tenant)s, 'relay', 'smtp', '{email}');
INSERT INTO noti.routes (tenant_id, channel, position, account) VALUES (%(tenant)s, 'email', 1, 'relay');
INSERT INTO noti.secrets (tenant_id, account, purpose, key_id, sealed)
  VALUES (%(tenant)s, 'relay', 'password', '1', repeat('x', 40)::bytea);
INSERT INTO noti.circuits (scope, name, retry_at) VALUES ('account', %(tenant)s || '/relay', now());
INSERT INTO noti.endpoints (tenant_id, name, url) VALUES (%(tenant)s, 'crm', 'https://crm.example.com');
INSERT INTO noti.events (tenant_id, notification_id, channel, event, source)
  SELECT tenant_id, notification_id, channel, 'sent', 'worker' FROM noti.notifications_log
   WHERE tenant_id = %(tenant)s AND status = 'sent' LIMIT 1;
INSERT INTO noti.envelopes (endpoint_id, notification_id, after_place, last_place)
  SELECT e.endpoint_id, max(n.notification_id), 0, 1
    FROM noti.notifications_log n JOIN noti.endpoints e USING (tenant_id)
   WHERE n.tenant_id = %(tenant)s GROUP BY 1;
INSERT INTO noti.tenant_members (role, tenant_id) VALUES (current_user::regrole, %(tenant)s);
INSERT INTO noti.pauses (scope, name, tenant_id) VALUES ('tenant channel', 'sms', %(tenant)s);
SELECT noti.suppress(%(tenant)s, 'email', 'ada@example.com', 'manual')
"""


def everything_of(connection: Connection, tenant: str) -> None:
    """Rows in all tables that hold things of tenants."""
    insert(connection, tenant, 3)
    insert(connection, tenant, 2, status="sent")
    insert(connection, tenant, 1, status="held")
    for text in EVERYTHING.split(";\n"):
        connection.execute(text, {"tenant": tenant})


def counts(connection: Connection, tenant: str) -> dict[str, int]:
    return dict(connection.execute("SELECT * FROM noti.count_tenant(%s)", [tenant]).fetchall())


def test_a_tenant_is_removed_from_every_table_and_others_keep_all(noti: Invoke, connection: Connection) -> None:
    connection.execute("CREATE TABLE noti.of_a_later_version (tenant_id text, n int)")
    for tenant in ("acme", "other"):
        everything_of(connection, tenant)
        connection.execute("INSERT INTO noti.of_a_later_version SELECT %s, generate_series(1, 5000)", [tenant])
    active = noti("tenant", "remove", "acme", "--yes")
    assert (active.exit_code, "the tenant acme is active: suspend it first" in active.stderr) == (1, True)
    noti("tenant", "suspend", "acme")
    noti("tenant", "suspend", "other")
    before = counts(connection, "other")
    # Each of the tables has something, or the test would prove nothing of it.
    assert [name for name, rows in before.items() if not rows] == []
    assert counts(connection, "acme") == before
    assert read(noti("tenant", "remove", "acme", "--dry-run", "--json")) == {"dry_run": True, "rows": before}
    assert noti("tenant", "remove", "acme").exit_code == 2  # nobody can be asked
    assert counts(connection, "acme") == before
    done = noti("tenant", "remove", "acme", "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "removed: tenant acme; nothing of it is left in any table"
    assert set(counts(connection, "acme").values()) == {0}
    assert counts(connection, "other") == before
    line = connection.execute(
        "SELECT tenant_id, entity_id, metadata->>'by', (metadata->'removed'->>'notifications_log')::int"
        " FROM noti.audit_log WHERE action = 'tenant_removed'"
    ).fetchall()
    assert line == [("default", "acme", "ada", 6)]
    assert noti("tenant", "remove", "default", "--yes").exit_code == 1
    insert(connection, "acme")  # another one of that name begins anew


def test_while_a_tenant_is_removed_nothing_of_it_is_taken_and_what_comes_in_is_not_overlooked(
    noti: Invoke, connection: Connection, database_url: str
) -> None:
    insert(connection, "acme", 2)
    noti("tenant", "suspend", "acme")
    connection.execute("UPDATE noti.notifications_log SET claimed_by = 7, claim_count = 1, status = 'sending',"
                       " lease_until = now() + interval '1 hour' WHERE notification_id = 1")  # fmt: skip
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM noti.audit_log WHERE tenant_id = 'acme'")
    with for_people(database_url) as people, pytest.raises(removal.Unfinished, match="1 notifications of"):
        removal.remove(people, "acme", wait=lambda seconds: None, patience=2)
    with pytest.raises(psycopg.errors.CheckViolation, match="the tenant acme is being removed"):
        insert(connection, "acme")
    assert noti("tenant", "suspend", "acme").exit_code == 1
    wishes = connection.execute("SELECT requested FROM noti.notifications_log ORDER BY notification_id").fetchall()
    assert wishes == [("cancelled",), (None,)]
    connection.execute(
        "UPDATE noti.notifications_log SET claimed_by = NULL, lease_until = NULL, status = 'cancelled',"
        " requested = NULL, finished_at = now() WHERE notification_id = 1"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="tenant acme is left: 2 in notifications_log"):
        connection.execute("SELECT noti.end_removal('acme', '{}')")
    assert noti("tenant", "remove", "acme", "--yes").exit_code == 0
    assert set(counts(connection, "acme").values()) == {0}


def test_everything_of_a_tenant_is_exported(noti: Invoke, connection: Connection, tmp_path: Path) -> None:
    connection.execute("INSERT INTO noti.tenants (tenant_id) VALUES ('acme'), ('other')")
    for tenant in ("acme", "other"):
        everything_of(connection, tenant)
    connection.execute(
        "UPDATE noti.notifications_log SET subject = %s WHERE finished_at IS NULL", ['tab\t "quote" \\ line\nGrüße']
    )
    file = tmp_path / "acme.zip"
    written = read(noti("tenant", "export", "acme", str(file), "--json"))
    assert written == counts(connection, "acme")
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("tenant.json"))
        assert (about["tenant_id"], about["lines"]) == ("acme", written)
        for name, rows in written.items():
            lines = [json.loads(line) for line in archive.read(f"{name}.jsonl").decode().splitlines()]
            assert len(lines) == rows
            assert all(line.get("tenant_id") in ("acme", "", None) for line in lines)
        [first, *_] = archive.read("notifications_log.jsonl").decode().splitlines()
        assert json.loads(first)["subject"] == 'tab\t "quote" \\ line\nGrüße'
    again = noti("tenant", "export", "acme", str(file))
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
