"""A row becomes a delivered message: plain SQL in, real servers out."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook

from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import Inbox
from tests.system.conftest import SANDBOX, SECRET
from tests.system.daemon import Daemons

Finished = Callable[..., None]
Invariants = Callable[[], list[Any]]
SOON = '[channels.email]\nretry = { initial_delay = "2s", jitter = 0.0 }\n'


def test_one_insert_per_channel_reaches_its_recipient(
    daemons: Daemons,
    inbox: Inbox,
    receiver: MisbehavingServer,
    relay: str,
    hooks: str,
    connection: psycopg.Connection[Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    daemons.configure(relay + hooks)
    daemon = daemons.start_ready()
    connection.execute(
        "INSERT INTO noti.templates (template_id, subject, body, html)"
        " VALUES ('invoice', 'Invoice {{ number }}',"
        " 'Dear {{ name }}: {{ total | money(''EUR'') }} by {{ due | datetime(''long'') }}', '<p>Dear {{ name }}</p>')"
    )
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address, zone)"
        " VALUES ('43', 'email', 'bob@example.com', 'America/New_York')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
        " VALUES ('email', 'ada@example.com', 'Grüße', 'Hello Ada'), ('in_app', 'user:42', 'Hi', 'Look here')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, template_id, locale, template_data)"
        """ VALUES ('email', 'bob@example.com', 'invoice', 'de',
                    '{"number": 17, "name": "<Bob>", "total": 1234.50, "due": "2026-07-01T02:00:00Z"}')"""
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('webhook', %s, %s)",
        [f"http://127.0.0.1:{receiver.port}/ok", '{"event": "order.paid"}'],
    )
    finished()
    assert connection.execute("SELECT DISTINCT status FROM noti.notifications_log").fetchall() == [("sent",)]
    mails = {mail.recipients[0]: mail for mail in inbox.mails}
    assert set(mails) == {"ada@example.com", "bob@example.com"}
    assert all(mail.over_tls and mail.logged_in for mail in mails.values())
    invoice = message_from_bytes(mails["bob@example.com"].content)
    assert invoice["Subject"] == "Invoice 17"
    parts: list[Any] = list(invoice.walk())
    text = parts[1].get_payload(decode=True).decode()
    assert "Dear <Bob>: 1.234,50\xa0€ by 30. Juni 2026, 22:00" in text, "in his language, by his clock"
    assert "Dear &lt;Bob&gt;" in parts[2].get_payload(decode=True).decode()
    [post] = receiver.received
    assert Webhook(SECRET).verify(post.body, post.headers) == {"event": "order.paid"}
    assert connection.execute("SELECT recipient, body FROM noti.inbox").fetchall() == [("user:42", "Look here")]
    assert invariants() == []
    assert daemon.stop() == 0
    assert [line["event"] for line in daemon.log if line.get("level") in {"warning", "error"}] == []


def test_what_needs_an_extra_goes_out(
    daemons: Daemons, receiver: MisbehavingServer, connection: psycopg.Connection[Any], finished: Finished
) -> None:
    """A chat through Apprise, and an SMS to a number as it is dialled in its region."""
    daemons.environ["CHAT_URL"] = f"json://ada:canary-4711@127.0.0.1:{receiver.port}/ok/{{recipient}}"
    daemons.configure(
        '[accounts.chat]\nprovider = "apprise"\nchannels = ["chat"]\nurl = "env:CHAT_URL"\n'
        f'[accounts.gateway]\nprovider = "http"\nchannels = ["sms"]\nurl = "{receiver.url("/ok")}"\n'
        'body = \'{"to": {{ recipient }}}\'\n[channels.sms]\nregion = "DE"\n'
    )
    daemon = daemons.start_ready()
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('chat', '#orders', 'Hello'),"
        " ('sms', '0171 2345678', 'Hello'), ('sms', '0171 234', 'Hello')"
    )
    finished()
    rows = connection.execute(
        "SELECT recipient, status FROM noti.notifications_log ORDER BY notification_id"
    ).fetchall()
    assert rows == [("#orders", "sent"), ("0171 2345678", "sent"), ("0171 234", "failed")]
    tries = connection.execute("SELECT account, response_data FROM noti.notification_attempts_log ORDER BY account")
    (chat, said), (gateway, answer) = tries.fetchall()
    assert (chat, said) == ("chat", {"service": "JSON"})
    assert (gateway, answer["dialled"]) == ("gateway", "+491712345678")
    bodies = sorted((request.target, json.loads(request.body)) for request in receiver.received)
    assert [target for target, _ in bodies] == ["/ok", "/ok/%23orders"]
    assert (bodies[0][1], bodies[1][1]["message"]) == ({"to": "+491712345678"}, "Hello")
    assert daemon.stop() == 0
    assert "4711" not in daemon.log_file.read_text(), "neither the URL nor a number"


def test_a_thousand_mails_by_two_workers_each_delivered_once(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    expect_thousand(inbox)
    daemons.configure(relay + SOON)
    workers = [daemons.start_ready(), daemons.start_ready()]
    insert_thousand(connection)
    finished(60)
    assert Counter(mail.recipients[0] for mail in inbox.mails) == Counter(accepted())
    check_thousand(connection, invariants)
    tries = connection.execute(
        "SELECT status, count(*) FROM noti.notification_attempts_log GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert tries == [("failed", 20), ("retrying", 100), ("sent", 980)]
    shares = connection.execute("SELECT worker, count(*) FROM noti.notification_attempts_log GROUP BY 1").fetchall()
    assert len(shares) == 2
    audit = connection.execute(
        "SELECT action, count(*) FROM noti.audit_log WHERE entity_type = 'notification' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert audit == [
        ("notification_failed", 20),
        ("notification_retrying", 100),
        ("notification_sent", 980),
        ("notification_triggered", 1000),
    ]
    assert [worker.stop() for worker in workers] == [0, 0]
    # One line per failed try, none per success.
    assert sum(len(worker.said("try_failed")) for worker in workers) == 120


@pytest.mark.fault("F01")
def test_the_rows_of_a_killed_worker_are_in_other_hands_within_18_seconds(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    expect_thousand(inbox)
    daemons.configure(relay + SOON)
    victim, other = daemons.start_ready(), daemons.start_ready()
    number = victim.said("worker_started")[0]["worker_id"]
    insert_thousand(connection)

    def held() -> list[int]:
        rows = connection.execute(
            "SELECT notification_id FROM noti.notifications_log WHERE claimed_by = %s AND finished_at IS NULL",
            [number],
        ).fetchall()
        return [row[0] for row in rows]

    def caught_in_the_middle() -> list[int]:
        """Stop it dead; what its last statement records still arrives, what is held then stays held."""
        victim.signal(signal.SIGSTOP)
        threading.Event().wait(0.5)
        rows = held()
        if not rows:
            victim.signal(signal.SIGCONT)
        return rows

    wait_for(lambda: len(inbox.mails) > 100)
    orphans = wait_for(caught_in_the_middle)
    victim.signal(signal.SIGKILL)
    victim.wait()
    killed_at = time.monotonic()
    wait_for(lambda: not held(), timeout=20)
    assert time.monotonic() - killed_at < 18
    finished(60)
    check_thousand(connection, invariants)
    times = Counter(mail.recipients[0] for mail in inbox.mails)
    assert set(times) == set(accepted())
    lost = {
        row[0]
        for row in connection.execute(
            "SELECT n.recipient FROM noti.notification_attempts_log a JOIN noti.notifications_log n USING"
            " (notification_id) WHERE a.status = 'lost'"
        )
    }
    assert len(lost) == len(orphans)
    repeated = {recipient for recipient, count in times.items() if count > 1}
    # Only what was in flight can go out twice: sent or being sent, and not recorded yet.
    assert repeated <= lost
    assert max(times.values()) <= 2
    for recipient in repeated:
        ids = {message_from_bytes(mail.content)["Message-ID"] for mail in inbox.mails if recipient in mail.recipients}
        assert len(ids) == 1
    assert other.stop() == 0


def accepted() -> list[str]:
    """980 of the thousand recipients."""
    return [f"user{n}@example.com" for n in range(1000) if n % 50 != 7]


def expect_thousand(inbox: Inbox) -> None:
    """10 % are greylisted once, 2 % are refused for good."""
    for n in range(1000):
        if n % 10 == 3:
            inbox.behaviour.answers[f"RCPT user{n}@example.com"] = ["451 4.7.1 Greylisted, come back later"]
        elif n % 50 == 7:
            inbox.behaviour.answers[f"RCPT user{n}@example.com"] = "550 5.1.1 No such user"


def insert_thousand(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
        " SELECT 'email', 'user' || n || '@example.com', 'Hello ' || n, 'Body' FROM generate_series(0, 999) n"
    )


def check_thousand(connection: psycopg.Connection[Any], invariants: Invariants) -> None:
    statuses = connection.execute(
        "SELECT status, count(*) FROM noti.notifications_log GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert statuses == [("failed", 20), ("sent", 980)]
    kinds = connection.execute(
        "SELECT DISTINCT kind FROM noti.notification_attempts_log WHERE status = 'failed'"
    ).fetchall()
    assert kinds == [("dead",)]
    assert invariants() == []


def test_a_rolled_back_transaction_sends_nothing(
    daemons: Daemons, database_url: str, connection: psycopg.Connection[Any], finished: Finished
) -> None:
    daemons.configure(SANDBOX + '[routes]\nemail = ["box"]')
    daemons.start_ready()
    with psycopg.connect(database_url) as application:
        application.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'a@example.com', 'x')"
        )
        application.rollback()
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'b@example.com', 'x')"
    )
    finished()
    assert connection.execute("SELECT recipient, status FROM noti.notifications_log").fetchall() == [
        ("b@example.com", "sent")
    ]
    assert connection.execute("SELECT count(*) FROM noti.notification_attempts_log").fetchone() == (1,)


def test_a_cancelled_row_sends_nothing_and_why_says_so(
    daemons: Daemons, connection: psycopg.Connection[Any], finished: Finished, invariants: Invariants
) -> None:
    daemons.configure(SANDBOX + '[routes]\nemail = ["box"]')
    daemons.start_ready()
    row = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at)"
        " VALUES ('email', 'a@example.com', 'x', now() + interval '1.5 s') RETURNING notification_id"
    ).fetchone()
    assert row is not None
    assert connection.execute("SELECT noti.cancel(%s)", row).fetchone() == ("cancelled",)
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at)"
        " VALUES ('email', 'b@example.com', 'x', now() + interval '2 s')"
    )
    finished()
    story = connection.execute("SELECT event, detail FROM noti.why(%s)", row).fetchall()
    assert "cancelled" in str(story).lower()
    tries = connection.execute("SELECT count(*) FROM noti.notification_attempts_log WHERE notification_id = %s", row)
    assert tries.fetchone() == (0,)
    assert invariants() == []


@pytest.mark.fault("F41")
def test_poison_rows_harm_only_themselves(
    daemons: Daemons, connection: psycopg.Connection[Any], finished: Finished, invariants: Invariants
) -> None:
    daemons.configure(SANDBOX + '[routes]\nemail = ["box"]')
    daemon = daemons.start_ready()
    deep = "[" * 3000 + "]" * 3000
    connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES ('plain', 'Hello'), ('endless',"
        " '{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{{ a }}"
        "{% endfor %}{% endfor %}{% endfor %}')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, template_id, template_data)"
        " VALUES ('email', 'deep@example.com', 'plain', %s), ('email', 'endless@example.com', 'endless', NULL)",
        [deep],
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, options)"
        " VALUES ('email', 'options@example.com', 'x', %s), ('email', 'digits@example.com', 'x', %s)",
        [deep, json.dumps({"cc": 0}).replace("0", "9" * 5000)],
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'email', 'good' || n || '@example.com', 'x' FROM generate_series(1, 200) n"
    )
    finished()
    rows = connection.execute(
        "SELECT recipient, error_message FROM noti.notifications_log WHERE status <> 'sent' ORDER BY 1"
    ).fetchall()
    assert [row[0].split("@")[0] for row in rows] == ["deep", "digits", "endless", "options"]
    assert all(row[1] for row in rows)
    assert connection.execute("SELECT count(*) FROM noti.notifications_log WHERE status = 'sent'").fetchone() == (200,)
    assert invariants() == []
    assert daemon.stop() == 0
