"""Discord: a webhook of one channel, whose URL is the secret."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import discord
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e72279b94526ff5d1bd4358d65cf11"
PATH = f"/api/webhooks/223704706495545344/{TOKEN}"
MESSAGE = a_message(Channel.CHAT, "#orders")
ACCEPTED = {"id": "1020304050607080900", "type": 0, "content": "x", "channel_id": "199737254929760256", "tts": False}
LIMITED = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}


class TestDiscord(ApiContract):
    provider = discord
    secrets = (TOKEN, "223704706495545344")
    accepted = (200, ACCEPTED)
    golden: ClassVar[Any] = (
        (204, b"", {}, Kind.OK, "discord.accepted"),
        (404, {"message": "Unknown Webhook", "code": 10015}, {}, Kind.CONFIG, "discord.webhook_gone"),
        (404, {"message": "Unknown Channel", "code": 10003}, {}, Kind.CONFIG, "discord.webhook_gone"),
        (401, {"message": "Invalid Webhook Token", "code": 50027}, {}, Kind.CONFIG, "discord.not_allowed"),
        (401, {"message": "401: Unauthorized", "code": 0}, {}, Kind.CONFIG, "api.login"),
        (403, {"message": "Missing Permissions", "code": 50013}, {}, Kind.CONFIG, "discord.not_allowed"),
        (403, {"message": "Missing Access", "code": 50001}, {}, Kind.CONFIG, "discord.not_allowed"),
        (
            403,
            {"message": "Cannot send messages to this user", "code": 50007},
            {},
            Kind.OPTOUT,
            "discord.closed_to_us",
        ),
        (400, {"message": "Cannot send an empty message", "code": 50006}, {}, Kind.PERMANENT, "discord.content"),
        (400, {"message": "Invalid Form Body", "code": 50035}, {}, Kind.PERMANENT, "discord.content"),
        (413, {"message": "Request entity too large", "code": 40005}, {}, Kind.PERMANENT, "discord.content"),
        (
            400,
            {"message": "Webhooks posted to forum channels must have a thread_name or thread_id", "code": 220001},
            {},
            Kind.CONFIG,
            "discord.forum_without_thread",
        ),
        (429, LIMITED, {"Retry_After": "65"}, Kind.THROTTLED, "api.too_fast"),
        (429, {"message": "Slow mode", "code": 20016, "retry_after": 3}, {}, Kind.THROTTLED, "discord.too_fast"),
        (429, b"error code: 1015", {}, Kind.THROTTLED, "api.too_fast"),
        (503, {"message": "API resource is overloaded", "code": 130000}, {}, Kind.TRANSIENT, "discord.overloaded"),
        (404, f"nothing at {PATH}".encode(), {}, Kind.CONFIG, "api.wrong_url"),
    )
    refused = (
        ({"webhook_url": Secret("http://discord.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("discord.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://discord.com" + PATH + "/slack")}, "webhook_url"),
        ({"webhook_url": Secret("https://discord.com/api/webhooks/223704706495545344")}, "webhook_url"),
        ({"webhook_url": Secret("https://[discord.com" + PATH)}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> discord.Settings:
        return discord.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_waits_for_the_id_and_pings_nobody(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        assert sender.send(MESSAGE, LIMIT).provider_message_id == "1020304050607080900"
        assert (server.last.method, server.last.path) == ("POST", PATH + "?wait=true")
        assert server.last.json() == {
            "content": "**Your order**\nIt is on its way.",
            "allowed_mentions": {"parse": []},
        }

    @pytest.mark.parametrize(
        ("body", "seconds"),
        [(LIMITED, 64.57), ({"message": "x", "retry_after": 0.65, "global": True}, 0.65)],
    )
    def test_a_throttle_waits_as_long_as_the_document_says(
        self, sender: Judged, server: ApiServer, body: Any, seconds: float
    ) -> None:
        server.answers(429, body)()
        outcome = sender.send(MESSAGE, LIMIT)
        assert (outcome.kind, outcome.scope, outcome.retry_after) == (Kind.THROTTLED, Scope.ACCOUNT, seconds)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, ACCEPTED)()
        yield server


def send(server: ApiServer, message: Message, query: str = "", **settings: Any) -> Outcome:
    sender = opened(discord, discord.Settings(webhook_url=Secret(server.url + PATH + query), **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


@pytest.mark.parametrize(
    ("subject", "text", "content"),
    [
        (None, "@everyone <@80351110224678912> *hi*", r"@everyone \<@80351110224678912> \*hi\*"),
        ("a_b**", "# no heading\n- no list", "**a\\_b\\*\\***\n\\# no heading\n\\- no list"),
        (None, "see https://example.com/a_b*", r"see https://example.com/a_b\*"),
        (None, "[free](https://example.com)", r"\[free\](https://example.com)"),
    ],
)
def test_markdown_shows_as_it_stands(server: ApiServer, subject: str | None, text: str, content: str) -> None:
    send(server, replace(MESSAGE, subject=subject, text=text))
    assert server.last.json()["content"] == content
    assert server.last.json()["allowed_mentions"] == {"parse": []}


def test_a_body_in_markdown_goes_out_as_it_stands(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject="a*b", text="**bold** @everyone"), format="markdown")
    assert server.last.json() == {"content": "**a\\*b**\n**bold** @everyone", "allowed_mentions": {"parse": []}}


def test_a_severity_is_a_coloured_embed(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "error"}))
    assert server.last.json() == {
        "embeds": [{"title": "Your order", "description": "It is on its way.", "color": 0xE01E5A}],
        "allowed_mentions": {"parse": []},
    }
    send(server, replace(MESSAGE, subject=None, options={"severity": "info"}))
    assert server.last.json()["embeds"] == [{"description": "It is on its way.", "color": 0x2F80ED}]


def test_a_thread_is_named_in_the_url(server: ApiServer) -> None:
    send(server, MESSAGE, "?thread_id=17")
    assert server.last.path == PATH + "?thread_id=17&wait=true"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": None, "text": "a" * 2001}, "2001 characters, and the service takes 2000"),
        ({"subject": "*" * 129, "options": {"severity": "info"}}, "258 characters, and the service takes 256"),
        ({"text": "a" * 4097, "options": {"severity": "info"}}, "4097 characters, and the service takes 4096"),
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked


def test_characters_beyond_the_first_plane_count_once(server: ApiServer) -> None:
    assert send(server, replace(MESSAGE, subject=None, text="🎉" * 2000)).kind is Kind.OK
