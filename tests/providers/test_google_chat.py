"""Google Chat: a webhook of one space, with key and token in its query."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import google_chat
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

KEY, TOKEN = "AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI", "0a1B2c3D4e5F6g7H8i9J0k_LmNoPqRsTuVwXyZ"
PATH = f"/v1/spaces/AAAAMpdlehY/messages?key={KEY}&token={TOKEN}"
MESSAGE = a_message(Channel.CHAT, "orders")
ACCEPTED = {
    "name": "spaces/AAAAMpdlehY/messages/UMxbHmzDlr4.UMxbHmzDlr4",
    "thread": {"name": "spaces/AAAAMpdlehY/threads/UMxbHmzDlr4"},
    "text": "x",
}


def no(status: int, name: str, message: str) -> tuple[int, Any]:
    return status, {"error": {"code": status, "message": message, "status": name}}


class TestGoogleChat(ApiContract):
    provider = google_chat
    secrets = (KEY, TOKEN)
    accepted = (200, ACCEPTED)
    golden: ClassVar[Any] = (
        (
            *no(400, "INVALID_ARGUMENT", f"API key not valid. Please pass a valid API key, not {KEY}."),
            {},
            Kind.CONFIG,
            "google_chat.key",
        ),
        (*no(400, "INVALID_ARGUMENT", "Message cannot be empty."), {}, Kind.PERMANENT, "google_chat.content"),
        (*no(404, "NOT_FOUND", "Webhook not found."), {}, Kind.CONFIG, "google_chat.webhook_gone"),
        (*no(403, "PERMISSION_DENIED", "Permission denied."), {}, Kind.CONFIG, "google_chat.webhook_gone"),
        (*no(429, "RESOURCE_EXHAUSTED", "Resource exhausted."), {}, Kind.THROTTLED, "google_chat.too_fast"),
        (*no(503, "UNAVAILABLE", "The service is unavailable."), {}, Kind.TRANSIENT, "api.trouble"),
    )
    refused = (
        ({"webhook_url": Secret("http://chat.googleapis.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.googleapis.com/v1/spaces/AAAAMpdlehY/messages")}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.googleapis.com/?key=x&token=y")}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> google_chat.Settings:
        return google_chat.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_the_text_with_an_id_that_drops_repeats(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        assert sender.send(MESSAGE, LIMIT).provider_message_id == "UMxbHmzDlr4.UMxbHmzDlr4"
        assert server.last.method == "POST"
        assert server.last.path == PATH + "&requestId=0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
        assert server.last.json() == {"text": "*Your order*\nIt is on its way."}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, ACCEPTED)()
        yield server


def send(server: ApiServer, message: Message) -> Outcome:
    sender = opened(google_chat, google_chat.Settings(webhook_url=Secret(server.url + PATH)))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def test_names_ping_nobody(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject="2 * 3", text="<users/all> a < b"))
    assert server.last.json() == {"text": "2 * 3\n<\u2060users/all> a < b"}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("<https://evil.example|your bank>", "<\u2060https://evil.example|your bank>"),
        ("<https://example.com>, 1 < 2 > 0, <b>|", "<https://example.com>, 1 < 2 > 0, <b>|"),
    ],
)
def test_a_name_hides_no_link(server: ApiServer, text: str, sent: str) -> None:
    send(server, replace(MESSAGE, subject=None, text=text))
    assert server.last.json() == {"text": sent}


def test_a_severity_is_a_coloured_sign(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "error"}))
    assert server.last.json() == {"text": "🔴 *Your order*\nIt is on its way."}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "a" * 32_000}, "bytes, and the service takes 32000"),
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked
