"""A notification on its way: the claimed row, what was looked up for it, the message that goes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from noti_worker.domain.choice import Choice, Frequency
from noti_worker.domain.contact import USER, Contact, Unreached
from noti_worker.domain.hours import Full, Quiet, Shut
from noti_worker.domain.suppression import Suppression
from noti_worker.domain.value import value


class Channel(StrEnum):
    """The ways to reach somebody; `notifications_log.channel`."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    PUSH = "push"
    VOICE = "voice"
    CHAT = "chat"
    WEBHOOK = "webhook"
    IN_APP = "in_app"


BY_PHONE = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.VOICE})
"""The channels that reach a phone number."""


class Priority(StrEnum):
    """Urgent first; ageing lets an old `low` row rise."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Status(StrEnum):
    """The label of a row for people. The diagram stands in `lifecycle`."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    HELD = "held"
    GATHERING = "gathering"  # until its digest goes out; no worker claims it
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class OnUncertain(StrEnum):
    """What to do when the payload went out and the answer was lost."""

    RETRY = "retry"  # at least once
    HOLD = "hold"  # at most once: an operator decides
    FAIL = "fail"  # at most once: give up


@value
class Notification:
    """One claimed row. `(claimed_by, claim_count)` is the fencing token; the store knows `claimed_by`.

    Only scalars that are safe and small: of the documents it says whether there are any, and a body of more than
    16 kB is None here, too; they come with the briefing. Content is kept out of `repr`.
    All instants are aware UTC by the database's clock; `claimed_at` is that clock at the claim.
    """

    notification_id: int
    claim_count: int
    channel: Channel
    priority: Priority
    tenant_id: str
    recipient: str = field(repr=False)
    message_id: UUID
    created_at: datetime
    due_at: datetime
    claimed_at: datetime
    first_due_at: datetime  # coalesce(send_at, created_at): since when it may be sent, retries aside
    subject: str | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    long_body: bool = False  # it has a body, which comes with the briefing
    template_id: str | None = None
    has_data: bool = False
    locale: str | None = None
    has_options: bool = False
    expires_at: datetime | None = None
    retry_count: int = 0
    max_retries: int | None = None  # None: it did not say, the channel does
    attempt_count: int = 0
    lost_count: int = 0
    requested: Status | None = None  # cancelled or held, asked for while an earlier claim was in flight
    on_uncertain: OnUncertain | None = None  # None: the channel's setting
    dispatched: bool = False  # an earlier claim was lost after its dispatch mark: it may have been sent
    provider: str | None = None  # the account (or provider) that this row asks for
    traceparent: str | None = None
    copy_of: int | None = None  # the row that was sent without this one, a copy of its message
    category: str | None = None
    template_version: int | None = None  # the newest of its template that is not newer; None: the newest
    listed: bool = False  # the suppression list has entries: its address is to be looked up there
    choosing: bool = False  # people chose something, or categories ask for it: this is to be looked up
    peopled: bool = False  # people's addresses are known: whose this one is can be looked up
    collapses: bool = False  # it has a collapse key: a newer row may have taken its place
    fallback_of: int | None = None  # it is sent only if this one, on another channel, was not
    gathered: bool = False  # it is a digest, or waited for one
    rescued: bool = False  # its earlier claim was lost, and this claim found out

    @property
    def user(self) -> str | None:
        """The person that it is to, whose address is to be looked up; None for a row that names the address."""
        if self.channel is Channel.IN_APP or not self.recipient.startswith(USER):
            return None
        return self.recipient[len(USER) :]


