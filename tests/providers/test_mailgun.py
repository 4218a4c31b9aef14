"""Mailgun: the requests that it gets, and its answers."""

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any, ClassVar

import pytest

from noti_worker.domain.mailbox import Mailbox
from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.receipts import Posted, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.providers import mailgun
from noti_worker.providers._mail import compose
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, NOW, Judged
from tests.providers.mails import INVITATION, a_full_mail, a_mail
from tests.providers.receipts import ECHO, ReceiptContract, of

KEY = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0"
LOGIN = base64.b64encode(f"api:{KEY}".encode()).decode()
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
SENDERS = (Mailbox("no-reply@example.com", "Example"), Mailbox("billing@example.com"))
QUEUED = {"id": "<20160306015544.116301.25145@example.org>", "message": "Queued. Thank you."}
LIMITED = "Domain mg.example.com is not allowed to send: recipient limit exceeded, try again after "

Fields = list[tuple[str, bytes]]


def fields_of(body: bytes, content_type: str) -> Fields:
    """The fields of a form, read by the standard library."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    boundary = form.get_boundary()
    assert boundary
    parts = body.split(f"--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    read: Fields = []
    for part in parts[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = message_from_bytes(head, policy=policy.HTTP).get_param("name", header="content-disposition")
        assert isinstance(name, str)
        read.append((name, content.removesuffix(b"\r\n")))
    return read


class TestMailgun(ApiContract):
    provider = mailgun
    secrets = (KEY, LOGIN)
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"from_": ()}, "from"),
        ({"domain": ""}, "domain"),
        ({"domain": "mg.example.com/x"}, "domain"),
        ({"domain": "https://mg.example.com"}, "domain"),
        ({"api_url": "api.mailgun.net"}, "api_url"),
    )
    accepted = (200, QUEUED)
    by_status: ClassVar = {420: Kind.THROTTLED}
    golden = (
        (200, b"Mailgun Magnificent API", {}, Kind.CONFIG, "mailgun.wrong_url"),
        (400, {"message": "'to' parameter is not a valid address. please check documentation"}, {}, Kind.DEAD,
         "mailgun.recipient"),
        (400, {"message": "'from' parameter is not a valid address. please check documentation"}, {}, Kind.CONFIG,
         "mailgun.sender"),
        (400, {"message": "Need at least one of 'text' or 'html' parameters specified"}, {}, Kind.PERMANENT,
         "api.refused"),
        (401, b"Forbidden", {}, Kind.CONFIG, "api.login"),
        (402, {"message": "payment required"}, {}, Kind.CONFIG, "api.login"),
        (403, {"message": "Domain mg.example.com is not allowed to send: The domain is unverified and requires DNS "
                          "configuration."}, {}, Kind.CONFIG, "api.login"),
        (403, {"message": "Domain sandbox1.mailgun.org is not allowed to send: Free accounts are for test purposes "
                          "only. Please upgrade or add the address to authorized recipients in Account Settings."},
         {}, Kind.CONFIG, "mailgun.test_domain"),
        (403, {"message": f"{LIMITED}Sun, 01 Mar 2026 12:00:31 UTC"}, {}, Kind.THROTTLED, "mailgun.limit"),
        (420, {"message": f"{LIMITED}Sun, 01 Mar 2026 12:00:31 UTC"}, {}, Kind.THROTTLED, "mailgun.limit"),
        (420, {}, {}, Kind.THROTTLED, "mailgun.limit.420"),
        (404, {"message": "Domain not found: mg.example.com"}, {}, Kind.CONFIG, "api.wrong_url"),
        (404, b"404 page not found", {}, Kind.CONFIG, "api.wrong_url"),
        (413, {"message": "message too large"}, {}, Kind.PERMANENT, "api.refused"),
        (429, {"message": "Too many requests"}, {}, Kind.THROTTLED, "api.too_fast"),
        (500, {"message": "internal error"}, {}, Kind.TRANSIENT, "api.trouble"),
    )  # fmt: skip

    @pytest.fixture
    def settings(self, server: ApiServer) -> mailgun.Settings:
        return mailgun.Settings(
            Secret(KEY),
            "mg.example.com",
            ("Example <no-reply@example.com>", "billing@example.com"),
            api_url=server.url,
        )

    @pytest.fixture
    def message(self) -> Message:
        return a_mail()

    @pytest.fixture
    def sent(self, sender: Judged, server: ApiServer) -> Callable[[Message], Fields]:
        def send(message: Message) -> Fields:
            server.answers(200, QUEUED)()
            outcome = sender.send(message, LIMIT)
            assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, QUEUED["id"])
            return fields_of(server.last.body, server.last.headers["content-type"])

        return send

    def test_it_gets_the_bytes_that_go_out_over_smtp(
        self, sent: Callable[[Message], Fields], server: ApiServer
    ) -> None:
        message = a_full_mail()
        message = replace(message, attachments=(*message.attachments, INVITATION))
        assert sent(message) == [
            ("to", b"ann@example.net"),
            ("to", b"bo@example.net"),
            ("to", b"cy@example.net"),
            ("v:notification_id", b"17"),
            ("v:message_id", MESSAGE_ID.encode()),
            ("message", compose(message, SENDERS).content),
        ]
        assert (server.last.method, server.last.path) == ("POST", "/v3/mg.example.com/messages.mime")
        assert server.last.headers["authorization"] == f"Basic {LOGIN}"

    def test_a_copy_goes_to_the_recipient_alone(self, sent: Callable[[Message], Fields]) -> None:
        *fields, (_, content) = sent(a_mail(options={"copy_of": "eve@example.net", "cc": ["bo@example.net"]}))
        assert [name for name, _ in fields] == ["to", "v:notification_id", "v:message_id"]
        assert fields[0] == ("to", b"ann@example.net")
        mail = message_from_bytes(content, policy=policy.default)
        assert (mail["To"], mail["Cc"]) == ("eve@example.net", "bo@example.net")

    def test_a_mail_that_holds_the_boundary_is_not_cut(self, sent: Callable[[Message], Fields]) -> None:
        text = f"--noti_{MESSAGE_ID.replace('-', '')}\r\nand on"
        assert text.encode() in dict(sent(a_mail(text=text)))["message"]

    def test_every_try_is_the_same_request(self, sent: Callable[[Message], Fields], server: ApiServer) -> None:
        assert sent(a_full_mail()) == sent(a_full_mail())
        assert server.asked[0].body == server.asked[1].body

    @pytest.mark.parametrize(
        ("date", "seconds"),
        [
            ("Sun, 01 Mar 2026 12:00:31 UTC", 31.0),
            ("Sun, 01 Mar 2026 13:01:00 +0100", 60.0),
            ("Sun, 01 Mar 2026 11:00:00 UTC", 1.0),
            ("tomorrow", None),
            ("Sun, 01 Mar 2026 12:00:31 -0000", None),
        ],
    )
    def test_it_names_the_date_of_the_next_request(
        self, sender: Judged, server: ApiServer, date: str, seconds: float | None
    ) -> None:
        server.answers(403, {"message": LIMITED + date})()
        assert sender.send(a_mail(), LIMIT).retry_after == seconds

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (a_mail(options={"cc": ["jürgen@example.net"]}), "beyond ASCII"),
            (a_mail(options={"from": "eve@example.org"}), "options.from"),
            (a_mail(attachments=(Attachment("a.bin", "a/b", bytes(19 * 1024 * 1024)),)), "25 MB"),
        ],
    )
    def test_what_it_cannot_carry_is_refused_with_words(
        self, sender: Judged, server: ApiServer, message: Message, named: str
    ) -> None:
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert named in (outcome.error or "")
        assert not server.asked


SIGNS = "key-of-the-webhooks-f00"


def event(name: str, /, **more: Any) -> dict[str, Any]:
    """One of the payloads of https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads."""
    return {
        "event": name,
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "timestamp": 1521233195.375624,
        "message": {
            "headers": {"to": "Alice <alice@example.com>", "message-id": "20130503192659.13651.20287@mg.example"}
        },
        "recipient": "alice@example.com",
        "user-variables": ECHO,
        **more,
    }


def failed(severity: str, reason: str, message: str = "", **status: Any) -> dict[str, Any]:
    return event("failed", severity=severity, reason=reason, **{"delivery-status": {"message": message, **status}})


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> list[tuple[Any, ...]]:
    return [of(kind, "alice@example.com", code, words)]


BOUNCED = "Not delivering to previously bounced address"
GONE = "5.1.1 The email account that you tried to reach does not exist"
LISTED = "5.7.1 Service unavailable; blocked using zen.spamhaus.org"
FULL = "5.2.2 The recipient's inbox is over quota"


class TestReceipts(ReceiptContract):
    provider = mailgun
    settings = mailgun.Settings(Secret(KEY), "mg.example.com", ("a@example.com",), Secret(SIGNS))
    needs = ("webhook_signing_key",)
    other = ("webhook_signing_key", Secret("another"))
    covers = False  # only its time and its token are signed
    keeps_for = timedelta(hours=12)
    said = (
        (event("delivered", **{"delivery-status": {"code": 250, "message": "OK", "description": ""}}),
         told(ReceiptKind.DELIVERED, "250", "OK")),
        (failed("permanent", "suppress-bounce", code=605, description=BOUNCED),
         told(ReceiptKind.BOUNCED, "605", BOUNCED)),
        (failed("permanent", "suppress-complaint", code=607), told(ReceiptKind.COMPLAINED, "607")),
        (failed("permanent", "suppress-unsubscribe", code=606), told(ReceiptKind.UNSUBSCRIBED, "606")),
        (failed("permanent", "bounce", GONE, code=550, **{"enhanced-code": "5.1.1"}),
         told(ReceiptKind.BOUNCED, "5.1.1", GONE)),
        (failed("permanent", "generic", GONE, code=550), told(ReceiptKind.BOUNCED, "550", GONE)),
        (failed("permanent", "generic", "No MX for example.com", code=498),
         told(ReceiptKind.FAILED, "498", "No MX for example.com")),
        (failed("permanent", "bounce", LISTED, code=550), told(ReceiptKind.FAILED, "550", LISTED)),
        (failed("permanent", "espblock", "rate", code=550), told(ReceiptKind.FAILED, "550", "rate")),
        (failed("permanent", "bounce", FULL, code=552), told(ReceiptKind.SOFT_BOUNCED, "552", FULL)),
        (failed("permanent", "old", "Too old", code=602), told(ReceiptKind.SOFT_BOUNCED, "602", "Too old")),
        (failed("temporary", "generic", "4.2.2 full", code=452), told(ReceiptKind.DEFERRED, "452", "4.2.2 full")),
        (event("rejected", reject={"reason": "Sandbox subdomains are for test purposes only"}),
         told(ReceiptKind.FAILED, None, "Sandbox subdomains are for test purposes only")),
        (event("complained"), told(ReceiptKind.COMPLAINED)),
        (event("unsubscribed"), told(ReceiptKind.UNSUBSCRIBED)),
        *((event(name), []) for name in ("opened", "clicked", "accepted", "stored")),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        """The token is one's own for each event."""
        time = str(int(at.timestamp()))
        token = hmac.digest(b"token", json.dumps(document).encode(), "sha256").hex()[:50]
        signature = hmac.digest(SIGNS.encode(), f"{time}{token}".encode(), "sha256").hex()
        signed = {"timestamp": time, "token": token, "signature": signature}
        return Posted(json.dumps({"signature": signed, "event-data": document}).encode())

    def test_another_text_with_a_token_that_was_used_is_the_same_event(self) -> None:
        """Whoever sees a request can write another one, which comes too late."""
        posted = self.sign(event("delivered"))
        forged = json.loads(posted.body) | {"event-data": event("complained", recipient="eve@example.com")}
        [seen], [late] = (mailgun.receipts(one) for one in (posted, Posted(json.dumps(forged).encode())))
        assert seen.event == late.event

    def test_it_says_when(self) -> None:
        [receipt] = mailgun.receipts(self.sign(event("delivered")))
        assert receipt.at == datetime(2018, 3, 16, 20, 46, 35, 375624, UTC)
