"""What a conversation over a line of text may ask the house for, as plain values: no socket, no clock.

A conversation is a generator. It yields a `Hear` or `Secure` and is sent what was heard; `ms` of the step says how long
that took. Where the line breaks, `Broke` is thrown in. Who drives it (a thread, an event loop) is not its matter.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from noti_worker.domain.notification import Message
from noti_worker.domain.said import Said

STEP_AT_MOST = 60.0
"""Seconds that the other side has for one step, unless it says otherwise; the limit of the whole stands above."""


@dataclass(slots=True)
class Hear:
    """Write `first`, then read within `most` seconds what comes: one line or more, without their ends.

    With `beyond` reading may last longer than the limit of the whole. A step that was taken may be asked for again.
    """

    first: bytes = field(default=b"", repr=False)
    most: float = STEP_AT_MOST
    beyond: bool = False
    ms: float = 0.0


@dataclass(slots=True)
class Secure:
    """Speak TLS from here on; nothing that was said before counts. What is heard is the version of TLS."""

    ms: float = 0.0


class Broke(Exception):
    """The line broke: `code` for rules, `reason` for a person, `ms` since the step before was over.

    With `writing` not all was written that was to be: the other side did not get its end.

    Codes: dns, refused, connect, not_loopback, timeout, closed, endless, spoke, spoke_early, certificate,
    no_common_tls.
    """

    def __init__(self, code: str, reason: str, ms: float = 0.0, *, writing: bool = False) -> None:
        super().__init__(reason)
        self.code, self.reason, self.ms, self.writing = code, reason, ms, writing


T = TypeVar("T")
Talk = Generator[Hear | Secure, list[str], T]


@dataclass(slots=True)
class Ended:
    """How a message ended on a line: what was said, whether the line is sound, whether it may be worn out.

    With `worn_out` nothing of the message went out: on a line that was used before, it is tried once on a fresh one.
    """

    said: Said
    keep: bool
    worn_out: bool = False


Ready = TypeVar("Ready")


class Exchange(Protocol[Ready]):
    """One message, or a look without one, on one line or, when that is worn out, on two."""

    def unreachable(self, broke: Broke) -> Said:
        """No connection came about."""
        ...

    def open(self, address: str, ms: float) -> Talk[Ready | Said]:
        """From a fresh connection to `address`, made in `ms` milliseconds, to where messages are taken.

        Gives what the line can do, or why it failed.
        """
        ...

    def send(self, ready: Ready) -> Talk[Ended]:
        """The message itself, on a line that is open."""
        ...

    def look(self, ready: Ready) -> Said:
        """What a look at the account found, on a line that was opened."""
        ...


class Conversation(Protocol[Ready]):
    """A provider's translation into lines of text; used by several threads at once."""

    farewell: bytes

    def about(self, message: Message | None) -> Exchange[Ready]:
        """Begin with a message (None: only look); raises BadNotification when it cannot be sent as it stands."""
        ...
