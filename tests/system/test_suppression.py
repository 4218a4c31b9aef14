"""The suppression list with a real worker: real answers make entries, and the next message is not sent."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from tests.providers import test_whatsapp_cloud as whatsapp
from tests.providers.api import ApiServer
from tests.providers.smtp_server import Inbox
from tests.providers.test_twilio import ACCEPTED, ACCOUNT, NUMBER, TOKEN, refusal
from tests.system.daemon import Daemons
from tests.system.scene import SOON

Connection = psycopg.Connection[Any]
Finished = Callable[..., None]
Invariants = Callable[[], list[Any]]
PHONE = "+4915112345678"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A mail server without TLS and login."""
    with Inbox() as inbox:
        yield inbox


@pytest.fixture
def carrier() -> Iterator[ApiServer]:
    """Twilio's API, and WhatsApp's."""
    with ApiServer() as server:
        server.always = replace(server.always, status=201, body=ACCEPTED)
        server.by_path["/v25.0"] = replace(server.always, status=200, body=whatsapp.ACCEPTED)
        yield server


@pytest.fixture
def house(
    daemons: Daemons, inbox: Inbox, carrier: ApiServer, monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> Daemons:
    """A daemon that is ready for mail and SMS."""
    monkeypatch.setitem(os.environ, "TEST_TOKEN", TOKEN)
    daemons.configure(
        f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\ntls = "none"\n'
        'from = "Shop <no-reply@example.com>"\n'
        f'[accounts.carrier]\nprovider = "twilio"\naccount_sid = "{ACCOUNT}"\nauth_token = "env:TEST_TOKEN"\n'
        f'from = ["{NUMBER}"]\napi_url = "{carrier.url}"\nchannels = ["sms"]\n'
        f'[accounts.wa]\nprovider = "whatsapp_cloud"\naccess_token = "env:TEST_TOKEN"\n'
        f'phone_number_id = "{whatsapp.NUMBER_ID}"\napi_url = "{carrier.url}"\n'
        '[routes]\nemail = ["relay"]\nsms = ["carrier"]\n[worker]\npoll_interval = "100ms"\n' + SOON
    )
    daemons.start_ready()
    return daemons


@pytest.fixture
def send(house: Daemons, connection: Connection, finished: Finished) -> Callable[..., str]:
    """Insert a message, wait for its end, and give its status."""

    def run(recipient: str, **columns: object) -> str:
        given = {"channel": "email", "recipient": recipient, "body": "x"} | columns
        into = f"INSERT INTO noti.notifications_log ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})"
        row = connection.execute(f"{into} RETURNING notification_id".encode(), [*given.values()]).fetchone()
        finished(60)
        status = connection.execute(
            "SELECT status FROM noti.notifications_log WHERE notification_id = %s", row
        ).fetchone()
        assert status is not None
        return str(status[0])

    return run


def received(inbox: Inbox) -> list[str]:
    return [recipient for mail in inbox.mails for recipient in mail.recipients]


def test_a_dead_address_gets_nothing_more_until_it_is_lifted(
    send: Callable[..., str], inbox: Inbox, connection: Connection, invariants: Invariants
) -> None:
    inbox.behaviour.answers["RCPT ada@example.com"] = ["550 5.1.1 No such user here"]
    assert send("ada@example.com") == "failed"
    assert send("Ada <ADA@example.com>") == "suppressed"
    assert send("ada@example.com", category="security") == "suppressed"
    assert send("bea@example.com") == "sent"
    assert send("ada@example.com", tenant_id="acme") == "sent"
    [story] = connection.execute("SELECT detail, kind FROM noti.why(2) WHERE event = 'suppressed'").fetchall()
    assert story[0].startswith("the suppression list stops it: entry 1, the address does not exist, as was said on ")
    assert story[1] == "dead"
    connection.execute("SELECT noti.lift(1, 'ann')")
    assert send("ada@example.com") == "sent"
    assert received(inbox) == ["bea@example.com", "ada@example.com", "ada@example.com"]
    connection.execute("SELECT noti.requeue(2)")
    assert send("bea@example.com") == "sent"
    assert len(received(inbox)) == 5
    assert invariants() == []


def test_a_refusal_of_us_suppresses_nobody(send: Callable[..., str], inbox: Inbox, connection: Connection) -> None:
    inbox.behaviour.answers["RCPT ada@example.com"] = ["550 5.7.1 Your address is listed", "550 5.7.13 Disabled"]
    assert send("ada@example.com") in {"held", "failed"}
    assert send("ada@example.com") == "failed"
    assert send("ada@example.com") == "sent"
    assert connection.execute("SELECT count(*) FROM noti.suppressions").fetchone() == (0,)


def test_an_optout_passes_what_is_mandatory_and_ends_with_start(
    send: Callable[..., str], carrier: ApiServer, connection: Connection, inbox: Inbox
) -> None:
    connection.execute("INSERT INTO noti.categories (category, mandatory) VALUES ('security', true)")
    accepting = carrier.always
    carrier.always = replace(accepting, status=400, body=refusal(21610, "Attempt to send to unsubscribed recipient"))
    sms = {"channel": "sms"}
    assert send(PHONE, **sms) == "failed"
    carrier.always = accepting
    assert send(PHONE, **sms) == "suppressed"
    assert send(PHONE, **sms, category="news") == "suppressed"
    assert send(PHONE, **sms, category="security") == "sent"
    assert connection.execute("SELECT noti.heard('default', 'sms', %s, %s, 'Start')", [PHONE, NUMBER]).fetchone() == (
        "start",
    )
    assert send(PHONE, **sms) == "sent"
    assert connection.execute("SELECT noti.heard('default', 'sms', %s, %s, 'ARRÊT')", [PHONE, NUMBER]).fetchone() == (
        "stop",
    )
    assert send(PHONE, **sms) == "suppressed"
    assert len(carrier.asked) == 3


def test_free_text_at_whatsapp_waits_for_a_reply(
    send: Callable[..., str], carrier: ApiServer, connection: Connection
) -> None:
    chat = {"channel": "whatsapp"}
    heard = "SELECT noti.heard('default', 'whatsapp', %s, NULL, %s, now() - %s * interval '1 hour', 'wa')"
    assert send(PHONE, **chat) == "sent"  # nobody hears what is written to us: WhatsApp decides
    for hours, phone in ((25, PHONE), (1, "+491600000000")):
        connection.execute(heard, [phone, "Hello?", hours])
    assert send(PHONE, **chat) == "failed"
    [(why,)] = connection.execute(
        "SELECT detail FROM noti.why((SELECT max(notification_id) FROM noti.notifications_log)) WHERE event = 'failed'"
    ).fetchall()
    assert "WhatsApp takes free text for 24 hours after the last message of the recipient to this account" in why
    assert send(PHONE, **chat, options='{"template": "order_sent", "template_language": "de"}') == "sent"
    connection.execute(heard, [PHONE, "Hello!", 0])
    assert send(PHONE, **chat) == "sent"
    connection.execute(heard, [PHONE, "stop", 0])
    assert send(PHONE, **chat) == "suppressed"
    assert len(carrier.asked) == 3


def test_a_copy_to_whom_the_list_names_is_left_out_and_the_others_get_it(
    send: Callable[..., str], inbox: Inbox, connection: Connection
) -> None:
    connection.execute("SELECT noti.suppress('default', 'email', 'bea@example.com', 'complaint')")
    inbox.behaviour.answers["RCPT eve@example.com"] = ["451 4.7.1 Greylisted"]
    options = '{"cc": ["Bea <BEA@example.com>", "cid@example.com"], "bcc": ["eve@example.com"]}'
    assert send("ada@example.com", options=options) == "sent"
    assert received(inbox) == ["ada@example.com", "cid@example.com", "eve@example.com"]
    [(told,)] = connection.execute("SELECT detail FROM noti.why(1) WHERE event = 'try 1'").fetchall()
    assert "but bcc[0] comes later: 451 4.7.1 Greylisted; the suppression list leaves out cc[0] (entry 1)" in told


def test_who_was_erased_gets_nothing_either(
    send: Callable[..., str], inbox: Inbox, connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.behaviour.answers["RCPT ada@example.com"] = ["550 5.1.1 No such user here"]
    assert send("ada@example.com") == "failed"
    monkeypatch.setenv("NOTI_DATABASE_URL", database_url)
    done = CliRunner().invoke(main, ["erase", "ada@example.com", "--yes"])
    assert "1 entries of the suppression list left without an address, and in force" in done.stdout
    kept = connection.execute("SELECT to_jsonb(s)::text FROM noti.suppressions s").fetchall()
    assert "ada" not in str(kept)
    assert send("ada@example.com") == "suppressed"
    assert received(inbox) == []


def test_the_metrics_tell_why_nothing_was_sent(
    send: Callable[..., str], house: Daemons, connection: Connection
) -> None:
    connection.execute("SELECT noti.suppress('default', 'email', 'ada@example.com', 'complaint')")
    assert send("ada@example.com") == "suppressed"
    [daemon] = house._started
    shown = daemon.get("/metrics")[1]
    assert 'notifications_suppressed_total{channel="email",reason="complaint"} 1.0' in shown
    assert 'notifications_suppressed_total{channel="email",reason="dead"} 0.0' in shown
