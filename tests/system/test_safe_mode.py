"""Safe mode, by real daemons: real people hear nothing, and nobody can overlook that."""

import subprocess
import sys
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

import psycopg

from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import Inbox
from tests.system.daemon import ROOT, Daemons

Finished = Callable[..., None]
Connection = psycopg.Connection[Any]


def insert_one_each(connection: Connection, receiver: MisbehavingServer) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body, options) VALUES"
        """ ('email', 'ada@example.com', 'Hello', 'Dear Ada', '{"cc": ["c@example.com"], "bcc": ["b@example.com"]}'),"""
        " ('webhook', %s, NULL, '{}', NULL), ('in_app', 'user:42', 'Hi', 'Look here', NULL)",
        [f"http://127.0.0.1:{receiver.port}/ok?real"],
    )


def test_dry_mode_sends_nothing_by_any_channel_and_tells_everybody(
    daemons: Daemons,
    inbox: Inbox,
    receiver: MisbehavingServer,
    relay: str,
    hooks: str,
    connection: Connection,
    finished: Finished,
    invariants: Callable[[], list[Any]],
) -> None:
    daemons.configure(relay + hooks)
    daemon = daemons.start_ready(NOTI_DELIVERY__MODE="dry")
    insert_one_each(connection, receiver)
    finished()
    assert (inbox.mails, receiver.received) == ([], [])
    assert connection.execute("SELECT count(*) FROM noti.inbox").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM noti.notification_attempts_log").fetchone() == (0,)
    assert connection.execute("SELECT DISTINCT status FROM noti.notifications_log").fetchall() == [("suppressed",)]
    story = connection.execute("SELECT event, detail FROM noti.why(1)").fetchall()
    assert ("suppressed", "dry mode: rendered and checked for the account relay, not sent") in story
    daemon.wait_for(lambda: daemon.said("safe_mode"), 10)
    [line] = daemon.said("safe_mode")
    assert (line["level"], sorted(line["dry"]), line["redirect"]) == ("warning", ["hooks", "in_app", "relay"], [])
    assert 'noti_worker_delivery_mode{account="relay",mode="dry"} 1.0' in daemon.get("/metrics")[1]
    status = subprocess.run(
        [sys.executable, "-m", "noti_worker", "--database-url", daemons.database_url, "status"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "SAFE MODE: worker 1 sends nothing through hooks, in_app, relay (dry)" in status
    assert invariants() == []
    assert daemon.stop() == 0


def test_what_was_suppressed_can_be_sent_after_all(
    daemons: Daemons, inbox: Inbox, relay: str, connection: Connection, finished: Finished
) -> None:
    daemons.configure(relay)
    dry = daemons.start_ready(NOTI_ACCOUNTS__RELAY__MODE="dry")
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body) VALUES ('email', 'ada@x.org', 'H', 'B')"
    )
    finished()
    assert inbox.mails == []
    assert dry.stop() == 0
    live = daemons.start_ready()
    connection.execute("SELECT noti.requeue(1)")
    finished()
    assert [mail.recipients for mail in inbox.mails] == [("ada@x.org",)]
    assert live.said("safe_mode") == []
    assert live.stop() == 0


def test_redirect_mode_sends_everything_to_one_address_per_channel(
    daemons: Daemons,
    inbox: Inbox,
    receiver: MisbehavingServer,
    relay: str,
    hooks: str,
    connection: Connection,
    finished: Finished,
) -> None:
    daemons.configure(
        relay
        + hooks
        + '[delivery]\nmode = "redirect"\n[delivery.redirect_to]\nemail = "qa@example.org"\n'
        + f'webhook = "http://127.0.0.1:{receiver.port}/ok?qa"\n'
    )
    daemon = daemons.start_ready()
    insert_one_each(connection, receiver)
    finished()
    [mail] = inbox.mails
    assert mail.recipients == ("qa@example.org",)
    headers = message_from_bytes(mail.content)
    assert (headers["To"], headers["Cc"], headers["Bcc"]) == ("qa@example.org", None, None)
    assert headers["Subject"] == "[to ada@example.com] Hello"
    assert headers["X-Noti-Original-Recipient"] == "ada@example.com"
    assert headers["X-Noti-Original-Bcc"] == "b@example.com"
    [post] = receiver.received
    assert post.target == "/ok?qa"
    assert post.headers["noti-original-recipient"] == f"http://127.0.0.1:{receiver.port}/ok?real"
    assert connection.execute("SELECT count(*) FROM noti.inbox").fetchone() == (0,)
    rows = connection.execute("SELECT channel, status FROM noti.notifications_log ORDER BY 1").fetchall()
    assert rows == [("email", "sent"), ("in_app", "suppressed"), ("webhook", "sent")]
    tries = [detail for event, detail in connection.execute("SELECT event, detail FROM noti.why(1)") if "try" in event]
    assert "but redirected to delivery.redirect_to.email" in tries[0]
    daemon.wait_for(lambda: daemon.said("safe_mode"), 10)
    assert daemon.said("safe_mode")[0]["unsent"] == ["in_app"]
    assert daemon.stop() == 0
