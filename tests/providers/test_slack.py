"""Slack: the Web API, which says everything with 200, and incoming webhooks, which say it as text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import slack
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy"
SECRET_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
ACCEPTED = {
    "ok": True,
    "channel": "C123456",
    "ts": "1503435956.000247",
    "message": {"text": "Here's a message for you", "type": "message", "ts": "1503435956.000247"},
}

MESSAGE = a_message(Channel.CHAT, "C123456")


class TestSlackBot(ApiContract):
    provider = slack
    secrets = (TOKEN, TOKEN.removeprefix("xoxb-"))
    accepted = (200, ACCEPTED)
    golden = (
        (200, {"ok": False, "error": "invalid_auth"}, {}, Kind.CONFIG, "slack.login"),
        (200, {"ok": False, "error": "missing_scope", "needed": "chat:write"}, {}, Kind.CONFIG, "slack.login"),
        (200, {"ok": False, "error": "token_revoked"}, {}, Kind.CONFIG, "slack.login"),
        (200, {"ok": False, "error": "account_inactive"}, {}, Kind.CONFIG, "slack.login"),
        (200, {"ok": False, "error": "not_in_channel"}, {}, Kind.CONFIG, "slack.not_invited"),
        (200, {"ok": False, "error": "channel_not_found"}, {}, Kind.DEAD, "slack.no_such_recipient"),
        (200, {"ok": False, "error": "is_archived"}, {}, Kind.DEAD, "slack.no_such_recipient"),
        (200, {"ok": False, "error": "msg_too_long"}, {}, Kind.PERMANENT, "slack.content"),
        (200, {"ok": False, "error": "no_text"}, {}, Kind.PERMANENT, "slack.content"),
        (200, {"ok": False, "error": "ratelimited"}, {}, Kind.THROTTLED, "slack.too_fast"),
        (200, {"ok": False, "error": "rate_limited"}, {}, Kind.THROTTLED, "slack.too_fast"),
        (200, {"ok": False, "error": "fatal_error"}, {}, Kind.UNCERTAIN, "slack.half_done"),
        (500, {"ok": False, "error": "internal_error"}, {}, Kind.UNCERTAIN, "slack.half_done"),
        (200, {"ok": False, "error": "service_unavailable"}, {}, Kind.TRANSIENT, "slack.trouble"),
        (200, {"ok": False, "error": "request_timeout"}, {}, Kind.TRANSIENT, "slack.trouble"),
        (200, {"ok": False, "error": "something_of_next_year"}, {}, Kind.TRANSIENT, "slack.unknown"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "slack.unreadable"),
        (429, b"", {"Retry_After": "30"}, Kind.THROTTLED, "slack.too_fast.status"),
    )
    refused = (
        ({"token": None}, "token"),
        ({"token": Secret("xoxp-17653672481-19874698323")}, "token"),
        ({"token": Secret(TOKEN + "\n")}, "token"),
        ({"webhook_url": Secret("https://hooks.slack.com" + SECRET_PATH)}, "webhook_url"),
        ({"api_url": "http://slack.com/api"}, "api_url"),
        ({"api_url": "slack.com"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> slack.Settings:
        return slack.Settings(token=Secret(TOKEN), api_url=server.url + "/api")

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_the_request_has_token_channel_and_id(self, sender: Judged, server: ApiServer, message: Message) -> None:
        server.answers(200, ACCEPTED)()
        outcome = sender.send(message, LIMIT)
        assert outcome.provider_message_id == "1503435956.000247"
        assert (server.last.method, server.last.path) == ("POST", "/api/chat.postMessage")
        assert server.last.headers["authorization"] == f"Bearer {TOKEN}"
        assert server.last.headers["content-type"] == "application/json; charset=utf-8"
        assert server.last.json() == {
            "channel": "C123456",
            "text": "*Your order*\nIt is on its way.",
            "metadata": {
                "event_type": "notification",
                "event_payload": {"message_id": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"},
            },
        }

    def test_a_throttle_waits_as_long_as_slack_says(self, sender: Judged, server: ApiServer, message: Message) -> None:
        server.answers(429, {"ok": False, "error": "ratelimited"}, Retry_After="30")()
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.scope, outcome.retry_after) == (Kind.THROTTLED, Scope.RECIPIENT, 30.0)

    def test_a_channel_without_the_bot_stops_no_other_channel(
        self, sender: Judged, server: ApiServer, message: Message
    ) -> None:
        server.answers(200, {"ok": False, "error": "not_in_channel"})()
        assert sender.send(message, LIMIT).scope is Scope.RECIPIENT


class TestSlackWebhook(ApiContract):
    provider = slack
    secrets = (SECRET_PATH, "XXXXXXXXXXXXXXXXXXXXXXXX", "T00000000", "B00000000")
    accepted = (200, b"ok")
    golden = (
        (400, b"invalid_payload", {}, Kind.PERMANENT, "slack.content"),
        (400, b"too_many_attachments", {}, Kind.PERMANENT, "slack.content"),
        (400, b"no_text", {}, Kind.PERMANENT, "slack.content"),
        (400, b"user_not_found", {}, Kind.CONFIG, "slack.webhook_gone"),
        (403, b"action_prohibited", {}, Kind.CONFIG, "slack.webhook_forbidden"),
        (403, b"invalid_token", {}, Kind.CONFIG, "slack.webhook_forbidden"),
        (404, b"channel_not_found", {}, Kind.CONFIG, "slack.webhook_gone"),
        (404, b"no_service", {}, Kind.CONFIG, "slack.webhook_gone"),
        (404, b"no_team", {}, Kind.CONFIG, "slack.webhook_gone"),
        (410, b"channel_is_archived", {}, Kind.CONFIG, "slack.webhook_gone"),
        (429, b"", {"Retry_After": "30"}, Kind.THROTTLED, "slack.too_fast.status"),
        (500, b"rollup_error", {}, Kind.TRANSIENT, "slack.trouble"),
        (404, f"no {SECRET_PATH} here".encode(), {}, Kind.CONFIG, "api.wrong_url"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "slack.unreadable"),
    )
    refused = (
        ({"webhook_url": Secret("http://hooks.slack.com" + SECRET_PATH)}, "webhook_url"),
        ({"webhook_url": Secret("ftp://hooks.slack.com" + SECRET_PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://me:pass@hooks.slack.com" + SECRET_PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://[hooks.slack.com" + SECRET_PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://hooks.slack.com:x" + SECRET_PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://hooks.slack.com/triggers/T1/2/3")}, "webhook_url"),
        ({"token": Secret(TOKEN)}, "token"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> slack.Settings:
        return slack.Settings(webhook_url=Secret(server.url + SECRET_PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_the_url_is_all_that_it_needs(self, sender: Judged, server: ApiServer, message: Message) -> None:
        server.answers(200, b"ok")()
        sender.send(message, LIMIT)
        assert (server.last.method, server.last.path) == ("POST", SECRET_PATH)
        assert server.last.json() == {"text": "*Your order*\nIt is on its way."}


@pytest.fixture
def server() -> Any:
    with ApiServer() as server:
        server.answers(200, b"ok")()
        yield server


def send(server: ApiServer, message: Message) -> Outcome:
    sender = opened(slack, slack.Settings(webhook_url=Secret(server.url + SECRET_PATH)))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


@pytest.mark.parametrize(
    ("subject", "text", "sent"),
    [
        (None, "<!channel> <@U123> a & b", "&lt;!channel&gt; &lt;@U123&gt; a &amp; b"),
        ("<!here>\nnow", "x", "*&lt;!here&gt; now*\nx"),
        (None, "@channel @everyone", "@channel @everyone"),  # names only where `link_names` or `parse` ask for it
        (None, "<https://evil.example|your bank>", "&lt;https://evil.example|your bank&gt;"),
        ("2 * 3", "= 6", "2 * 3\n= 6"),
        ("only a title", "", "*only a title*"),
    ],
)
def test_names_ping_nobody(server: ApiServer, subject: str | None, text: str, sent: str) -> None:
    send(server, replace(MESSAGE, subject=subject, text=text))
    assert server.last.json() == {"text": sent}


def test_a_severity_is_a_coloured_bar(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "warning"}))
    text = "*Your order*\nIt is on its way."
    assert server.last.json() == {
        "attachments": [{"color": "#ecb22e", "fallback": text, "text": text, "mrkdwn_in": ["text"]}]
    }


REFUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({"subject": None, "text": "&" * 8001}, "40005 characters, and the service takes 40000"),
    ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ({"subject": " ", "text": "\n"}, "empty"),
    ({"text": "\ud800"}, "UTF-8"),
)


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked
