"""Postmark: the requests that it gets, and its answers."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.receipts import Posted, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.providers import postmark
from tests.providers.api import ApiContract, ApiServer, Look
from tests.providers.contract import LIMIT, NOW, Judged, opened
from tests.providers.description import description
from tests.providers.mails import INVITATION, a_full_mail, a_mail
from tests.providers.receipts import ECHO, ReceiptContract, of

TOKEN = "7c1f0a52-9d3e-4b66-8a1b-0e5f2d3c4b5a"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
TAKEN = {
    "To": "Ann <ann@example.net>",
    "SubmittedAt": "2016-03-12T15:27:50.4468803-05:00",
    "MessageID": "b4007d94-33f1-4e78-a783-97417d6c80e6",
    "ErrorCode": 0,
    "Message": "OK",
}
PARTLY = (
    "Message OK, but will not deliver to these inactive addresses: {}. Inactive recipients are ones that have"
    " generated a hard bounce, a spam complaint, or a manual suppression."
)


def refusal(code: int, message: str) -> dict[str, Any]:
    return {"ErrorCode": code, "Message": message}


class TestPostmark(ApiContract):
    provider = postmark
    described = description("postmark")
    secrets = (TOKEN,)
    refused = (
        ({"server_token": Secret("")}, "server_token"),
        ({"from_": ()}, "from"),
        ({"message_stream": ""}, "message_stream"),
        ({"message_stream": "My Stream"}, "message_stream"),
        ({"api_url": "http://api.postmarkapp.com"}, "api_url"),
    )
    # https://postmarkapp.com/developer/api/server-api#server
    looks = Look(
        "GET /server",
        {"ID": 1, "Name": "Staging Testing", "ApiTokens": ["another-token-of-the-server"], "Color": "red"},
        refusal(10, "Request does not contain a valid Server token."),
        kept="another-token",
    )
    accepted = (200, TAKEN)
    golden = (
        (401, refusal(10, "The Server Token you provided in the X-Postmark-Server-Token request header was invalid."),
         {}, Kind.CONFIG, "postmark.token"),
        (422, refusal(300, "Invalid 'To' address: 'invalid@localhost'."), {}, Kind.DEAD, "postmark.recipient"),
        (422, refusal(300, "Error parsing 'To': Illegal email domain '+' in address 'user@+'."), {}, Kind.DEAD,
         "postmark.recipient"),
        (422, refusal(300, "Error parsing 'Cc': Illegal email domain '+' in address 'user@+'."), {}, Kind.PERMANENT,
         "postmark.invalid"),
        (422, refusal(300, "Invalid 'From' address: 'invalid@localhost'."), {}, Kind.CONFIG, "postmark.from"),
        (422, refusal(300, "Error parsing 'Reply-To': Illegal email domain '+' in address 'invalid@+'."), {},
         Kind.PERMANENT, "postmark.invalid"),
        (422, refusal(400, "The 'From' address you supplied is not a Sender Signature on your account."), {},
         Kind.CONFIG, "postmark.sender"),
        (422, refusal(401, "The sender signature is not confirmed."), {}, Kind.CONFIG, "postmark.sender"),
        (422, refusal(402, "Invalid JSON"), {}, Kind.PERMANENT, "postmark.json"),
        (422, refusal(405, "You ran out of credits."), {}, Kind.CONFIG, "postmark.not_allowed"),
        (422, refusal(406, "You tried to send to a recipient that has been marked as inactive.\nFound inactive "
                           "addresses: ann@example.net.\nInactive recipients are ones that have generated a hard "
                           "bounce or a spam complaint."), {}, Kind.DEAD, "postmark.inactive"),
        (422, refusal(411, "You tried to send an attachment of a forbidden type."), {}, Kind.PERMANENT,
         "postmark.file_type"),
        (422, refusal(412, "Your account is pending approval."), {}, Kind.CONFIG, "postmark.not_allowed"),
        (422, refusal(413, "Your account may not send."), {}, Kind.CONFIG, "postmark.not_allowed"),
        (422, refusal(1226, "The message stream provided does not exist on this server."), {}, Kind.CONFIG,
         "postmark.stream"),
        (413, b"<html>Request Entity Too Large</html>", {}, Kind.PERMANENT, "api.refused"),
        (429, refusal(429, "Rate limit exceeded"), {}, Kind.THROTTLED, "postmark.too_fast"),
        (200, refusal(451, "Helpful explanation from Postmark."), {}, Kind.PERMANENT, "postmark.not_taken"),
        (503, refusal(100, "Maintenance"), {}, Kind.TRANSIENT, "postmark.maintenance"),
        (500, b"", {}, Kind.TRANSIENT, "api.trouble"),
    )  # fmt: skip

    @pytest.fixture
    def settings(self, server: ApiServer) -> postmark.Settings:
        return postmark.Settings(
            Secret(TOKEN), ("Example <no-reply@example.com>", "billing@example.com"), api_url=server.url
        )

    @pytest.fixture
    def message(self) -> Message:
        return a_mail()

    @pytest.fixture
    def sent(self, sender: Judged, server: ApiServer) -> Callable[[Message], dict[str, Any]]:
        def send(message: Message) -> dict[str, Any]:
            server.answers(200, TAKEN)()
            outcome = sender.send(message, LIMIT)
            assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, TAKEN["MessageID"])
            return dict(server.last.json())

        return send

    def test_a_plain_mail(self, sent: Callable[[Message], dict[str, Any]], server: ApiServer) -> None:
        assert sent(a_mail()) == {
            "From": "Example <no-reply@example.com>",
            "To": "Ann <ann@example.net>",
            "Subject": "Your order",
            "TextBody": "It is on its way.",
            "Headers": [
                {"Name": "Message-ID", "Value": f"<{MESSAGE_ID}@example.com>"},
                {"Name": "X-PM-KeepID", "Value": "true"},
            ],
            "Metadata": {"notification_id": "17", "message_id": MESSAGE_ID},
            "MessageStream": "outbound",
        }
        assert (server.last.method, server.last.path) == ("POST", "/email")
        assert server.last.headers["x-postmark-server-token"] == TOKEN

    def test_a_mail_with_everything(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_full_mail())
        assert (mail["From"], mail["Cc"], mail["Bcc"]) == (
            "billing@example.com",
            "Bo <bo@example.net>",
            "cy@example.net",
        )
        assert mail["ReplyTo"] == '"Desk, Help" <help@example.com>'
        assert {"Name": "X-Order", "Value": "17"} in mail["Headers"]
        assert mail["HtmlBody"] == '<p><img src="cid:logo.png"></p>'
        assert [(one["Name"], one["ContentType"], one.get("ContentID")) for one in mail["Attachments"]] == [
            ("logo.png", "image/png", "cid:logo.png"),
            ("orders.csv", "text/csv; charset=utf-8", None),
        ]
        assert base64.b64decode(mail["Attachments"][0]["Content"]) == b"\x89PNG"

    def test_an_invitation_is_one_by_its_type(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        assert [one["ContentType"] for one in sent(a_mail(attachments=(INVITATION,)))["Attachments"]] == [
            "text/calendar; charset=utf-8; method=REQUEST",
            "application/ics",
        ]

    def test_it_goes_into_the_account_s_stream(self, settings: postmark.Settings, server: ApiServer) -> None:
        sender = opened(postmark, replace(settings, message_stream="broadcast"))
        server.answers(200, TAKEN)()
        assert sender.send(a_mail(subject=None), LIMIT).kind is Kind.OK
        sender.close()
        assert (server.last.json()["MessageStream"], server.last.json()["Subject"]) == ("broadcast", "")

    def test_a_copy_that_it_does_not_deliver_is_told(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, TAKEN | {"Message": PARTLY.format("bo@example.net")})()
        outcome = sender.send(a_full_mail(), LIMIT)
        assert outcome.kind is Kind.OK
        assert "inactive addresses" in (outcome.error or "")

    def test_a_mail_that_only_copies_get_was_not_sent(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, TAKEN | {"Message": PARTLY.format("bo@example.net, ann@example.net")})()
        outcome = sender.send(a_full_mail(), LIMIT)
        assert (outcome.kind, outcome.rule) == (Kind.PERMANENT, "postmark.inactive")
        assert "only the copies" in (outcome.error or "")

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (a_mail(options={"copy_of": "eve@example.net"}), "options.copy_of"),
            (a_mail(options={"cc": ["jürgen@example.net"]}), "beyond ASCII"),
            (a_mail(options={"bcc": [f"a{number}@example.net" for number in range(50)]}), "50 recipients"),
            (a_mail(text="ä" * (5 * 1024 * 1024 // 2 + 1)), "5 MB"),
            (a_mail(html="x" * (5 * 1024 * 1024 + 1)), "5 MB"),
            (a_mail(attachments=(Attachment("a.bin", "a/b", bytes(8 * 1024 * 1024)),)), "10 MB"),
        ],
    )
    def test_what_it_cannot_carry_is_refused_with_words(
        self, sender: Judged, server: ApiServer, message: Message, named: str
    ) -> None:
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert named in (outcome.error or "")
        assert not server.asked


def record(type_: str, **more: Any) -> dict[str, Any]:
    """One of the documents of https://postmarkapp.com/developer/webhooks/webhooks-overview."""
    return {
        "RecordType": type_,
        "ServerID": 23,
        "MessageStream": "outbound",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": ECHO,
        **more,
    }


