"""Marked addresses, contents and credentials go every way through real processes, and are said nowhere.

One word stands in everything that is private. It may be found in the columns that hold content, with the providers,
and (where it is part of the recipient) in what an operator asks for by id; nowhere else.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker import enqueue
from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.certificates import Authority
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import Inbox
from tests.system.daemon import ROOT, Daemon, Daemons, Ledger, member_of

MARK = "q7xv"
TO, SUBJECT, BODY, DATA, HEADER, TOKEN, CREDENTIAL = (
    f"{what}{MARK}" for what in ("wren", "subject", "body", "data", "header", "token", "credential")
)
ADDRESS = f"{TO}@leak.example.com"
NUMBER = "+491511234" + "7" * 4
CONTENT = {
    "notifications_log": {"recipient", "subject", "body", "template_data", "options", "metadata", "error_message"},
    "notification_attempts_log": {"error_message", "response_data"},
    "inbox": {"recipient", "subject", "body", "html"},
    "attachments": {"filename", "content"},
    "suppressions": {"address", "note", "requested_by"},
}
"""The columns that hold content, whom it is for, or what was said about it."""

BAD_TEMPLATES = {
    "no-such": "{{ nowhere.to.be.found }}",
    "key": "{{ prices[name].amount }}",
    "number": "{{ name | int(default=name) + 1 }}",
    "type": "{{ name + 1 }}",
    "attribute": "{{ name.upper.lower.strip }}{{ name.missing() }}",
    "filter": "{{ name | round }}",
    "endless": "{{ name }}" + "{% for a in range(1000) %}" * 3 + "{% if a == name %}{% endif %}" + "{% endfor %}" * 3,
}


@pytest.fixture
def server(open_directory: Path) -> Iterator[Server]:
    """A server that logs as PostgreSQL does when nobody tells it otherwise."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    usual = {"fsync": "off", "log_error_verbosity": "default", "log_min_error_statement": "error"}
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, usual) as server:
        migrate.upgrade(server.url)
        yield server


@pytest.fixture
def house(
    tmp_path: Path, server: Server, authority: Authority, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemons]:
    """Accounts that quote, that refuse the password, and that answer by HTTP."""
    (tmp_path / "credential").write_text(CREDENTIAL)
    monkeypatch.setitem(os.environ, "TEST_HOOK_SECRET", "whsec_" + "q7xv" * 8)
    monkeypatch.setitem(os.environ, "TEST_TOKEN", TOKEN)
    ledger = Ledger(tmp_path)
    points = ledger.directory / "site" / "noti_ledger-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "quoting = tests.system.quoting_provider\n")
    inbox.behaviour.answers = {
        f"RCPT fails-{ADDRESS}": f"550 5.1.1 <fails-{ADDRESS}>: no mailbox {TO} here",
        f"RCPT later-{ADDRESS}": f"451 4.7.1 <later-{ADDRESS}>: come again, {TO}",
    }
    relay = (
        f'provider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\nca_file = "{authority.ca_file}"\n'
        'username = "noti"\nfrom = "Shop <no-reply@example.com>"\n'
    )
    good = tmp_path / "good"
    good.write_text("correct horse battery staple")
    with Daemons(tmp_path, member_of("noti_worker", server.url)) as house:
        house.environ |= ledger.environ
        house.configure(
            f'[accounts.relay]\n{relay}password = "file:{good}"\n'
            f'[accounts.refused]\n{relay}password = "file:{tmp_path / "credential"}"\n'
            '[accounts.hooks]\nprovider = "webhook"\nsecret = "env:TEST_HOOK_SECRET"\n'
            'allow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
            f'[accounts.quoting]\nprovider = "quoting"\nonce = "{tmp_path / "once"}"\ntoken = "env:TEST_TOKEN"\n'
            '[routes]\nemail = ["relay", "refused"]\nwebhook = ["hooks"]\nchat = ["quoting"]\n'
            "[channels.chat]\nconcurrency = 4\n"
            "[worker]\nlease = '5s'\ndrain_deadline = '2s'\n"
        )
        yield house


