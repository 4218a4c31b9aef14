"""Copies that a mail server refuses for now: everybody gets the mail, and once."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from email import message_from_bytes
from typing import Any

import psycopg
import pytest

from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons
from tests.system.scene import SOON, Scene

Finished = Callable[..., None]
Invariants = Callable[[], list[Any]]
CC = [f"cc{number}@example.com" for number in range(5)]
GREYLISTED = "451 4.7.1 Greylisted"
LATER = '[channels.email]\nretry = { initial_delay = "3s", jitter = 0.0 }\n'


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "pipelined"])
def inbox(request: pytest.FixtureRequest) -> Iterator[Inbox]:
    """A mail server without TLS and login."""
    with Inbox(extensions=request.param) as inbox:
        yield inbox


@pytest.fixture
def relay(inbox: Inbox) -> str:
    """Two accounts of the inbox, with senders of their own, as TOML."""
    server = f'provider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\ntls = "none"\n'
    return (
        f'[accounts.relay]\n{server}from = "Shop <no-reply@example.com>"\n'
        f'[accounts.spare]\n{server}from = "no-reply@example.org"\n'
        '[routes]\nemail = ["relay", "spare"]\n'
    )


def insert(connection: psycopg.Connection[Any], max_retries: int | None = None) -> None:
    """One mail to ada@example.com, five cc and a bcc, whose text names its recipient and its id."""
    connection.execute(
        "INSERT INTO noti.templates (template_id, subject, body) VALUES ('welcome',"
        " 'Hello {{ notification.recipient }}', 'Dear {{ name }}, this is {{ notification.notification_id }}')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, template_id, template_data, options, max_retries)"
        " VALUES ('email', 'Ada <ada@example.com>', 'welcome', '{\"name\": \"Ada\"}',"
        " jsonb_build_object('cc', %s::text[], 'bcc', 'bea@example.com', 'html', '<p>Hi</p>'), %s)",
        [CC, max_retries],
    )


def rows(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(
        "SELECT recipient, status, attempt_count, copy_of FROM noti.notifications_log"
        " ORDER BY copy_of NULLS FIRST, recipient"
    ).fetchall()


def received(inbox: Inbox) -> Counter[str]:
    """How often each address got a mail."""
    return Counter(recipient for mail in inbox.mails for recipient in mail.recipients)


def test_everybody_gets_it_once_of_a_server_that_takes_three_and_greylists_one(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    inbox.behaviour.most_recipients = 3
    inbox.behaviour.answers["RCPT cc1@example.com"] = [GREYLISTED]
    daemons.configure(relay + SOON)
    daemon = daemons.start_ready()
    insert(connection)
    finished()
    assert received(inbox) == Counter(["ada@example.com", *CC, "bea@example.com"])
    assert inbox.mails[0].recipients == ("ada@example.com", "cc0@example.com", "cc2@example.com")
    assert all(len(mail.recipients) == 1 for mail in inbox.mails[1:])
    # Not one byte differs: Message-ID, Date, To, Cc and text are the first mail's.
    assert len({mail.content for mail in inbox.mails}) == 1
    mail = message_from_bytes(inbox.mails[-1].content)
    assert mail["To"] == "Ada <ada@example.com>"
    assert mail["Subject"] == "Hello Ada <ada@example.com>"
    assert rows(connection) == [
        ("Ada <ada@example.com>", "sent", 1, None),
        ("bea@example.com", "sent", 2, 1),
        ("cc1@example.com", "sent", 2, 1),
        ("cc3@example.com", "sent", 2, 1),
        ("cc4@example.com", "sent", 2, 1),
    ]
    spent = connection.execute("SELECT recipient FROM noti.notifications_log WHERE retry_count > 0").fetchall()
    assert spent == [("cc1@example.com",)], "it is no fault of a copy that there were too many"
    [(told,)] = connection.execute(
        "SELECT error_message FROM noti.notification_attempts_log WHERE notification_id = 1"
    ).fetchall()
    assert told == (
        "cc[1] comes later: 451 4.7.1 Greylisted; cc[3], cc[4], bcc[0] come later: 452 4.5.3 Error: too many recipients"
    )
    assert invariants() == []
    assert daemon.stop() == 0
    assert [line["event"] for line in daemon.log if line.get("level") == "error"] == []


def test_a_copy_whose_server_stays_closed_fails_alone_when_its_tries_are_used_up(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    inbox.behaviour.answers["RCPT cc1@example.com"] = GREYLISTED
    inbox.behaviour.answers["RCPT cc2@example.com"] = "550 5.1.1 No such user"
    daemons.configure(relay + SOON)
    daemons.start_ready()
    insert(connection, max_retries=2)
    finished()
    assert rows(connection) == [("Ada <ada@example.com>", "sent", 1, None), ("cc1@example.com", "failed", 3, 1)]
    assert set(received(inbox)) == {"ada@example.com", "bea@example.com", CC[0], CC[3], CC[4]}
    story = [f"{event}: {detail}" for event, detail in connection.execute("SELECT event, detail FROM noti.why(1)")]
    assert "but cc[2] refused: 550 5.1.1 No such user; cc[1] comes later: 451 4.7.1 Greylisted" in story[1]
    assert story[3].startswith("copy: to cc1@example.com, notification 2: failed at ")
    assert story[3].endswith("it said last: the server refused the recipient: 451 4.7.1 Greylisted")
    assert invariants() == []


def test_a_copy_that_waits_survives_the_worker_that_sent_its_mail(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
    finished: Finished,
    invariants: Invariants,
) -> None:
    inbox.behaviour.answers["RCPT cc1@example.com"] = [GREYLISTED]
    daemons.configure(relay + LATER)
    victim = daemons.start_ready()
    insert(connection)
    wait_for(lambda: len(rows(connection)) == 2, what="the mail is sent and its copy waits")
    victim.signal(signal.SIGKILL)
    victim.wait()
    daemons.start_ready()
    finished()
    assert received(inbox) == Counter(["ada@example.com", *CC, "bea@example.com"])
    assert len({mail.content for mail in inbox.mails}) == 1
    assert [status for _, status, *_ in rows(connection)] == ["sent", "sent"]
    assert invariants() == []


@pytest.mark.parametrize(
    "again", [pytest.param(1, marks=pytest.mark.slow, id="taken then"), pytest.param(2, id="refused again")]
)
def test_a_mail_whose_result_was_lost_makes_no_copy_twice(
    again: int, scene: Scene, inbox: Inbox, relay: str, invariants: Invariants
) -> None:
    """It is uncertain, so those who took it get it again; who did not gets it once."""
    inbox.behaviour.answers["RCPT cc1@example.com"] = [GREYLISTED] * again
    scene.house.configure(relay + SOON)
    scene.stall("new.status = 'sent' AND new.copy_of IS NULL")
    victim = scene.house.start_ready()
    insert(scene.connection)
    scene.kill_stalled(victim)
    assert scene.count("true") == 1, "the copies went with the result"
    scene.house.start_ready()
    scene.finished(60)
    twice = dict.fromkeys(["ada@example.com", *CC, "bea@example.com"], 2)
    assert received(inbox) == twice | {"cc1@example.com": 1}
    assert len({mail.content for mail in inbox.mails}) == 1
    assert scene.count("status = 'sent'") == again
    assert invariants() == []
