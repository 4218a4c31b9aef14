"""SMS through Amazon SNS, published to a phone number.

https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PHONE_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver, Written
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, open_api, read_found
from noti_worker.providers._aws import Aws, AwsAccount, access_key, common_rules
from noti_worker.providers._body import form
from noti_worker.providers._chat import at_most
from noti_worker.providers._receipts import as_instant, document_of, text_at, value_at
from noti_worker.providers._sms import MAX_SEGMENTS, PLAIN_CHARACTERS, as_sms, counted
from noti_worker.providers._sns_envelope import TOPIC, Envelopes, message_of
from noti_worker.transport import Kit, Reply
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.SMS})
OPTIONS = tuple(option for option in PHONE_OPTIONS if option.of(Channel.SMS))

_LONGEST = 1600
"""Characters of one publication (docs.aws.amazon.com/sns/latest/api/API_Publish.html, Message)."""
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_PARAMETER = "(InvalidParameter(Value)?|ParameterValueInvalid|Validation(Error)?)(Exception)?"

RULES = (
    *common_rules("sns"),
    Rule("sns.opted_out", Kind.OPTOUT, Scope.RECIPIENT, code="OptedOut(Exception)?"),
    Rule(
        "sns.opted_out_conflict",
        Kind.OPTOUT,
        Scope.RECIPIENT,
        code="Conflict(Exception)?",
        text="opted[ _-]?out",
    ),
    Rule("sns.conflict", Kind.PERMANENT, code="Conflict(Exception)?"),
    Rule("sns.no_number", Kind.DEAD, Scope.RECIPIENT, code=_PARAMETER, text="Invalid parameter: PhoneNumber"),
    Rule("sns.parameter", Kind.PERMANENT, code=_PARAMETER),
    Rule("sns.endpoint_disabled", Kind.DEAD, Scope.RECIPIENT, code="EndpointDisabled(Exception)?"),
    Rule(
        "sns.account",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code="(PlatformApplicationDisabled|ServiceQuotaExceeded|NotFound|ResourceNotFound)(Exception)?",
    ),
    Rule(
        "sns.encryption",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code="KMS(Disabled|InvalidState|NotFound|AccessDenied|OptInRequired)(Exception)?",
    ),
    *BY_STATUS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(AwsAccount):
    """An account at Amazon SNS."""

    sender_id: str | None = field(
        default=None, metadata=about("the name that phones show, where the country allows one; at most 11 characters")
    )
    origination_number: str | None = field(
        default=None, metadata=about("the number of yours that messages come from, where the country has numbers")
    )
    sms_type: Literal["Transactional", "Promotional"] = field(
        default="Transactional", metadata=about("`Transactional` for what must arrive, or `Promotional`")
    )
    max_price_usd: str | None = field(
        default=None, metadata=about('the most that one message may cost, in US dollars as a text (`"0.50"`)')
    )
    max_segments: int = field(default=10, metadata=MAX_SEGMENTS)
    plain_characters: bool = field(default=False, metadata=PLAIN_CHARACTERS)
    topic_arn: str | None = field(default=None, metadata=TOPIC)


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    sender_id, number = settings.sender_id, settings.origination_number
    if sender_id is not None and not re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9-]{1,11}", sender_id):
        raise ConfigurationError("sender_id has at most 11 letters, digits and -, at least one letter among them")
    if number is not None and not re.fullmatch(r"\+?[0-9]{5,14}", number):
        raise ConfigurationError("origination_number has 5 to 14 digits, with or without a + before them")
    if settings.sms_type not in {"Transactional", "Promotional"}:
        raise ConfigurationError("sms_type is Transactional or Promotional")
    if settings.max_price_usd is not None and not _is_price(settings.max_price_usd):
        raise ConfigurationError("max_price_usd is no amount: write it like 0.50")
    aws = Aws(settings, "sns", "sns", kit)
    return open_api(kit, _Sns(aws, settings), aws.url)


def _is_price(text: str) -> bool:
    try:
        return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None and Decimal(text) > 0
    except InvalidOperation:
        return False


class _Sns:
    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._settings = settings

    def request(self, message: Message) -> Steps:
        sms = as_sms(message.text or "", self._settings.max_segments, plain=self._settings.plain_characters)
        at_most(_LONGEST, len(sms.text), "the text")
        fields = {"Action": "Publish", "Version": "2010-03-31", "PhoneNumber": message.recipient, "Message": sms.text}
        for number, (name, kind, value) in enumerate(self._attributes(message.options.get("from")), 1):
            entry = f"MessageAttributes.entry.{number}"
            fields |= {
                f"{entry}.Name": name,
                f"{entry}.Value.DataType": kind,
                f"{entry}.Value.StringValue": value,
            }
        return counted(sms, self._aws.post("/", _FORM, form(fields)), self.read)

    def _attributes(self, wanted: str | None) -> Iterator[tuple[str, str, str]]:
        ours = self._settings
        known = {"AWS.SNS.SMS.SenderID": ours.sender_id, "AWS.MM.SMS.OriginationNumber": ours.origination_number}
        if wanted is not None and wanted not in known.values():
            raise BadNotification("options.from is neither the account's sender_id nor its origination_number")
        for name, value in known.items():
            if value is not None and wanted in {None, value}:
                yield name, "String", value
        yield "AWS.SNS.SMS.SMSType", "String", ours.sms_type
        if ours.max_price_usd is not None:
            yield "AWS.SNS.SMS.MaxPrice", "Number", ours.max_price_usd

    def read(self, reply: Reply) -> Said:
        """Its XML is not parsed: three plain elements are looked up."""
        text = reply.body.decode(errors="replace")
        return read_found(
            reply,
            id=_element(text, "MessageId"),
            code=_element(text, "Code"),
            words=_element(text, "Message"),
            keep=(*KEPT, "x-amzn-requestid"),
            hidden=access_key(reply.request),
        )


def _element(xml: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", xml)
    return unescape(found[1]) if found else ""


# Receipts: SNS posts none of an SMS by itself. What can be published to a topic are the replies to a number of ours
# (https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms.html) and, by a subscription of theirs, the
# delivery logs of CloudWatch (https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html).

REFERENCES = True
_WORDS = (
    (ReceiptKind.UNSUBSCRIBED, re.compile("opted out", re.IGNORECASE)),
    (
        ReceiptKind.BOUNCED,
        re.compile("number is invalid|blocked SMS|blocked list|unknown (handset|user)", re.IGNORECASE),
    ),
    (ReceiptKind.SOFT_BOUNCED, re.compile("unreachable|unavailable", re.IGNORECASE)),
)


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Takes what the topic says; raises ConfigurationError that names the key."""
    return Envelopes(settings.topic_arn, kit)


def receipts(posted: Posted) -> list[Receipt | Written]:
    """What a delivery log or a reply says."""
    told, envelope = message_of(posted), document_of(posted)
    when = as_instant(text_at(envelope, "Timestamp"))
    if (sender := text_at(told, "originationNumber")) is not None:
        event = text_at(told, "inboundMessageId") or text_at(envelope, "MessageId") or ""
        return [Written(Channel.SMS, event, sender, text_at(told, "messageBody") or "", when)]
    reference, status = text_at(told, "notification", "messageId"), value_at(told, "status")
    if reference is None or status not in {"SUCCESS", "FAILURE"}:
        return []
    words = text_at(told, "delivery", "providerResponse")
    kind = ReceiptKind.DELIVERED if status == "SUCCESS" else _kind(words or "")
    recipient = text_at(told, "delivery", "destination")
    return [Receipt(kind, f"{reference}:{status}", when, reference=reference, recipient=recipient, words=words)]


def _kind(words: str) -> ReceiptKind:
    return next((kind for kind, pattern in _WORDS if pattern.search(words)), ReceiptKind.FAILED)
