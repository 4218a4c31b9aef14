"""E-mail through Postmark, by its API for single mails."""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.words import address_of
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._keys import read_token
from noti_worker.providers._mail_parts import FROM, base64_of, json_of, parts_of, read_senders, written
from noti_worker.providers._mime import File
from noti_worker.providers._receipts import (
    Signed,
    as_instant,
    by_refusal,
    document_of,
    ids_of,
    text_at,
    value_at,
)
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://postmarkapp.com/developer/api/overview#error-codes: what is wrong with a mail is a 422 with a code.
RULES = (
    Rule("postmark.token", Kind.CONFIG, Scope.ACCOUNT, code="10"),
    Rule("postmark.maintenance", Kind.TRANSIENT, Scope.PROVIDER, code="100", wait=300.0),
    Rule("postmark.recipient", Kind.DEAD, Scope.RECIPIENT, code="300", text="(invalid|error parsing) 'to'"),
    Rule("postmark.from", Kind.CONFIG, Scope.SENDER, code="300", text="(invalid|error parsing) 'from'"),
    Rule("postmark.invalid", Kind.PERMANENT, code="300"),
    Rule("postmark.sender", Kind.CONFIG, Scope.SENDER, code="400|401"),
    Rule("postmark.not_allowed", Kind.CONFIG, Scope.ACCOUNT, code="405|412|413"),
    Rule("postmark.inactive", Kind.DEAD, Scope.RECIPIENT, code="406"),
    Rule("postmark.file_type", Kind.PERMANENT, code="411"),
    Rule("postmark.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="429"),
    Rule("postmark.stream", Kind.CONFIG, Scope.ACCOUNT, code="12.."),
    Rule("postmark.not_taken", Kind.PERMANENT, status="200", code="[1-9][0-9]*"),
    *BY_STATUS,
)

# https://postmarkapp.com/support/article/1056-what-are-the-attachment-and-email-size-limits
_MOST_MEGABYTES = 10
_MOST_TEXT = 5 * 1024 * 1024
_MOST_PEOPLE = 50  # https://postmarkapp.com/developer
_STREAM = re.compile(r"[a-z][a-z0-9_-]{0,29}")
_INACTIVE = re.compile(r"inactive addresses:\s*(?P<list>.*?)\.?\s*(Inactive recipients|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settings:
    """A server at Postmark."""

    server_token: Secret = field(metadata=about("a reference to the server's API token"))
    from_: tuple[str, ...] = field(metadata=FROM)
    message_stream: str = field(
        default="outbound", metadata=about("the id of the stream; `outbound` is the one for transactional mail")
    )
    api_url: str = field(default="https://api.postmarkapp.com", metadata=about("where the API is"))


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _Postmark(settings), settings.api_url)


class _Postmark:
    def __init__(self, settings: Settings) -> None:
        if not _STREAM.fullmatch(settings.message_stream):
            raise ConfigurationError("message_stream is not the id of a stream: Postmark shows it in small letters")
        self._token = read_token("server_token", settings.server_token)
        self._senders = read_senders(settings.from_)
        self._stream = settings.message_stream
        self._url = f"{settings.api_url.rstrip('/')}/email"

    def request(self, message: Message) -> Request:
        parts = parts_of(message, self._senders, "Postmark")
        if 1 + len(parts.cc) + len(parts.bcc) > _MOST_PEOPLE:
            raise BadNotification(
                f"options.cc and options.bcc: Postmark takes {_MOST_PEOPLE} recipients of one mail, the row's included:"
                " insert one row per recipient"
            )
        for where, text in (("text", parts.text), ("html", parts.html)):
            if text and len(text.encode()) > _MOST_TEXT:
                raise BadNotification(f"{where} is larger than the 5 MB that Postmark takes: shorten it")
        headers = {"Message-ID": parts.mail_id, "X-PM-KeepID": "true"} | parts.headers
        document: dict[str, Any] = {
            "From": written(parts.sender),
            "To": written(parts.to),
            "Cc": ", ".join(map(written, parts.cc)),
            "Bcc": ", ".join(map(written, parts.bcc)),
            "ReplyTo": written(parts.reply_to) if parts.reply_to else "",
            "Subject": parts.subject,
            "TextBody": parts.text,
            "HtmlBody": parts.html,
            "Headers": [{"Name": name, "Value": text} for name, text in headers.items()],
            "Metadata": {"notification_id": str(message.notification_id), "message_id": str(message.message_id)},
            "MessageStream": self._stream,
            "Attachments": [_attachment(file) for file in (*parts.invitations, *parts.images, *parts.files)],
        }
        kept = {name: held for name, held in document.items() if held or name == "Subject"}
        return Request(
            "POST",
            self._url,
            {"x-postmark-server-token": self._token, "content-type": "application/json", "accept": "application/json"},
            json_of(kept, "Postmark", _MOST_MEGABYTES),
        )

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="MessageID", code="ErrorCode", words="Message")
        if said.code == "0":
            said = replace(said, code="")
        told = _INACTIVE.search(said.words)
        if reply.status != 200 or told is None:
            return said
        # A mail with copies is taken although an address is switched off, be it the row's own.
        if address_of(json.loads(reply.request.body)["To"]).lower() in re.split(r",\s*", told["list"].lower()):
            return replace(
                said, code="406", error="Postmark sends nothing to the recipient any more, only the copies went"
            )
        return replace(said, error=said.words[:500])


