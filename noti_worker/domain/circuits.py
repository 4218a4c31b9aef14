"""When an account is not to be tried for a while: what its answers say of it. Pure.

A circuit is open while the account is not tried; then one message at a time probes it, after growing waits. Its state
is shared by all workers (`noti.circuits`); what is counted here is what one worker heard.
"""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from noti_worker.domain.outcome import OF_THE_ACCOUNT, Kind, Outcome

WINDOW = 30.0
"""Seconds over which answers are counted."""

LEAST = 10
"""So many answers within the window say something about an account; of fewer each row makes its own."""

SHARE = 0.7
"""An account is in trouble when this part of its answers were failures of its own."""


class Sign(Enum):
    """What one answer says of the account that was asked."""

    SOUND = "sound"  # it answered about a message
    FAILED = "failed"  # it, its provider or the line to it failed
    REFUSED = "refused"  # it will not serve us before somebody mends it


@dataclass(frozen=True, slots=True)
class Waits:
    """How long until an open account is tried: `first`, doubled by each probe that fails, at most `longest`."""

    first: timedelta
    longest: timedelta


LONGEST_FAILED = timedelta(minutes=10)
LONGEST_REFUSED = timedelta(minutes=30)


def sign(outcome: Outcome) -> Sign:
    """Read an answer; a fault of the message, the recipient or our haste says that the account works."""
    if outcome.kind is Kind.OK or outcome.scope not in OF_THE_ACCOUNT:
        return Sign.SOUND
    if outcome.kind is Kind.CONFIG:
        return Sign.REFUSED
    return Sign.FAILED if outcome.kind in {Kind.TRANSIENT, Kind.UNCERTAIN} else Sign.SOUND


class Tally:
    """The answers of one account within the window, by seconds: at thousands a second each by itself is too many."""

    __slots__ = ("_answers", "_failed", "_seconds")

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque()
        self._answers = 0
        self._failed = 0

    def heard(self, read: Sign, now: float) -> bool:
        """Count an answer heard at `now` (monotonic); True when the account is not to be tried any more."""
        failed = read is not Sign.SOUND
        seconds = self._seconds
        if not seconds or now >= seconds[-1].began + 1.0:
            while seconds and seconds[0].began < now - WINDOW:
                gone = seconds.popleft()
                self._answers -= gone.answers
                self._failed -= gone.failed
            seconds.append(_Second(now))
        last = seconds[-1]
        last.answers += 1
        last.failed += failed
        self._answers += 1
        self._failed += failed
        return read is Sign.REFUSED or (failed and self._answers >= LEAST and self._failed >= SHARE * self._answers)


@dataclass(slots=True)
class _Second:
    began: float
    answers: int = 0
    failed: int = 0
