"""E-mail through Mailgun: the same bytes as over SMTP, by its API for messages in MIME format."""

import base64
import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import NotGenuine, Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._keys import read_token
from noti_worker.providers._mail import compose
from noti_worker.providers._mail_parts import FROM, read_senders, refuse_larger
from noti_worker.providers._receipts import (
    Signed,
    as_instant,
    by_refusal,
    check_age,
    check_same,
    document_of,
    ids_of,
    secret_of,
    text_at,
    value_at,
)
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://documentation.mailgun.com/docs/mailgun/api-reference: no codes, the words tell.
RULES = (
    # What the service answers wherever there is no API.
    Rule("mailgun.wrong_url", Kind.CONFIG, Scope.ACCOUNT, status="200", text="magnificent api"),
    # Also as 403: "is not allowed to send: recipient limit exceeded, try again after Mon, 25 Aug 2025 07:00:31 UTC".
    Rule("mailgun.limit", Kind.THROTTLED, Scope.ACCOUNT, status="4..", text="try again after"),
    Rule("mailgun.limit.420", Kind.THROTTLED, Scope.ACCOUNT, status="420", wait=60.0),
    Rule("mailgun.test_domain", Kind.CONFIG, Scope.ACCOUNT, status="4..", text="test purposes|authorized recipients"),
    Rule(
        "mailgun.recipient", Kind.DEAD, Scope.RECIPIENT, status="400", text=r"(^|[^\w-])to'? parameter is not a valid"
    ),
    Rule("mailgun.sender", Kind.CONFIG, Scope.SENDER, status="400", text=r"(^|[^\w-])from'? parameter is not a valid"),
    *BY_STATUS,
)

_MOST_MEGABYTES = 25  # https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-http
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_TRY_AGAIN = re.compile(r"try again after (?P<date>[A-Za-z0-9,: +-]{1,60})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """A sending domain at Mailgun."""

    api_key: Secret = field(metadata=about("a reference to a sending key of the domain, or to the account's key"))
    domain: str = field(metadata=about("the sending domain, as it is verified at Mailgun: `mg.example.com`"))
    from_: tuple[str, ...] = field(metadata=FROM)
    webhook_signing_key: Secret | None = field(
        default=None, metadata=about("for receipts: the HTTP webhook signing key, from the page of the API keys")
    )
    api_url: str = field(
        default="https://api.mailgun.net",
        metadata=about("`https://api.eu.mailgun.net` for a domain of the EU region"),
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _Mailgun(settings), settings.api_url)


class _Mailgun:
    def __init__(self, settings: Settings) -> None:
        if not _DOMAIN.fullmatch(settings.domain):
            raise ConfigurationError("domain is no domain: write it as Mailgun shows it, without https:// and paths")
        login = f"api:{read_token('api_key', settings.api_key)}"
        self._authorization = f"Basic {base64.b64encode(login.encode()).decode('ascii')}"
        self._senders = read_senders(settings.from_)
        self._url = f"{settings.api_url.rstrip('/')}/v3/{settings.domain}/messages.mime"

    def request(self, message: Message) -> Request:
        mail = compose(message, self._senders)
        if mail.needs_utf8:
            raise BadNotification(
                "an address has letters beyond ASCII before the @, and Mailgun writes headers with it that mail"
                " programs cannot read: send it through an account of smtp whose server has SMTPUTF8"
            )
        refuse_larger(mail.content, "Mailgun", _MOST_MEGABYTES)
        fields = [*(("to", address) for _, address in mail.recipients), *_echo(message)]
        boundary = f"noti_{message.message_id.hex}"
        while boundary.encode() in mail.content:
            boundary += "_"
        headers = {"authorization": self._authorization, "content-type": f"multipart/form-data; boundary={boundary}"}
        return Request("POST", self._url, headers, _form(fields, mail.content, boundary))

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="id", words="message")
        found = _TRY_AGAIN.search(said.words)
        if found is None:
            return said
        try:
            wait = (parsedate_to_datetime(found["date"].strip()) - reply.at).total_seconds()
        except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
            return said
        return replace(said, hint=max(wait, said.hint or 0.0, 1.0))


def _echo(message: Message) -> list[tuple[str, str]]:
    return [("v:notification_id", str(message.notification_id)), ("v:message_id", str(message.message_id))]


def _form(fields: list[tuple[str, str]], content: bytes, boundary: str) -> bytes:
    """A form with the mail as its file; none of the fields holds a line break."""
    heads = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join([*map(str.encode, heads), file.encode(), content, f"\r\n--{boundary}--\r\n".encode()])


# Receipts: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks and …/webhook-payloads

REFERENCES = False
_RETRIED_FOR = timedelta(hours=12)  # it posts again for 8 hours
_KINDS = {
    "delivered": ReceiptKind.DELIVERED,
    "rejected": ReceiptKind.FAILED,
    "complained": ReceiptKind.COMPLAINED,
    "unsubscribed": ReceiptKind.UNSUBSCRIBED,
}
_FAILED = {
    "suppress-bounce": ReceiptKind.BOUNCED,
    "suppress-complaint": ReceiptKind.COMPLAINED,
    "suppress-unsubscribe": ReceiptKind.UNSUBSCRIBED,
    "espblock": ReceiptKind.FAILED,
    "old": ReceiptKind.SOFT_BOUNCED,  # refused for now for as long as it tries
}


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks the signature, which covers a time and a token but not what is said; raises ConfigurationError.

    The token is the id of the event: with another text it comes too late.
    """
    key = secret_of("webhook_signing_key", settings.webhook_signing_key).encode()

    def check(posted: Posted, now: datetime) -> None:
        try:
            signature = value_at(document_of(posted), "signature")
        except ValueError:
            signature = None
        signed_at, token, given = (text_at(signature, name) or "" for name in ("timestamp", "token", "signature"))
        if not signed_at or not token or not given:
            raise NotGenuine("unsigned", "the document has no signature")
        check_same(given, hmac.digest(key, f"{signed_at}{token}".encode(errors="replace"), "sha256").hex())
        check_age(signed_at, now, _RETRIED_FOR)

    return Signed(check)


def receipts(posted: Posted) -> list[Receipt]:
    """What an event says; opens and clicks are left out."""
    document = document_of(posted)
    event, token = value_at(document, "event-data"), text_at(document, "signature", "token")
    kind = _kind(event)
    if kind is None or token is None:
        return []
    status = value_at(event, "delivery-status")
    return [
        Receipt(
            kind,
            token,
            as_instant(value_at(event, "timestamp")),
            **ids_of(value_at(event, "user-variables")),
            recipient=text_at(event, "recipient"),
            code=text_at(status, "enhanced-code") or text_at(status, "code"),
            words=text_at(status, "message") or text_at(status, "description") or text_at(event, "reject", "reason"),
        )
    ]


def _kind(event: object) -> ReceiptKind | None:
    name, status = value_at(event, "event"), value_at(event, "delivery-status")
    if name != "failed":
        return _KINDS.get(str(name))
    if value_at(event, "severity") == "temporary":
        return ReceiptKind.DEFERRED
    reason = str(value_at(event, "reason"))
    refused = by_refusal(
        text_at(status, "message"),
        text_at(status, "enhanced-code"),
        ReceiptKind.BOUNCED if reason == "bounce" else ReceiptKind.FAILED,
    )
    return _FAILED.get(reason, refused)
