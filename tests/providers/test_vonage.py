"""SMS through Vonage: its requests, and the answers that its pages and libraries show."""

import base64
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind
from noti_worker.domain.rules import classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import vonage
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, NOW, a_message, opened
from tests.providers.receipts import MESSAGE_ID, URL, ReceiptContract, a_kit, of, wrote

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


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
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
        (
            200,
            refusal("1", "You are sending SMS faster than the account limit."),
            {},
            Kind.THROTTLED,
            "vonage.too_fast",
        ),
        (200, refusal("2", "Missing to param"), {}, Kind.PERMANENT, "vonage.parameters"),
        (200, refusal("4", "Bad Credentials"), {}, Kind.CONFIG, "vonage.login"),
        (401, refusal("4", f"Bad Credentials: Basic {LOGIN}"), {}, Kind.CONFIG, "vonage.login"),
        (200, refusal("4", f"Bad Credentials: {KEY} / {SECRET}"), {}, Kind.CONFIG, "vonage.login"),
        (200, refusal("5", "Internal Error"), {}, Kind.TRANSIENT, "vonage.trouble"),
        (200, refusal("6", "Unroutable message - rejected"), {}, Kind.PERMANENT, "vonage.no_route"),
        (200, refusal("7", "Number barred."), {}, Kind.DEAD, "vonage.no_such_number"),
        (200, refusal("9", "Quota Exceeded - rejected"), {}, Kind.CONFIG, "vonage.no_credit"),
        (200, refusal("12", "Message Too Long"), {}, Kind.PERMANENT, "vonage.content"),
        (200, refusal("15", "Illegal Sender Address - rejected"), {}, Kind.CONFIG, "vonage.sender"),
        (200, refusal("29", "Non White-listed Destination - rejected"), {}, Kind.CONFIG, "vonage.demo"),
        (200, refusal("99", "new"), {}, Kind.TRANSIENT, "vonage.unknown_code"),
        (
            200,
            {"message-count": "2", "messages": [TAKEN, {"status": "1", "error-text": "Throttled"}]},
            {},
            Kind.UNCERTAIN,
            "vonage.partly_accepted",
        ),
        (
            200,
            {"message-count": "2", "messages": [{"status": "9", "error-text": "Quota Exceeded"}, TAKEN]},
            {},
            Kind.UNCERTAIN,
            "vonage.partly_accepted",
        ),
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
        "client-ref": f"17.{message.message_id}",
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


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("3", Kind.PERMANENT),
        ("8", Kind.CONFIG),
        ("10", Kind.THROTTLED),
        ("11", Kind.CONFIG),
        ("13", Kind.TRANSIENT),
        ("14", Kind.CONFIG),
        ("16", Kind.PERMANENT),
        ("19", Kind.CONFIG),
        ("20", Kind.PERMANENT),
        ("22", Kind.CONFIG),
        ("32", Kind.CONFIG),
        ("33", Kind.DEAD),
        ("34", Kind.DEAD),
        ("9,0,1", Kind.UNCERTAIN),
        (",0", Kind.UNCERTAIN),
    ],
)
def test_a_code_has_its_kind(code: str, kind: Kind) -> None:
    rule = classify(vonage.RULES, Said("answer", "200", code))
    assert rule is not None
    assert rule.kind is kind


def test_it_is_told_where_to_post(server: ApiServer) -> None:
    sender = opened(vonage, settings_at(server), a_kit())
    sender.send(an_sms(), LIMIT)
    sender.close()
    assert server.last.form()["callback"] == URL


SIGNS = "the signature secret of 32 bytes"


def receipt(status: str, error: str = "0", **more: str) -> dict[str, str]:
    """What developer.vonage.com/en/messaging/sms/guides/delivery-receipts shows."""
    return {
        "msisdn": "447700900000",
        "to": "AcmeInc",
        "network-code": "12345",
        "messageId": f"0A00{status}{error}",
        "price": "0.03330000",
        "status": status,
        "scts": "2001011400",
        "err-code": error,
        "api-key": "abcd1234",
        "client-ref": f"17.{MESSAGE_ID}",
        "message-timestamp": "2020-01-01 12:00:00 +0000",
        **more,
    }


def of_messages_api(status: str, error: dict[str, Any] | None = None) -> dict[str, Any]:
    """What developer.vonage.com/en/api/messages shows of a status."""
    told = {
        "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab",
        "to": "447700900000",
        "from": "447700900001",
        "timestamp": "2025-02-03T12:14:25Z",
        "status": status,
        "client_ref": f"17.{MESSAGE_ID}",
        "channel": "sms",
    }
    return told | ({"error": error} if error else {})


INBOUND = {
    "msisdn": "447700900001",
    "to": "447700900000",
    "messageId": "0A0000000123ABCD1",
    "text": "Stop",
    "type": "text",
    "keyword": "STOP",
    "message-timestamp": "2020-01-01T12:00:00.000+00:00",
}


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> list[tuple[Any, ...]]:
    return [of(kind, "+447700900000", code, words)]


def token(body: bytes, at: datetime, **claims: Any) -> str:
    said = {"iat": int(at.timestamp()), "iss": "Vonage", "api_key": "a", "payload_hash": sha256(body).hexdigest()}
    parts = ({"typ": "JWT", "alg": "HS256"}, said | claims)
    signed = ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    signature = urlsafe_b64encode(hmac.digest(SIGNS.encode(), signed.encode(), "sha256")).rstrip(b"=").decode()
    return f"{signed}.{signature}"


