"""One goes ahead: an account that has accepted nothing yet is tried by one message, not by all threads at once.

A wrong password costs one login then, and no lock-out. Once an account has proven itself the gate stands open.
"""

import threading
import time
from collections.abc import Callable

from noti_worker.domain.outcome import OF_THE_ACCOUNT, Kind, Outcome

PATIENCE = 1.0
"""Seconds that the others wait for the answer of the one that went ahead; then they begin all the same."""

SHUT_FOR = 5.0
"""Seconds after a refusal in which nobody begins: time for the news to reach whoever steers."""

# It let us in and spoke about this one message; unless nobody asked it.
_PROOF = frozenset({Kind.OK, Kind.DEAD, Kind.OPTOUT, Kind.PERMANENT})
_NOT_ASKED = frozenset({"compose", "guard"})


class Gate:
    """Of one account. Thread-safe; `proven` may be read without asking anybody."""

    __slots__ = ("_ahead_since", "_answers", "_changed", "_monotonic", "_refused", "_shut_until", "proven")

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nothing is proven yet."""
        self.proven = False
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._ahead_since: float | None = None
        self._answers = 0
        self._refused = False  # by the last answer
        self._shut_until = float("-inf")

    def admit(self) -> bool:
        """May a message begin now? Waits for the answer of the one that is ahead; False when we were refused."""
        with self._changed:
            answers = self._answers
            while not self.proven and answers == self._answers:
                now = self._monotonic()
                if self._refused and now < self._shut_until:
                    return False
                if self._ahead_since is None:
                    self._ahead_since = now
                    return True
                if (left := self._ahead_since + PATIENCE - now) <= 0:
                    return True
                self._changed.wait(left)
            return not self._refused

    def heard(self, outcome: Outcome | None) -> None:
        """Let the others go by what was answered; None when the one ahead did not begin: then another goes.

        A refusal counts whatever was proven before.
        """
        with self._changed:
            self._ahead_since = None
            if outcome is not None:
                self._answers += 1
                self._refused = outcome.kind is Kind.CONFIG and outcome.scope in OF_THE_ACCOUNT
                self.proven = not self._refused and (self.proven or _proves(outcome))
                self._shut_until = self._monotonic() + SHUT_FOR if self._refused else self._shut_until
            self._changed.notify_all()


def _proves(outcome: Outcome) -> bool:
    return outcome.kind in _PROOF and outcome.offered and outcome.stage not in _NOT_ASKED
