"""SMS through Vonage: its requests, and the answers that its pages and libraries show."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import vonage
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, a_message, opened
from tests.providers.description import description

KEY, SECRET = "abcd1234", "S3cretS3cretS3cr"
LOGIN = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
ID = "3295d748-4e14-4681-af78-166dca3c5aab"
TAKEN = {
    "to": "4915199999999",
    "message-id": ID,
    "status": "0",
    "remaining-balance": "38.07243628",
    "message-price": "0.04120000",
    "network": "23420",
}
ACCEPTED = {"message-count": "1", "messages": [TAKEN]}


def refusal(status: str, words: str) -> dict[str, Any]:
    return {"message-count": "1", "messages": [{"status": status, "error-text": words}]}


# https://developer.vonage.com/en/api-errors/sms, and the second list of its old documentation (13 to 20, 34).
STATUSES = (
    ("1", "You are sending SMS faster than the account limit.", Kind.THROTTLED, "vonage.too_fast"),
    ("2", "Missing to param", Kind.PERMANENT, "vonage.parameters"),
    ("3", "Invalid parameter", Kind.PERMANENT, "vonage.parameters"),
    ("4", "Bad Credentials", Kind.CONFIG, "vonage.login"),
    ("5", "Internal Error", Kind.TRANSIENT, "vonage.trouble"),
    ("6", "Unroutable message - rejected", Kind.PERMANENT, "vonage.no_route"),
    ("7", "Number barred.", Kind.DEAD, "vonage.no_such_number"),
    ("8", "Partner Account Barred", Kind.CONFIG, "vonage.account"),
    ("9", "Quota Exceeded - rejected", Kind.CONFIG, "vonage.no_credit"),
    ("10", "Too Many Existing Binds", Kind.THROTTLED, "vonage.too_fast"),
    ("11", "Account Not Enabled For HTTP", Kind.CONFIG, "vonage.account"),
    ("12", "Message Too Long", Kind.PERMANENT, "vonage.content"),
    ("13", "Communication Failed", Kind.TRANSIENT, "vonage.trouble"),
    ("14", "Invalid Signature", Kind.CONFIG, "vonage.login"),
    ("15", "Illegal Sender Address - rejected", Kind.CONFIG, "vonage.sender"),
    ("16", "Invalid TTL", Kind.PERMANENT, "vonage.content"),
    ("19", "Facility not allowed", Kind.CONFIG, "vonage.settings"),
    ("20", "Invalid message class", Kind.PERMANENT, "vonage.content"),
    ("22", "Invalid Network Code", Kind.CONFIG, "vonage.settings"),
    ("23", "Invalid Callback Url", Kind.CONFIG, "vonage.settings"),
    ("29", "Non White-listed Destination - rejected", Kind.CONFIG, "vonage.demo"),
    ("32", "Signature And API Secret Disallowed", Kind.CONFIG, "vonage.login"),
    ("33", "Number De-activated", Kind.DEAD, "vonage.no_such_number"),
    ("34", "Invalid Destination Address", Kind.DEAD, "vonage.no_such_number"),
    ("99", "new", Kind.TRANSIENT, "vonage.unknown_code"),
)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(description("vonage")) as server:
        server.answers(200, ACCEPTED)()
        yield server


def settings_at(server: ApiServer, **changes: Any) -> vonage.Settings:
    sound = vonage.Settings(Secret(KEY), Secret(SECRET), from_=("Shop", "+4915112345678"), api_url=server.url)
    return replace(sound, **changes)


def send(server: ApiServer, message: Message, **changes: Any) -> Outcome:
    sender = opened(vonage, settings_at(server, **changes))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def an_sms(text: str | None = "It is on its way.", **options: Any) -> Message:
    return a_message(Channel.SMS, "+4915199999999", text=text, options=options)


class TestVonage(ApiContract):
    provider = vonage
    described = description("vonage")
    secrets = (KEY, SECRET, LOGIN)
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"api_key": Secret("abcd1234:secret")}, "api_key"),
        ({"api_secret": Secret("")}, "api_secret"),
        ({"from_": ()}, "from"),
        ({"from_": ("A name too long",)}, "from"),
        ({"api_url": "http://rest.nexmo.example"}, "api_url"),
    )
    accepted = (200, ACCEPTED)
    golden = (
        *((200, refusal(status, words), {}, kind, rule) for status, words, kind, rule in STATUSES),
        (401, refusal("4", f"Bad Credentials: Basic {LOGIN}"), {}, Kind.CONFIG, "vonage.login"),
        (200, refusal("4", f"Bad Credentials: {KEY} / {SECRET}"), {}, Kind.CONFIG, "vonage.login"),
        (200, {"messages": [TAKEN, {"status": "1"}]}, {}, Kind.UNCERTAIN, "vonage.partly_accepted"),
        (200, {"messages": [{"status": "9"}, TAKEN]}, {}, Kind.UNCERTAIN, "vonage.partly_accepted"),
        (200, {"messages": [{"status": "9"}, TAKEN, {"status": "1"}]}, {}, Kind.UNCERTAIN, "vonage.partly_accepted"),
        (200, {"messages": [{}, TAKEN]}, {}, Kind.UNCERTAIN, "vonage.partly_accepted"),
        (200, {"message-count": "2", "messages": [TAKEN, TAKEN]}, {}, Kind.OK, "vonage.accepted"),
        (200, {"messages": [{"status": "9"}, {"status": "1"}]}, {}, Kind.CONFIG, "vonage.no_credit"),
        (200, b"<html>log in to this network</html>", {}, Kind.UNCERTAIN, "vonage.not_its_answer"),
        (200, {"messages": []}, {}, Kind.UNCERTAIN, "vonage.not_its_answer"),
        (200, {"messages": ["0", 0, None]}, {}, Kind.UNCERTAIN, "vonage.not_its_answer"),
        (429, b"", {"Retry_After": "3"}, Kind.THROTTLED, "api.too_fast"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> vonage.Settings:
        return settings_at(server)

    @pytest.fixture
    def message(self) -> Message:
        return an_sms()


def test_it_is_a_form_and_the_key_stands_in_the_header_only(server: ApiServer) -> None:
    message = an_sms("Grüße & {x}")
    outcome = send(server, message)
    assert (outcome.kind, outcome.provider_message_id, outcome.code) == (Kind.OK, ID, "200 0")
    asked = server.last
    assert (asked.method, asked.path) == ("POST", "/sms/json")
    assert asked.headers["authorization"] == f"Basic {LOGIN}"
    assert asked.form() == {
        "to": "4915199999999",
        "from": "Shop",
        "text": "Grüße & {x}",
        "type": "text",
        "client-ref": str(message.message_id),
    }


def test_a_number_as_sender_goes_without_its_plus(server: ApiServer) -> None:
    send(server, an_sms(**{"from": "+4915112345678"}))
    assert server.last.form()["from"] == "4915112345678"


@pytest.mark.parametrize(
    ("text", "type_", "told"),
    [
        ("a" * 161, "text", {"segments": 2, "encoding": "gsm7"}),
        ("Ё" * 71 + "😀", "unicode", {"segments": 2, "encoding": "ucs2"}),
    ],
)
def test_parts_and_encoding_are_recorded_with_the_try(
    server: ApiServer, text: str, type_: str, told: Mapping[str, Any]
) -> None:
    outcome = send(server, an_sms(text))
    assert server.last.form()["type"] == type_
    assert server.last.form()["text"] == text
    assert outcome.response is not None
    assert {name: outcome.response[name] for name in told} == told


def test_plain_characters_make_it_a_text(server: ApiServer) -> None:
    send(server, an_sms("\u201cHi\u201d \u2014 now\u2026"), plain_characters=True)
    assert (server.last.form()["type"], server.last.form()["text"]) == ("text", '"Hi" - now...')


def test_a_part_that_was_refused_says_why(server: ApiServer) -> None:
    server.answers(200, {"messages": [TAKEN, {"status": "9", "error-text": "Quota Exceeded"}]})()
    outcome = send(server, an_sms())
    assert (outcome.code, outcome.provider_message_id) == ("200 0,9", ID)
    assert "Quota Exceeded" in (outcome.error or "")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (an_sms("a" * 1531), "takes 11 SMS, and max_segments allows 10"),
        (an_sms(""), "the text is empty"),
        (an_sms("\ud800"), "UTF-8"),
        (an_sms(**{"from": "+4915100000000"}), "options.from is no sender of the account"),
    ],
)
def test_what_cannot_go_out_is_refused_before_anything_is_sent(server: ApiServer, message: Message, said: str) -> None:
    outcome = send(server, message)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert said in (outcome.error or "")
    assert not server.asked
