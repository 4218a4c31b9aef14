"""What is heard of a message after it was sent: what a provider posts, and what is read out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from noti_worker.domain.notification import Channel
from noti_worker.domain.secret import Secret


class ReceiptKind(StrEnum):
    """What became of a message, from good to bad; the last four stand in the notification itself, too."""

    DEFERRED = "deferred"  # not delivered yet, the provider tries again
    DELIVERED = "delivered"
    READ = "read"
    SOFT_BOUNCED = "soft_bounced"  # not delivered, for a reason that passes: a full mailbox, a phone that is off
    UNSUBSCRIBED = "unsubscribed"  # the person wants no more of these
    FAILED = "failed"  # not delivered, for a reason that is not the address: content, policy, reputation
    BOUNCED = "bounced"  # not delivered: the address does not exist
    COMPLAINED = "complained"  # the person calls it spam


GREETING = "noti-worker\n"
"""What stands at the root of the address to which is posted: `doctor` asks whether it is there."""

REPLIED = "replied"
"""The kind of a line that is no fate of a message: a person wrote."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as a provider posted it: header names in lower case, the query as it stands in the URL."""

    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing that a provider says of one message to one recipient.

    `event` is the provider's own id of it, the same when it is told again. The message is known by `notification_id`
    and `message_id`, which went out with it and came back, else by `reference`, the id that the provider gave it.
    `recipient` None: whoever the notification is for. `at` None: it does not say when. `words` are the provider's.
    """

    kind: ReceiptKind
    event: str
    at: datetime | None = None
    notification_id: int | None = None
    message_id: UUID | None = None
    reference: str | None = None
    recipient: str | None = field(default=None, repr=False)
    code: str | None = None
    words: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote to one of our numbers: `sender` is theirs, `text` may be empty. `event` is as in Receipt."""

    channel: Channel
    event: str
    sender: str = field(repr=False)
    text: str = field(default="", repr=False)
    at: datetime | None = None


class NotGenuine(Exception):
    """A request that is not the provider's, or cannot be shown to be; `why` is one of a few words, for metrics."""

    def __init__(self, why: str, words: str) -> None:
        super().__init__(words)
        self.why = why


class NotNow(Exception):
    """A request that may be the provider's, and cannot be taken just now: it will post it again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that is the provider's. `keep`: it tells something, and is stored. The rest is what is answered."""

    keep: bool = True
    body: bytes = b""
    media_type: str | None = None


class Receiver(Protocol):
    """One account's side towards its provider. Used by several threads at once."""

    def take(self, posted: Posted, now: datetime) -> Taken:
        """See whether the provider sent it, by its signature. Raises NotGenuine, NotNow."""
        ...


@dataclass(frozen=True, slots=True)
class Inlet:
    """Where an account takes what its provider posts: behind `token`, which is a part of the URL."""

    account: str
    provider: str
    token: Secret
    receiver: Receiver


def echo_of(notification_id: int, message_id: UUID) -> str:
    """What goes out with a message, for a provider that gives one text back."""
    return f"{notification_id}.{message_id}"
