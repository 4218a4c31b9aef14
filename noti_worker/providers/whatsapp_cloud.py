"""WhatsApp by Meta's own Cloud API (developers.facebook.com/documentation/business-messaging/whatsapp)."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

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
from noti_worker.providers._chat import at_most, post
from noti_worker.providers._keys import read_token
from noti_worker.providers._receipts import (
    as_instant,
    by_rules,
    check_same,
    document_of,
    entries,
    header_of,
    ids_in,
    read_form,
    secret_of,
    text_at,
    value_at,
)
from noti_worker.providers._sms import media_url
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.WHATSAPP})
_OF_TWILIO = frozenset({"from", "content_sid", "content_variables"})
OPTIONS = tuple(option for option in PHONE_OPTIONS if option.of(Channel.WHATSAPP) and option.name not in _OF_TWILIO)

# …/whatsapp/support/error-codes: the code counts, and not the status that it comes with. Most failures are told later,
# by webhook, with the same codes.
RULES = (
    Rule("whatsapp_cloud.login", Kind.CONFIG, Scope.ACCOUNT, code="0|190"),
    Rule("whatsapp_cloud.permission", Kind.CONFIG, Scope.ACCOUNT, code="3|10|2[0-9]{2}"),
    Rule("whatsapp_cloud.trouble", Kind.TRANSIENT, Scope.PROVIDER, code="1|2|131000|131016|131057"),
    Rule("whatsapp_cloud.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="4|80007"),
    Rule("whatsapp_cloud.sender_rate", Kind.THROTTLED, Scope.SENDER, code="130429", wait=1.0),
    Rule("whatsapp_cloud.pair_rate", Kind.THROTTLED, Scope.RECIPIENT, code="131056", wait=6.0),
    Rule("whatsapp_cloud.spam", Kind.CONFIG, Scope.SENDER, code="131048"),
    Rule("whatsapp_cloud.messaging_limit", Kind.THROTTLED, Scope.SENDER, code="131064", wait=3600.0),
    Rule("whatsapp_cloud.registrations", Kind.THROTTLED, Scope.SENDER, code="133016"),
    Rule("whatsapp_cloud.blocked", Kind.CONFIG, Scope.ACCOUNT, code="368|131031"),
    Rule("whatsapp_cloud.country", Kind.PERMANENT, Scope.DOMAIN, code="130497"),
    Rule("whatsapp_cloud.account", Kind.CONFIG, Scope.ACCOUNT, code="131005|131037|131042|131044|131045"),
    Rule("whatsapp_cloud.experiment", Kind.PERMANENT, Scope.RECIPIENT, code="130472"),
    Rule("whatsapp_cloud.undeliverable", Kind.DEAD, Scope.RECIPIENT, code="131026"),
    Rule("whatsapp_cloud.outside_window", Kind.PERMANENT, code="131047"),
    Rule("whatsapp_cloud.too_much_marketing", Kind.PERMANENT, Scope.RECIPIENT, code="131049"),
    # From marketing alone: the opt-out is one from the message's category.
    Rule("whatsapp_cloud.optout", Kind.OPTOUT, Scope.MESSAGE, code="131050"),
    Rule("whatsapp_cloud.to_itself", Kind.PERMANENT, code="131021"),
    Rule("whatsapp_cloud.test_list", Kind.CONFIG, Scope.ACCOUNT, code="131030"),
    # The one refusal that its code does not tell: a phone_number_id that is wrong, or that the token may not use.
    Rule("whatsapp_cloud.no_such_sender", Kind.CONFIG, Scope.ACCOUNT, code="100", text="unsupported post request"),
    Rule("whatsapp_cloud.content", Kind.PERMANENT, code="100|131008|131009|131051|131062"),
    Rule("whatsapp_cloud.media", Kind.TRANSIENT, code="131052|131053"),
    Rule("whatsapp_cloud.template_parameters", Kind.PERMANENT, code="132000|132005|132008|132012|132018"),
    Rule("whatsapp_cloud.template", Kind.CONFIG, Scope.SENDER, code="132001|132007|132015|132016|131063"),
    Rule("whatsapp_cloud.flow_blocked", Kind.CONFIG, Scope.SENDER, code="132068"),
    Rule("whatsapp_cloud.flow_rate", Kind.THROTTLED, Scope.SENDER, code="132069"),
    Rule("whatsapp_cloud.registration", Kind.CONFIG, Scope.SENDER, code="33|1330(0[0-9]|10)"),
    Rule("whatsapp_cloud.generic", Kind.TRANSIENT, code="135000"),
    Rule("whatsapp_cloud.identity_changed", Kind.PERMANENT, Scope.RECIPIENT, code="137000"),
    *BY_STATUS,
)

LONGEST_BODY = 4096
"""Characters of a text (…/whatsapp/messages/text-messages)."""

LONGEST_CAPTION = 1024
"""Characters of a caption (…/whatsapp/messages/image-messages, the same for videos and documents)."""

_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]")
_ID = re.compile(r"[0-9]{5,25}")
_TEMPLATE = re.compile(r"[a-z0-9_]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Za-z]{2,4})?")
_PLACE = re.compile(r"(-?[0-9]{1,2}(?:\.[0-9]{1,20})?), ?(-?[0-9]{1,3}(?:\.[0-9]{1,20})?)")
_KINDS = ("template", "media_url", "location")


@dataclass(frozen=True, slots=True)
class Settings:
    """A phone number at the WhatsApp Business Platform."""

    access_token: Secret = field(metadata=about("a reference to the token of a system user (`EAA…`)"))
    phone_number_id: str = field(
        metadata=about("the id of the number that sends, which is not the number, from WhatsApp's page “API Setup”")
    )
    app_secret: Secret | None = field(
        default=None, metadata=about("for receipts: the App secret, from the app's basic settings")
    )
    verify_token: Secret | None = field(
        default=None, metadata=about("for receipts: the Verify token, which you choose when you enter our URL")
    )
    version: str = field(default="v25.0", metadata=about("of the Graph API"))
    api_url: str = field(default="https://graph.facebook.com", metadata=about("the Graph API"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    token = read_token("access_token", settings.access_token)
    if not _ID.fullmatch(settings.phone_number_id):
        raise ConfigurationError("phone_number_id is no id: it is digits without +, beside the number in “API Setup”")
    if not _VERSION.fullmatch(settings.version):
        raise ConfigurationError("version is none of the Graph API: write it like v25.0")
    url = f"{settings.api_url.rstrip('/')}/{settings.version}/{settings.phone_number_id}/messages"
    return open_api(kit, _WhatsApp(url, token), settings.api_url)


class _WhatsApp:
    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._login = {"authorization": f"Bearer {token}"}

    def request(self, message: Message) -> Request:
        document = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.recipient,
            **_content(message),
            "biz_opaque_callback_data": echo_of(message.notification_id, message.message_id),
        }
        return post(self._url, document, self._login)

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="messages.0.id", code="error.code", words="error.error_data.details|error.message")
        usage = _regained_in(reply.headers.get("x-business-use-case-usage", ""))
        return replace(said, hint=max(said.hint or 0.0, usage)) if usage else said


def _content(message: Message) -> dict[str, Any]:
    options, text = message.options, message.text or ""
    asked = [name for name in _KINDS if name in options]
    if len(asked) > 1:
        raise BadNotification(f"options.{asked[0]} and options.{asked[1]} are two messages: insert a row for each")
    for name in ("template_language", "template_parameters"):
        if name in options and "template" not in options:
            raise BadNotification(f"options.{name} has no template: give options.template as well")
    media = media_url(message)
    if "template" in options:
        return {"type": "template", "template": _template(options)}
    if media is not None:
        return _media(media, options.get("media_type"), text)
    if "location" in options:
        return {"type": "location", "location": _location(options["location"], text)}
    if not text.strip():
        raise BadNotification("the text is empty: WhatsApp needs a body, options.template, media_url or location")
    at_most(LONGEST_BODY, len(text), "the text")
    return {"type": "text", "text": {"preview_url": False, "body": text}}


def _template(options: Mapping[str, Any]) -> dict[str, Any]:
    """…/whatsapp/templates/overview: a name in small letters, and parameters that all have names, or numbers."""
    name, language = options["template"], options.get("template_language")
    if not _TEMPLATE.fullmatch(name):
        raise BadNotification("options.template is no name of a template: it is small letters, digits and _")
    if language is None:
        raise BadNotification("options.template_language is missing: name the template's language, such as de")
    if not _LANGUAGE.fullmatch(language):
        raise BadNotification("options.template_language is no language: write it like de or en_US")
    template = {"name": name, "language": {"code": language}}
    parameters = _parameters(options.get("template_parameters", {}))
    return template | ({"components": [{"type": "body", "parameters": parameters}]} if parameters else {})


def _parameters(given: Mapping[str, str]) -> list[dict[str, str]]:
    for name, value in given.items():
        if not value.strip():
            raise BadNotification(f"options.template_parameters: {name[:40]!r} is empty, and WhatsApp takes no such")
    if not any(name.isdecimal() for name in given):
        return [{"type": "text", "parameter_name": name, "text": value} for name, value in given.items()]
    numbers = [str(number) for number in range(1, len(given) + 1)]
    if set(numbers) != given.keys():
        raise BadNotification("options.template_parameters: write either names, or the numbers from 1 without a gap")
    return [{"type": "text", "text": given[number]} for number in numbers]


def _media(url: str, kind: str | None, caption: str) -> dict[str, Any]:
    if kind is None:
        raise BadNotification("options.media_type is missing: say whether it is an image, video, audio or document")
    file = {"link": url}
    if caption.strip():
        if kind == "audio":
            raise BadNotification("the body cannot go with audio, which has no caption: leave it empty")
        at_most(LONGEST_CAPTION, len(caption), "the body, which is a caption,")
        file["caption"] = caption
    if kind == "document" and (name := unquote(urlsplit(url).path.rpartition("/")[2])):
        file["filename"] = name
    return {"type": kind, kind: file}


def _location(place: str, name: str) -> dict[str, str]:
    found = _PLACE.fullmatch(place.strip())
    if found is None or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        raise BadNotification("options.location is no place: write latitude and longitude, such as 52.5163,13.3777")
    return {"latitude": found[1], "longitude": found[2], **({"name": name} if name.strip() else {})}


def _regained_in(usage: str) -> float:
    """Seconds until calls are taken again, of the minutes that the header names for each business account.

    https://developers.facebook.com/docs/graph-api/overview/rate-limiting#headers-2
    """
    accounts = json_object(usage).values()
    uses = [use for account in accounts if isinstance(account, list) for use in account if isinstance(use, dict)]
    minutes = [use.get("estimated_time_to_regain_access") for use in uses]
    return max((60.0 * one for one in minutes if isinstance(one, int) and 0 < one < 100_000), default=0.0)


# Receipts: …/webhooks/reference/messages/status and …/webhooks/reference/messages; they are retried for days and
# signed without a time.

REFERENCES = False
_STATUS = {"delivered": ReceiptKind.DELIVERED, "read": ReceiptKind.READ}


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Checks the signature, and answers the challenge; raises ConfigurationError that names the key."""
    verify_token = secret_of("verify_token", settings.verify_token)
    return _Signed(secret_of("app_secret", settings.app_secret).encode(), verify_token)


