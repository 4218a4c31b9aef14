"""Gotify: its messages and its answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers import gotify
from tests.providers.api import Answer, ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "AWWfWyqd8xR0p1g"
TAKEN = {
    "id": 25,
    "appid": 5,
    "message": "It is on its way.",
    "title": "Your order",
    "priority": 4,
    "date": "2018-02-27T19:36:10.5045044+01:00",
}
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"


def failure(status: int, error: str, text: str) -> dict[str, Any]:
    return {"error": error, "errorCode": status, "errorDescription": text}


def push(**options: Any) -> Message:
    return a_message(Channel.PUSH, "on-call", options=options)


class TestGotify(ApiContract):
    provider = gotify
    secrets = (TOKEN,)
    accepted = (200, TAKEN)
    golden = (
        (
            400,
            failure(400, "Bad Request", "Field 'message' is required"),
            {},
            Kind.PERMANENT,
            "api.refused",
        ),
        (
            401,
            failure(401, "Unauthorized", "you need to provide a valid access token or user credentials"),
            {},
            Kind.CONFIG,
            "api.login",
        ),
        (
            403,
            failure(403, "Forbidden", f"you are not allowed to access this api with {TOKEN}"),
            {},
            Kind.CONFIG,
            "api.login",
        ),
        (404, failure(404, "Not Found", "page not found"), {}, Kind.CONFIG, "api.wrong_url"),
        (500, failure(500, "Internal Server Error", "database is locked"), {}, Kind.TRANSIENT, "api.trouble"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "gotify.unclear"),
    )
    refused = (
        ({"token": Secret("")}, "token"),
        ({"token": Secret(TOKEN + "\n")}, "token"),
        ({"token": Secret("CWWfWyqd8xR0p1g")}, "token"),
        ({"token": Secret("Aünïcode")}, "token"),
        ({"url": "http://gotify.example.com"}, "url"),
        ({"url": "gotify.example.com"}, "url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> gotify.Settings:
        return gotify.Settings(server.url, Secret(TOKEN))

    @pytest.fixture
    def message(self) -> Message:
        return push(severity="error")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = Answer(200, TAKEN)
        yield server


@pytest.fixture
def sender(server: ApiServer) -> Iterator[Judged]:
    sender = opened(gotify, gotify.Settings(f"{server.url}/push/", Secret(TOKEN)))
    yield sender
    sender.close()


def test_a_plain_one(server: ApiServer, sender: Judged) -> None:
    outcome = sender.send(push(), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "25")
    assert outcome.response == {"status": 200}
    assert (server.last.method, server.last.path) == ("POST", "/push/message")
    assert server.last.headers["x-gotify-key"] == TOKEN
    assert server.last.json() == {
        "title": "Your order",
        "message": "It is on its way.",
        "extras": {"noti::message": {"message_id": MESSAGE_ID}},
    }


def test_every_option_that_it_can_carry(server: ApiServer, sender: Judged) -> None:
    url, image = "https://shop.example/17", "https://shop.example/17.png"
    sender.send(push(click_url=url, image=image, data={"order": "17"}), LIMIT)
    assert server.last.json()["extras"] == {
        "noti::message": {"message_id": MESSAGE_ID, "data": {"order": "17"}},
        "client::notification": {"click": {"url": url}, "bigImageUrl": image},
    }


def test_a_severity_is_a_priority(server: ApiServer, sender: Judged) -> None:
    for severity, priority in (("info", 4), ("success", 4), ("warning", 5), ("error", 8), ("critical", 10)):
        sender.send(push(severity=severity), LIMIT)
        assert server.last.json()["priority"] == priority


def test_a_subject_alone_is_the_message(server: ApiServer, sender: Judged) -> None:
    sender.send(replace(push(), text=None), LIMIT)
    asked = server.last.json()
    assert (asked["message"], "title" in asked) == ("Your order", False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": None, "text": " "}, "empty"),
        ({"text": None, "subject": None, "html": "<p>Hi</p>"}, "only HTML"),
        ({"text": "\ud800"}, "UTF-8"),
    ],
)
def test_what_it_cannot_carry_is_refused_with_words(
    server: ApiServer, sender: Judged, changes: dict[str, Any], words: str
) -> None:
    outcome = sender.send(replace(push(), **changes), LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert re.search(words, outcome.error or ""), outcome.error
    assert not server.asked
