"""`status`, `list` and `why`, as tables and as JSON."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from tests.cli.conftest import Invoke, read
from tests.store.lives import claim, end, life, queue

Connection = psycopg.Connection[Any]


def test_status_of_an_empty_database_says_so(noti: Invoke) -> None:
    result = noti("status")
    assert "nothing waits" in result.stdout
    assert "no worker is running" in result.stdout


def test_status_shows_channels_and_workers(noti: Invoke, connection: Connection) -> None:
    queue(connection)
    life(connection, "failed")
    connection.execute(
        "INSERT INTO noti.workers (worker_id, host, pid, version, state) "
        "VALUES (7, 'here', 42, '1.0', '{\"channels\": [\"email\"], \"in_flight\": 3}')"
    )
    result = noti("status")
    assert result.exit_code == 0
    header, email, _, workers, worker = result.stdout.splitlines()
    assert " ".join(header.split()) == "channel due in flight waiting scheduled held failed 1h oldest due"
    assert email.split()[:7] == ["email", "1", "0", "0", "0", "0", "1"]
    assert workers.startswith("worker")
    assert worker.split()[:4] == ["7", "here", "42", "1.0"]


def test_status_is_loud_about_living_workers_that_do_not_send(noti: Invoke, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.workers (worker_id, heartbeat, state) VALUES"
        """ (7, now(), '{"modes": {"relay": "dry", "hooks": "redirect"}}'), (8, now(), '{"modes": {}}'),"""
        """ (9, now() - interval '1 hour', '{"modes": {"relay": "dry"}}'), (10, now(), '{"modes": "odd"}')"""
    )
    loud = [line for line in noti("status").stdout.splitlines() if "SAFE MODE" in line]
    assert loud == [
        "SAFE MODE: worker 7 sends nothing through relay (dry)",
        "SAFE MODE: worker 7 sends to other addresses through hooks (redirect)",
    ]


def test_status_has_stable_keys(noti: Invoke, connection: Connection) -> None:
    queue(connection)
    connection.execute("INSERT INTO noti.workers (worker_id) VALUES (7)")
    found = read(noti("status", "--json"))
    assert list(found) == ["channels", "workers"]
    assert list(found["channels"][0]) == [
        "channel",
        "due",
        "in_flight",
        "waiting",
        "scheduled",
        "held",
        "failed_last_hour",
        "oldest_due_seconds",
        "bounded",
    ]
    assert list(found["workers"][0]) == [
        "worker_id",
        "host",
        "pid",
        "version",
        "started_at",
        "heartbeat_seconds",
        "alive",
        "state",
    ]


def test_status_watches_until_it_is_interrupted(database_url: str) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-m", "noti_worker", "status", "--watch", "--json"],
        env={"PATH": "/usr/bin:/bin", "NOTI_DATABASE_URL": database_url},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    first, second = watcher.stdout.readline(), watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=10)
    assert first == second == '{"channels": [], "workers": []}\n'
    assert (watcher.returncode, errors) == (0, "")


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
    ]


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
        "--channel sms --created-since 2020-01-01T00:00:00Z",
    ):
        found = read(noti("list", "--json", *words.split()))
        assert [line["notification_id"] for line in found] == [wanted], words
    assert read(noti("list", "--json", "--created-before", "1h")) == []


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


def test_why_tells_the_story_line_by_line(noti: Invoke, connection: Connection) -> None:
    made = life(connection, "failed")
    lines = noti("why", str(made)).stdout.splitlines()
    assert lines[0] == f"notification {made}: email to ada@example.com, failed"
    assert len(lines) >= 3
    assert all(line[:2] == "20" and line[19] == "Z" for line in lines[1:] if not line.startswith(" "))
    told = read(noti("why", str(made), "--json"))
    assert list(told) == ["notification", "events"]
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


def test_on_a_terminal_the_table_is_drawn_and_content_is_no_markup(
    noti: Invoke, connection: Connection, in_terminal: Callable[..., str], database_url: str
) -> None:
    queue(connection, recipient="[bold]a@example.com")
    shown = in_terminal("list", NOTI_DATABASE_URL=database_url)
    assert "─" in shown
    assert "[bold]a@example.com" in shown
