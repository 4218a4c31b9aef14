"""`status` and `top`: what waits and why, what failed by cause, what is paused, who works."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker import __version__
from noti_worker.cli.picture import TextLine, picture, workers
from noti_worker.cli.watching import _text
from noti_worker.store.people.overview import overview
from noti_worker.store.people.source import for_people
from tests.cli.conftest import Invoke, read
from tests.store.lives import claim, end, life, queue

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parents[2]


def blocks(shown: str) -> dict[str, list[str]]:
    """The blocks of the picture by their first line."""
    return {block.splitlines()[0]: block.splitlines()[1:] for block in shown.split("\n\n")}


def busy(connection: Connection) -> int:
    """A bit of everything; gives the id of what waits longest."""
    longest = queue(connection, tenant_id="acme")
    connection.execute("UPDATE noti.notifications_log SET next_retry_at = now() - interval '3 hours'")
    queue(connection, channel="sms", recipient="+491234", priority="high")
    life(connection, "held")
    failed = queue(connection, channel="sms", recipient="+491234")
    claim(connection, failed)
    end(connection, "failed", failed, error="number +491234 unknown", account="spare", kind="dead")
    connection.execute(
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)"
        " VALUES ('default', 'notification', %s, 'notification_failed', 'worker', 'worker 1',"
        ' \'{"account": "spare", "kind": "dead"}\')',
        [str(failed)],
    )
    connection.execute(
        "INSERT INTO noti.workers (worker_id, host, pid, version, state) VALUES (7, 'here', 42, '1.0',"
        ' \'{"channels": ["email", "sms"], "in_flight": 3}\')'
    )
    connection.execute("SELECT noti.pause('tenant', 'acme', 'bill unpaid', '2090-01-01 00:00+00', 'ada')")
    return longest


def test_status_of_an_empty_database_says_so_and_which_it_is(
    noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = noti("status")
    name = connection.info.dbname
    assert result.stdout.startswith(f"database: {name} on {connection.info.host}; configuration: none; noti-worker ")
    assert "nothing waits, and nothing failed or expired within the hour" in result.stdout
    assert "no worker is running" in result.stdout
    config = tmp_path / "mine.toml"
    config.write_text("")
    monkeypatch.setenv("NOTI_CONFIG", str(config))
    assert f"; configuration: {config}; " in noti("status").stdout.splitlines()[0]
    about = {"database": f"{name} on {connection.info.host}", "configuration": str(config), "version": __version__}
    for words in (("status", "--json"), ("doctor", "--json")):
        assert json.loads(noti(*words).stdout)["about"] == about
    told, _, clock = result.stdout.splitlines()[0].rpartition("; ")
    assert noti("doctor").stdout.splitlines()[0] == told.replace("none", str(config))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", clock)


def test_an_installation_whose_only_row_expired_does_not_say_that_nothing_failed(
    noti: Invoke, connection: Connection
) -> None:
    made = life(connection, "expired")
    shown = noti("status").stdout
    assert "nothing waits\n" in shown
    lines = blocks(shown)["not sent within the hour, by cause"]
    assert lines[1].split() == ["1", "email", "expired", "-", "no", "try", str(made)]


def test_status_says_which_account_accepts_nothing_just_now(noti: Invoke, connection: Connection) -> None:
    made = queue(connection)
    for _ in range(4):
        connection.execute(
            "INSERT INTO noti.notification_attempts_log"
            " (notification_id, attempt_number, claim_count, status, account, kind, error_message) VALUES"
            " (%s, 1, 1, 'retrying', 'relay', 'transient', 'closed by ada@example.com')",
            [made],
        )
    assert noti("status").stdout.splitlines()[1] == (
        "NOTHING ACCEPTED by account relay for 0s at least, 4 tries in a row"
        f" (transient, the newest of notification {made}): closed by …"
    )


def test_status_tells_of_a_refused_reload(noti: Invoke, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.workers (worker_id, state) VALUES"
        """ (7, '{"reload_refused": {"at": "2026-03-01T12:00:00+00:00", "error": "spare is no account"}}'),"""
        """ (8, '{"reload_refused": "odd"}')"""
    )
    assert noti("status").stdout.splitlines()[1] == (
        "RELOAD REFUSED: worker 7 keeps its old configuration since 2026-03-01T12:00:00+00:00: spare is no account"
    )


def test_status_answers_what_waits_longest_and_why(noti: Invoke, connection: Connection) -> None:
    longest = busy(connection)
    lines = blocks(noti("status").stdout)["waits longest"]
    assert lines[1].split() == ["email", "normal", "acme", "1", "3h", str(longest)]
    assert lines[2].startswith("    try 1 waits: the tenant acme is paused by ada since 20")
    assert "(bill unpaid)" in lines[2]
    assert lines[3].split()[:4] == ["sms", "high", "default", "1"]
    assert "the next free worker takes it" in lines[4]


def test_status_answers_what_failed_within_the_hour_by_cause(noti: Invoke, connection: Connection) -> None:
    busy(connection)
    lines = blocks(noti("status").stdout)["not sent within the hour, by cause"]
    assert lines[1].split()[:5] == ["1", "sms", "failed", "dead", "spare"]
    assert lines[2] == "    number … unknown"  # no address


def test_status_answers_which_account_does_not_accept(noti: Invoke, connection: Connection) -> None:
    busy(connection)
    for kind in ("transient", "transient", "transient", "ok"):
        connection.execute(
            "INSERT INTO noti.notification_attempts_log"
            " (notification_id, attempt_number, claim_count, status, account, kind, error_message) VALUES"
            " (1, 1, 1, CASE %(kind)s WHEN 'ok' THEN 'sent' ELSE 'retrying' END, 'relay', %(kind)s, 'refused')",
            {"kind": kind},
        )
    lines = blocks(noti("status").stdout)["tries not accepted (last 5m), by account"]
    assert [line.split() for line in lines[:3]] == [
        ["tries", "of", "all", "account", "kind", "newest"],
        ["3", "75", "%", "relay", "transient", "1"],
        ["refused"],
    ]
    assert lines[3].split()[:4] == ["1", "100", "%", "spare"]


def test_status_shows_pauses_rates_channels_held_and_workers(noti: Invoke, connection: Connection) -> None:
    busy(connection)
    shown = noti("status").stdout
    assert shown.splitlines()[1].startswith("PAUSED tenant acme by ada since 20")
    assert "0.2 failed, 0.2 written off without a try (last 5m)" in shown.splitlines()[2]
    assert shown.splitlines()[3] == "workers: 1 running"
    found = blocks(shown)
    (channels,) = (lines for head, lines in found.items() if head.startswith("channel "))
    assert [line.split() for line in channels] == [
        ["email", "0", "0", "1", "0", "0", "1", "0"],  # the paused one is not due
        ["sms", "1", "0", "0", "0", "0", "0", "1", "0s"],
    ]
    assert found["waits for a person"][1].split()[:3] == ["1", "email", "held"]
    (workers,) = (lines for head, lines in found.items() if head.startswith("worker "))
    assert workers[0].split()[:4] == ["7", "here", "42", "1.0"]


def test_status_is_loud_about_living_workers_that_do_not_send(noti: Invoke, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.workers (worker_id, heartbeat, state) VALUES"
        """ (7, now(), '{"modes": {"relay": "dry", "hooks": "redirect"}}'), (8, now(), '{"modes": {}}'),"""
        """ (9, now() - interval '1 hour', '{"modes": {"relay": "dry"}}'), (10, now(), '{"modes": "odd"}')"""
    )
    connection.execute(  # 7 and 10 are of the version before
        "INSERT INTO noti.worker_routes VALUES (8, 'email', 1, 'relay', 'smtp', 'live'),"
        " (8, 'email', 2, 'spare', 'smtp', 'dry'), (8, 'sms', 1, 'spare', 'smtp', 'dry'),"
        " (9, 'email', 1, 'relay', 'smtp', 'dry')"
    )
    loud = [line for line in noti("status").stdout.splitlines() if "SAFE MODE" in line]
    assert loud == [
        "SAFE MODE: worker 7 sends nothing through relay (dry)",
        "SAFE MODE: worker 7 sends to other addresses through hooks (redirect)",
        "SAFE MODE: worker 8 sends nothing through spare (dry)",
    ]


def test_status_has_stable_keys(noti: Invoke, connection: Connection) -> None:
    busy(connection)
    connection.execute("SELECT noti.open_circuit('relay')")
    connection.execute(
        "INSERT INTO noti.notification_attempts_log"
        " (notification_id, attempt_number, claim_count, status, account, kind)"
        " SELECT 1, n, n, 'retrying', 'relay', 'throttled' FROM generate_series(1, 3) n"
    )
    connection.execute("INSERT INTO noti.tenants (tenant_id, status) VALUES ('other', 'suspended')")
    connection.execute("INSERT INTO noti.buckets VALUES ('account', '', 'relay', 1, 14, 2, 0, now(), 0.5, now())")
    found = read(noti("status", "--json"))
    assert datetime.fromisoformat(found.pop("at")).tzinfo is not None
    assert found.pop("standby") is False
    assert {name: list(part if isinstance(part, dict) else part[0]) for name, part in found.items()} == {
        "channels": ["channel", "due", "in_flight", "paused", "waiting", "scheduled", "held", "failed_last_hour",
                     "oldest_due_seconds", "bounded", "gathering"],
        "rates": ["sent", "retried", "failed", "other", "untried", "seconds"],
        "waiting": ["channel", "priority", "tenant_id", "rows", "oldest_due_seconds", "oldest_id", "why", "bounded",
                        "blocked_by"],
        "refusing": ["account", "tries", "kind", "example_id", "seconds", "answered_before", "error"],
        "answers": ["account", "kind", "tries", "of", "example_id", "error"],
        "held": ["channel", "status", "reason", "rows", "oldest_seconds", "example_id", "bounded"],
        "failures": ["channel", "status", "account", "kind", "rows", "example_id", "error", "bounded"],
        "workers": ["worker_id", "host", "pid", "version", "started_at", "heartbeat_seconds", "up_seconds", "alive",
                    "state", "modes"],
        "pauses": ["scope", "name", "reason", "paused_by", "created_at", "until", "tenant_id"],
        "circuits": ["account", "reason", "opened_by", "opened_at", "retry_at"],
        "suspended": ["tenant_id", "reason", "suspended_by", "suspended_at"],
        "limits": ["scope", "tenant_id", "name", "period", "rate", "burst", "pace", "slowed_at", "tokens", "next_at",
                   "amount", "taken", "until", "zone", "when_spent", "double_every_seconds", "set_by", "set_at",
                   "waiting"],
        "about": ["database", "configuration", "version"],
    }  # fmt: skip


@pytest.mark.parametrize("words", [("status", "--watch", "--json"), ("top", "--json")])
def test_status_watches_until_it_is_interrupted(database_url: str, words: tuple[str, ...]) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-m", "noti_worker", *words],
        env={"PATH": "/usr/bin:/bin", "NOTI_DATABASE_URL": database_url},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    first, second = watcher.stdout.readline(), watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=10)
    looks = [json.loads(line) for line in (first, second)]
    assert looks[0].pop("at") < looks[1].pop("at")
    assert looks[0] == looks[1]
    assert list(looks[0])[:2] == ["channels", "rates"]
    assert (watcher.returncode, errors) == (0, "")


@pytest.mark.parametrize("width", [80, 60])
def test_the_live_picture_fits_the_terminal(connection: Connection, database_url: str, width: int) -> None:
    busy(connection)
    queue(connection, tenant_id="a-tenant-with-a-name-that-does-not-end-" * 3, channel="whatsapp", recipient="+491234")
    connection.execute("UPDATE noti.workers SET host = 'worker-17.production.eu-central-1.example.com'")
    with for_people(database_url) as people:
        now = overview(people)
    lines = [line.text for line in (*picture(now, width), *workers(now, width))]
    assert max(map(len, lines)) <= width
    paused = next(number for number, line in enumerate(lines) if line.startswith("PAUSED tenant acme"))
    assert lines[paused + 1].endswith("(bill unpaid)")  # what is too long for a line goes on in the next one
    short = [line.text for line in picture(now, 40, 2)]
    assert [line for line in short if len(line) > 40] == []
    assert len(short) < len(picture(now, 40))


def test_columns_stay_where_they_are_when_a_number_grows(connection: Connection, database_url: str) -> None:
    busy(connection)
    with for_people(database_url) as people:
        now = overview(people)
    channel = now.channels[1]
    crowded = replace(now, channels=(now.channels[0], replace(channel, due=99_999, waiting=123_456, bounded=True)))
    before, after = ([line.text for line in picture(seen, 80)] for seen in (now, crowded))
    number = next(number for number, line in enumerate(before) if line.startswith("channel "))
    assert before[number : number + 2] == after[number : number + 2]
    assert "99k+" in after[number + 2]
    assert "123k+" in after[number + 2]


def test_lanes_that_wait_for_one_reason_say_it_once_in_the_live_view(connection: Connection, database_url: str) -> None:
    for priority in ("high", "normal", "low"):
        queue(connection, tenant_id="acme", priority=priority)
    queue(connection, tenant_id="free")
    connection.execute("UPDATE noti.notifications_log SET next_retry_at = now() - notification_id * interval '1 s'")
    connection.execute(
        "UPDATE noti.notifications_log SET next_retry_at = now() - interval '1 s' WHERE tenant_id = 'free'"
    )
    connection.execute("SELECT noti.pause('tenant', 'acme', 'bill unpaid')")
    with for_people(database_url) as people:
        now = overview(people)
    for sentence, told in ((None, 3), (2, 1)):
        lines = [line.text for line in picture(now, 200, sentence)]
        assert sum(line.startswith("    try 1 waits: the tenant acme is paused") for line in lines) == told
        assert sum("no worker is running" in line and "try 1 is due" in line for line in lines) == 1


def test_a_low_terminal_says_that_there_is_more() -> None:
    lines = [TextLine(f"line {number}") for number in range(30)]
    assert _text(lines, 30).plain.splitlines()[-1] == "line 29"
    shown = _text(lines, 24).plain.splitlines()
    assert (len(shown), shown[-2]) == (24, "line 22")
    assert shown[-1] == "… 7 more lines: noti-worker status shows them"


def test_workers_stay_visible_on_a_low_terminal() -> None:
    lines = [TextLine(f"line {number}") for number in range(30)]
    few = [TextLine(""), TextLine("worker"), TextLine("7"), TextLine("8")]
    shown = _text(lines, 24, few).plain.splitlines()
    assert (len(shown), shown[-3:], shown[18]) == (24, ["worker", "7", "8"], "line 18")
    assert shown[19] == "… 11 more lines: noti-worker status shows them"
    many = [*few, *(TextLine(str(number)) for number in range(9, 40))]
    shown = _text(lines, 24, many).plain.splitlines()
    assert (len(shown), shown[-1], shown[-7]) == (24, "… 28 more workers", "worker")
    assert (
        _text(lines[:10], 24, many).plain.splitlines()[-1] == "… 22 more workers"
    )  # where there is room, it is theirs


@pytest.mark.parametrize("ended_by", ["Ctrl-C", "q"])
def test_top_is_live_until_ctrl_c_or_q(connection: Connection, database_url: str, ended_by: str) -> None:
    busy(connection)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    top = subprocess.Popen(
        [sys.executable, "-m", "noti_worker", "top"],
        env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "NOTI_DATABASE_URL": database_url},
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown, told = b"", False
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := os.read(master, 65536):
            shown += chunk
            if shown.count(b"PAUSED") >= 2 and not told:  # a second look
                told = True
                if ended_by == "q":
                    os.write(master, b" rq")  # a space freezes it, which keeps no other key from its work
                else:
                    top.send_signal(signal.SIGINT)
    os.close(master)
    assert top.wait(20) == 0
    text = shown.decode()
    assert "waits longest" in text
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ  q quit  space freeze  r look now", text)
    assert f"database: {connection.info.dbname} on " in text
    assert "\x1b[?1049h" in text  # the other screen
    assert "\x1b[?1049l" in text  # and back


def test_watching_costs_no_more_on_a_terminal_that_is_none(noti: Invoke, connection: Connection) -> None:
    busy(connection)
    assert "\x1b" not in noti("status").stdout


def test_pause_and_resume(noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    result = noti("pause", "channel", "email", "--reason", "relay moves", "--until", "2h")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("paused: channel email by ada since 20")
    assert result.stdout.endswith("(relay moves)\n")
    row = "SELECT scope, name, paused_by, until - created_at BETWEEN '119 m' AND '120 m' FROM noti.pauses"
    assert connection.execute(row).fetchall() == [("channel", "email", "ada", True)]
    again = read(noti("pause", "everything", "--json"))
    assert (again["scope"], again["name"], again["until"], again["dry_run"]) == ("everything", "", None, False)
    result = noti("resume", "channel", "email")
    assert (result.exit_code, result.stdout) == (0, "resumed: channel email\n")
    assert "still paused:\n  everything by ada" in result.stderr
    assert read(noti("resume", "everything", "--json")) == {"dry_run": False, "resumed": True, "pauses": []}
    result = noti("resume", "everything")
    assert (result.exit_code, result.stderr) == (1, "everything is not paused\n")


def test_a_dry_run_counts_what_it_would_stop_or_set_free_and_changes_nothing(
    noti: Invoke, connection: Connection
) -> None:
    for _ in range(3):
        queue(connection, tenant_id="acme")
    queue(connection, tenant_id="acme", send_at=datetime(2090, 1, 1, tzinfo=UTC))
    claim(connection, queue(connection, tenant_id="acme"))  # in flight: no pause stops it
    queue(connection, tenant_id="acme", channel="sms", recipient="+491234")
    queue(connection)
    first, second = noti("pause", "tenant", "acme", "--dry-run").stdout.splitlines()
    assert first.startswith("would be paused: tenant acme")
    assert second == "that would stop 4 that are due, and 1 whose time comes later"
    assert connection.execute("SELECT 1 FROM noti.pauses").fetchall() == []
    noti("pause", "channel", "sms")
    told = read(noti("pause", "tenant", "acme", "--dry-run", "--json"))  # the SMS waits already
    assert told["stops"] == {"due": 3, "later": 1, "bounded": False}
    noti("pause", "tenant", "acme")
    assert noti("resume", "tenant", "acme", "--dry-run").stdout == (
        "would be resumed: tenant acme\nthat would set free 3 that are due, and 1 whose time comes later\n"
    )
    told = read(noti("resume", "channel", "sms", "--dry-run", "--json"))
    assert told["sets_free"] == {"due": 0, "later": 0, "bounded": False}  # the tenant keeps it back
    assert len(connection.execute("SELECT 1 FROM noti.pauses").fetchall()) == 2


def test_what_cannot_be_paused_is_said_in_words(noti: Invoke) -> None:
    result = noti("pause", "channel", "pigeon")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the channel is unknown. Give one of email, sms,")
    assert noti("pause", "planet", "x").exit_code == 2


def test_a_pause_of_an_account_that_nobody_has_says_so(noti: Invoke, connection: Connection) -> None:
    connection.execute('INSERT INTO noti.workers (state) VALUES (\'{"routes": {"email": {"relay": "smtp"}}}\')')
    assert noti("pause", "account", "relay").stderr == ""
    assert noti("pause", "account", "reley").stderr == "no running worker has an account reley\n"


def test_a_channel_of_one_tenant_is_paused_and_resumed_for_it_alone(noti: Invoke, connection: Connection) -> None:
    assert noti("pause", "channel", "email", "--tenant", "acme").stdout.startswith(
        "paused: channel email of tenant acme by"
    )
    assert connection.execute("SELECT scope, name, tenant_id FROM noti.pauses").fetchall() == [
        ("tenant channel", "email", "acme")
    ]
    assert noti("resume", "channel", "email").exit_code == 1
    assert noti("resume", "channel", "email", "--tenant", "acme").exit_code == 0
    result = noti("pause", "tenant", "acme", "--tenant", "acme")
    assert (result.exit_code, result.stderr.split(".")[0]) == (
        1,
        "Error: only a channel, an account or a template can be paused for one tenant",
    )


def test_circuits_are_listed_closed_and_opened_by_hand(
    noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    connection.execute('INSERT INTO noti.workers (state) VALUES (\'{"routes": {"email": {"relay": "smtp"}}}\')')
    assert (noti("circuits", "list").stdout, noti("circuits", "list").stderr) == ("", "every account is used\n")
    dry = noti("circuits", "open", "relay", "--dry-run")
    assert dry.stdout == "would not be tried for now: account relay\n"
    opened = noti("circuits", "open", "relay", "--reason", "they said so", "--until", "2h")
    assert (opened.stdout, opened.stderr) == ("not tried for now: account relay\n", "")
    (line,) = noti("circuits", "list").stdout.splitlines()
    assert line.startswith("account relay since 20")
    assert line.endswith("(they said so)")
    assert "by ada" in line
    (told,) = read(noti("circuits", "list", "--json"))["circuits"]
    assert (told["account"], told["opened_by"]) == ("relay", "ada")
    assert noti("status").stdout.splitlines()[1].startswith("IN TROUBLE account relay since")
    assert noti("circuits", "open", "relay").exit_code == 1
    assert read(noti("circuits", "close", "relay", "--dry-run", "--json"))["closed"]
    assert noti("circuits", "close", "relay").stdout == "used again: account relay\n"
    assert noti("circuits", "close", "relay").exit_code == 1
    assert "no running worker has an account reley" in noti("circuits", "open", "reley").stderr


def test_what_the_database_refuses_to_a_worker_stands_at_the_top(noti: Invoke, connection: Connection) -> None:
    state = (
        '{"channels": ["email"], "unable": {"record": "the database refused (42501)"}, "refused": 1,'
        ' "refused_rows": [{"id": 17, "what": "claim", "why": "the database refused (23514, constraint mine)"}]}'
    )
    connection.execute("INSERT INTO noti.workers (worker_id, state) VALUES (7, %s), (8, '{}')", [state])
    lines = noti("status").stdout.splitlines()
    assert lines[1:3] == [
        "NOT READY: worker 7 cannot record: the database refused (42501)",
        "REFUSED to worker 7, 1 row: 17 (claim: the database refused (23514, constraint mine))",
    ]