@dataclass(frozen=True, slots=True)
class Template:
    """The Jinja2 sources of a named template; at least one of `body` and `html` is set.

    `version` says in words which version it is, in which language; `locale` is that language. `parts` are the
    templates that it extends, includes or imports, directly or by way of another.
    """

    template_id: str
    subject: str | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    version: str | None = None
    parts: tuple["Template", ...] = field(default=(), repr=False)
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an e-mail; with a `content_id` it is shown inside the html, by `cid:CONTENT_ID`."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Elder:
    """The notification whose place a row takes if it is not sent: the one that decides, of a chain of them.

    `status` None: it is gone.
    """

    notification_id: int
    channel: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class Briefing:
    """What was looked up for one notification, in one round trip for the whole batch.

    `template_data` and `options` are JSON *text* and are parsed per row, so that a poison document harms its own row
    and not the batch. `body` is a long one. With `incomplete` the row's own content is too large for a batch or has
    attachments: it is looked up when the send begins (`Queue.complete`). `attachments` stand in the order of
    `options.attachments`; an id that does not exist is in `missing`. `unreadable` says why the content cannot be had
    at all. `last_account` and `last_kind` tell of the latest recorded try (None before the first).
    `suppression` is what the suppression list says of the address, `left_out` the copies that
    it stops (`cc[0]`) with the number of the entry; `replies` are the accounts that hear
    what recipients write to them, and when this one last did. `leaves` is the hash of the address, where its owner may
    leave the row's category. `newer` is the row that took the place of this one, by their collapse key. `zone` is the
    recipient's time zone (IANA), None where nobody said one. `elder` is what became of those whose place it takes.
    `contact` is where a person is reached, `unreached` says why not; a row that names its address has neither.
    `choice` is what its person chose of the category, `frequency` how often that person wants such messages (`hourly`
    and `daily` ones gather);
    `expires_after` is how long messages of the category are worth sending. `quiet`, `shut`
    and `full` say that it is not to be sent now, for its recipient's sake. `keeps` is for how long the row's category
    wishes its content to be kept.
    """

    template: Template | None = None
    body: str | None = field(default=None, repr=False)
    template_data: str | None = field(default=None, repr=False)
    options: str | None = field(default=None, repr=False)
    incomplete: bool = False
    attachments: tuple[Attachment, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: str | None = None
    last_account: str | None = None
    last_kind: str | None = None
    suppression: Suppression | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    replies: Mapping[str, datetime | None] = field(default_factory=dict)
    leaves: bytes | None = field(default=None, repr=False)
    newer: int | None = None
    zone: str | None = None
    elder: Elder | None = None
    contact: Contact | None = None
    unreached: Unreached | None = None
    choice: Choice | None = None
    frequency: Frequency = Frequency.INSTANT
    expires_after: timedelta | None = None
    quiet: Quiet | None = None
    shut: Shut | None = None
    full: Full | None = None
    keeps: timedelta | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """What it holds of the row's own words, and the address that a provider may quote."""
        address = None if self.contact is None else self.contact.address
        return tuple([text for text in (self.body, self.template_data, self.options, address) if text is not None])


@value
class Message:
    """A message ready to go out through `account`: rendered, checked and routed.

    `text` is the plain body (None only when there is `html`); `options` is validated per channel.
    `message_id` is the same on every try, and so is `dated_at`, an e-mail's Date: the later of the row's
    created_at and send_at. `left_out` are copies that do not get it (`cc[0]`), with the entry of the suppression list.
    """

    notification_id: int
    message_id: UUID
    channel: Channel
    tenant_id: str
    recipient: str = field(repr=False)
    account: str
    dated_at: datetime
    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    traceparent: str | None = None
    choice: str | None = None  # why this account; None for the first of its route
    template: str | None = None  # which version of its template, in words; None without one
    left_out: Mapping[str, int] = field(default_factory=dict)
    contact: Contact | None = None  # where the person is reached that the row names
    keeps: timedelta | None = None  # for how long what it says is kept with its try


@dataclass(frozen=True, slots=True)
class Wait:
    """Do not send yet; the row is due again after `delay`. No try is spent, and it was no fault of its own."""

    delay: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Do not send; the row is parked (`held` or `unknown`) until somebody decides."""

    reason: str
    status: Status = Status.HELD


@dataclass(frozen=True, slots=True)
class Drop:
    """Do not send; the row is finished as `status` (cancelled, expired, suppressed or failed)."""

    status: Status
    reason: str
    kind: str | None = None  # for failed: permanent, lost, …


@dataclass(frozen=True, slots=True)
class Gather:
    """Do not send it alone; the row waits (`gathering`) for the next `hourly` or `daily` message of its category."""

    frequency: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Do not send now; the row is given back as if nobody had claimed it."""

    reason: str


Stop = Wait | Hold | Drop | Gather | Leave
"""Why a row is not sent now, and what becomes of it instead."""


def addressed(row: Notification, contact: Contact | None) -> Notification:
    """The row with the address of the person that it names, in that person's language where it says none."""
    if contact is None:
        return row
    return replace(row, recipient=contact.address, locale=row.locale or contact.locale)