def fill(connection: psycopg.Connection[Any], receiver: MisbehavingServer) -> None:
    """One notification for every way that one can go."""
    said: dict[str, Any] = {"subject": SUBJECT, "body": f"Dear {DATA},\nyour {BODY} is ready.", "max_retries": 0}
    options = {"headers": {"X-Who": HEADER}, "cc": [f"copy-{ADDRESS}"], "html": f"<p>{BODY}</p>"}
    for does in ("fine", "fails", "later"):
        enqueue(connection, channel="email", recipient=f"{does}-{ADDRESS}", options=options, **said)
    enqueue(connection, channel="email", recipient=f"credential-{ADDRESS}", provider="refused", **said)
    enqueue(connection, channel="email", recipient=f"not one address {ADDRESS}", **said)
    enqueue(connection, channel="email", recipient=ADDRESS, options={"headers": {"X-Who": f"{HEADER}\n"}}, **said)
    for path in ("ok", "echo", "status/500", "redirect", "cut-body", "broken-header", "not-http", "closes-after"):
        url = receiver.url(f"/{path}/{TOKEN}?key={TOKEN}")
        enqueue(connection, channel="webhook", recipient=url, options={"headers": {"X-Who": HEADER}}, **said)
    enqueue(connection, channel="webhook", recipient=f"http://{TOKEN}:{TOKEN}@127.0.0.1/{TOKEN}", **said)
    enqueue(connection, channel="webhook", recipient=f"http://127.0.0.1:1/{TOKEN}", **said)
    enqueue(connection, channel="webhook", recipient=f"https://{TOKEN}.invalid/{TOKEN}", **said)
    for does in (
        "fails",
        "retries",
        "holds",
        "unsure",
        "slower",
        "gone",
        "sends",
        "raises",
        "breaks",
        "logs",
        "odd",
        "dies",
    ):
        enqueue(connection, channel="chat", recipient=f"{does}-{ADDRESS}", **said)
        rendered: Any = {"template_id": "good", "template_data": {"name": DATA, "lines": [f"{BODY} for {NUMBER}"]}}
        if does not in {"breaks", "logs"}:  # costs a thread; a library's words are masked by their form only
            enqueue(connection, channel="chat", recipient=f"{does}-{TO}", max_retries=0, **rendered)
    enqueue(connection, channel="in_app", recipient=f"user:{TO}", **said)
    for name in BAD_TEMPLATES:
        data = {"name": DATA, "prices": {"x": BODY}}
        enqueue(connection, channel="chat", recipient=f"sends-{TO}", template_id=name, template_data=data)


def refused_inserts(connection: psycopg.Connection[Any]) -> list[str]:
    """What applications do wrong, and what they are told."""
    wrong: tuple[tuple[str, list[str]], ...] = (
        ("INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('fax', %s, %s)", [ADDRESS, BODY]),
        (
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', %s, %s)",
            [ADDRESS, BODY * 200_000],
        ),
        ("SELECT noti.send('email', %s, subject => %s)", [ADDRESS, SUBJECT]),
        ("SELECT noti.send('email', %s, body => %s, options => to_jsonb(%s::text))", [ADDRESS, BODY, HEADER]),
        ("UPDATE noti.notifications_log SET body = %s WHERE status = 'sent'", [BODY]),
        ("UPDATE noti.notifications_log SET status = 'sent' WHERE status = 'failed'", []),
        ("UPDATE noti.notifications_log SET max_retries = -1", []),
        ("DELETE FROM noti.notifications_log WHERE finished_at IS NULL", []),
        ("UPDATE noti.audit_log SET metadata = to_jsonb(%s::text)", [BODY]),
    )
    told = []
    for query, parameters in wrong:
        with pytest.raises(psycopg.Error) as error:
            connection.execute(query.encode(), parameters)
        told.append(f"{error.value} {error.value.diag.message_detail} {error.value.diag.context}")
    return told