class _Signed:
    def __init__(self, key: bytes, verify_token: str) -> None:
        self._key = key
        self._verify_token = verify_token

    def take(self, posted: Posted, now: datetime) -> Taken:
        if posted.method == "GET":
            return self._challenged(read_form(posted.query))
        given = header_of(posted, "x-hub-signature-256")
        check_same(given, f"sha256={hmac.digest(self._key, posted.body, 'sha256').hex()}")
        return Taken()

    def _challenged(self, asked: Mapping[str, str]) -> Taken:
        """Meta asks once, when our URL is entered, whether it is ours (…/graph-api/webhooks/getting-started)."""
        if asked.get("hub.mode") != "subscribe" or not re.fullmatch(
            r"[A-Za-z0-9_-]{1,200}", asked.get("hub.challenge", "")
        ):
            raise NotGenuine("unsigned", "it is no challenge")
        check_same(asked.get("hub.verify_token", ""), self._verify_token)
        return Taken(keep=False, body=asked["hub.challenge"].encode(), media_type="text/plain")


def receipts(posted: Posted) -> list[Receipt | Written]:
    """What became of messages, and what people wrote."""
    values = [
        value_at(change, "value")
        for entry in entries(value_at(document_of(posted), "entry"))
        for change in entries(value_at(entry, "changes"))
    ]
    told: list[Receipt | Written] = []
    for value in values:
        told += [found for status in entries(value_at(value, "statuses")) if (found := _receipt(status)) is not None]
        told += [_written(message) for message in entries(value_at(value, "messages"))]
    return told


def _receipt(status: Mapping[str, Any]) -> Receipt | None:
    name, error = text_at(status, "status"), value_at(status, "errors", 0)
    code, words = text_at(error, "code"), text_at(error, "error_data", "details") or text_at(error, "title")
    kind = by_rules(RULES, code or "", words or "") if name == "failed" else _STATUS.get(name or "")
    if kind is None:
        return None
    return Receipt(
        kind,
        f"{text_at(status, 'id')}:{name}",
        as_instant(status.get("timestamp")),
        **ids_in(status.get("biz_opaque_callback_data")),
        recipient=_number(status, "recipient_id"),
        code=code,
        words=words,
    )


def _written(message: Mapping[str, Any]) -> Written:
    said = (("text", "body"), ("button", "text"), ("interactive", "button_reply", "title"))
    words = next((found for path in said if (found := text_at(message, *path))), "")
    sender = _number(message, "from") or ""
    return Written(Channel.WHATSAPP, text_at(message, "id") or "", sender, words, as_instant(message.get("timestamp")))


def _number(where: Mapping[str, Any], name: str) -> str | None:
    digits = text_at(where, name)
    return f"+{digits.lstrip('+')}" if digits else None