def _attachment(file: File) -> dict[str, str]:
    """An invitation is one by its type (postmarkapp.com/support/article/1101)."""
    shown = {"ContentID": f"cid:{file.content_id}"} if file.content_id else {}
    return {"Name": file.name, "Content": base64_of(file), "ContentType": str(file.media_type), **shown}


# Receipts: https://postmarkapp.com/developer/webhooks/webhooks-overview and the pages of each

REFERENCES = False
_BOUNCES = {
    "Transient": ReceiptKind.DEFERRED,
    "SoftBounce": ReceiptKind.SOFT_BOUNCED,
    "DnsError": ReceiptKind.SOFT_BOUNCED,
    "Unknown": ReceiptKind.SOFT_BOUNCED,
    "Unsubscribe": ReceiptKind.UNSUBSCRIBED,
    "SpamComplaint": ReceiptKind.COMPLAINED,
    **dict.fromkeys(
        (
            "Blocked",
            "DMARCPolicy",
            "ManuallyDeactivated",
            "SMTPApiError",
            "SpamNotification",
            "TemplateRenderingFailed",
            "Unconfirmed",
            "VirusNotification",
        ),
        ReceiptKind.FAILED,
    ),
}
_SUPPRESSED = {
    "HardBounce": ReceiptKind.BOUNCED,
    "SpamComplaint": ReceiptKind.COMPLAINED,
    "ManualSuppression": ReceiptKind.UNSUBSCRIBED,
}


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Takes everything: Postmark signs nothing, and what proves it is the token of the URL alone."""
    return Signed(lambda posted, now: None)


def receipts(posted: Posted) -> list[Receipt]:
    """What a webhook says; opens, clicks and automatic answers are left out."""
    told = document_of(posted)
    kind = _kind(told)
    if kind is None:
        return []
    when = next((found for name in _TIMES if (found := text_at(told, name))), None)
    recipient = text_at(told, "Recipient") or text_at(told, "Email")
    message = text_at(told, "MessageID")
    return [
        Receipt(
            kind,
            f"{value_at(told, 'RecordType')}:{value_at(told, 'ID') or message}:{recipient}:{when}",
            as_instant(when),
            **ids_of(value_at(told, "Metadata")),
            recipient=recipient,
            code=text_at(told, "Type") or text_at(told, "SuppressionReason"),
            words=text_at(told, "Details") or text_at(told, "Description"),
        )
    ]


_TIMES = ("DeliveredAt", "BouncedAt", "ChangedAt")


def _kind(told: object) -> ReceiptKind | None:
    type_ = str(value_at(told, "Type"))
    match value_at(told, "RecordType"):
        case "Delivery":
            return ReceiptKind.DELIVERED
        case "Bounce" if type_ in {"HardBounce", "BadEmailAddress"}:
            return by_refusal(text_at(told, "Details"))
        case "Bounce":
            return _BOUNCES.get(type_)
        case "SpamComplaint":
            return ReceiptKind.COMPLAINED
        case "SubscriptionChange" if value_at(told, "SuppressSending") is True:
            reason = str(value_at(told, "SuppressionReason"))
            # What we or Postmark's people put on the list no recipient asked for.
            asked = reason != "ManualSuppression" or value_at(told, "Origin") == "Recipient"
            return _SUPPRESSED.get(reason) if asked else None
        case _:
            return None
