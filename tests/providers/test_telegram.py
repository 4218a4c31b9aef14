"""Telegram: a bot whose token stands in the URL."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import telegram
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "123456789:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
PATH = f"/bot{TOKEN}/sendMessage"
MESSAGE = a_message(Channel.CHAT, "-1001234567890")
ACCEPTED = {"ok": True, "result": {"message_id": 365, "date": 1441645532, "chat": {"id": 1111111}, "text": "x"}}


def no(code: int, description: str, **parameters: int) -> tuple[int, Any]:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return code, body | {"parameters": parameters} if parameters else body


class TestTelegram(ApiContract):
    provider = telegram
    secrets = (TOKEN, "ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
    accepted = (200, ACCEPTED)
    golden: ClassVar[Any] = (
        (*no(403, "Forbidden: bot was blocked by the user"), {}, Kind.OPTOUT, "telegram.blocked"),
        (*no(403, "Forbidden: user is deactivated"), {}, Kind.DEAD, "telegram.unreachable"),
        (*no(403, "Forbidden: bot was kicked from the group chat"), {}, Kind.DEAD, "telegram.unreachable"),
        (*no(403, "Forbidden: bot was kicked from the supergroup chat"), {}, Kind.DEAD, "telegram.unreachable"),
        (
            *no(403, "Forbidden: bot can't initiate conversation with a user"),
            {},
            Kind.DEAD,
            "telegram.unreachable",
        ),
        (*no(403, "Forbidden: bot is not a member of the channel chat"), {}, Kind.CONFIG, "telegram.forbidden"),
        (*no(400, "Bad Request: chat not found"), {}, Kind.DEAD, "telegram.no_such_chat"),
        (
            *no(400, "Bad Request: not enough rights to send text messages to the chat"),
            {},
            Kind.CONFIG,
            "telegram.no_rights",
        ),
        (*no(400, "Bad Request: message is too long"), {}, Kind.PERMANENT, "api.refused"),
        (
            *no(400, "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 4"),
            {},
            Kind.PERMANENT,
            "api.refused",
        ),
        (*no(401, "Unauthorized"), {}, Kind.CONFIG, "api.login"),
        (*no(404, "Not Found"), {}, Kind.CONFIG, "api.wrong_url"),
        (*no(429, "Too Many Requests: retry after 35", retry_after=35), {}, Kind.THROTTLED, "api.too_fast"),
        (404, f"nothing at {PATH}".encode(), {}, Kind.CONFIG, "api.wrong_url"),
    )
    refused = (
        ({"token": Secret("ABC-DEF1234ghIkl-zyx57W2v1u123ew11")}, "token"),
        ({"token": Secret("bot" + TOKEN)}, "token"),
        ({"token": Secret(TOKEN + "\n")}, "token"),
        ({"api_url": "http://api.telegram.org"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> telegram.Settings:
        return telegram.Settings(token=Secret(TOKEN), api_url=server.url)

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_plain_text_with_a_bold_title(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        assert sender.send(MESSAGE, LIMIT).provider_message_id == "365"
        assert (server.last.method, server.last.path) == ("POST", PATH)
        assert server.last.json() == {
            "chat_id": "-1001234567890",
            "text": "Your order\nIt is on its way.",
            "entities": [{"type": "bold", "offset": 0, "length": 10}],
        }

    def test_a_throttle_waits_as_long_as_the_document_says(self, sender: Judged, server: ApiServer) -> None:
        server.answers(*no(429, "Too Many Requests: retry after 35", retry_after=35))()
        outcome = sender.send(MESSAGE, LIMIT)
        assert (outcome.scope, outcome.retry_after) == (Scope.ACCOUNT, 35.0)

    def test_what_one_chat_forbids_stops_no_other(self, sender: Judged, server: ApiServer) -> None:
        server.answers(*no(403, "Forbidden: bot is not a member of the channel chat"))()
        assert sender.send(MESSAGE, LIMIT).scope is Scope.RECIPIENT


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, ACCEPTED)()
        yield server


def send(server: ApiServer, message: Message, **settings: Any) -> Outcome:
    sender = opened(telegram, telegram.Settings(token=Secret(TOKEN), api_url=server.url, **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


class TestMovedGroup:
    MOVED = no(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1009876543210)

    def test_a_second_refusal_is_final(self, server: ApiServer) -> None:
        server.answers(*self.MOVED)()
        outcome = send(server, MESSAGE)
        assert [asked.json()["chat_id"] for asked in server.asked] == ["-1001234567890", "-1009876543210"]
        assert (outcome.kind, outcome.rule) == (Kind.DEAD, "telegram.moved")

    @pytest.mark.parametrize("parameters", [None, [], {"migrate_to_chat_id": True}, {"migrate_to_chat_id": "x"}, 1])
    def test_without_a_new_id_there_is_one_request(self, server: ApiServer, parameters: Any) -> None:
        server.answers(400, {"ok": False, "description": "Bad Request", "parameters": parameters})()
        assert send(server, MESSAGE).kind is Kind.PERMANENT
        assert len(server.asked) == 1

    def test_the_message_goes_to_the_new_id_and_the_try_says_so(
        self, server: ApiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard = server._heard

        def first_no_then_yes(asked: Any) -> Any:
            answer = heard(asked)
            server.answers(200, ACCEPTED)()
            return answer

        monkeypatch.setattr(server, "_heard", first_no_then_yes)
        server.answers(*self.MOVED)()
        outcome = send(server, MESSAGE)
        assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "365")
        assert "-1009876543210" in (outcome.error or "")
        assert [asked.json()["chat_id"] for asked in server.asked] == ["-1001234567890", "-1009876543210"]


def test_names_ping_nobody_and_addresses_stay(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject="@ada", text="@everyone <b>x</b> a@example.com *y*"))
    assert server.last.json() == {
        "chat_id": "-1001234567890",
        "text": "@\u2060ada\n@\u2060everyone <b>x</b> a@example.com *y*",
        "entities": [{"type": "bold", "offset": 0, "length": 5}],
    }


def test_a_severity_is_a_coloured_sign(server: ApiServer) -> None:
    send(server, replace(MESSAGE, options={"severity": "error"}))
    assert server.last.json()["text"] == "🔴 Your order\nIt is on its way."
    assert server.last.json()["entities"] == [{"type": "bold", "offset": 3, "length": 10}]
    send(server, replace(MESSAGE, subject=None, options={"severity": "info"}))
    assert server.last.json()["text"] == "🔵 It is on its way."
    assert "entities" not in server.last.json()


@pytest.mark.parametrize(
    ("format", "mode", "text"),
    [
        ("html", "HTML", "<b>a&lt;b&gt; &amp; c.</b>\n<i>x</i>"),
        ("markdown_v2", "MarkdownV2", "*a<b\\> & c\\.*\n<i>x</i>"),
    ],
)
def test_a_body_in_markup_goes_out_as_it_stands_and_the_title_escaped(
    server: ApiServer,
    format: str,  # noqa: A002
    mode: str,
    text: str,
) -> None:
    send(server, replace(MESSAGE, subject="a<b> & c.", text="<i>x</i>"), format=format)
    assert (server.last.json()["parse_mode"], server.last.json()["text"]) == (mode, text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": None, "text": "a" * 4097}, "4097 characters (UTF-16), and the service takes 4096"),
        ({"subject": None, "text": "🎉" * 2049}, "4098 characters (UTF-16), and the service takes 4096"),
        ({"recipient": "Ada Lovelace"}, "no chat of Telegram"),
        ({"recipient": "+4915112345678"}, "no chat of Telegram"),
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked


def test_the_most_that_fits_goes_out(server: ApiServer) -> None:
    assert send(server, replace(MESSAGE, subject=None, text="🎉" * 2048)).kind is Kind.OK
