"""What happens in a worker, as frozen facts; log, metrics and health listen to them through `Observer`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from noti_worker.domain.closures import Closure
from noti_worker.domain.follows import Follow
from noti_worker.domain.follows import size as size_of
from noti_worker.domain.kept import Kept
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.limits import Limit
from noti_worker.domain.notification import Notification
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.value import value


@value
class Result:
    """What became of one claim, to be recorded: a try (`outcome` set) or a decision not to send.

    `account` and `provider` name who was asked. `seconds` is how long the try took, `since` the
    monotonic instant at which it began. `follows` are rows that are written together with the result.
    `kind` is the kind of a decision without a try. `traceparent` is the trace context that the try carried on.
    `texts` are further words of the row that a provider may have quoted; `choice` says why this account was asked.
    `referenced`: receipts will know the message by the provider's id of it alone. `template` is the version that it
    was written from, in words. `kept` is what the try said, where its category wishes that to be kept.
    """

    notification: Notification
    verdict: Verdict
    outcome: Outcome | None = None
    account: str | None = None
    provider: str | None = None
    since: float = 0.0
    seconds: float = 0.0
    follows: tuple[Follow, ...] = field(default=(), repr=False)
    kind: str | None = None
    traceparent: str | None = None
    texts: tuple[str, ...] = field(default=(), repr=False)
    choice: str | None = None
    referenced: bool = False
    template: str | None = None
    kept: Kept | None = None

    @property
    def size(self) -> int:
        """Characters of content that are kept with it."""
        texts = (self.notification.body or "", *self.texts)
        return sum(map(len, texts)) + sum(map(size_of, self.follows)) + (self.kept.size if self.kept else 0)


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker is registered and begins to claim."""

    worker_id: int
    version: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemaNewer:
    """The database is at a `revision` that this version does not know: it goes as far as `known`. It works with it."""

    revision: str
    known: str


@dataclass(frozen=True, slots=True)
class DeliveryModes:
    """How far messages go, by account (live, redirect, dry); told at the start and every ten minutes.

    `unsent` are channels that are redirected to nowhere, and so not sent.
    """

    accounts: Mapping[str, str]
    unsent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerStopping:
    """No new claim from here on; `why` is the signal's name or `asked`."""

    why: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """The last result is recorded (or given up: `left` results stayed unrecorded)."""

    released: int
    left: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch was taken: how many per channel, the delays between due and claim, and the cost."""

    notifications: tuple[Notification, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Tries or decisions are over; they will be recorded next."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A flush went through: fates are applied, busy, again, stale and refused."""

    fates: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class RowSetAside:
    """The database refuses this row what is to be done with it (`what`): it is tried again after `seconds`.

    `rows` are set aside in all. The row of a refused result stays claimed, and the result is kept.
    """

    notification_id: int
    what: str
    error: str
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class RowGoesOn:
    """A row that was set aside is refused no more, or is no longer there; `rows` still are set aside."""

    notification_id: int
    rows: int


@dataclass(frozen=True, slots=True)
class Unable:
    """The database refuses all that is to be done of one kind (`what`), since `seconds`; told once a minute."""

    what: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Able:
    """What was refused for `seconds` goes through again."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DatabaseLost:
    """The database does not answer; told once a minute while it lasts. `seconds` since it went away."""

    error: str
    seconds: float
    waiting: int  # results in hand


@dataclass(frozen=True, slots=True)
class DatabaseBack:
    """The database answers again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DatabaseHeldUp:
    """A lock, a deadlock or a time limit kept a statement from its end; it is tried again. Told once a minute."""

    error: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """No heartbeat for too long: the worker starts no more sends until one succeeds (`on` = False)."""

    on: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """A row in hand is no longer ours: its try is not started, or its result will be stale."""

    notification_id: int