def bounce(type_: str, details: str = "Test bounce details") -> dict[str, Any]:
    return record(
        "Bounce",
        ID=f"{type_} {details}",
        Type=type_,
        Email="john@example.com",
        Details=details,
        BouncedAt="2019-11-05T16:33:54.9070259Z",
    )


def told(kind: ReceiptKind, code: str | None, words: str | None = "Test bounce details") -> list[tuple[Any, ...]]:
    return [of(kind, "john@example.com", code, words)]


def change(reason: str | None, origin: str = "Recipient", *, off: bool = True) -> dict[str, Any]:
    return record(
        "SubscriptionChange",
        Recipient="john@example.com",
        ChangedAt=f"2020-02-01T10:53:{len(reason or '') + len(origin)}.416071Z",
        Origin=origin,
        SuppressSending=off,
        SuppressionReason=reason,
    )


DELIVERY = record(
    "Delivery",
    Recipient="john@example.com",
    DeliveredAt="2019-11-05T16:33:54.9070259Z",
    Details="Test delivery webhook details",
)
FULL = "smtp;552 5.2.2 mailbox full"


class TestReceipts(ReceiptContract):
    provider = postmark
    settings = postmark.Settings(Secret(TOKEN), ("a@example.com",))
    said = (
        (DELIVERY, told(ReceiptKind.DELIVERED, None, "Test delivery webhook details")),
        (bounce("HardBounce"), told(ReceiptKind.BOUNCED, "HardBounce")),
        (bounce("HardBounce", FULL), told(ReceiptKind.SOFT_BOUNCED, "HardBounce", FULL)),
        (bounce("BadEmailAddress"), told(ReceiptKind.BOUNCED, "BadEmailAddress")),
        (bounce("SoftBounce"), told(ReceiptKind.SOFT_BOUNCED, "SoftBounce")),
        (bounce("Transient"), told(ReceiptKind.DEFERRED, "Transient")),
        (bounce("Blocked"), told(ReceiptKind.FAILED, "Blocked")),
        (bounce("SpamNotification"), told(ReceiptKind.FAILED, "SpamNotification")),
        (bounce("AutoResponder"), []),
        (record("SpamComplaint", ID=42, Type="SpamComplaint", Email="john@example.com", Details="Test"),
         told(ReceiptKind.COMPLAINED, "SpamComplaint", "Test")),
        (change("ManualSuppression"), told(ReceiptKind.UNSUBSCRIBED, "ManualSuppression", None)),
        (change("ManualSuppression", "Customer"), []),
        (change("HardBounce"), told(ReceiptKind.BOUNCED, "HardBounce", None)),
        (change("SpamComplaint"), told(ReceiptKind.COMPLAINED, "SpamComplaint", None)),
        (change(None, off=False), []),
        (record("Open", FirstOpen=True), []),
        (record("Click"), []),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        """It signs nothing."""
        return Posted(json.dumps(document).encode())

    def test_it_says_when(self) -> None:
        [receipt] = postmark.receipts(self.sign(DELIVERY))
        assert receipt.at == datetime(2019, 11, 5, 16, 33, 54, 907025, UTC)
