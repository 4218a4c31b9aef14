"""E-mail through Resend."""

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from mimetypes import MimeTypes
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._keys import read_key, read_token
from noti_worker.providers._mail_parts import FROM, base64_of, json_of, parts_of, read_senders, written
from noti_worker.providers._mime import File
from noti_worker.providers._receipts import (
    Signed,
    as_instant,
    by_refusal,
    check_age,
    check_same,
    document_of,
    header_of,
    ids_of,
    secret_of,
    text_at,
    value_at,
)
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://resend.com/docs/api-reference/errors
RULES = (
    # An earlier try with this key is still being worked on; after it the answer of that one is given.
    Rule("resend.in_progress", Kind.TRANSIENT, status="409", code="concurrent_idempotent_requests", wait=10.0),
    # An earlier try with this key and other content was taken.
    Rule("resend.sent_otherwise", Kind.UNCERTAIN, status="409", code="invalid_idempotent_request"),
    Rule("resend.key", Kind.CONFIG, Scope.ACCOUNT, code="(missing|restricted|invalid|suspended)_api_key"),
    Rule("resend.key.words", Kind.CONFIG, Scope.ACCOUNT, status="4..", text="api key is (invalid|missing)"),
    Rule("resend.test_only", Kind.CONFIG, Scope.ACCOUNT, status="403", text="only send testing emails"),
    Rule("resend.domain", Kind.CONFIG, Scope.SENDER, status="403", text="domain is not verified"),
    Rule("resend.from", Kind.CONFIG, Scope.SENDER, code="invalid_from_address"),
    Rule("resend.from.words", Kind.CONFIG, Scope.SENDER, status="422", text="invalid .?from.? field"),
    Rule("resend.recipient", Kind.DEAD, Scope.RECIPIENT, status="422", text="invalid .?to.? field"),
    Rule("resend.daily_quota", Kind.THROTTLED, Scope.ACCOUNT, status="429", code="daily_quota_exceeded", wait=3600.0),
    Rule("resend.monthly_quota", Kind.CONFIG, Scope.ACCOUNT, status="429", code="monthly_quota_exceeded"),
    *BY_STATUS,
)

