"""ntfy: its messages and its answers."""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers import ntfy
from tests.providers.api import Answer, ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
TOPIC = "alerts-Xk3vQ9z"
TAKEN = {
    "id": "xE73Iyuabi",
    "time": 1673542291,
    "expires": 1673585491,
    "event": "message",
    "topic": TOPIC,
    "message": "It is on its way.",
}


def failure(code: int, text: str) -> dict[str, Any]:
    return {"code": code, "http": code // 100, "error": text, "link": "https://ntfy.sh/docs/publish/"}


def push(**options: Any) -> Message:
    return a_message(Channel.PUSH, TOPIC, options=options)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = Answer(200, TAKEN)
        yield server


@pytest.fixture
def sender(server: ApiServer) -> Iterator[Judged]:
    sender = opened(ntfy, ntfy.Settings(Secret(TOKEN), api_url=server.url))
    yield sender
    sender.close()


class TestNtfy(ApiContract):
    provider = ntfy
    secrets = (TOKEN, TOPIC)
    refused = (
        ({"username": "me"}, "username"),
        ({"password": Secret("opensesame")}, "password"),
        ({"token": None, "username": "me"}, "password"),
        ({"token": None, "password": Secret("opensesame")}, "username"),
        ({"token": Secret("tk_ünïcode")}, "token"),
        ({"token": Secret("tk_line\n")}, "token"),
        ({"api_url": "http://ntfy.example.com"}, "api_url"),
        ({"api_url": "ntfy.sh"}, "api_url"),
    )
    accepted = (200, TAKEN)
    golden = (
        (400, failure(40009, f"invalid request: topic invalid {TOPIC}"), {}, Kind.PERMANENT, "api.refused"),
        (401, failure(40101, "unauthorized"), {}, Kind.CONFIG, "api.login"),
        (403, failure(40301, "forbidden"), {}, Kind.CONFIG, "api.login"),
        (413, failure(41303, "JSON body too large"), {}, Kind.PERMANENT, "api.refused"),
        (429, failure(42901, "limit reached: too many requests"), {}, Kind.THROTTLED, "api.too_fast"),
        (429, failure(42908, "limit reached: daily message quota reached"), {}, Kind.THROTTLED, "ntfy.daily_limit"),
        (
            429,
            failure(42909, "limit reached: too many auth failures"),
            {},
            Kind.CONFIG,
            "ntfy.login_failed_too_often",
        ),
        (
            507,
            failure(50701, "cannot publish to UnifiedPush topic without previously active subscriber"),
            {},
            Kind.DEAD,
            "ntfy.nobody_listens",
        ),
        (500, failure(50001, "internal server error"), {}, Kind.TRANSIENT, "api.trouble"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> ntfy.Settings:
        return ntfy.Settings(Secret(TOKEN), api_url=server.url)

    @pytest.fixture
    def message(self) -> Message:
        return push(severity="error")


def test_a_plain_one(server: ApiServer, sender: Judged) -> None:
    outcome = sender.send(push(), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "xE73Iyuabi")
    assert outcome.response == {"status": 200}
    assert (server.last.method, server.last.path) == ("POST", "/")
    assert server.last.headers["authorization"] == f"Bearer {TOKEN}"
    assert server.last.json() == {"topic": TOPIC, "title": "Your order", "message": "It is on its way."}


def test_every_option_that_it_can_carry(server: ApiServer, sender: Judged) -> None:
    url, image = "https://shop.example/17", "https://shop.example/17.png"
    for severity, priority in (("info", 3), ("warning", 3), ("error", 4), ("critical", 5)):
        sender.send(push(severity=severity, click_url=url, image=image), LIMIT)
        asked = server.last.json()
        assert (asked["priority"], asked["click"], asked["attach"]) == (priority, url, image)


def test_a_login_by_password_and_none(server: ApiServer) -> None:
    settings = ntfy.Settings(username="me", password=Secret("ünïcode"), api_url=f"{server.url}/")
    opened(ntfy, settings).send(push(), LIMIT)
    assert server.last.headers["authorization"] == "Basic " + b64encode("me:ünïcode".encode()).decode()
    opened(ntfy, ntfy.Settings(api_url=server.url)).send(push(), LIMIT)
    assert "authorization" not in server.last.headers


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipient": "no topic"}, "64 letters"),
        ({"recipient": "x" * 65}, "64 letters"),
        ({"text": "ü" * 2049}, "4098 bytes.*4096.*shorten"),
        ({"subject": "\ud800"}, "UTF-8"),
    ],
)
def test_what_it_cannot_carry_is_refused_with_words(
    server: ApiServer, sender: Judged, changes: dict[str, Any], words: str
) -> None:
    outcome = sender.send(replace(push(), **changes), LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert re.search(words, outcome.error or ""), outcome.error
    assert not server.asked