@dataclass(frozen=True, slots=True)
class RendererKilled:
    """A template did not end in time or took too much memory; its child process was replaced."""

    template_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read anew and holds from here on; the settings `restart` names wait for a restart."""

    channels: tuple[str, ...]
    restart: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The configuration was read anew and is wrong: the old one stays. The words name the setting, not its value."""

    error: str


@dataclass(frozen=True, slots=True)
class Retained:
    """Old things went: rows by status (or inbox, attachments); partitions of the logs by name.

    `postponed` things were prevented by somebody's lock; `stray` lines by log have no partition of their own.
    """

    deleted: Mapping[str, int]
    made: tuple[str, ...]
    dropped: tuple[str, ...]
    postponed: tuple[str, ...]
    stray: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Steered:
    """Other things are closed than before."""

    closures: frozenset[Closure]


@dataclass(frozen=True, slots=True)
class CircuitOpened:
    """An account is in trouble and is not tried for `seconds`; told by the worker that opened its circuit."""

    account: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CircuitClosed:
    """A probe went through: the account is used again; told by the worker that sent it."""

    account: str


@dataclass(frozen=True, slots=True)
class Slowed:
    """A provider found us too fast: of its rate the limit has the part `pace` left, and nothing for `seconds`."""

    scope: str
    name: str
    pace: float
    seconds: float


@dataclass(frozen=True, slots=True)
class QuotaUsed:
    """Most of a quota is used, or (`spent`) all of it; told once each by the worker that used it."""

    limit: Limit
    spent: bool


@dataclass(frozen=True, slots=True)
class ReceiptTaken:
    """A provider posted something for an account, and it is kept."""

    account: str


@dataclass(frozen=True, slots=True)
class ReceiptRefused:
    """Somebody posted for an account what is not the provider's, or is too much, or too often: `why` is a word."""

    account: str
    why: str


@dataclass(frozen=True, slots=True)
class ReceiptsRead:
    """What providers told was taken over: how many by (provider, kind, fate), and `unread` requests by provider.

    Fates are matched, parked, given up, known and heard.
    """

    counts: Mapping[tuple[str, str, str], int]
    unread: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LinkUsed:
    """Somebody acted by the link in a message: `answer` is left, stayed, kept, chose or unknown, as the metric says."""

    answer: str


@dataclass(frozen=True, slots=True)
class MailboxReached:
    """A mailbox of bounces was visited to the end; `lost_for` seconds it could not be, None: the visit before could."""

    mailbox: str
    lost_for: float | None


@dataclass(frozen=True, slots=True)
class MailboxLost:
    """A mailbox of bounces cannot be read, since `seconds`; told at each visit."""

    mailbox: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MailboxLeft:
    """Another worker goes to a mailbox of bounces for some time now: what this one knew of it is old."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class MailsRead:
    """Mails of a mailbox of bounces were read: how many of each sort, and the names of those that somebody should see.

    Sorts are report, complaint, auto_reply, unmatched, forged, unreadable and other.
    """

    mailbox: str
    counts: Mapping[str, int]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointDisabled:
    """An endpoint of a tenant took nothing for too long, or is gone; it hears nothing any more."""

    tenant_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something unexpected in one part of the worker; the part goes on. `where` names it."""

    where: str
    error: str


Fact = (
    WorkerStarted
    | SchemaNewer
    | DeliveryModes
    | WorkerStopping
    | WorkerStopped
    | Claimed
    | Finished
    | Recorded
    | RowSetAside
    | RowGoesOn
    | Unable
    | Able
    | DatabaseLost
    | DatabaseBack
    | DatabaseHeldUp
    | Fenced
    | LeaseLost
    | RendererKilled
    | Reloaded
    | ReloadRefused
    | Retained
    | Steered
    | CircuitOpened
    | CircuitClosed
    | Slowed
    | QuotaUsed
    | ReceiptTaken
    | ReceiptRefused
    | ReceiptsRead
    | LinkUsed
    | MailboxReached
    | MailboxLost
    | MailboxLeft
    | MailsRead
    | EndpointDisabled
    | Trouble
)
