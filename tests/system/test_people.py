"""Persons instead of addresses, with a real worker, a real mail server and a real service for push."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.providers.api import ApiServer
from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons
from tests.system.scene import SOON

Connection = psycopg.Connection[Any]
Finished = Callable[..., None]
WaitFor = Callable[..., Any]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A mail server without TLS and login."""
    with Inbox() as inbox:
        yield inbox


@pytest.fixture
def phones() -> Iterator[ApiServer]:
    """Takes whatever is posted."""
    with ApiServer() as server:
        server.always = replace(server.always, status=200, body='{"id": "x"}')
        yield server


def configure(daemons: Daemons, inbox: Inbox, more: str = "") -> None:
    daemons.configure(
        f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\ntls = "none"\n'
        f'from = "Shop <no-reply@example.com>"\n{more}\n[worker]\npoll_interval = "100ms"\n' + SOON
    )


def said(connection: Connection, id_: int) -> str:
    return "\n".join(row[0] for row in connection.execute("SELECT detail FROM noti.why(%s)", [id_]).fetchall())


def status(connection: Connection, id_: int) -> str:
    row = connection.execute("SELECT status FROM noti.notifications_log WHERE notification_id = %s", [id_]).fetchone()
    assert row is not None
    return str(row[0])


def send(connection: Connection, recipient: str = "user:42", channel: str = "email", body: str = "Hi") -> int:
    row = connection.execute("SELECT noti.send(%s, %s, body => %s)", [channel, recipient, body]).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def invariants(connection: Connection) -> Callable[[], list[Any]]:
    return lambda: connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()


def test_a_person_gets_mail_at_the_first_address_that_lives(
    daemons: Daemons, inbox: Inbox, phones: ApiServer, connection: Connection, finished: Finished, invariants: Any
) -> None:
    configure(
        daemons,
        inbox,
        f'[accounts.phones]\nprovider = "ntfy"\napi_url = "{phones.url}"\n',
    )
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address, place, locale) VALUES"
        " ('42', 'email', 'ann@example.com', 1, 'de'), ('42', 'email', 'ann@work.example', 2, NULL),"
        " ('42', 'push', 'phone-one', 0, NULL), ('42', 'push', 'phone-two', 0, NULL)"
    )
    inbox.behaviour.answers["RCPT ann@example.com"] = ["550 5.1.1 No such user here"]
    daemons.start_ready()
    dead = send(connection)
    finished(60)
    assert status(connection, dead) == "failed"
    living, push = send(connection), send(connection, channel="push")
    each = dict(
        connection.execute(
            "SELECT * FROM noti.send(channels => '{email,push}', recipient => 'user:42', body => 'x',"
            " policy => 'first_success')"
        ).fetchall()
    )
    nobody = send(connection, "user:43")
    finished(60)
    assert (status(connection, living), status(connection, push)) == ("sent", "sent")
    assert "to a…@work.example" in said(connection, living)
    assert [mail.recipients for mail in inbox.mails] == [("ann@work.example",)] * 2
    left = connection.execute("SELECT address, left_because FROM noti.contacts WHERE left_at IS NOT NULL").fetchall()
    assert left == [("ann@example.com", f"dead, as was answered to notification {dead}")]
    copies = connection.execute("SELECT recipient, status FROM noti.notifications_log WHERE copy_of = %s", [push])
    assert copies.fetchall() == [("phone-two", "sent")]
    assert (status(connection, each["email"]), status(connection, each["push"])) == ("sent", "suppressed")
    assert f"notification {each['email']} was delivered by email" in said(connection, each["push"])
    assert status(connection, nobody) == "failed"
    assert "the person whom it names has no address for email: add it to noti.contacts" in said(connection, nobody)
    assert invariants() == []


def test_a_broken_view_harms_only_the_rows_that_name_persons(
    daemons: Daemons, inbox: Inbox, connection: Connection, wait_for: WaitFor, finished: Finished
) -> None:
    configure(daemons, inbox, '[contacts]\nview = "app.people"\n')
    connection.execute("CREATE SCHEMA app")
    named, plain = send(connection), send(connection, "bea@example.com")
    daemons.start_ready()
    wait_for(lambda: status(connection, plain) == "sent" and status(connection, named) == "retrying", 60)
    assert "the addresses of users cannot be read from app.people" in said(connection, named)
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address) VALUES ('42', 'email', 'ann@example.com')"
    )
    connection.execute("CREATE VIEW app.people AS SELECT * FROM noti.contacts")
    connection.execute("GRANT USAGE ON SCHEMA app TO noti_worker; GRANT SELECT ON app.people TO noti_worker")
    connection.execute("UPDATE noti.notifications_log SET next_retry_at = now() WHERE status = 'retrying'")
    finished(60)
    assert status(connection, named) == "sent"
    assert sorted(mail.recipients for mail in inbox.mails) == [("ann@example.com",), ("bea@example.com",)]
