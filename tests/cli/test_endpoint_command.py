"""`endpoint` and `tail`: what people do about endpoints, and what they see happen."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read
from tests.store.rows import insert
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
URL = "https://example.com/events"


def test_an_endpoint_is_added_changed_disabled_and_removed(noti: Invoke, connection: Connection) -> None:
    assert noti("endpoint", "list").stderr == "there is no endpoint\n"
    added = noti("endpoint", "add", "crm", URL, "--event", "bounced", "--channel", "email", "--owner", "sms:+491511")
    assert added.stdout == f"added: crm of tenant default ({URL}): bounced of email; enabled\n"
    assert added.stderr == f"its receiver's secret: noti-worker webhook secret {URL} --tenant default\n"
    again = noti("endpoint", "add", "crm", URL)
    assert (again.exit_code, "has an endpoint crm already" in again.stderr) == (1, True)
    changed = read(noti("endpoint", "set", "crm", "--event", "all", "--json"))
    assert (changed["events"], changed["channels"], changed["owner"]) == ([], ["email"], "+491511")
    refused = noti("endpoint", "set", "crm", "--url", "example.com/secret")
    assert refused.exit_code == 1
    assert "must begin with https://" in refused.stderr
    assert "secret" not in refused.stderr
    off = noti("endpoint", "disable", "crm", "--reason", "it moves")
    assert ": all events of email; disabled since " in off.stdout
    assert off.stdout.endswith(": it moves\n")
    assert noti("endpoint", "enable", "crm").stdout.endswith("; enabled\n")
    assert noti("endpoint", "enable", "other").exit_code == 1
    assert noti("endpoint", "add", "odd", URL, "--event", "opened").exit_code == 2
    assert noti("endpoint", "remove", "crm").stdout == "removed: crm of tenant default\n"
    lines = connection.execute(
        "SELECT action, metadata->'changed' FROM noti.audit_log WHERE entity_type = 'endpoint' ORDER BY audit_id"
    ).fetchall()
    assert lines == [
        ("endpoint_added", None),
        ("endpoint_changed", ["events"]),
        ("endpoint_disabled", None),
        ("endpoint_enabled", None),
        ("endpoint_removed", None),
    ]


def test_a_test_without_a_worker_says_why_nothing_came(noti: Invoke) -> None:
    noti("endpoint", "add", "crm", URL)
    tried = noti("endpoint", "test", "crm", "--timeout", "200ms")
    assert tried.exit_code == 1
    assert "nothing was sent within" in tried.stdout
    assert read(noti("endpoint", "recover", "crm", "--since", "1h", "--json")) == {"events": 0}


@pytest.mark.parametrize("role", ["noti_operator", "noti_readonly"])
def test_whoever_reads_follows_what_fits_as_it_happens(database_url: str, connection: Connection, role: str) -> None:
    insert(connection, tenant_id="acme")
    following = subprocess.Popen(
        [sys.executable, "-m", "noti_worker", "tail", "--tenant", "acme", "--json", "--limit", "3"],
        env={**os.environ, "NOTI_DATABASE_URL": member_of(role, database_url)},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with following:
        assert following.stderr is not None
        assert following.stderr.readline() == "following\n"
        with psycopg.connect(database_url) as slow:  # committed last, and written first
            [id_] = insert(slow, tenant_id="acme")
            insert(connection, tenant_id="other")
            [second] = insert(connection, tenant_id="acme")
        connection.execute("SELECT noti.cancel(%s)", (second,))
        out, _ = following.communicate(timeout=60)
    told = [json.loads(line) for line in out.splitlines()]
    assert {(line["notification"]["notification_id"], line["event"]) for line in told} == {
        (id_, "queued"),
        (second, "queued"),
        (second, "cancelled"),
    }
