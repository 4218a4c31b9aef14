"""Resend: the requests that it gets, and its answers."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from standardwebhooks import Webhook

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.receipts import Posted, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.providers import resend
from tests.providers.api import ApiContract, ApiServer, Look
from tests.providers.contract import LIMIT, NOW, Judged
from tests.providers.description import description
from tests.providers.mails import INVITATION, a_full_mail, a_mail
from tests.providers.receipts import ECHO, ReceiptContract, of

KEY = "re_8fK2pQ9s_NotARealKeyOfAnybody17"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
TAKEN = {"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}


def refusal(status: int, name: str, message: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return status, {"statusCode": status, "name": name, "message": message}, {}


class TestResend(ApiContract):
    provider = resend
    described = description("resend")
    secrets = (KEY,)
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"from_": ()}, "from"),
        ({"from_": ("a@localhost",)}, "from"),
        ({"api_url": "http://api.resend.com"}, "api_url"),
    )
    # https://resend.com/docs/api-reference/domains/list-domains and /errors
    looks = Look(
        "GET /domains",
        {"data": [{"id": "d91cd9bd-1176-453e-8fc1-35364d380206", "name": "example.com", "status": "not_started"}]},
        {"statusCode": 403, "name": "invalid_api_key", "message": "API key is invalid"},
        refuses=403,
        kept="example.com",
    )
    accepted = (200, TAKEN)
    golden = (
        (*refusal(400, "validation_error", "API key is invalid"), Kind.CONFIG, "resend.key.words"),
        (*refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars."), Kind.PERMANENT,
         "resend.content"),
        (*refusal(401, "missing_api_key", "Missing API Key"), Kind.CONFIG, "resend.key"),
        (*refusal(401, "restricted_api_key", "This API key is restricted to only send emails."), Kind.CONFIG,
         "resend.key"),
        (*refusal(401, "validation_error", "API key is invalid"), Kind.CONFIG, "resend.key.words"),
        (*refusal(403, "invalid_api_key", "API key is invalid."), Kind.CONFIG, "resend.key"),
        (*refusal(403, "validation_error", "You can only send testing emails to your own email address "
                                           "(me@example.org)."), Kind.CONFIG, "resend.test_only"),
        (*refusal(403, "validation_error", "The example.com domain is not verified. Please, add and verify your "
                                           "domain on https://resend.com/domains"), Kind.CONFIG, "resend.domain"),
        (*refusal(404, "not_found", "The requested endpoint does not exist."), Kind.CONFIG, "resend.wrong_url"),
        (*refusal(405, "method_not_allowed", "Method is not allowed for the requested path."), Kind.CONFIG,
         "resend.wrong_url"),
        (*refusal(409, "concurrent_idempotent_requests", "Same idempotency key used while original request is still "
                                                         "in progress."), Kind.TRANSIENT, "resend.in_progress"),
        (*refusal(409, "invalid_idempotent_request", "Same idempotency key used with a different request payload."),
         Kind.UNCERTAIN, "resend.sent_otherwise"),
        (*refusal(422, "invalid_from_address", "Invalid `from` field."), Kind.CONFIG, "resend.from"),
        (*refusal(422, "validation_error", "Invalid `from` field. The email address needs to follow the "
                                           "`email@example.com` or `Name <email@example.com>` format."), Kind.CONFIG,
         "resend.from.words"),
        (*refusal(422, "validation_error", "Invalid `to` field. The email address needs to follow the "
                                           "`email@example.com` or `Name <email@example.com>` format."), Kind.DEAD,
         "resend.recipient"),
        (*refusal(422, "validation_error", "Invalid `reply_to` field."), Kind.PERMANENT, "resend.content"),
        (*refusal(422, "invalid_attachment", "Attachment must have either a `content` or `path`."), Kind.PERMANENT,
         "resend.content"),
        (*refusal(422, "missing_required_field", "The request body is missing one or more required fields."),
         Kind.PERMANENT, "resend.content"),
        (*refusal(429, "daily_quota_exceeded", "You have reached your daily email sending quota."), Kind.THROTTLED,
         "resend.daily_quota"),
        (*refusal(429, "monthly_quota_exceeded", "You have reached your monthly email sending quota."), Kind.CONFIG,
         "resend.monthly_quota"),
        (*refusal(429, "rate_limit_exceeded", "Too many requests. You can only make 2 requests per second."),
         Kind.THROTTLED, "api.too_fast"),
        (*refusal(451, "security_error", "We may have found a security issue with the request."), Kind.PERMANENT,
         "resend.content"),
        (*refusal(500, "application_error", "An unexpected error occurred."), Kind.TRANSIENT, "api.trouble"),
    )  # fmt: skip

    @pytest.fixture
    def settings(self, server: ApiServer) -> resend.Settings:
        return resend.Settings(
            Secret(KEY), ("Example <no-reply@example.com>", "billing@example.com"), api_url=server.url
        )

    @pytest.fixture
    def message(self) -> Message:
        return a_mail()

    @pytest.fixture
    def sent(self, sender: Judged, server: ApiServer) -> Callable[[Message], dict[str, Any]]:
        def send(message: Message) -> dict[str, Any]:
            server.answers(200, TAKEN)()
            outcome = sender.send(message, LIMIT)
            assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, TAKEN["id"])
            return dict(server.last.json())

        return send

    def test_a_plain_mail(self, sent: Callable[[Message], dict[str, Any]], server: ApiServer) -> None:
        assert sent(a_mail()) == {
            "from": "Example <no-reply@example.com>",
            "to": ["Ann <ann@example.net>"],
            "subject": "Your order",
            "text": "It is on its way.",
            "tags": [{"name": "notification_id", "value": "17"}, {"name": "message_id", "value": MESSAGE_ID}],
        }
        assert (server.last.method, server.last.path) == ("POST", "/emails")
        assert server.last.headers["authorization"] == f"Bearer {KEY}"

    def test_every_try_is_the_same_request_with_the_same_key(
        self, sent: Callable[[Message], dict[str, Any]], server: ApiServer
    ) -> None:
        assert sent(a_full_mail()) == sent(a_full_mail())
        assert server.asked[0].body == server.asked[1].body
        assert [one.headers["idempotency-key"] for one in server.asked] == [MESSAGE_ID, MESSAGE_ID]

    def test_a_mail_with_everything(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_full_mail())
        assert (mail["from"], mail["cc"], mail["bcc"]) == (
            "billing@example.com",
            ["Bo <bo@example.net>"],
            ["cy@example.net"],
        )
        assert mail["reply_to"] == '"Desk, Help" <help@example.com>'
        assert mail["headers"]["X-Order"] == "17"
        assert mail["html"] == '<p><img src="cid:logo.png"></p>'
        assert [(one["filename"], one["content_type"], one.get("content_id")) for one in mail["attachments"]] == [
            ("logo.png", "image/png", "logo.png"),
            ("orders.csv", "text/csv; charset=utf-8", None),
        ]
        assert base64.b64decode(mail["attachments"][0]["content"]) == b"\x89PNG"

    @pytest.mark.parametrize(("name", "media_type"), [("a.unheard-of", "x/y"), ("README", "text/plain")])
    def test_files_whose_name_tells_nothing_go_out(
        self, sent: Callable[[Message], dict[str, Any]], name: str, media_type: str
    ) -> None:
        (file,) = sent(a_mail(attachments=(Attachment(name, media_type, b"x"),)))["attachments"]
        assert (file["filename"], file["content_type"]) == (name, media_type)

    def test_a_full_day_is_waited_for_by_the_hour(self, sender: Judged, server: ApiServer) -> None:
        server.answers(429, {"name": "daily_quota_exceeded"}, Retry_After="2")()
        assert sender.send(a_mail(), LIMIT).retry_after == 3600.0
        server.answers(429, {"name": "rate_limit_exceeded"}, Retry_After="2")()
        assert sender.send(a_mail(), LIMIT).retry_after == 2.0

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (a_mail(subject=""), "subject is empty"),
            (a_mail(options={"copy_of": "eve@example.net"}), "options.copy_of"),
            (a_mail(options={"cc": ["jürgen@example.net"]}), "beyond ASCII"),
            (a_mail(attachments=(INVITATION,)), "invitations"),
            (a_mail(attachments=(Attachment("data.txt", "text/csv", b"1;2"),)), "a name of text/plain"),
            (a_mail(attachments=(Attachment("a.bin2", "a/b", bytes(31 * 1024 * 1024)),)), "40 MB"),
        ],
    )
    def test_what_it_cannot_carry_is_refused_with_words(
        self, sender: Judged, server: ApiServer, message: Message, named: str
    ) -> None:
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert named in (outcome.error or "")
        assert not server.asked


SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SUPPRESSED = "The recipient's email address is on the suppression list because it has a recent history of bounces."


def event(name: str, **data: Any) -> dict[str, Any]:
    """One of the events of https://resend.com/docs/webhooks/event-types."""
    return {
        "type": f"email.{name}",
        "created_at": "2024-11-22T23:41:12.126Z",
        "data": {
            "created_at": "2024-11-22T23:41:11.894719+00:00",
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "from": "Acme <onboarding@resend.dev>",
            "to": ["delivered@resend.dev"],
            "subject": "Sending this example",
            "tags": ECHO,
            **data,
        },
    }


