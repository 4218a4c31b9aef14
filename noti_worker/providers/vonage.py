"""SMS through Vonage, formerly Nexmo (developer.vonage.com/en/api/sms).

It answers 200 to nearly everything, and says of each part of an SMS by itself whether it was taken.
"""

import hmac
import re
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PHONE_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import NotGenuine, Posted, Receipt, ReceiptKind, Receiver, Taken, Written, echo_of
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, json_object, open_api, read_json
from noti_worker.providers._body import form
from noti_worker.providers._receipts import (
    as_instant,
    as_text,
    by_rules,
    check_age,
    check_same,
    document_of,
    entries,
    ids_in,
    read_form,
    secret_of,
    text_at,
)
from noti_worker.providers._sms import MAX_SEGMENTS, PLAIN_CHARACTERS, as_sms, check_senders, counted, sender_of
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.SMS})
OPTIONS = tuple(option for option in PHONE_OPTIONS if option.of(Channel.SMS))

# developer.vonage.com/en/api-errors/sms. The code is what the parts say: `0`, `9`, or `0,9` when only some were taken.
RULES = (
    Rule("vonage.accepted", Kind.OK, status="2..", code="0"),
    Rule("vonage.partly_accepted", Kind.UNCERTAIN, code=".*,.*"),
    Rule("vonage.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="1|10"),
    Rule("vonage.parameters", Kind.PERMANENT, code="2|3"),
    Rule("vonage.login", Kind.CONFIG, Scope.ACCOUNT, code="4|14|32"),
    Rule("vonage.account", Kind.CONFIG, Scope.ACCOUNT, code="8|11"),
    Rule("vonage.sender", Kind.CONFIG, Scope.SENDER, code="15"),
    Rule("vonage.trouble", Kind.TRANSIENT, Scope.PROVIDER, code="5|13"),
    Rule("vonage.no_route", Kind.PERMANENT, Scope.RECIPIENT, code="6"),
    Rule("vonage.no_such_number", Kind.DEAD, Scope.RECIPIENT, code="7|33|34"),
    Rule("vonage.no_credit", Kind.CONFIG, Scope.ACCOUNT, code="9"),
    Rule("vonage.content", Kind.PERMANENT, code="12|16|20"),
    Rule("vonage.settings", Kind.CONFIG, Scope.ACCOUNT, code="19|22|23"),
    Rule("vonage.demo", Kind.CONFIG, Scope.ACCOUNT, code="29"),
    Rule("vonage.unknown_code", Kind.TRANSIENT, status="2..", code=".+", last_resort=True),
    Rule("vonage.not_its_answer", Kind.UNCERTAIN, Scope.PROVIDER, status="2.."),
    *BY_STATUS,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at Vonage."""

    api_key: Secret = field(metadata=about("a reference; from the dashboard"))
    api_secret: Secret = field(metadata=about("a reference; from the dashboard"))
    from_: tuple[str, ...] = field(
        metadata=about(
            "the senders that a message may use: phone numbers (`+…`), short codes or names; the first is the default."
            " One text or a list"
        )
    )
    max_segments: int = field(default=10, metadata=MAX_SEGMENTS)
    plain_characters: bool = field(default=False, metadata=PLAIN_CHARACTERS)
    signature_secret: Secret | None = field(
        default=None, metadata=about("for receipts: the signature secret, from the API settings of the dashboard")
    )
    api_url: str = field(default="https://rest.nexmo.com", metadata=about("where it answers"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    for name, secret in (("api_key", settings.api_key), ("api_secret", settings.api_secret)):
        if not secret.reveal():
            raise ConfigurationError(f"{name} is empty: copy it from the dashboard")
    if ":" in settings.api_key.reveal():
        raise ConfigurationError("api_key holds a colon: give the key alone, and the secret as api_secret")
    if not settings.from_:
        raise ConfigurationError("from is missing: name a sender")
    check_senders(settings.from_)
    return open_api(kit, _Vonage(settings, kit.receipts_url), settings.api_url)


class _Vonage:
    def __init__(self, settings: Settings, receipts_url: Secret | None) -> None:
        self._settings = settings
        self._receipts_url = receipts_url
        self._url = f"{settings.api_url.rstrip('/')}/sms/json"
        # In the header, as Vonage's own libraries do it, and not in the body: what answers repeat of it is veiled.
        login = f"{settings.api_key.reveal()}:{settings.api_secret.reveal()}"
        self._headers = {
            "authorization": "Basic " + b64encode(login.encode()).decode(),
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }

    def request(self, message: Message) -> Steps:
        sender = sender_of(message, self._settings.from_)
        if sender is None:
            raise BadNotification(f"the account has no sender for {message.channel}: add one to its `from`")
        sms = as_sms(message.text or "", self._settings.max_segments, plain=self._settings.plain_characters)
        fields = {
            "to": message.recipient.removeprefix("+"),
            "from": sender.removeprefix("+"),
            "text": sms.text,
            "type": "text" if sms.encoding == "gsm7" else "unicode",
            "client-ref": echo_of(message.notification_id, message.message_id),
        }
        if self._receipts_url is not None:
            fields["callback"] = self._receipts_url.reveal()
        return counted(sms, Request("POST", self._url, self._headers, form(fields)), self.read)

    def read(self, reply: Reply) -> Said:
        parts = _parts(reply.body)
        worst = next((place for place, status in enumerate(parts) if status != "0"), 0)
        said = read_json(
            reply,
            id="messages.0.message-id|messages.1.message-id",
            code=f"messages.{worst}.status",
            words=f"messages.{worst}.error-text|title|detail",
        )
        partly = "0" in parts and len(set(parts)) > 1
        return replace(said, code=",".join(dict.fromkeys(parts))) if partly else said


def _parts(body: bytes) -> list[str]:
    """What is said of each part, in their order."""
    messages = json_object(body).get("messages")
    if not isinstance(messages, list):
        return []
    return [str(part.get("status", ""))[:4] if isinstance(part, dict) else "" for part in messages[:255]]


# Receipts: developer.vonage.com/en/messaging/sms/guides/delivery-receipts, signed by a token
# (…/getting-started/concepts/webhooks, "Decoding signed webhooks") or by a parameter (…/concepts/signing-messages).

REFERENCES = False
_RETRIED_FOR = timedelta(hours=25)  # it posts again for 24 hours
_DIGESTS = {64: "sha256", 128: "sha512"}
# help.nexmo.com/hc/en-us/articles/204014733: err-code
_ERRORS = {
    **dict.fromkeys(("2", "7", "8", "15"), ReceiptKind.SOFT_BOUNCED),
    **dict.fromkeys(("3", "4", "12", "14"), ReceiptKind.BOUNCED),
    "9": ReceiptKind.UNSUBSCRIBED,
}
_STATUS = {"delivered": ReceiptKind.DELIVERED, "read": ReceiptKind.READ, "buffered": ReceiptKind.DEFERRED}
_NOT_DELIVERED = frozenset({"expired", "failed", "rejected", "undeliverable", "unknown"})


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks what signs a request; raises ConfigurationError that names the key."""
    return _Signed(secret_of("signature_secret", settings.signature_secret).encode())


class _Signed:
    """By GET or POST, as the dashboard says; with a token in the header, or signed fields."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def take(self, posted: Posted, now: datetime) -> Taken:
        scheme, _, token = posted.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            self._check_token(token.strip(), posted, now)
        else:
            self._check_fields(_fields(posted), now)
        return Taken()

    def _check_token(self, token: str, posted: Posted, now: datetime) -> None:
        """A JSON Web Token by HS256, with a digest of the body."""
        signed, _, given = token.rpartition(".")
        head, _, claims = signed.partition(".")
        own = urlsafe_b64encode(hmac.digest(self._key, signed.encode(errors="replace"), "sha256")).rstrip(b"=")
        check_same(given, own.decode())
        if text_at(_part(head), "alg") != "HS256":
            raise NotGenuine("signature", "the token is not signed by HS256")
        check_same(text_at(_part(claims), "payload_hash") or "", sha256(posted.body).hexdigest())
        check_age(text_at(_part(claims), "iat") or "", now, _RETRIED_FOR)

    def _check_fields(self, fields: Mapping[str, str], now: datetime) -> None:
        """HMAC over the sorted fields; what signs by MD5 or SHA-1 is refused."""
        given = fields.get("sig", "").lower()
        if not given or "timestamp" not in fields:
            raise NotGenuine("unsigned", "there is neither a token nor a sig")
        digest = _DIGESTS.get(len(given))
        if digest is None:
            raise NotGenuine("signature", "choose SHA-256 HMAC or SHA-512 HMAC as the signature method")
        pairs = sorted((name, re.sub("[&=]", "_", value)) for name, value in fields.items() if name != "sig")
        signed = "".join(f"&{name}={value}" for name, value in pairs)
        check_same(given, hmac.digest(self._key, signed.encode(errors="replace"), digest).hex())
        check_age(fields["timestamp"], now, _RETRIED_FOR)


def receipts(posted: Posted) -> list[Receipt | Written]:
    """What became of an SMS, or what a person wrote; by the SMS API, or in the form of the Messages API."""
    fields = _fields(posted)
    id_ = fields.get("messageId") or fields.get("message_uuid") or ""
    when = as_instant(fields.get("message-timestamp") or fields.get("timestamp"))
    status = fields.get("status")
    if status is None:
        sender = fields.get("msisdn") or fields.get("from") or ""
        return [Written(Channel.SMS, id_, f"+{sender.lstrip('+')}", fields.get("text", ""), when)] if id_ else []
    code = fields.get("err-code") or fields.get("error.title") or ""
    kind = _ERRORS.get(code, by_rules(RULES, code)) if status in _NOT_DELIVERED else _STATUS.get(status)
    if kind is None:
        return []
    recipient = fields.get("msisdn") or fields.get("to") or ""
    return [
        Receipt(
            kind,
            f"{id_}:{status}",
            when,
            **ids_in(fields.get("client-ref") or fields.get("client_ref")),
            recipient=f"+{recipient.lstrip('+')}" if recipient else None,
            code=as_text(code),
            words=as_text(fields.get("error.detail")) or (status if status in _NOT_DELIVERED else None),
        )
    ]


def _fields(posted: Posted) -> dict[str, str]:
    """The fields of the query, and of a form or a document; of a document within one `error.title`."""
    fields = read_form(posted.query)
    if posted.method == "GET" or not posted.body:
        return fields
    if not posted.headers.get("content-type", "").startswith("application/json"):
        return fields | read_form(posted.body.decode(errors="replace"))
    try:
        found = document_of(posted)
    except ValueError:
        return fields
    for one in entries(found):
        fields |= {name: str(value) for name, value in one.items() if isinstance(value, str | int | float)}
        for name in ("title", "detail"):
            fields |= {f"error.{name}": said} if (said := text_at(one, "error", name)) is not None else {}
    return fields


def _part(encoded: str) -> object:
    """One part of a token; None for what is none."""
    try:
        return document_of(Posted(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))))
    except ValueError:
        return None