_MOST_MEGABYTES = 40  # https://resend.com/docs/dashboard/emails/attachments
# The types that every installation of Python knows, whatever the machine's own tables say.
_TYPES = MimeTypes()


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at Resend."""

    api_key: Secret = field(metadata=about("a reference to the key, `re_…`; Sending access is enough"))
    from_: tuple[str, ...] = field(metadata=FROM)
    signing_secret: Secret | None = field(
        default=None, metadata=about("for receipts: the signing secret of the webhook, `whsec_…`")
    )
    api_url: str = field(default="https://api.resend.com", metadata=about("where the API is"))


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _Resend(settings), settings.api_url)


class _Resend:
    def __init__(self, settings: Settings) -> None:
        self._authorization = f"Bearer {read_token('api_key', settings.api_key)}"
        self._senders = read_senders(settings.from_)
        self._url = f"{settings.api_url.rstrip('/')}/emails"

    def request(self, message: Message) -> Request:
        parts = parts_of(message, self._senders, "Resend")
        if not parts.subject:
            raise BadNotification("subject is empty, and Resend sends no mail without one: give the row a subject")
        if parts.invitations:
            raise BadNotification(
                "options.attachments: Resend does not say that it carries invitations (text/calendar with a method):"
                " leave the method out, and it goes as a file, or send it through another account"
            )
        document: dict[str, Any] = {
            "from": written(parts.sender),
            "to": [written(parts.to)],
            "cc": [written(box) for box in parts.cc],
            "bcc": [written(box) for box in parts.bcc],
            "reply_to": written(parts.reply_to) if parts.reply_to else None,
            "subject": parts.subject,
            "text": parts.text,
            "html": parts.html,
            "headers": parts.headers,
            "tags": [
                {"name": "notification_id", "value": str(message.notification_id)},
                {"name": "message_id", "value": str(message.message_id)},
            ],
            "attachments": [_attachment(file) for file in (*parts.images, *parts.files)],
        }
        return Request(
            "POST",
            self._url,
            {
                "authorization": self._authorization,
                "content-type": "application/json",
                "idempotency-key": str(message.message_id),
            },
            json_of({name: held for name, held in document.items() if held}, "Resend", _MOST_MEGABYTES),
        )

    def read(self, reply: Reply) -> Said:
        return read_json(reply, id="id", code="name", words="message")


def _attachment(file: File) -> dict[str, str]:
    expected, _ = _TYPES.guess_type(f"x.{file.name.rpartition('.')[2]}" if "." in file.name else "")
    if expected is not None and expected != file.media_type.name:
        # It takes such mails and never delivers them.
        raise BadNotification(
            f"options.attachments: Resend loses mails whose files are not of the type that their name tells; a file"
            f" of type {file.media_type.name} has a name of {expected}: correct one of them"
        )
    shown = {"content_id": file.content_id} if file.content_id else {}
    return {"filename": file.name, "content": base64_of(file), "content_type": str(file.media_type), **shown}


# Receipts: https://resend.com/docs/webhooks/event-types, signed by https://docs.svix.com/receiving/verifying-payloads

REFERENCES = False
_TOLERANCE = timedelta(minutes=5)  # each time that it posts it signs anew
_KINDS = {
    "email.delivered": ReceiptKind.DELIVERED,
    "email.delivery_delayed": ReceiptKind.DEFERRED,
    "email.complained": ReceiptKind.COMPLAINED,
    "email.failed": ReceiptKind.FAILED,
    "email.suppressed": ReceiptKind.BOUNCED,
}
_NOT_THE_ADDRESS = {"ContentRejected", "AttachmentRejected", "MessageTooLarge"}


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks the signature; raises ConfigurationError that names the key."""
    secret_of("signing_secret", settings.signing_secret)
    assert settings.signing_secret is not None
    key = read_key("signing_secret", settings.signing_secret, at_least=16)

    def check(posted: Posted, now: datetime) -> None:
        id_, signed_at, given = (header_of(posted, f"svix-{name}") for name in ("id", "timestamp", "signature"))
        signed = b".".join((id_.encode(), signed_at.encode(), posted.body))
        own = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        check_same(f"v1,{own}", given.split())
        check_age(signed_at, now, _TOLERANCE)

    return Signed(check)


def receipts(posted: Posted) -> list[Receipt]:
    """What an event says; opens and clicks are left out."""
    event = document_of(posted)
    kind, data = _kind(event), value_at(event, "data")
    if kind is None:
        return []
    failure = next((found for name in ("bounce", "failed", "suppressed") if (found := value_at(data, name))), None)
    tags = value_at(data, "tags")
    if isinstance(tags, list):
        tags = {str(value_at(tag, "name")): value_at(tag, "value") for tag in tags}
    return [
        Receipt(
            kind,
            posted.headers.get("svix-id") or f"{value_at(data, 'email_id')}:{value_at(event, 'type')}",
            as_instant(value_at(event, "created_at")),
            **ids_of(tags),
            code=text_at(failure, "subType"),
            words=text_at(failure, "message") or text_at(failure, "reason"),
        )
    ]


def _kind(event: object) -> ReceiptKind | None:
    type_, data = value_at(event, "type"), value_at(event, "data")
    kind = _bounced(value_at(data, "bounce")) if type_ == "email.bounced" else _KINDS.get(str(type_))
    # It does not say which of several recipients it means, and none must suffer for another.
    several = any(value_at(data, *where) for where in (("cc",), ("bcc",), ("to", 1)))
    return ReceiptKind.FAILED if several and kind not in {None, ReceiptKind.DELIVERED, ReceiptKind.DEFERRED} else kind


def _bounced(bounce: object) -> ReceiptKind:
    if value_at(bounce, "type") == "Permanent":
        return by_refusal(text_at(bounce, "message"))
    return ReceiptKind.FAILED if value_at(bounce, "subType") in _NOT_THE_ADDRESS else ReceiptKind.SOFT_BOUNCED