def bounced(type_: str, sub_type: str, message: str) -> dict[str, Any]:
    return event("bounced", bounce={"message": message, "subType": sub_type, "type": type_})


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> list[tuple[Any, ...]]:
    return [of(kind, None, code, words)]


class TestReceipts(ReceiptContract):
    provider = resend
    settings = resend.Settings(Secret(KEY), ("a@example.com",), Secret(SIGNS))
    needs = ("signing_secret",)
    other = ("signing_secret", Secret("whsec_" + base64.b64encode(bytes(24)).decode()))
    keeps_for = timedelta(minutes=5)
    said = (
        (event("delivered"), told(ReceiptKind.DELIVERED)),
        (event("delivered", tags=[{"name": name, "value": value} for name, value in ECHO.items()]),
         told(ReceiptKind.DELIVERED)),
        (event("delivery_delayed"), told(ReceiptKind.DEFERRED)),
        (bounced("Permanent", "Suppressed", SUPPRESSED), told(ReceiptKind.BOUNCED, "Suppressed", SUPPRESSED)),
        (bounced("Permanent", "General", "550 5.7.1 blocked using rbl"),
         told(ReceiptKind.FAILED, "General", "550 5.7.1 blocked using rbl")),
        (bounced("Transient", "MailboxFull", "full"), told(ReceiptKind.SOFT_BOUNCED, "MailboxFull", "full")),
        (bounced("Transient", "ContentRejected", "no"), told(ReceiptKind.FAILED, "ContentRejected", "no")),
        (bounced("Undetermined", "Undetermined", "?"), told(ReceiptKind.SOFT_BOUNCED, "Undetermined", "?")),
        (event("complained"), told(ReceiptKind.COMPLAINED)),
        (event("failed", failed={"reason": "reached_daily_quota"}),
         told(ReceiptKind.FAILED, None, "reached_daily_quota")),
        (event("suppressed", suppressed={"message": "It was suppressed", "type": "OnAccountSuppressionList"}),
         told(ReceiptKind.BOUNCED, None, "It was suppressed")),
        (event("complained", cc=["bo@example.com"]), told(ReceiptKind.FAILED)),
        (event("complained", to=["ann@example.com", "bo@example.com"]), told(ReceiptKind.FAILED)),
        (event("delivered", bcc=["bo@example.com"]), told(ReceiptKind.DELIVERED)),
        *((event(name), []) for name in ("sent", "opened", "clicked", "scheduled")),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        """Signed by the library of the standard, which Svix follows."""
        body = json.dumps(document)
        id_ = f"msg_{sha256(body.encode()).hexdigest()}"
        signature = Webhook(SIGNS).sign(id_, at, body)
        time = str(int(at.timestamp()))
        return Posted(body.encode(), {"svix-id": id_, "svix-timestamp": time, "svix-signature": f"v1,eA== {signature}"})

    def test_a_request_of_svix_is_genuine(self) -> None:
        """Of https://docs.svix.com/receiving/verifying-payloads/how-manual."""
        receiver = self.made(replace(self.settings, signing_secret=Secret("whsec_plJ3nmyCDGBKInavdOK15jsl")))
        posted = Posted(
            b'{"event_type":"ping","data":{"success":true}}',
            {
                "svix-id": "msg_loFOjxBNrRLzqYUf",
                "svix-timestamp": "1731705121",
                "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            },
        )
        assert receiver.take(posted, datetime.fromtimestamp(1731705121, UTC)).keep

    def test_a_secret_that_is_none_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="signing_secret"):
            self.made(replace(self.settings, signing_secret=Secret("whsec_x")))
