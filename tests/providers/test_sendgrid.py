"""SendGrid: the requests that it gets, and its answers."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.receipts import Posted, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.providers import sendgrid
from tests.providers.api import ApiContract, ApiServer, Look
from tests.providers.contract import LIMIT, NOW, Judged, opened
from tests.providers.description import description
from tests.providers.mails import INVITATION, a_full_mail, a_mail
from tests.providers.receipts import ECHO, ReceiptContract, of

KEY = "SG.kV7bq2mXQ1yT0sZ9.notARealKeyOfAnybody"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
NAMED = {"custom_args": {"notification_id": "17", "message_id": MESSAGE_ID}}


def errors(message: str, field: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field, "help": None}]}


class TestSendGrid(ApiContract):
    provider = sendgrid
    described = description("sendgrid")
    secrets = (KEY,)
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"api_key": Secret("a key")}, "api_key"),
        ({"from_": ()}, "from"),
        ({"from_": ("nobody",)}, "from"),
        ({"api_url": "http://api.sendgrid.com"}, "api_url"),
    )
    # https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions
    looks = Look(
        "GET /v3/scopes",
        {"scopes": ["mail.send", "sender_verification_eligible", "2fa_required"]},
        errors("The provided authorization grant is invalid, expired, or revoked"),
        kept="2fa_required",
    )
    accepted = (202, b"")
    by_status = dict.fromkeys((406, 415, 451), Kind.CONFIG)
    golden = (
        (400, errors("Does not contain a valid address.", "personalizations.0.to.0.email"), {}, Kind.DEAD,
         "sendgrid.recipient"),
        (400, errors("Does not contain a valid address.", "personalizations.0.cc.0.email"), {}, Kind.PERMANENT,
         "sendgrid.refused"),
        (400, errors("The from email does not contain a valid address.", "from.email"), {}, Kind.CONFIG,
         "sendgrid.from"),
        (400, errors("The subject is required.", "subject"), {}, Kind.PERMANENT, "sendgrid.refused"),
        (401, errors("The provided authorization grant is invalid, expired, or revoked"), {}, Kind.CONFIG,
         "api.login"),
        (401, errors("Maximum credits exceeded"), {}, Kind.CONFIG, "sendgrid.credits"),
        (403, errors("The from address does not match a verified Sender Identity. Mail cannot be sent until this "
                     "error is resolved.", "from"), {}, Kind.CONFIG, "sendgrid.sender"),
        (403, errors("You have been temporarily blocked"), {}, Kind.THROTTLED, "sendgrid.blocked"),
        (403, errors("access forbidden"), {}, Kind.CONFIG, "api.login"),
        (404, errors("not found"), {}, Kind.CONFIG, "api.wrong_url"),
        (405, errors("method not allowed"), {}, Kind.CONFIG, "api.wrong_url"),
        (406, errors("missing Accept header"), {}, Kind.CONFIG, "sendgrid.our_fault"),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", {}, Kind.PERMANENT, "api.refused"),
        (415, errors("Content-Type should be application/json."), {}, Kind.CONFIG, "sendgrid.our_fault"),
        (429, errors("too many requests"), {}, Kind.THROTTLED, "api.too_fast"),
        (451, errors("region mismatch"), {}, Kind.CONFIG, "sendgrid.region"),
        (500, errors("internal error"), {}, Kind.TRANSIENT, "api.trouble"),
        (503, errors("unavailable"), {}, Kind.TRANSIENT, "api.trouble"),
    )  # fmt: skip

    @pytest.fixture
    def settings(self, server: ApiServer) -> sendgrid.Settings:
        return sendgrid.Settings(
            Secret(KEY), ("Example <no-reply@example.com>", "billing@example.com"), api_url=server.url
        )

    @pytest.fixture
    def message(self) -> Message:
        return a_mail()

    @pytest.fixture
    def sent(self, sender: Judged, server: ApiServer) -> Callable[[Message], dict[str, Any]]:
        def send(message: Message) -> dict[str, Any]:
            server.answers(202)()
            assert sender.send(message, LIMIT).kind is Kind.OK
            return dict(server.last.json())

        return send

    def test_a_plain_mail(self, sent: Callable[[Message], dict[str, Any]], server: ApiServer) -> None:
        assert sent(a_mail()) == {
            "personalizations": [{"to": [{"email": "ann@example.net", "name": "Ann"}], **NAMED}],
            "from": {"email": "no-reply@example.com", "name": "Example"},
            "subject": "Your order",
            "content": [{"type": "text/plain", "value": "It is on its way."}],
            "headers": {"Message-ID": f"<{MESSAGE_ID}@example.com>"},
        }
        assert (server.last.method, server.last.path) == ("POST", "/v3/mail/send")
        assert server.last.headers["authorization"] == f"Bearer {KEY}"

    def test_a_mail_with_everything(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_full_mail())
        assert mail["personalizations"] == [
            {
                "to": [{"email": "ann@example.net", "name": "Ann"}],
                "cc": [{"email": "bo@example.net", "name": "Bo"}],
                "bcc": [{"email": "cy@example.net"}],
                **NAMED,
            }
        ], "SendGrid refuses a mail that names somebody twice"
        assert mail["from"] == {"email": "billing@example.com"}
        assert mail["reply_to"] == {"email": "help@example.com", "name": "Desk, Help"}
        assert mail["headers"]["X-Order"] == "17"
        assert [one["type"] for one in mail["content"]] == ["text/plain", "text/html"]
        assert [
            (one["filename"], one["type"], one["disposition"], one.get("content_id")) for one in mail["attachments"]
        ] == [("orders.csv", "text/csv", "attachment", None), ("logo.png", "image/png", "inline", "logo.png")]
        assert base64.b64decode(mail["attachments"][1]["content"]) == b"\x89PNG"

    def test_an_invitation_is_a_text_beside_the_others(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_mail(attachments=(INVITATION,)))
        assert mail["content"][1] == {
            "type": "text/calendar; method=REQUEST",
            "value": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        }
        assert [one["type"] for one in mail["attachments"]] == ["application/ics"]

    def test_the_sandbox_mode_is_asked_for(self, settings: sendgrid.Settings, server: ApiServer) -> None:
        sender = opened(sendgrid, replace(settings, sandbox_mode=True))
        server.answers(200)()
        assert sender.send(a_mail(), LIMIT).kind is Kind.OK
        sender.close()
        assert server.last.json()["mail_settings"] == {"sandbox_mode": {"enable": True}}

    def test_the_id_stands_in_a_header(self, sender: Judged, server: ApiServer) -> None:
        server.answers(202, b"", X_Message_Id="14c5d75ce93.dfd.64b469")()
        assert sender.send(a_mail(), LIMIT).provider_message_id == "14c5d75ce93.dfd.64b469"

    def test_it_names_the_instant_of_the_next_request(self, sender: Judged, server: ApiServer) -> None:
        server.answers(429, errors("too many requests"), X_RateLimit_Reset=str(int(NOW.timestamp()) + 40))()
        assert sender.send(a_mail(), LIMIT).retry_after == 40.0

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (a_mail(subject=None), "subject is empty"),
            (a_mail(options={"copy_of": "eve@example.net"}), "options.copy_of"),
            (a_mail(attachments=(Attachment("a.txt", "text/plain; charset=latin-1", b"\xe4"),)), "UTF-8"),
            (a_mail(attachments=(replace(INVITATION, content=b"\xff"),)), "charset"),
            (
                a_mail(attachments=(replace(INVITATION, content_type="text/calendar; method=X; charset=klingon"),)),
                "charset",
            ),
            (
                a_mail(
                    attachments=(
                        replace(
                            INVITATION, content=b"+2AA-", content_type="text/calendar; method=REQUEST; charset=utf-7"
                        ),
                    )
                ),
                "charset",
            ),
            (a_mail(attachments=(Attachment("a.bin", "a/b", bytes(23 * 1024 * 1024)),)), "30 MB"),
        ],
    )
    def test_what_it_cannot_carry_is_refused_with_words(
        self, sender: Judged, server: ApiServer, message: Message, named: str
    ) -> None:
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert named in (outcome.error or "")
        assert not server.asked


# Key, signature and body of the tests of sendgrid-python (test/unit/test_eventwebhook.py).
THEIR_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfS"
    "mpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
THEIR_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
THEIR_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
THEIR_TIME = 1600112502

SIGNS = ec.generate_private_key(ec.SECP256R1())
HEADER = "x-twilio-email-event-webhook"


def public(key: ec.EllipticCurvePrivateKey) -> Secret:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Secret(base64.b64encode(der).decode())


def event(name: str, **more: Any) -> dict[str, Any]:
    """One of the events of https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event, with our ids."""
    return {
        "email": "example@test.com",
        "timestamp": 1513299569,
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name,
        "sg_event_id": f"{name}{len(more)}{more.get('type', more.get('reason', ''))}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        **ECHO,
        **more,
    }


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> tuple[Any, ...]:
    return of(kind, "example@test.com", code, words)


FULL = "452 4.2.2 The email account that you tried to reach is over quota"
LISTED = "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org"


class TestReceipts(ReceiptContract):
    provider = sendgrid
    settings = sendgrid.Settings(Secret(KEY), ("a@example.com",), verification_key=public(SIGNS))
    needs = ("verification_key",)
    other = ("verification_key", Secret(THEIR_KEY))
    keeps_for = timedelta(hours=36)
    said = (
        ([event("processed"), event("open"), event("click"), event("group_resubscribe")], []),
        ([event("deferred", response="400 try again later", attempt="5")],
         [told(ReceiptKind.DEFERRED, None, "400 try again later")]),
        ([event("delivered", response="250 OK")], [told(ReceiptKind.DELIVERED, None, "250 OK")]),
        ([event("bounce", reason="500 unknown recipient", status="5.0.0", type="bounce")],
         [told(ReceiptKind.BOUNCED, "5.0.0", "500 unknown recipient")]),
        ([event("bounce", reason="550 5.1.1 The email account does not exist", status="5.1.1", type="bounce", more=1)],
         [told(ReceiptKind.BOUNCED, "5.1.1", "550 5.1.1 The email account does not exist")]),
        ([event("bounce", reason=LISTED, status="5.7.1", type="blocked")],
         [told(ReceiptKind.FAILED, "5.7.1", LISTED)]),
        ([event("bounce", reason=LISTED, status="5.7.1", type="bounce", more=1, again=1)],
         [told(ReceiptKind.FAILED, "5.7.1", LISTED)]),
        ([event("bounce", reason=FULL, status="4.2.2", type="expired")],
         [told(ReceiptKind.SOFT_BOUNCED, "4.2.2", FULL)]),
        ([event("dropped", reason="Bounced Address"), event("dropped", reason="Unsubscribed Address"),
          event("dropped", reason="Spam Reporting Address"), event("dropped", reason="Invalid"),
          event("dropped", reason="Spam Content (if Spam Checker app enabled)")],
         [told(ReceiptKind.BOUNCED, None, "Bounced Address"),
          told(ReceiptKind.UNSUBSCRIBED, None, "Unsubscribed Address"),
          told(ReceiptKind.COMPLAINED, None, "Spam Reporting Address"), told(ReceiptKind.BOUNCED, None, "Invalid"),
          told(ReceiptKind.FAILED, None, "Spam Content (if Spam Checker app enabled)")]),
        ([event("spamreport"), event("unsubscribe"), event("group_unsubscribe", asm_group_id=10)],
         [told(ReceiptKind.COMPLAINED), told(ReceiptKind.UNSUBSCRIBED), told(ReceiptKind.UNSUBSCRIBED)]),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        body, time = json.dumps(document).encode(), str(int(at.timestamp()))
        signature = base64.b64encode(SIGNS.sign(time.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        return Posted(body, {f"{HEADER}-signature": signature, f"{HEADER}-timestamp": time})

    def test_a_request_of_sendgrid_is_genuine(self) -> None:
        receiver = self.made(replace(self.settings, verification_key=Secret(THEIR_KEY)))
        posted = Posted(THEIR_BODY, {f"{HEADER}-signature": THEIR_SIGNATURE, f"{HEADER}-timestamp": str(THEIR_TIME)})
        at = datetime.fromtimestamp(THEIR_TIME, UTC)
        assert receiver.take(posted, at).keep
        assert self.refused(receiver, replace(posted, body=THEIR_BODY[:-2]), at) == "signature"
        assert self.refused(receiver, posted, at + timedelta(days=2)) == "old"
        assert self.refused(receiver, replace(posted, method="GET"), at) == "method"
        [receipt] = sendgrid.receipts(posted)
        assert (receipt.kind, receipt.recipient, receipt.notification_id, receipt.at) == (
            ReceiptKind.BOUNCED,
            "hello@world.com",
            None,
            datetime.fromtimestamp(1600112492, UTC),
        )

    @pytest.mark.parametrize("key", ["", "MFk", "no key", "äöü", base64.b64encode(b"no key").decode()])
    def test_a_key_that_is_none_is_refused(self, key: str) -> None:
        with pytest.raises(ConfigurationError, match="verification_key"):
            self.made(replace(self.settings, verification_key=Secret(key)))
