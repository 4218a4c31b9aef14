"""E-mail through Amazon SES (API version 2), as the same bytes that an SMTP relay would get.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, open_api, read_json
from noti_worker.providers._aws import Aws, AwsAccount, access_key, common_rules
from noti_worker.providers._mail import Mail, compose
from noti_worker.providers._mail_parts import read_senders
from noti_worker.providers._receipts import (
    ECHO,
    as_instant,
    as_text,
    by_refusal,
    document_of,
    entries,
    ids_of,
    text_at,
    value_at,
)
from noti_worker.providers._sns_envelope import TOPIC, Envelopes, message_of
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://docs.aws.amazon.com/ses/latest/dg/quotas.html
_MOST_RECIPIENTS = 50
_LARGEST = 40_000_000  # bytes as base64

_KEPT = (*KEPT, "x-amzn-requestid")
_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,100}")

RULES = (
    # It moves with the last 24 hours, so it opens little by little.
    Rule(
        "ses.daily_quota",
        Kind.THROTTLED,
        Scope.ACCOUNT,
        status="4..",
        text="daily (message|sending) quota",
        wait=3600.0,
    ),
    *common_rules("ses"),
    Rule(
        "ses.account",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code="LimitExceeded(Exception)?|AccountSuspended(Exception)?|(Account|ConfigurationSet)?SendingPaused(Exception)?",
    ),
    Rule("ses.mail_from", Kind.CONFIG, Scope.SENDER, code="MailFromDomainNotVerified(Exception)?"),
    Rule("ses.not_verified", Kind.CONFIG, Scope.SENDER, status="4..", text="not verified"),
    Rule(
        "ses.not_found",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code="NotFound(Exception)?|ConfigurationSetDoesNotExist(Exception)?",
    ),
    Rule(
        "ses.no_address",
        Kind.DEAD,
        Scope.RECIPIENT,
        code="BadRequestException|MessageRejected|InvalidParameterValue|ValidationE.*",
        text="illegal address|domain contains|local address contains|missing final '@domain'",
    ),
    Rule("ses.rejected", Kind.PERMANENT, code="MessageRejected"),
    Rule("ses.bad_request", Kind.PERMANENT, code="BadRequestException|InvalidParameterValue|ValidationE.*"),
    *BY_STATUS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(AwsAccount):
    """An account at Amazon SES."""

    from_: tuple[str, ...] = field(
        metadata=about(
            "the senders that a message may use, `a@b` or `Name <a@b>`, each verified in that region; the first is the"
            " default. One text or a list"
        )
    )
    configuration_set: str | None = field(default=None, metadata=about("the configuration set that mails go through"))
    tenant_name: str | None = field(default=None, metadata=about("the tenant of SES in whose name mails go out"))
    topic_arn: str | None = field(default=None, metadata=TOPIC)


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    senders = read_senders(settings.from_)
    if any(sender.needs_utf8 for sender in senders):
        raise ConfigurationError("from has a letter beyond ASCII before the @, which Amazon SES does not take")
    for key, name in (("configuration_set", settings.configuration_set), ("tenant_name", settings.tenant_name)):
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise ConfigurationError(f"{key} is no name: it has at most 64 letters, digits, _ and - of ASCII")
    aws = Aws(settings, "ses", "email", kit)
    named = {"ConfigurationSetName": settings.configuration_set, "TenantName": settings.tenant_name}
    fixed = {name: value for name, value in named.items() if value is not None}
    return open_api(kit, _Ses(aws, senders, fixed), aws.url)


class _Ses:
    def __init__(self, aws: Aws, senders: Sequence[Mailbox], fixed: dict[str, Any]) -> None:
        self._aws = aws
        self._senders = senders
        self._fixed = fixed

    def request(self, message: Message) -> Request | Steps:
        mail = compose(message, self._senders)
        raw = base64.b64encode(mail.content).decode("ascii")
        _check(mail, raw)
        body = {
            "FromEmailAddress": mail.sender,
            "Destination": _destination(mail),
            "Content": {"Raw": {"Data": raw}},
            "EmailTags": [
                {"Name": "notification_id", "Value": str(message.notification_id)},
                {"Name": "message_id", "Value": str(message.message_id)},
            ],
            **self._fixed,
        }
        return self._aws.post("/v2/email/outbound-emails", "application/json", json.dumps(body).encode())

    def read(self, reply: Reply) -> Said:
        said = read_json(
            reply,
            id="MessageId",
            code="code|__type",
            words="message|Message",
            keep=_KEPT,
            hidden=access_key(reply.request),
        )
        # "BadRequestException:http://internal.amazon.com/…", as https://smithy.io writes it
        told = reply.headers.get("x-amzn-errortype", "") or said.code
        name = _ERROR.match(told.partition(":")[0].rpartition("#")[2])
        return replace(said, code=name[0] if name else "")


def _check(mail: Mail, raw: str) -> None:
    if mail.needs_utf8:
        raise BadNotification(
            "an address has a letter beyond ASCII before the @, which Amazon SES does not take: send it over smtp"
        )
    if len(mail.recipients) > _MOST_RECIPIENTS:
        raise BadNotification(
            f"options.cc and options.bcc: Amazon SES takes at most {_MOST_RECIPIENTS} recipients of one mail, the"
            " recipient among them: insert one row per recipient"
        )
    if len(raw) > _LARGEST:
        raise BadNotification(
            f"the mail is larger than the {_LARGEST // 1_000_000} MB as base64 that Amazon SES takes: send fewer or"
            " smaller attachments"
        )


def _destination(mail: Mail) -> dict[str, list[str]]:
    """Who gets it; what the mail's own headers name is not read for that."""
    fields = {"ToAddresses": "recipient", "CcAddresses": "cc[", "BccAddresses": "bcc["}
    found = {
        name: [address for where, address in mail.recipients if where.startswith(start)]
        for name, start in fields.items()
    }
    return {name: addresses for name, addresses in found.items() if addresses}


