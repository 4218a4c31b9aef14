"""Google Chat: a webhook of one space."""

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

KEY, TOKEN = "AIzaSyDdI0hCZtE6vySjMm-fake-key", "VC5HDNQgqVLbhRVQYisn_fake-token"
PATH = f"/v1/spaces/AAAAkUFdZaw/messages?key={KEY}&token={TOKEN}%3D"
MESSAGE = a_message(Channel.CHAT, "orders")
NAME = "spaces/AAAAkUFdZaw/messages/UMxbHmzDlr4.UMxbHmzDlr4"
ACCEPTED = {
    "name": NAME,
    "text": "*Your order*\nIt is on its way.",
    "thread": {"name": "spaces/AAAAkUFdZaw/threads/UMxbHmzDlr4"},
}


def refusal(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}


class TestGoogleChat(ApiContract):
    provider = google_chat
    secrets = (KEY, TOKEN)
    accepted = (200, ACCEPTED)
    golden: ClassVar[Any] = (
        (
            429,
            refusal(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
            {},
            Kind.THROTTLED,
            "google_chat.too_fast",
        ),
        (
            403,
            refusal(
                403,
                "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key"
                " or other form of API consumer identity to call this API.",
            ),
            {},
            Kind.CONFIG,
            "google_chat.login",
        ),
        (
            401,
            refusal(401, "UNAUTHENTICATED", f"Request had invalid authentication credentials: {TOKEN}="),
            {},
            Kind.CONFIG,
            "google_chat.login",
        ),
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            {},
            Kind.CONFIG,
            "google_chat.key",
        ),
        (
            400,
            refusal(400, "INVALID_ARGUMENT", "Invalid JSON payload received."),
            {},
            Kind.PERMANENT,
            "google_chat.content",
        ),
        (
            404,
            refusal(404, "NOT_FOUND", "Requested entity was not found."),
            {},
            Kind.CONFIG,
            "google_chat.webhook_gone",
        ),
        (
            504,
            refusal(504, "DEADLINE_EXCEEDED", "Deadline exceeded."),
            {},
            Kind.UNCERTAIN,
            "google_chat.half_done",
        ),
        (
            503,
            refusal(503, "UNAVAILABLE", "The service is currently unavailable."),
            {},
            Kind.TRANSIENT,
            "google_chat.trouble",
        ),
        (429, b"", {"Retry_After": "17"}, Kind.THROTTLED, "api.too_fast"),
    )
    refused = (
        ({"webhook_url": Secret("http://chat.googleapis.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("chat.googleapis.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.googleapis.com/v1/spaces/AAAA/messages")}, "webhook_url"),
        ({"webhook_url": Secret(f"https://chat.googleapis.com/v1/spaces/AAAA/messages?key={KEY}")}, "webhook_url"),
        ({"webhook_url": Secret("https://chat.googleapis.com/v1/messages?key=a&token=b")}, "webhook_url"),
        ({"webhook_url": Secret("https://[chat" + PATH)}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> google_chat.Settings:
        return google_chat.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_a_text(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        outcome = sender.send(MESSAGE, LIMIT)
        assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, NAME)
        assert (server.last.method, server.last.path) == ("POST", PATH)
        assert server.last.headers["content-type"] == "application/json; charset=utf-8"
        assert server.last.json() == {"text": "*Your order*\nIt is on its way."}

    def test_without_a_name_there_is_no_id(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, {})()
        assert sender.send(MESSAGE, LIMIT).provider_message_id is None


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


@pytest.mark.parametrize(
    ("subject", "text", "shown"),
    [
        (None, "<users/all> and <USERS/123>", "<\u200busers/all> and <\u200bUSERS/123>"),
        (None, "<https://evil.example|your bank>", "<\u200bhttps://evil.example|your bank>"),
        (None, "_it_ <b> 1 < 2", "_it_ <b> 1 < 2"),
        ("5 * 3", None, "5 * 3"),
        ("Hi <users/all>", None, "*Hi <\u200busers/all>*"),
    ],
)
def test_nobody_is_pinged(server: ApiServer, subject: str | None, text: str | None, shown: str) -> None:
    send(server, replace(MESSAGE, subject=subject, text=text))
    assert server.last.json() == {"text": shown}


def test_a_severity_is_a_sign(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "error"}))
    assert server.last.json() == {"text": "🔴 *Your order*\nIt is on its way."}


def test_as_much_as_fits_goes_out(server: ApiServer) -> None:
    assert send(server, replace(MESSAGE, subject=None, text="ü" * 16_000)).kind is Kind.OK


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": None, "text": "ü" * 16_001}, "32002 bytes, and the service takes 32000: shorten it"),
        ({"subject": None, "text": " "}, "give it a subject or a body"),
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


def test_a_throttle_waits_as_long_as_it_says(server: ApiServer) -> None:
    server.answers(429, refusal(429, "RESOURCE_EXHAUSTED", "quota"), Retry_After="17")()
    assert send(server, MESSAGE).retry_after == 17.0
    server.answers(429, refusal(429, "RESOURCE_EXHAUSTED", "quota"))()
    assert send(server, MESSAGE).retry_after == 1.0