def command(house: Daemons, *words: str, **environ: str) -> str:
    """What a command says on both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "noti_worker", "--config", str(house.directory / "noti-worker.toml"), *words],
        cwd=ROOT,
        env={**os.environ, "NOTI_DATABASE_URL": house.database_url, **house.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return f"{' '.join(words)}: {done.stdout}{done.stderr}"


def leaks(text: str, *private: str) -> list[str]:
    """The lines in which something private stands."""
    pattern = re.compile("|".join(map(re.escape, private or (MARK, NUMBER[3:]))), re.IGNORECASE)
    return [line[:600] for line in text.splitlines() if pattern.search(line)]


def stray_cells(connection: psycopg.Connection[Any]) -> list[str]:
    """Where the mark stands outside the columns that hold content."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'noti'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'templates'"
    ).fetchall()
    found = []
    for (table,) in tables:
        allowed = CONTENT.get(table, set())
        for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM noti.{table} t".encode()):
            found += [
                f"{table}.{name}: {value}"
                for name, value in row.items()
                if name not in allowed and leaks(json.dumps(value))
            ]
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("level", "form"), [("debug", "json"), pytest.param("info", "console", marks=pytest.mark.slow)]
)
def test_what_is_private_is_said_nowhere(
    house: Daemons,
    server: Server,
    receiver: MisbehavingServer,
    wait_for: Callable[..., Any],
    level: str,
    form: str,
) -> None:
    logging = {"NOTI_LOG__LEVEL": level, "NOTI_LOG__FORMAT": form}
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO noti.templates (template_id, subject, body) VALUES ('good', 'Hi {{ name }}', %s)",
            ["Dear {{ name }}, {% for line in lines %}{{ line }} {% endfor %}"],
        )
        for name, body in BAD_TEMPLATES.items():
            connection.execute("INSERT INTO noti.templates (template_id, body) VALUES (%s, %s)", [name, body])
        fill(connection, receiver)
        first = house.start(**logging)
        wait_for(lambda: first.process.poll() is not None, timeout=60, what="the deadly sender ends the worker")
        second = house.start(**logging)

        def left() -> list[Any]:
            return connection.execute(
                "SELECT notification_id, recipient, status, error_message FROM noti.notifications_log"
                " WHERE finished_at IS NULL AND held_at IS NULL AND status <> 'retrying' AND recipient !~ '^breaks'"
            ).fetchall()

        wait_for(lambda: not left(), timeout=60, what="all but throttled ones are settled")
        wait_for(
            lambda: any("SystemExit" in worker.log_file.read_text() for worker in (first, second)),
            timeout=30,
            what="a sender that breaks its thread is told by the worker that met it",
        )
        pages = [_get(second, path) for path in ("/metrics", "/health/live", "/health/ready")]
        # The database breaks off, refuses, and is away: the worker says so, and the server logs it.
        connection.execute("REVOKE UPDATE ON noti.notifications_log FROM noti_worker")
        enqueue(connection, channel="in_app", recipient=f"user:{TO}", body=BODY)
        wait_for(lambda: "42501" in second.log_file.read_text(), timeout=30, what="the refusal is told")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^noti-worker'"
        )
        told = refused_inserts(connection)
        assert second.stop() in {0, 1}

        statuses: dict[str, int] = dict(
            connection.execute("SELECT status, count(*) FROM noti.notifications_log GROUP BY 1").fetchall()
        )
        assert {"sent", "failed", "held", "retrying"} <= set(statuses)
        assert stray_cells(connection) == []
        stories = [
            str(event)
            for event in connection.execute(
                "SELECT w.* FROM noti.notifications_log n, noti.why(n.notification_id) w ORDER BY n.notification_id"
            )
        ]

    outputs = {
        "the first worker": first.log_file.read_text(),
        "the second worker": second.log_file.read_text(),
        "metrics and health": "\n".join(pages),
        "what applications are told": "\n".join(told),
        "the server's log": (server.directory / "server.log").read_text(),
        "accounts": command(house, "provider", "list") + command(house, "config", "show", "--origin"),
        "preview": command(house, "requeue", "--status", "failed", "--json", "--dry-run").partition('"sample"')[0],
    }
    assert {name: found for name, text in outputs.items() if (found := leaks(text))} == {}
    assert "try_failed" in outputs["the second worker"]
    assert "renderer_killed" in outputs["the second worker"]
    assert "permission denied" in outputs["the server's log"]

    # A provider's words are shown to operators, with what is known to be an address or a secret masked.
    looked = [command(house, name, *options) for name in ("status", "doctor") for options in ((), ("--json",))]
    looked += stories
    assert leaks("\n".join(looked), ADDRESS, f"-{TO}", f":{TO}", TOKEN, CREDENTIAL, NUMBER[3:]) == []
    # A list shows recipients, as documented, and the last error as it was recorded; never what was not quoted.
    assert leaks(command(house, "list", "--limit", "1000", "--json"), CREDENTIAL) == []


def _get(daemon: Daemon, path: str) -> str:
    """Its port stands in a line of either form."""
    import urllib.error
    import urllib.request

    found = re.search(r"listen\W+127\.0\.0\.1:(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", daemon.log_file.read_text()))
    assert found is not None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
