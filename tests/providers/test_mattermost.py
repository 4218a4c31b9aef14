"""Mattermost: an incoming webhook of one channel, whose URL is the secret."""

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

KEY = "1w4ma8ph33nt7jzqxcr5ydsu6e"
PATH = f"/chat/hooks/{KEY}"
MESSAGE = a_message(Channel.CHAT, "orders")


def no(status: int, name: str, message: str = "No.") -> tuple[int, Any]:
    return status, {"id": name, "message": message, "detailed_error": "", "request_id": "r1", "status_code": status}


class TestMattermost(ApiContract):
    provider = mattermost
    secrets = (KEY,)
    accepted = (200, b"ok")
    golden: ClassVar[Any] = (
        (
            *no(400, "web.incoming_webhook.invalid.app_error", f"Invalid webhook {KEY}."),
            {},
            Kind.CONFIG,
            "mattermost.webhook_gone",
        ),
        (*no(501, "web.incoming_webhook.disabled.app_error"), {}, Kind.CONFIG, "mattermost.webhook_gone"),
        (*no(403, "web.incoming_webhook.permissions.app_error"), {}, Kind.CONFIG, "mattermost.webhook_gone"),
        (*no(404, "web.incoming_webhook.channel.app_error"), {}, Kind.CONFIG, "mattermost.webhook_gone"),
        (*no(500, "web.incoming_webhook.channel.app_error"), {}, Kind.TRANSIENT, "api.trouble"),
        (*no(404, "app.channel.get.existing.app_error"), {}, Kind.CONFIG, "mattermost.webhook_gone"),
        (*no(400, "web.incoming_webhook.text.app_error"), {}, Kind.PERMANENT, "mattermost.content"),
        (*no(400, "web.incoming_webhook.parse.app_error"), {}, Kind.PERMANENT, "mattermost.content"),
        (429, b"limit exceeded", {"Retry_After": "3"}, Kind.THROTTLED, "api.too_fast"),
    )
    refused = (
        ({"webhook_url": Secret("http://chat.example.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("chat.example.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.example.com/api/v4/posts")}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> mattermost.Settings:
        return mattermost.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_the_text(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, b"ok")()
        sender.send(MESSAGE, LIMIT)
        assert (server.last.method, server.last.path) == ("POST", PATH)
        assert server.last.json() == {"text": "**Your order**\nIt is on its way."}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, b"ok")()
        yield server


def send(server: ApiServer, message: Message, **settings: Any) -> Outcome:
    sender = opened(mattermost, mattermost.Settings(webhook_url=Secret(server.url + PATH), **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


@pytest.mark.parametrize(
    ("format", "text", "sent"),
    [
        ("plain", "@channel *hi* a@example.com", "@\u2060channel \\*hi\\* a@example.com"),
        ("plain", "<!channel> <@ada> a < b", "&lt;!channel> &lt;@\u2060ada> a \\< b"),
        ("plain", "https://example.com/@ada_b or/@ada", "https://example.com/@ada_b or/@\u2060ada"),
        ("markdown", "@here **hi** <!here>", "@\u2060here **hi** &lt;!here>"),
    ],
)
def test_names_ping_nobody(server: ApiServer, format: str, text: str, sent: str) -> None:  # noqa: A002
    send(server, replace(MESSAGE, subject=None, text=text), format=format)
    assert server.last.json() == {"text": sent}


def test_a_severity_is_a_coloured_bar(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "success"}))
    text = "**Your order**\nIt is on its way."
    assert server.last.json() == {"attachments": [{"color": "#2eb67d", "fallback": text, "text": text}]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked
