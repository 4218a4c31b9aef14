"""E-mail through Twilio SendGrid, by its Mail Send API (version 3)."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import NotGenuine, Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, asked_wait, open_api, read_json
from noti_worker.providers._keys import read_token
from noti_worker.providers._mail_parts import FROM, Parts, base64_of, json_of, parts_of, read_senders
from noti_worker.providers._mime import File
from noti_worker.providers._receipts import (
    Signed,
    as_instant,
    as_text,
    by_refusal,
    check_age,
    document_of,
    entries,
    header_of,
    ids_of,
    secret_of,
)
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors: no codes, but each error names its field.
RULES = (
    Rule("sendgrid.credits", Kind.CONFIG, Scope.ACCOUNT, status="401|403", text="maximum credits exceeded"),
    Rule("sendgrid.sender", Kind.CONFIG, Scope.SENDER, status="403", text="verified sender identity"),
    Rule(
        "sendgrid.blocked",
        Kind.THROTTLED,
        Scope.ACCOUNT,
        status="403",
        text="temporar|too many|block(ed)? for",
        wait=900.0,
    ),
    Rule("sendgrid.from", Kind.CONFIG, Scope.SENDER, status="400", code=r"from(\..*)?"),
    Rule("sendgrid.recipient", Kind.DEAD, Scope.RECIPIENT, status="400", code=r"personalizations\.0\.to\.0\.email"),
    Rule("sendgrid.our_fault", Kind.CONFIG, Scope.ACCOUNT, status="406|415"),
    Rule("sendgrid.region", Kind.CONFIG, Scope.ACCOUNT, status="451"),
    *BY_STATUS,
)

_MOST_MEGABYTES = 30  # https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
_KEPT = (*KEPT, "x-message-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at SendGrid."""

    api_key: Secret = field(metadata=about("a reference to the key, `SG.…`, with the permission Mail Send"))
    from_: tuple[str, ...] = field(metadata=FROM)
    api_url: str = field(
        default="https://api.sendgrid.com",
        metadata=about("`https://api.eu.sendgrid.com` for a subuser of the EU region"),
    )
    verification_key: Secret | None = field(
        default=None, metadata=about("for receipts: the Verification Key of the Event Webhook, with its signature on")
    )
    sandbox_mode: bool = field(
        default=False, metadata=about("have each mail checked and accepted by SendGrid, and sent to nobody")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _SendGrid(settings), settings.api_url)


class _SendGrid:
    def __init__(self, settings: Settings) -> None:
        self._authorization = f"Bearer {read_token('api_key', settings.api_key)}"
        self._senders = read_senders(settings.from_)
        self._url = f"{settings.api_url.rstrip('/')}/v3/mail/send"
        self._sandbox = settings.sandbox_mode

    def request(self, message: Message) -> Request:
        parts = parts_of(message, self._senders, "SendGrid", utf8=True)
        if not parts.subject:
            raise BadNotification("subject is empty, and SendGrid sends no mail without one: give the row a subject")
        everyone = {"to": [_person(parts.to)], "cc": _people(parts.cc), "bcc": _people(parts.bcc)}
        document: dict[str, Any] = {
            "personalizations": [{role: people for role, people in everyone.items() if people}],
            "from": _person(parts.sender),
            "subject": parts.subject,
            "content": _content(parts),
            "headers": {"Message-ID": parts.mail_id} | parts.headers,
            "custom_args": {"notification_id": str(message.notification_id), "message_id": str(message.message_id)},
        }
        if parts.reply_to is not None:
            document["reply_to"] = _person(parts.reply_to)
        if parts.files or parts.images:
            document["attachments"] = [_attachment(file) for file in (*parts.files, *parts.images)]
        if self._sandbox:
            document["mail_settings"] = {"sandbox_mode": {"enable": True}}
        headers = {"authorization": self._authorization, "content-type": "application/json"}
        return Request("POST", self._url, headers, json_of(document, "SendGrid", _MOST_MEGABYTES))

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, code="errors.0.field", words="errors.0.message", keep=_KEPT)
        if reply.status == 429:
            # It names the instant at which the next request is taken, in seconds of the epoch.
            return replace(said, hint=asked_wait(reply, reset=("x-ratelimit-reset",)))
        return replace(said, id=reply.headers.get("x-message-id", "")[:200] or None)


def _person(box: Mailbox) -> dict[str, str]:
    return {"email": box.address, "name": box.name} if box.name else {"email": box.address}


def _people(boxes: tuple[Mailbox, ...]) -> list[dict[str, str]]:
    return [_person(box) for box in boxes]


def _content(parts: Parts) -> list[dict[str, str]]:
    """Text, HTML, then anything else: any other order is refused."""
    texts = (("text/plain", parts.text), ("text/html", parts.html))
    return [
        *({"type": media_type, "value": text} for media_type, text in texts if text),
        *(_invitation(file) for file in parts.invitations),
    ]


def _invitation(file: File) -> dict[str, str]:
    try:
        # A charset is SendGrid's own matter, and every semicolon more is a risk.
        value = file.content.decode(file.media_type.parameters["charset"])
        value.encode()
    except (UnicodeError, LookupError):
        raise BadNotification("an invitation is not in the charset that its content type names") from None
    return {"type": f"text/calendar; method={file.media_type.parameters['method']}", "value": value}


def _attachment(file: File) -> dict[str, str]:
    """No parameters: a type with a semicolon is refused, and texts are taken for UTF-8."""
    charset = file.media_type.parameters.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise BadNotification(
            f"options.attachments: SendGrid does not tell mail programs that a text is in {charset}: store it in UTF-8"
        )
    inline = {"disposition": "inline", "content_id": file.content_id} if file.content_id else {}
    named = {"content": base64_of(file), "type": file.media_type.name, "filename": file.name}
    return {**named, "disposition": "attachment", **inline}


# Receipts: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event

REFERENCES = False
_RETRIED_FOR = timedelta(hours=36)  # it posts again for 24 hours
_KINDS = {
    "deferred": ReceiptKind.DEFERRED,
    "delivered": ReceiptKind.DELIVERED,
    "spamreport": ReceiptKind.COMPLAINED,
    "unsubscribe": ReceiptKind.UNSUBSCRIBED,
    "group_unsubscribe": ReceiptKind.UNSUBSCRIBED,
}
_DROPPED = {
    "bounced address": ReceiptKind.BOUNCED,
    "invalid": ReceiptKind.BOUNCED,
    "unsubscribed address": ReceiptKind.UNSUBSCRIBED,
    "spam reporting address": ReceiptKind.COMPLAINED,
}


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks the signature of the Event Webhook; raises ConfigurationError that names the key."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(b64decode(secret_of("verification_key", settings.verification_key), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ConfigurationError(
            "verification_key is no key: copy it from the Event Webhook's page, it begins with MFk"
        )

    def check(posted: Posted, now: datetime) -> None:
        signed_at = header_of(posted, "x-twilio-email-event-webhook-timestamp")
        signature = header_of(posted, "x-twilio-email-event-webhook-signature")
        try:
            key.verify(b64decode(signature), signed_at.encode() + posted.body, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            raise NotGenuine("signature", "the signature is another") from None
        check_age(signed_at, now, _RETRIED_FOR)

    return Signed(check)


def receipts(posted: Posted) -> list[Receipt]:
    """What a list of events says; opens and clicks are left out."""
    return [_receipt(event, kind) for event in entries(document_of(posted)) if (kind := _kind(event)) is not None]


def _kind(event: Mapping[str, Any]) -> ReceiptKind | None:
    name, reason = event.get("event"), as_text(event.get("reason")) or ""
    if name == "bounce":
        # A block is not the address's fault.
        blocked = event.get("type") == "blocked"
        return ReceiptKind.FAILED if blocked else by_refusal(reason, as_text(event.get("status")))
    if name == "dropped":
        return _DROPPED.get(reason.lower(), ReceiptKind.FAILED)
    return _KINDS.get(str(name))


def _receipt(event: Mapping[str, Any], kind: ReceiptKind) -> Receipt:
    return Receipt(
        kind,
        as_text(event.get("sg_event_id")) or f"{event.get('sg_message_id')}:{event.get('event')}:{event.get('email')}",
        as_instant(event.get("timestamp")),
        **ids_of(event),
        recipient=as_text(event.get("email")),
        code=as_text(event.get("status")),
        words=as_text(event.get("reason")) or as_text(event.get("response")),
    )