class TestReceipts(ReceiptContract):
    """Those that are signed by a token."""

    provider = vonage
    settings = vonage.Settings(Secret("key"), Secret("secret"), ("Shop",), signature_secret=Secret(SIGNS))
    needs = ("signature_secret",)
    other = ("signature_secret", Secret("another"))
    keeps_for = timedelta(hours=25)
    said = (
        (receipt("delivered"), told(ReceiptKind.DELIVERED, "0")),
        (receipt("accepted"), []),
        (receipt("buffered"), told(ReceiptKind.DEFERRED, "0")),
        (receipt("failed", "3"), told(ReceiptKind.BOUNCED, "3", "failed")),
        (receipt("rejected", "6"), told(ReceiptKind.FAILED, "6", "rejected")),
        (receipt("rejected", "9"), told(ReceiptKind.UNSUBSCRIBED, "9", "rejected")),
        (receipt("expired", "2"), told(ReceiptKind.SOFT_BOUNCED, "2", "expired")),
        (receipt("unknown", "1"), told(ReceiptKind.FAILED, "1", "unknown")),
        (of_messages_api("submitted"), []),
        (of_messages_api("delivered"), told(ReceiptKind.DELIVERED)),
        (of_messages_api("rejected", {"type": "https://developer.vonage.com/api-errors/messages#1050",
                                      "title": "1050", "detail": "Message Blocked - The number is barred"}),
         told(ReceiptKind.FAILED, "1050", "Message Blocked - The number is barred")),
        (INBOUND, [wrote("+447700900001", "Stop")]),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        body = json.dumps(document).encode()
        return Posted(body, {"content-type": "application/json", "authorization": f"Bearer {token(body, at)}"})

    def test_a_token_says_how_it_is_signed(self) -> None:
        """One that says it is not signed at all is none, and neither is one of another body."""
        receiver, posted = self.made(self.settings), self.sign(receipt("delivered"))
        head, claims, _ = posted.headers["authorization"].removeprefix("Bearer ").split(".")
        none = urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=").decode()
        signature = urlsafe_b64encode(hmac.digest(SIGNS.encode(), f"{none}.{claims}".encode(), "sha256")).rstrip(b"=")
        for wrong in ("", "a.b.c", f"{head}.{claims}.", f"{none}.{claims}.", f"{none}.{claims}.{signature.decode()}"):
            headers = dict(posted.headers) | {"authorization": f"Bearer {wrong}"}
            assert self.refused(receiver, replace(posted, headers=headers)) == "signature"

    def test_it_says_when(self) -> None:
        for document in (receipt("delivered"), INBOUND):
            [said] = vonage.receipts(self.sign(document))
            assert said.at == datetime(2020, 1, 1, 12, tzinfo=UTC)


class TestSignedFields(ReceiptContract):
    """Those of the SMS API, whose fields are signed; by GET or POST, as the dashboard says."""

    provider = vonage
    settings = TestReceipts.settings
    other = TestReceipts.other
    keeps_for = TestReceipts.keeps_for
    said = tuple(case for case in TestReceipts.said if "message_uuid" not in case[0])

    def signed(self, document: Any, at: datetime, method: str = "sha256") -> dict[str, str]:
        fields = document if isinstance(document, dict) else {"junk": document}
        pairs = {name: str(value).encode(errors="replace").decode() for name, value in fields.items()}
        pairs |= {"timestamp": str(int(at.timestamp())), "nonce": "aaaaaaaa-bbbb"}
        pairs.pop("sig", None)
        text = "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(pairs.items()))
        return pairs | {"sig": hmac.new(SIGNS.encode(), text.encode(errors="replace"), method).hexdigest().upper()}

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        body = urlencode(self.signed(document, at), errors="replace").encode()
        return Posted(body, {"content-type": "application/x-www-form-urlencoded"})

    def test_by_get_and_as_a_document_it_is_the_same(self) -> None:
        receiver, fields = self.made(self.settings), self.signed(receipt("delivered", text="a&b=c"), NOW)
        as_json = {"content-type": "application/json"}
        for posted in (
            Posted(query=urlencode(fields), method="GET"),
            Posted(json.dumps(fields).encode(), as_json),
        ):
            assert receiver.take(posted, NOW).keep
            [told] = vonage.receipts(replace(posted, method="POST"))
            assert isinstance(told, Receipt)
            assert (told.kind, told.notification_id) == (ReceiptKind.DELIVERED, 17)

    @pytest.mark.parametrize("method", ["md5", "sha1"])
    def test_weak_methods_sign_nothing(self, method: str) -> None:
        body = urlencode(self.signed(receipt("delivered"), NOW, method)).encode()
        assert self.refused(self.made(self.settings), Posted(body)) == "signature"

    @pytest.mark.parametrize(
        "sig",
        [
            "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24",
            "812a18f76680fa0fe1b8bd9ee1625466ceb1bd96242e4d050d2cfd9a7b40166c63ed26ec9702168781b6edcf1633db8ff95af9341701004eec3fcf9550572ee8",
        ],
    )
    def test_fields_that_vonages_library_signed_are_genuine(self, sig: str) -> None:
        """Those of the tests of vonage-python-sdk (tests/test_signature.py)."""
        receiver = self.made(replace(self.settings, signature_secret=Secret("secret")))
        posted = Posted(f"a=1&b=2&timestamp=1461605396&sig={sig}".encode())
        assert receiver.take(posted, datetime.fromtimestamp(1461605396, UTC)).keep
