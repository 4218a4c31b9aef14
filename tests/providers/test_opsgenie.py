"""Opsgenie: its alerts and its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers import opsgenie
from tests.providers.api import Answer, ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

KEY = "eb243592-faa2-4ba2-a551-1afdf565c889"
REQUEST_ID = "43a29c5c-3dbf-4fa4-9c26-f4f71023e120"
ACCEPTED = {"result": "Request will be processed", "took": 0.302, "requestId": REQUEST_ID}
MESSAGE = a_message(Channel.CHAT, "team:operations")


def failure(message: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "took": 0.001, "requestId": REQUEST_ID, **more}


class TestOpsgenie(ApiContract):
    provider = opsgenie
    secrets = (KEY,)
    accepted = (202, ACCEPTED)
    golden = (
        (400, failure("Request body is not a valid JSON"), {}, Kind.PERMANENT, "api.refused"),
        (401, failure("Could not authenticate"), {}, Kind.CONFIG, "api.login"),
        (402, failure("Your plan does not allow this"), {}, Kind.CONFIG, "api.login"),
        (403, failure(f"You are not authorized with {KEY}", code=40301), {}, Kind.CONFIG, "api.login"),
        (404, failure("Not found"), {}, Kind.CONFIG, "api.wrong_url"),
        (410, failure("Gone"), {}, Kind.CONFIG, "opsgenie.feature_gone"),
        (422, failure("Key format is not valid!"), {}, Kind.CONFIG, "opsgenie.api_key"),
        (
            422,
            failure("Request body is not processable. Please check the errors.", errors={"message": "is empty"}),
            {},
            Kind.PERMANENT,
            "api.refused",
        ),
        (429, failure("You are making too many requests!"), {"Retry_After": "7"}, Kind.THROTTLED, "api.too_fast"),
        (503, failure("Service unavailable"), {}, Kind.TRANSIENT, "api.trouble"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "opsgenie.unclear"),
    )
    by_status: ClassVar = {410: Kind.CONFIG}
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"api_key": Secret(KEY + "\n")}, "api_key"),
        ({"api_key": Secret("GenieKey " + KEY)}, "api_key"),
        ({"api_url": "http://api.opsgenie.com"}, "api_url"),
        ({"api_url": "api.opsgenie.com"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> opsgenie.Settings:
        return opsgenie.Settings(Secret(KEY), api_url=server.url)

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
    sender = opened(opsgenie, opsgenie.Settings(Secret(KEY), api_url=f"{server.url}/"))
    yield sender
    sender.close()


def test_the_alert_has_key_alias_and_responder(server: ApiServer, sender: Judged) -> None:
    outcome = sender.send(replace(MESSAGE, options={"severity": "critical"}), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, REQUEST_ID)
    assert (server.last.method, server.last.path) == ("POST", "/v2/alerts")
    assert server.last.headers["authorization"] == f"GenieKey {KEY}"
    assert server.last.json() == {
        "message": "Your order",
        "alias": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50",
        "responders": [{"type": "team", "name": "operations"}],
        "description": "It is on its way.",
        "priority": "P1",
    }


@pytest.mark.parametrize(
    ("recipient", "sent"),
    [
        ("user:ada@example.com", {"responders": [{"type": "user", "username": "ada@example.com"}]}),
        ("schedule:nights", {"responders": [{"type": "schedule", "name": "nights"}]}),
        ("escalation:Second line", {"responders": [{"type": "escalation", "name": "Second line"}]}),
        ("db1.example.com", {"entity": "db1.example.com"}),
        ("host:db1", {"entity": "host:db1"}),
    ],
)
def test_a_recipient_is_a_responder_or_a_label(
    server: ApiServer, sender: Judged, recipient: str, sent: dict[str, Any]
) -> None:
    sender.send(replace(MESSAGE, recipient=recipient), LIMIT)
    asked = server.last.json()
    assert {name: asked[name] for name in ("responders", "entity") if name in asked} == sent


def test_a_severity_is_a_priority(server: ApiServer, sender: Judged) -> None:
    for severity, priority in (("info", "P5"), ("success", "P5"), ("warning", "P3"), ("error", "P2")):
        sender.send(replace(MESSAGE, options={"severity": severity}), LIMIT)
        assert server.last.json()["priority"] == priority
    sender.send(MESSAGE, LIMIT)
    assert "priority" not in server.last.json()


def test_a_long_subject_is_shortened_and_stands_whole_in_the_description(server: ApiServer, sender: Judged) -> None:
    sender.send(replace(MESSAGE, subject="x" * 130), LIMIT)
    assert server.last.json()["message"] == "x" * 130
    sender.send(replace(MESSAGE, subject="x" * 131), LIMIT)
    asked = server.last.json()
    assert asked["message"] == "x" * 129 + "…"
    assert asked["description"] == "x" * 131 + "\n\nIt is on its way."


def test_the_first_line_stands_for_a_subject(server: ApiServer, sender: Judged) -> None:
    text = "y" * 131 + "\nmore"
    sender.send(replace(MESSAGE, subject=None, text=text), LIMIT)
    asked = server.last.json()
    assert (asked["message"], asked["description"]) == ("y" * 129 + "…", text)
    sender.send(replace(MESSAGE, text=""), LIMIT)
    assert "description" not in server.last.json()


def test_a_throttle_lasts_the_period_that_it_tells(server: ApiServer, sender: Judged) -> None:
    server.answers(429, failure("Too many"), X_RateLimit_Period_In_Sec="60")()
    assert sender.send(MESSAGE, LIMIT).retry_after == 60.0
    server.answers(503, failure("Busy"), X_RateLimit_Period_In_Sec="60")()
    assert sender.send(MESSAGE, LIMIT).retry_after is None


def test_the_words_name_the_field_that_is_wrong(server: ApiServer, sender: Judged) -> None:
    server.answers(422, failure("Please check the errors.", errors={"message": "Message can not be empty."}))()
    assert sender.send(MESSAGE, LIMIT).error == "the provider answered 422: Message can not be empty."


REFUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({"text": "x" * 15_001}, "15001 characters, and the service takes 15000"),
    ({"recipient": "x" * 513}, "513 characters, and the service takes 512"),
    ({"recipient": "team: "}, "write team:NAME"),
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
