"""Mattermost: an incoming webhook of one channel."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import mattermost
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

HOOK = "ucw5qjw86jgeum77o1uw8197jr"
PATH = f"/hooks/{HOOK}"
MESSAGE = a_message(Channel.CHAT, "orders")
PROPS = {"message_id": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"}


def refusal(id: str, message: str, status: int) -> dict[str, Any]:  # noqa: A002 - as the server has it
    return {
        "id": id,
        "message": message,
        "detailed_error": "",
        "request_id": "qe3eyht563d1b8xani3g93dgfh",
        "status_code": status,
    }


class TestMattermost(ApiContract):
    provider = mattermost
    secrets = (HOOK,)
    accepted = (200, b"ok")
    golden: ClassVar[Any] = (
        (200, b"<html>Welcome</html>", {}, Kind.UNCERTAIN, "mattermost.unreadable"),
        (
            400,
            refusal("web.incoming_webhook.invalid.app_error", "Invalid webhook.", 400),
            {},
            Kind.CONFIG,
            "mattermost.webhook_gone",
        ),
        (
            400,
            refusal("web.incoming_webhook.invalid.app_error", f"Invalid webhook {HOOK}.", 400),
            {},
            Kind.CONFIG,
            "mattermost.webhook_gone",
        ),
        (
            403,
            refusal(
                "web.incoming_webhook.channel_locked.app_error",
                "This webhook is not permitted to post to the requested channel.",
                403,
            ),
            {},
            Kind.CONFIG,
            "mattermost.not_allowed",
        ),
        (
            501,
            refusal("web.incoming_webhook.disabled.app_error", "Incoming webhooks have been disabled.", 501),
            {},
            Kind.CONFIG,
            "mattermost.webhooks_off",
        ),
        (
            404,
            refusal("app.channel.get.existing.app_error", "Unable to find the existing channel.", 404),
            {},
            Kind.CONFIG,
            "mattermost.channel_gone",
        ),
        (
            500,
            refusal("web.incoming_webhook.channel.app_error", "Couldn't find the channel.", 500),
            {},
            Kind.TRANSIENT,
            "api.trouble",
        ),
        (
            400,
            refusal("web.incoming_webhook.text.app_error", "No text specified.", 400),
            {},
            Kind.PERMANENT,
            "mattermost.content",
        ),
        (429, b"limit exceeded\n", {"Retry_After": "2"}, Kind.THROTTLED, "mattermost.too_fast"),
    )
    refused = (
        ({"webhook_url": Secret("http://chat.example.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("chat.example.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.example.com/hooks/")}, "webhook_url"),
        ({"webhook_url": Secret(f"https://chat.example.com/api/v4/{HOOK}")}, "webhook_url"),
        ({"webhook_url": Secret("https://[chat" + PATH)}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> mattermost.Settings:
        return mattermost.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_a_text_with_the_message_s_id(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, b"ok")()
        outcome = sender.send(MESSAGE, LIMIT)
        assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, None)
        assert (server.last.method, server.last.path) == ("POST", PATH)
        assert server.last.headers["content-type"] == "application/json; charset=utf-8"
        assert server.last.json() == {"text": "**Your order**\nIt is on its way.", "props": PROPS}

    def test_a_throttle_waits_as_long_as_it_says(self, sender: Judged, server: ApiServer) -> None:
        server.answers(429, b"limit exceeded\n", Retry_After="2", X_RateLimit_Reset="40")()
        assert sender.send(MESSAGE, LIMIT).retry_after == 2.0


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, b"ok")()
        yield server


def send(server: ApiServer, message: Message, path: str = PATH, **settings: Any) -> Outcome:
    sender = opened(mattermost, mattermost.Settings(webhook_url=Secret(server.url + path), **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@channel @all: (@here) .@ada", "@\u200bchannel @\u200ball: (@\u200bhere) .@\u200bada"),
        ("<!channel> <@5fb5f7iw8tfrfcwssd1xmx3j7y>", "\\<\u200b!channel> \\<@\u200b5fb5f7iw8tfrfcwssd1xmx3j7y>"),
        ("ada@example.com, 5 @ 3", "ada@example.com, 5 @ 3"),
        ("**b** # x", r"\*\*b\*\* # x"),
    ],
)
def test_a_text_shows_as_it_stands_and_pings_nobody(server: ApiServer, text: str, shown: str) -> None:
    send(server, replace(MESSAGE, subject=None, text=text))
    assert server.last.json()["text"] == shown


def test_a_body_in_markdown_goes_out_as_it_stands_and_pings_nobody(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject="a*b @all", text="**bold** @here <!all>"), format="markdown")
    assert server.last.json()["text"] == "**a\\*b @\u200ball**\n**bold** @\u200bhere <\u200b!all>"


def test_a_severity_is_the_colour_of_an_attachment(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "critical"}))
    whole = "**Your order**\nIt is on its way."
    assert server.last.json() == {
        "attachments": [{"color": "#8b0000", "fallback": whole, "text": whole}],
        "props": PROPS,
    }


def test_a_server_below_a_path_is_reached(server: ApiServer) -> None:
    assert send(server, MESSAGE, path=f"/company/chat{PATH}").kind is Kind.OK
    assert server.last.path == f"/company/chat{PATH}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": None, "text": "a" * 16_384}, "16384 characters, and the service takes 16383: shorten it"),
        ({"subject": None, "text": ""}, "give it a subject or a body"),
        ({"text": "\ud800"}, "UTF-8"),
        ({"options": {"severity": "grave"}}, "options.severity"),
        ({"options": {"cc": "a@example.com"}}, "options.cc"),
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert words in (outcome.error or "")
    assert not server.asked
