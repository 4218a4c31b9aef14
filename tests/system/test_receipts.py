"""Receipts from end to end: an API takes a message, its events are posted, and the story tells what came of it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from noti_worker.domain.receipts import Posted
from noti_worker.embedded import Server
from tests.certificates import Authority
from tests.providers import sns_topic as sns
from tests.providers import test_sendgrid as sendgrid
from tests.providers import test_ses as ses
from tests.providers import test_twilio as twilio
from tests.providers.api import ApiServer
from tests.system.daemon import ROOT, Daemon, Daemons
from tests.verdict import Verdict
from tests.web.posting import post

Connection = psycopg.Connection[Any]
Finished = Callable[..., None]
Invariants = Callable[[], list[Any]]

TOKEN = "0123456789abcdef"
SECRETS = {
    "TEST_TOKEN": TOKEN,
    "TEST_TWILIO": twilio.TOKEN,
    "TEST_KEY": sendgrid.public(sendgrid.SIGNS).reveal(),
}
PUBLIC = "https://hooks.example.com/noti"
WEB = f'[web]\nlisten = "127.0.0.1:0"\nurl = "{PUBLIC}"\n[worker]\npoll_interval = "100ms"\n'
MAIL = '[accounts.mail]\nprovider = "sendgrid"\napi_key = "env:TEST_TOKEN"\nfrom = "a@example.com"\n'
MAIL += 'receipt_token = "env:TEST_TOKEN"\nverification_key = "env:TEST_KEY"\n'


@pytest.fixture
def service() -> Iterator[ApiServer]:
    """The APIs of the providers, which accept whatever they are asked for."""
    with ApiServer() as server:
        server.always = replace(server.always, status=202)
        server.by_path["/2010-04-01"] = replace(server.always, status=201, body=twilio.ACCEPTED)
        yield server


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setitem(os.environ, name, value)


@pytest.fixture
def send(connection: Connection, finished: Finished) -> Callable[..., int]:
    """Insert a message, wait for its end, and give its id."""

    def run(recipient: str, **columns: object) -> int:
        given = {"channel": "email", "recipient": recipient, "subject": "Hello", "body": "x"} | columns
        into = f"INSERT INTO noti.notifications_log ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})"
        row = connection.execute(f"{into} RETURNING notification_id".encode(), [*given.values()]).fetchone()
        assert row is not None
        finished(60)
        return int(row[0])

    return run


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a provider has a clock of its own


def signed(*events: Mapping[str, Any]) -> Posted:
    """What SendGrid posts now."""
    return sendgrid.TestReceipts().sign(list(events), now())


def deliver(address: str, account: str, posted: Posted, token: str = TOKEN) -> int:
    """Post to an account; the status of the answer."""
    query = f"?{posted.query}" if posted.query else ""
    return post(address, f"/receipts/{account}/{token}{query}", posted.body, posted.headers, posted.method)[0]


def story(connection: Connection, notification_id: int) -> list[tuple[str, str]]:
    return connection.execute("SELECT event, detail FROM noti.why(%s)", [notification_id]).fetchall()


def status(connection: Connection, notification_id: int) -> tuple[str, str | None]:
    found = connection.execute(
        "SELECT status, receipt FROM noti.notifications_log WHERE notification_id = %s", [notification_id]
    ).fetchone()
    assert found is not None
    return found[0], found[1]


def read(connection: Connection) -> bool:
    """Whether everything that was posted is read."""
    return connection.execute(
        "SELECT NOT EXISTS (SELECT FROM noti.receipts_raw WHERE read_at IS NULL)"
        " AND NOT EXISTS (SELECT FROM noti.receipts WHERE look_at IS NOT NULL)"
    ).fetchone() == (True,)


def metric(daemon: Daemon, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", daemon.get("/metrics")[1], re.MULTILINE)
    assert found is not None, line
    return float(found[1])


def test_a_bounce_is_posted_read_told_and_stops_the_next_message(
    daemons: Daemons,
    service: ApiServer,
    send: Callable[..., int],
    connection: Connection,
    wait_for: Callable[..., Any],
    invariants: Invariants,
) -> None:
    daemons.configure(f'{WEB}{MAIL}api_url = "{service.url}"\n')
    worker = daemons.start_ready()
    web, address = daemons.start_web()
    id_ = send("ada@example.com")
    ids = service.last.json()["personalizations"][0]["custom_args"]
    at = int(now().timestamp())
    event = {"email": "ada@example.com", "timestamp": at, **ids}
    delivered = signed({**event, "event": "delivered", "sg_event_id": "d", "response": "250 OK"})
    bounced = signed(
        {
            **event,
            "timestamp": at + 60,
            "event": "bounce",
            "type": "bounce",
            "sg_event_id": "b",
            "status": "5.1.1",
            "reason": "no such user",
        }
    )
    assert deliver(address, "mail", replace(bounced, body=bounced.body.replace(b"5.1.1", b"5.1.2"))) == 403
    assert deliver(address, "mail", bounced, TOKEN[:-1] + "0") == 404
    assert deliver(address, "other", bounced) == 404
    assert connection.execute("SELECT count(*) FROM noti.receipts_raw").fetchone() == (0,)
    for request in (bounced, delivered, bounced):  # out of order, and twice
        assert deliver(address, "mail", request) == 200
    wait_for(lambda: read(connection), 60, "all is read")

    assert [(event, "no such user" in detail) for event, detail in story(connection, id_)][-3:] == [
        ("delivered", False),
        ("bounced", True),
        ("next", False),
    ]
    assert status(connection, id_) == ("sent", "bounced")
    assert status(connection, send("Ada <ADA@example.com>")) == ("suppressed", None)
    assert len(service.asked) == 1
    assert metric(web, 'noti_receipt_requests_total{account="mail",answer="taken"}') == 3
    assert metric(web, 'noti_receipt_requests_total{account="mail",answer="signature"}') == 1
    assert metric(worker, 'noti_receipts_total{kind="bounced",provider="sendgrid"}') == 1
    assert [(line["account"], line["why"]) for line in web.said("receipt_refused")] == [("mail", "signature")]
    assert web.get("/health/ready")[0] == 200
    assert (web.stop(), worker.stop()) == (0, 0)
    assert TOKEN not in web.log_file.read_text() + worker.log_file.read_text()
    assert invariants() == []


def test_a_topic_is_subscribed_and_tells_of_messages_by_the_ids_that_their_provider_gave(
    daemons: Daemons,
    authority: Authority,
    send: Callable[..., int],
    connection: Connection,
    wait_for: Callable[..., Any],
) -> None:
    with sns.topic(authority) as topic:
        topic.pages["/v2/email/outbound-emails"] = json.dumps(ses.ACCEPTED).encode()
        daemons.configure(
            f'{WEB}[accounts.amazon]\nprovider = "ses"\nregion = "{sns.REGION}"\nfrom = "a@example.com"\n'
            f'access_key_id = "env:TEST_TOKEN"\nsecret_access_key = "env:TEST_TOKEN"\n'
            f'proxy = "{topic.proxy.url}"\nproxy_guards = true\n'
            f'receipt_token = "env:TEST_TOKEN"\ntopic_arn = "{sns.ARN}"\n'
        )
        daemons.start_ready()
        _, address = daemons.start_web()
        asked = sns.confirmation(Timestamp=f"{now():%Y-%m-%dT%H:%M:%S}.000Z")
        assert deliver(address, "amazon", sns.signed(asked)) == 200
        assert [path.partition("?")[0] for path in topic.asked] == [sns.CERTIFICATE, "/"], "it has confirmed"

        said = ses.bounce("Permanent", "General", "5.1.1", ses.UNKNOWN)
        said["notificationType"] = said.pop("eventType")  # an identity's own notification knows no tags
        del said["mail"]["tags"]
        said["mail"]["messageId"] = ses.ACCEPTED["MessageId"]
        posted = sns.signed(sns.envelope(said, now()))
        assert deliver(address, "amazon", posted) == 200
        parked = "SELECT count(*) FROM noti.receipts WHERE look_at IS NOT NULL"
        wait_for(lambda: connection.execute(parked).fetchone() == (1,), 60, "it is parked: nobody knows its message")
        id_ = send("recipient@example.com")
        wait_for(lambda: read(connection), 60, "it is found")
        assert status(connection, id_) == ("sent", "bounced")
        assert deliver(address, "amazon", sns.signed(sns.envelope(said, now(), TopicArn=f"{sns.ARN}s"))) == 403


def test_a_text_message_is_told_of_and_stop_is_heard(
    daemons: Daemons,
    service: ApiServer,
    send: Callable[..., int],
    connection: Connection,
    wait_for: Callable[..., Any],
) -> None:
    daemons.configure(
        f'{WEB}[accounts.phone]\nprovider = "twilio"\naccount_sid = "{twilio.ACCOUNT}"\n'
        f'auth_token = "env:TEST_TWILIO"\nfrom = ["{twilio.NUMBER}"]\napi_url = "{service.url}"\n'
        'receipt_token = "env:TEST_TOKEN"\n[routes]\nsms = ["phone"]\n'
    )
    daemons.start_ready()
    _, address = daemons.start_web()
    phone = twilio.INBOUND["From"]
    id_ = send(phone, channel="sms", subject=None)
    callback = urlsplit(dict(parse_qsl(service.last.body.decode()))["StatusCallback"])
    url = f"{PUBLIC}/receipts/phone/{TOKEN}"
    assert callback.geturl().startswith(f"{url}?")

    sign = twilio.TestReceipts().sign
    assert deliver(address, "phone", sign(twilio.status("delivered"), url=url, query=callback.query)) == 200
    assert deliver(address, "phone", sign(twilio.INBOUND, url=url, query="")) == 200
    wait_for(lambda: read(connection), 60, "all is read")
    assert [event for event, _ in story(connection, id_)][-2:] == ["delivered", "next"]
    assert status(connection, id_) == ("sent", None), "a row that is over stays as it is"
    assert status(connection, send(phone, channel="sms", subject=None)) == ("suppressed", None)


@pytest.mark.fault("F74")
@pytest.mark.timeout(600)
def test_what_was_answered_200_is_kept_whatever_dies(
    daemons: Daemons, connection: Connection, wait_for: Callable[..., Any], verdict: Verdict
) -> None:
    daemons.configure(f"{WEB}{MAIL}")
    taken: list[int] = []
    over = threading.Event()
    place = [""]

    def provider(first: int) -> None:
        for number in range(first, first + 1_000_000):
            if over.is_set():
                return
            over.wait(0.02)  # else some thousands are read afterwards
            event = {"event": "open" if number % 5 == 0 else "delivered", "sg_event_id": f"e{number}"}
            with suppress(OSError, HTTPException):
                if deliver(place[0], "mail", signed({**event, "notification_id": "1", "message_id": ""})) == 200:
                    taken.append(number)

    workers = [daemons.start_ready(), daemons.start_ready()]
    with ThreadPoolExecutor(3) as threads:
        try:
            for number in range(3):
                web, place[0] = daemons.start_web()
                if number == 0:
                    posting = [threads.submit(provider, 1_000_000 * one) for one in range(3)]
                had = len(taken)
                wait_for(lambda had=had: len(taken) > had + 30, 60, "some are taken")
                web.signal(signal.SIGKILL)
                workers[number % 2].signal(signal.SIGKILL)
                web.wait()
                workers[number % 2] = daemons.start_ready()
        finally:
            over.set()
        for one in posting:
            one.result(60)
    connection.execute("UPDATE noti.receipts SET look_at = NULL")  # their message is nobody's
    wait_for(
        lambda: connection.execute("SELECT count(*) FROM noti.receipts_raw WHERE read_at IS NULL").fetchone() == (0,)
    )
    kept = {
        json.loads(bytes(body))[0]["sg_event_id"]
        for (body,) in connection.execute("SELECT body FROM noti.receipts_raw")
    }
    assert {f"e{number}" for number in taken} <= kept
    told = Counter(event for (event,) in connection.execute("SELECT event FROM noti.receipts"))
    assert set(told.values()) == {1}
    assert told.keys() == {event for event in kept if int(event[1:]) % 5 != 0}, "those who opened are not counted"
    verdict.say(f"{len(taken)} posts answered 200 over three kills, none of them lost; {len(told)} receipts, each once")


@pytest.mark.fault("F75")
@pytest.mark.timeout(300)
def test_a_database_that_is_away_has_providers_come_again(
    own_server: Server, tmp_path: Path, wait_for: Callable[..., Any], verdict: Verdict
) -> None:
    with Daemons(tmp_path, own_server.url) as house:
        house.configure(f"{WEB}{MAIL}")
        house.start_ready()
        web, address = house.start_web()
        posted = signed({"event": "delivered", "sg_event_id": "e", "notification_id": "1", "message_id": ""})
        assert deliver(address, "mail", posted) == 200
        own_server.stop()
        answer = post(address, f"/receipts/mail/{TOKEN}", posted.body, posted.headers)
        assert (answer[0], answer[1]["retry-after"]) == (503, "30")
        assert web.get("/health/live")[0] == 200
        assert web.get("/health/ready") == (503, "the database does not answer\n")
        own_server.start()
        wait_for(lambda: deliver(address, "mail", posted) == 200, 60, "it is kept")
        with psycopg.connect(own_server.url, autocommit=True) as connection:
            wait_for(
                lambda: (
                    connection.execute("SELECT count(*) FROM noti.receipts_raw WHERE read_at IS NOT NULL").fetchone()
                    == (2,)
                ),
                60,
                "the worker goes on",
            )
            assert connection.execute("SELECT count(*) FROM noti.receipts").fetchone() == (1,)
        assert [line["event"] for line in web.log if line["event"].startswith("database_")] == [
            "database_lost",
            "database_back",
        ]
    verdict.say("503 and to come again after 30 s; what was posted twice counts once")


def test_a_flood_of_strangers_holds_up_neither_sending_nor_what_is_genuine(
    daemons: Daemons, service: ApiServer, connection: Connection, finished: Finished, wait_for: Callable[..., Any]
) -> None:
    """How fast it stays is measured by the benchmark; here nothing may be lost."""
    daemons.configure(f'{WEB}{MAIL}api_url = "{service.url}"\n')
    daemons.start_ready()
    web, address = daemons.start_web()
    command = [sys.executable, "-m", "tests.web.flood", address, f"/receipts/mail/{TOKEN}", "8"]
    flood = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        sent = 0
        taken: list[str] = []
        while flood.poll() is None:
            connection.execute(
                "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
                " SELECT 'email', 'ada@example.com', 'Hello', 'x' FROM generate_series(1, 25)"
            )
            sent += 25
            event = {"event": "delivered", "sg_event_id": f"e{sent}", "notification_id": "1", "message_id": ""}
            with suppress(OSError, HTTPException):  # a connection may be the oldest when a new one comes
                if deliver(address, "mail", signed(event)) == 200:
                    taken.append(f"e{sent}")
        output, _ = flood.communicate(timeout=60)
    finally:
        flood.kill()
        flood.wait()
    finished(60)
    answers = json.loads(output)
    assert answers["403"] > 500, answers
    assert "200" not in answers
    assert len(service.asked) == sent > 0
    wait_for(lambda: connection.execute("SELECT count(*) FROM noti.receipts").fetchone() == (len(taken),), 60)
    assert taken
    assert metric(web, 'noti_receipt_requests_total{account="mail",answer="taken"}') == len(taken)
    assert web.get("/health/live")[0] == 200
