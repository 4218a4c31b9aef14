"""SMS, WhatsApp and calls through Twilio (twilio.com/docs/messaging/api, twilio.com/docs/voice/api)."""

import hmac
import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode, urlsplit

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PHONE_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver, Taken, Written
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, open_api, read_json, url_parts
from noti_worker.providers._body import form
from noti_worker.providers._chat import at_most
from noti_worker.providers._receipts import (
    Signed,
    as_text,
    by_rules,
    check_same,
    header_of,
    ids_of,
    read_form,
    secret_of,
)
from noti_worker.providers._sms import (
    MAX_SEGMENTS,
    PLAIN_CHARACTERS,
    Sms,
    as_sms,
    check_senders,
    counted,
    media_url,
    sender_of,
)
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.VOICE})
_OF_META = frozenset({"template", "template_language", "template_parameters", "location"})
OPTIONS = tuple(option for option in PHONE_OPTIONS if option.name not in _OF_META)

# twilio.com/docs/api/errors/CODE. The codes from 30000 on come with the later fate of a message, and rarely at once.
RULES = (
    Rule("twilio.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="20429|63017"),
    Rule("twilio.login", Kind.CONFIG, Scope.ACCOUNT, code="20003"),
    Rule("twilio.account", Kind.CONFIG, Scope.ACCOUNT, code="10001|20404|30002"),
    Rule("twilio.trial", Kind.CONFIG, Scope.ACCOUNT, code="21608|21219"),
    Rule("twilio.price", Kind.CONFIG, Scope.ACCOUNT, code="30010"),
    Rule("twilio.optout", Kind.OPTOUT, Scope.RECIPIENT, code="21610"),
    Rule("twilio.blocked", Kind.OPTOUT, Scope.RECIPIENT, code="30004"),
    Rule("twilio.no_such_number", Kind.DEAD, Scope.RECIPIENT, code="21211|21214|21217|13224|30005|63003|63024"),
    Rule("twilio.no_mobile", Kind.DEAD, Scope.RECIPIENT, code="21614|30006"),
    Rule("twilio.region", Kind.CONFIG, Scope.DOMAIN, code="21408|21215"),
    Rule("twilio.sender", Kind.CONFIG, Scope.SENDER, code="21601|21606|21212|21603|21659|21660|21661|63002|63007"),
    Rule("twilio.service", Kind.CONFIG, Scope.SENDER, code="21701|21703|21704|21705"),
    Rule("twilio.unregistered", Kind.CONFIG, Scope.SENDER, code="30034"),
    Rule("twilio.template", Kind.CONFIG, Scope.SENDER, code="63027|63028|63029|63030"),
    Rule("twilio.sender_queue", Kind.THROTTLED, Scope.SENDER, code="21611", wait=300.0),
    Rule("twilio.sender_rate", Kind.THROTTLED, Scope.SENDER, code="30022"),
    Rule("twilio.sender_daily", Kind.THROTTLED, Scope.SENDER, code="63018", wait=3600.0),
    Rule("twilio.daily", Kind.THROTTLED, Scope.ACCOUNT, code="63038", wait=3600.0),
    Rule("twilio.unreachable_from_here", Kind.PERMANENT, Scope.RECIPIENT, code="21612"),
    Rule("twilio.content", Kind.PERMANENT, code="21602|21617|21658|14103|30007|30011|30012|32018"),
    Rule("twilio.media", Kind.PERMANENT, code="21620|21623|21635"),
    Rule("twilio.content_template", Kind.PERMANENT, code="21654|21655|21656"),
    Rule("twilio.outside_window", Kind.PERMANENT, code="63016"),
    Rule("twilio.experiment", Kind.PERMANENT, Scope.RECIPIENT, code="63032"),
    Rule("twilio.maintenance", Kind.TRANSIENT, Scope.PROVIDER, code="21730"),
    Rule("twilio.handset_away", Kind.TRANSIENT, Scope.RECIPIENT, code="30003", wait=1800.0),
    Rule("twilio.not_delivered", Kind.TRANSIENT, code="30001|30008|30009|30410|30500|63012"),
    *BY_STATUS,
)

LONGEST_BODY = 1600
"""Characters of an SMS or WhatsApp body (twilio.com/docs/messaging/api/message-resource, Body)."""

LONGEST_TWIML = 4000
"""Characters of a call's instructions (twilio.com/docs/api/errors/32018)."""

_SID = {
    kind: re.compile(rf"{kind}[0-9a-f]{{32}}")
    for kind in ("AC", "SK", "MG", "HX")  # account, key, messaging service, content template
}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at Twilio."""

    account_sid: str = field(metadata=about("`AC…`, from the console"))
    auth_token: Secret | None = field(
        default=None, metadata=about("a reference; or an API key instead. Receipts are signed by it in either case")
    )
    api_key_sid: str | None = field(default=None, metadata=about("`SK…`, an API key instead of `auth_token`"))
    api_key_secret: Secret | None = field(default=None, metadata=about("a reference; together with `api_key_sid`"))
    from_: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "the senders that a message may use: phone numbers (`+…`), for SMS short codes and names too; the first"
            " that fits the channel is the default. One text or a list"
        ),
    )
    messaging_service_sid: str | None = field(
        default=None,
        metadata=about("`MG…`, chooses the sender of SMS without `options.from`, and of WhatsApp without a number"),
    )
    voice: str | None = field(default=None, metadata=about("who reads a call, such as `Polly.Vicki`"))
    language: str | None = field(default=None, metadata=about("in which a call is read, such as `de-DE`"))
    status_callback: str | None = field(
        default=None,
        metadata=about("a URL of yours that Twilio tells what became of each message, instead of our own for receipts"),
    )
    max_segments: int = field(default=10, metadata=MAX_SEGMENTS)
    plain_characters: bool = field(default=False, metadata=PLAIN_CHARACTERS)
    api_url: str = field(
        default="https://api.twilio.com",
        metadata=about("of another region, which needs an API key of its own: `https://api.dublin.ie1.twilio.com`"),
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    _check_sid("account_sid", "AC", settings.account_sid)
    _check_sid("api_key_sid", "SK", settings.api_key_sid)
    _check_sid("messaging_service_sid", "MG", settings.messaging_service_sid)
    check_senders(settings.from_)
    if not settings.from_ and settings.messaging_service_sid is None:
        raise ConfigurationError("from is missing: name a sender, or a messaging_service_sid")
    if settings.language is not None and not _LANGUAGE.fullmatch(settings.language):
        raise ConfigurationError("language is no language: write it like de-DE")
    if settings.voice is not None and (not settings.voice or _NO_XML.search(settings.voice)):
        raise ConfigurationError("voice is empty or holds a control character: write it like Polly.Vicki")
    if settings.status_callback is not None and not url_parts(settings.status_callback).hostname:
        raise ConfigurationError("status_callback is no URL: write https://HOST/PATH, without user and password")
    return open_api(kit, _Twilio(settings, _login(settings), kit.receipts_url), settings.api_url)


def _check_sid(key: str, kind: str, sid: str | None) -> None:
    if sid is not None and not _SID[kind].fullmatch(sid):
        raise ConfigurationError(f"{key} is {kind} and 32 digits of 0-9a-f: copy it from the console")


def _login(settings: Settings) -> tuple[str, str]:
    """Name and password, of the account or of an API key."""
    by_key = settings.api_key_sid is not None or settings.api_key_secret is not None
    if not by_key and settings.auth_token is None:
        raise ConfigurationError("auth_token: give either it, or api_key_sid and api_key_secret")
    if by_key and settings.api_key_sid is None:
        raise ConfigurationError("api_key_sid is missing, and api_key_secret is there")
    if by_key and settings.api_key_secret is None:
        raise ConfigurationError("api_key_secret is missing, and api_key_sid is there")
    secret = settings.api_key_secret if by_key else settings.auth_token
    assert secret is not None
    if not secret.reveal():
        raise ConfigurationError(f"{'api_key_secret' if by_key else 'auth_token'} is empty")
    return settings.api_key_sid or settings.account_sid, secret.reveal()


class _Twilio:
    def __init__(self, settings: Settings, login: tuple[str, str], receipts_url: Secret | None) -> None:
        self._settings = settings
        self._receipts_url = receipts_url
        self._url = f"{settings.api_url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}"
        self._headers = {
            "authorization": "Basic " + b64encode(":".join(login).encode()).decode(),
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }

    def request(self, message: Message) -> Request | Steps:
        sms: Sms | None = None
        if message.channel is Channel.VOICE:
            what, fields = "Calls", {"Twiml": self._twiml(message)}
        elif message.channel is Channel.WHATSAPP:
            what, fields = "Messages", _whatsapp(message)
        else:
            sms = as_sms(message.text or "", self._settings.max_segments, plain=self._settings.plain_characters)
            what, fields = "Messages", {"Body": _body(sms.text)}
        fields = {**self._ends(message), **fields}
        callback = self._callback(message)
        if callback is not None:
            fields["StatusCallback"] = callback
        request = Request("POST", f"{self._url}/{what}.json", self._headers, form(fields))
        return request if sms is None else counted(sms, request, self.read)

    def _callback(self, message: Message) -> str | None:
        if self._settings.status_callback is not None:
            return self._settings.status_callback
        if self._receipts_url is None:
            return None
        ids = {"notification_id": str(message.notification_id), "message_id": str(message.message_id)}
        return f"{self._receipts_url.reveal()}?{urlencode(ids)}"

    def read(self, reply: Reply) -> Said:
        return read_json(
            reply,
            id="sid",
            code="code|error_code",
            words="message|error_message",
            keep=(*KEPT, "twilio-request-id"),
        )

    def _ends(self, message: Message) -> dict[str, str]:
        """From whom to whom."""
        service = self._settings.messaging_service_sid
        if message.channel is Channel.SMS and service is not None and "from" not in message.options:
            return {"To": message.recipient, "MessagingServiceSid": service}
        sender = sender_of(message, self._settings.from_)
        prefix = "whatsapp:" if message.channel is Channel.WHATSAPP else ""
        if sender is not None:
            return {"To": prefix + message.recipient, "From": prefix + sender}
        if service is not None and message.channel is Channel.WHATSAPP:
            return {"To": prefix + message.recipient, "MessagingServiceSid": service}
        raise BadNotification(f"the account has no sender for {message.channel}: add a phone number to its `from`")

    def _twiml(self, message: Message) -> str:
        from twilio.twiml.voice_response import VoiceResponse

        text = message.text or ""
        if not text.strip():
            raise BadNotification("the text is empty: a call needs a body to read aloud")
        if _NO_XML.search(text):
            raise BadNotification("the body holds a control character, which cannot be read aloud: remove it")
        language = message.options.get("language", self._settings.language)
        if language is not None and not _LANGUAGE.fullmatch(language):
            raise BadNotification("options.language is no language: write it like de-DE")
        response = VoiceResponse()
        response.say(text, language=language, voice=message.options.get("voice", self._settings.voice))
        twiml: str = response.to_xml(xml_declaration=False)
        if len(twiml) > LONGEST_TWIML:
            raise BadNotification(
                f"the call takes {len(twiml)} characters of instructions, and Twilio {LONGEST_TWIML}: shorten the text"
            )
        return twiml


def _body(text: str) -> str:
    at_most(LONGEST_BODY, len(text), "the text")
    return text


def _whatsapp(message: Message) -> dict[str, str]:
    """An approved template, or free text, which is only taken for 24 hours after the person wrote."""
    template, variables = message.options.get("content_sid"), message.options.get("content_variables")
    media = media_url(message)
    if template is None and variables is not None:
        raise BadNotification("options.content_variables has no template: give options.content_sid as well")
    if template is not None and media is not None:
        raise BadNotification("options.media_url cannot go with options.content_sid: the template names its files")
    if template is None:
        if media is None and not (message.text or "").strip():
            raise BadNotification("the text is empty: WhatsApp needs a body, or options.content_sid")
        body = {"Body": _body(message.text)} if message.text else {}
        return body | ({"MediaUrl": media} if media else {})
    if not _SID["HX"].fullmatch(template):
        raise BadNotification("options.content_sid is HX and 32 digits of 0-9a-f: copy it from the console")
    return {"ContentSid": template, **({"ContentVariables": json.dumps(variables)} if variables else {})}


# Receipts: twilio.com/docs/messaging/guides/track-outbound-message-status, …/docs/usage/security for the signature.

REFERENCES = False  # the URL of each message names it
_STATUS = {"delivered": ReceiptKind.DELIVERED, "completed": ReceiptKind.DELIVERED, "read": ReceiptKind.READ}
_FAILED = frozenset({"failed", "undelivered", "busy", "no-answer", "canceled"})
_NO_REPLY = Taken(body=b"<Response/>", media_type="text/xml")
"""What is answered to a message that a person wrote: anything else is sent to them."""


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks the signature, which holds no time; raises ConfigurationError that names the key."""
    key = secret_of("auth_token", settings.auth_token).encode()
    if kit.receipts_url is None:
        raise ConfigurationError("web.url is missing: Twilio signs the URL that it posts to")
    urls = _spellings(kit.receipts_url.reveal())

    def check(posted: Posted, now: datetime) -> None:
        given = header_of(posted, "x-twilio-signature")
        query, fields = f"?{posted.query}" if posted.query else "", ""
        if "bodySHA256" in read_form(posted.query):
            check_same(read_form(posted.query)["bodySHA256"], sha256(posted.body).hexdigest())
        else:
            pairs = parse_qsl(posted.body.decode(errors="replace"), keep_blank_values=True, errors="replace")
            fields = "".join(f"{name}{value}" for name, value in sorted(set(pairs)))
        check_same(
            given, [b64encode(hmac.digest(key, f"{url}{query}{fields}".encode(), "sha1")).decode() for url in urls]
        )

    return Signed(check, _NO_REPLY)


def receipts(posted: Posted) -> list[Receipt | Written]:
    """What became of a message or a call, or what a person wrote."""
    fields, echo = read_form(posted.body.decode(errors="replace")), read_form(posted.query)
    sid = fields.get("MessageSid") or fields.get("CallSid") or ""
    status = fields.get("MessageStatus") or fields.get("CallStatus") or fields.get("SmsStatus") or ""
    if status == "received":
        sender, asked = fields.get("From", ""), fields.get("OptOutType") or fields.get("Body", "")
        channel = Channel.WHATSAPP if sender.startswith("whatsapp:") else Channel.SMS
        return [Written(channel, sid, sender, asked)]
    code, words = fields.get("ErrorCode", ""), fields.get("ErrorMessage", "")
    kind = by_rules(RULES, code, words) if status in _FAILED else _STATUS.get(status)
    if kind is None:
        return []
    said = words or (f"the call ended: {status}" if "CallSid" in fields and status in _FAILED else None)
    recipient = as_text(fields.get("To"))
    return [Receipt(kind, f"{sid}:{status}", **ids_of(echo), recipient=recipient, code=as_text(code), words=said)]


def _spellings(url: str) -> list[str]:
    """Our URL as Twilio may sign it: with the port and without, whichever of them it was told."""
    parts = urlsplit(url)
    host = (parts.hostname or "") if ":" not in (parts.hostname or "") else f"[{parts.hostname}]"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return [parts._replace(netloc=netloc).geturl() for netloc in (parts.netloc, host, f"{host}:{port}")]
