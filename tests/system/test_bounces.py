"""Mails go out through a real SMTP server and come back into a real mailbox: the next ones to those addresses stay."""

import re
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.certificates import Authority
from tests.corpus.returned import returned
from tests.dovecot import PASSWORD, USERNAME, Dovecot, dovecot
from tests.providers.smtp_server import Inbox, Received
from tests.system.daemon import Daemons

Connection = psycopg.Connection[Any]
Wait = Callable[..., Any]


@pytest.fixture
def server(open_directory: Path, authority: Authority, wait_for: Wait) -> Iterator[Dovecot]:
    with dovecot(open_directory, authority, wait_for) as running:
        yield running


@pytest.fixture
def mailbox(tmp_path: Path, authority: Authority, server: Dovecot) -> Callable[..., str]:
    """The section of the mailbox, as TOML."""
    (tmp_path / "mailbox-password").write_text(PASSWORD)
    (tmp_path / "bounce-key").write_text("0123456789abcdef0123456789abcdef")

    def written(protocol: str, port: int | None = None) -> str:
        return (
            f'[bounces.back]\nreturn_path = "bounce@example.com"\nkey = "file:{tmp_path}/bounce-key"\n'
            f'protocol = "{protocol}"\nhost = "127.0.0.1"\nport = {port or server.ports[f"{protocol}s"]}\n'
            f'username = "{USERNAME}"\npassword = "file:{tmp_path}/mailbox-password"\n'
            f'ca_file = "{authority.ca_file}"\nevery = "1s"\n'
        )

    return written


RETURNS = 'return_path = "bounce@example.com"\n'


def send(connection: Connection, recipient: str) -> int:
    row = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
        " VALUES ('email', %s, 'Your order', 'Thank you.') RETURNING notification_id",
        [recipient],
    ).fetchone()
    assert row is not None
    return int(row[0])


def bounce(mail: Received, name: str = "postfix_unknown_user") -> bytes:
    """What the last mail server on the way makes of a mail that it cannot deliver."""
    headers = message_from_bytes(mail.content)
    message_id = UUID(headers["Message-ID"].strip("<>").partition("@")[0])
    return returned(name, mail.sender, mail.recipients[0], int(headers["X-Notification-ID"]), message_id)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_who_bounced_gets_no_more(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    server: Dovecot,
    mailbox: Callable[..., str],
    connection: Connection,
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
    wait_for: Wait,
    protocol: str,
) -> None:
    daemons.configure(relay + RETURNS + mailbox(protocol))
    workers = [daemons.start_ready() for _ in range(2)]  # both read the mailbox
    ids = {name: send(connection, f"{name}@example.net") for name in ("dead", "angry", "away", "forged", "good")}
    finished()
    mails = {mail.recipients[0].partition("@")[0]: mail for mail in inbox.mails}
    assert all(mail.sender.startswith("bounce+") for mail in mails.values())
    assert len({mail.sender for mail in mails.values()}) == len(ids)

    server.put(bounce(mails["dead"]))
    server.put(bounce(mails["dead"]))
    server.put(bounce(mails["angry"], "yahoo_complaint"))
    server.put(bounce(mails["away"], "vacation_rfc3834"))
    stolen = mails["good"].sender.partition("-")[2]
    server.put(returned("postfix_expired", f"{mails['forged'].sender.partition('-')[0]}-{stolen}", notification_id=0))

    def news() -> list[tuple[Any, ...]]:
        return connection.execute(
            "SELECT notification_id, receipt FROM noti.notifications_log WHERE receipt IS NOT NULL ORDER BY 1"
        ).fetchall()

    wait_for(lambda: len(news()) == 2 and len(server.mails()) == 1, timeout=60, what="the mailbox is read")
    assert news() == [(ids["dead"], "bounced"), (ids["angry"], "complained")]
    assert connection.execute("SELECT count(*) FROM noti.receipts").fetchone() == (2,)
    assert b"bounce+" in server.mails()[0], "the forged one stays where it is"

    again = {name: send(connection, f"{name}@example.net") for name in ids}
    finished()
    statuses = dict(connection.execute("SELECT notification_id, status FROM noti.notifications_log").fetchall())
    assert {name: statuses[id_] for name, id_ in again.items()} == {
        "dead": "suppressed",
        "angry": "suppressed",
        "away": "sent",
        "forged": "sent",
        "good": "sent",
    }
    story = [event for (event,) in connection.execute("SELECT event FROM noti.why(%s)", [ids["dead"]]).fetchall()]
    assert [event for event in story if event in {"sent", "bounced"}] == ["sent", "bounced"]
    assert invariants() == []
    exposed = [worker.get("/metrics")[1] for worker in workers]
    read = re.findall(r'noti_mailbox_mails_total{mailbox="back",sort="report"} ([0-9.]+)', "".join(exposed))
    assert sum(map(float, read)) >= 2, "both mails about the same bounce"
    assert [worker.stop() for worker in workers] == [0, 0]


def test_a_mailbox_that_hangs_stops_nothing(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    mailbox: Callable[..., str],
    connection: Connection,
    finished: Callable[..., None],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        daemons.configure(relay + RETURNS + mailbox("imap", silent.getsockname()[1]))
        daemon = daemons.start_ready()
        send(connection, "good@example.net")
        finished()
    assert len(inbox.mails) == 1
    daemon.wait_for(lambda: daemon.said("mailbox_lost"), timeout=60)
    [lost] = daemon.said("mailbox_lost")
    assert (lost["mailbox"], lost["level"]) == ("back", "error")
    assert 'noti_mailbox_up{mailbox="back"} 0.0' in daemon.get("/metrics")[1]
    assert daemon.get("/health/ready")[0] == 200
    assert daemon.stop() == 0