# Receipts: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html of a configuration
# set, and …/notification-contents.html of an identity, which has no tags.

REFERENCES = True
_TRANSIENT = {
    "MessageTooLarge": ReceiptKind.FAILED,
    "ContentRejected": ReceiptKind.FAILED,
    "AttachmentRejected": ReceiptKind.FAILED,
}
_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList"})


def receiver(settings: Settings, kit: Kit) -> Receiver:
    """Takes what the topic of SNS says; raises ConfigurationError that names the key."""
    return Envelopes(settings.topic_arn, kit)


def receipts(posted: Posted) -> list[Receipt]:
    """What an event says, one for each recipient that it names; opens and clicks are left out."""
    told, when = message_of(posted), text_at(document_of(posted), "Timestamp")
    mail = value_at(told, "mail")
    tags = value_at(mail, "tags")
    event = text_at(document_of(posted), "MessageId") or ""
    sent_to = value_at(mail, "destination")
    return [
        Receipt(
            kind,
            f"{event}:{recipient or ''}",
            as_instant(at or when),
            **ids_of({name: value_at(tags, name, 0) for name in ECHO}),
            reference=text_at(mail, "messageId"),
            # A bounce names where a mail was forwarded to; who was meant is known when it was one.
            recipient=as_text(sent_to[0]) if isinstance(sent_to, list) and len(sent_to) == 1 else recipient,
            code=code,
            words=words,
        )
        for kind, recipient, at, code, words in _told(told)
    ]


_Line = tuple[ReceiptKind, str | None, str | None, str | None, str | None]


def _told(told: object) -> Iterator[_Line]:
    """Kind, recipient, time, code and words of each thing that is said."""
    type_ = text_at(told, "eventType") or text_at(told, "notificationType")
    match type_:
        case "Bounce":
            yield from _bounces(value_at(told, "bounce"))
        case "Complaint" if text_at(told, "complaint", "complaintFeedbackType") != "not-spam":
            complaint = value_at(told, "complaint")
            for one in entries(value_at(complaint, "complainedRecipients")):
                reason = text_at(complaint, "complaintFeedbackType") or text_at(complaint, "complaintSubType")
                yield _line(ReceiptKind.COMPLAINED, one, complaint, reason, None)
        case "Delivery":
            delivery = value_at(told, "delivery")
            for address in value_at(delivery, "recipients") or ():
                one = {"emailAddress": address}
                yield _line(ReceiptKind.DELIVERED, one, delivery, None, text_at(delivery, "smtpResponse"))
        case "DeliveryDelay":
            delay = value_at(told, "deliveryDelay")
            for one in entries(value_at(delay, "delayedRecipients")):
                words = text_at(one, "diagnosticCode")
                yield _line(ReceiptKind.DEFERRED, one, delay, text_at(delay, "delayType"), words)
        case "Reject":
            yield _line(ReceiptKind.FAILED, None, None, None, text_at(told, "reject", "reason"))
        case "Rendering Failure":
            yield _line(ReceiptKind.FAILED, None, None, None, text_at(told, "failure", "errorMessage"))
        case "Subscription" if value_at(told, "subscription", "newTopicPreferences", "unsubscribeAll") is True:
            yield _line(ReceiptKind.UNSUBSCRIBED, None, value_at(told, "subscription"), None, None)


def _bounces(bounce: object) -> Iterator[_Line]:
    type_, sub_type = text_at(bounce, "bounceType"), text_at(bounce, "bounceSubType")
    for one in entries(value_at(bounce, "bouncedRecipients")):
        words, code = text_at(one, "diagnosticCode"), text_at(one, "status")
        if type_ != "Permanent":  # an automatic answer looks like one that passes
            kind = _TRANSIENT.get(sub_type or "", ReceiptKind.SOFT_BOUNCED)
        else:
            kind = ReceiptKind.BOUNCED if sub_type in _SUPPRESSED else by_refusal(words, code)
        yield _line(kind, one, bounce, code, words or f"{type_} {sub_type}")


def _line(kind: ReceiptKind, one: object, event: object, code: str | None, words: str | None) -> _Line:
    return kind, text_at(one, "emailAddress"), text_at(event, "timestamp"), code, words
