"""PagerDuty: its events and its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers import pagerduty
from tests.providers.api import Answer, ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

KEY = "e93facc04764012d7bfb002500d5d1a6"
ACCEPTED = {
    "status": "success",
    "message": "Event processed",
    "dedup_key": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50",
}
MESSAGE = a_message(Channel.CHAT, "db1.example.com")


def invalid(error: str) -> dict[str, Any]:
    return {"status": "invalid event", "message": "Event object is invalid", "errors": [error]}


class TestPagerDuty(ApiContract):
    provider = pagerduty
    secrets = (KEY,)
    accepted = (202, ACCEPTED)
    golden = (
        (400, invalid("'payload.severity' is invalid"), {}, Kind.PERMANENT, "api.refused"),
        (400, invalid("Length of 'routing_key' is incorrect"), {}, Kind.CONFIG, "pagerduty.routing_key"),
        (400, invalid(f"Invalid routing key {KEY}"), {}, Kind.CONFIG, "pagerduty.routing_key"),
        (413, b"", {}, Kind.PERMANENT, "api.refused"),
        (429, {"status": "throttle exceeded"}, {}, Kind.THROTTLED, "pagerduty.too_fast"),
        (500, b"", {}, Kind.TRANSIENT, "api.trouble"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "pagerduty.unclear"),
    )
    refused = (
        ({"routing_key": Secret("")}, "routing_key"),
        ({"routing_key": Secret(KEY + "\n")}, "routing_key"),
        ({"routing_key": Secret(KEY[1:])}, "routing_key"),
        ({"api_url": "http://events.pagerduty.com"}, "api_url"),
        ({"api_url": "events.pagerduty.com"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> pagerduty.Settings:
        return pagerduty.Settings(Secret(KEY), api_url=server.url)

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = Answer(202, ACCEPTED)
        yield server


@pytest.fixture
def sender(server: ApiServer) -> Iterator[Judged]:
    sender = opened(pagerduty, pagerduty.Settings(Secret(KEY), api_url=f"{server.url}/"))
    yield sender
    sender.close()


def test_the_event_has_key_id_and_source(server: ApiServer, sender: Judged) -> None:
    outcome = sender.send(replace(MESSAGE, options={"severity": "critical"}), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50")
    assert (server.last.method, server.last.path) == ("POST", "/v2/enqueue")
    assert server.last.headers["content-type"] == "application/json; charset=utf-8"
    assert "authorization" not in server.last.headers
    assert server.last.json() == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50",
        "payload": {
            "summary": "Your order",
            "source": "db1.example.com",
            "severity": "critical",
            "custom_details": {"body": "It is on its way."},
        },
    }


def test_a_severity_is_one_that_it_knows(server: ApiServer, sender: Judged) -> None:
    for severity, sent in (("info", "info"), ("success", "info"), ("warning", "warning"), ("error", "error")):
        sender.send(replace(MESSAGE, options={"severity": severity}), LIMIT)
        assert server.last.json()["payload"]["severity"] == sent
    sender.send(MESSAGE, LIMIT)
    assert server.last.json()["payload"]["severity"] == "error"


def test_the_first_line_stands_for_a_subject(server: ApiServer, sender: Judged) -> None:
    sender.send(replace(MESSAGE, subject=None, text="The disk  is full.\nNow."), LIMIT)
    payload = server.last.json()["payload"]
    assert payload["summary"] == "The disk is full."
    assert payload["custom_details"] == {"body": "The disk  is full.\nNow."}
    sender.send(replace(MESSAGE, text=""), LIMIT)
    assert server.last.json()["payload"] == {
        "summary": "Your order",
        "source": "db1.example.com",
        "severity": "error",
    }


def test_a_throttle_lasts_minutes(server: ApiServer, sender: Judged) -> None:
    server.answers(429, b"")()
    assert sender.send(MESSAGE, LIMIT).retry_after == 120.0


def test_the_key_is_veiled_where_an_answer_repeats_it(server: ApiServer, sender: Judged) -> None:
    server.answers(400, invalid(f"routing_key {KEY} is unknown"))()
    outcome = sender.send(MESSAGE, LIMIT)
    assert outcome.error == "the provider answered 400: routing_key *** is unknown"


REFUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({"subject": "x" * 1025}, "the subject has 1025 characters, and the service takes 1024"),
    ({"subject": None, "text": "x" * 1025}, "the first line of the body, which stands for the missing subject"),
    ({"text": "ü" * 256_000}, "bytes, and the service takes 512000"),
    ({"recipient": " "}, "the recipient is empty"),
    ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ({"subject": " ", "text": "\n"}, "empty"),
    ({"text": "\ud800"}, "UTF-8"),
)


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_cannot_be_sent_is_refused_before(
    server: ApiServer, sender: Judged, changes: dict[str, Any], words: str
) -> None:
    outcome = sender.send(replace(MESSAGE, **changes), LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert words in (outcome.error or "")
    assert not server.asked
