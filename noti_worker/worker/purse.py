"""What a worker has in hand of one limit."""

from collections import deque

from noti_worker.domain.limits import Limit

FRESH = 0.1
"""Seconds for which a token is good: what goes out in any time is the rate and the burst, and what this brings."""


class Purse:
    """The tokens of one limit that are in hand, the oldest first, each with the time it is good until."""

    __slots__ = ("_good", "_tokens", "again")

    def __init__(self, limit: Limit) -> None:
        """Begin empty."""
        self._good = max(FRESH, limit.every / limit.amount) if limit.is_rate else float("inf")
        self._tokens: deque[float] = deque()
        self.again = float("-inf")  # nothing is there to be had before

    def count(self, now: float) -> int:
        """How many there are; those that are too old are lost."""
        while self._tokens and self._tokens[0] < now:
            self._tokens.popleft()
        return len(self._tokens)

    def put(self, tokens: int, now: float) -> None:
        """Add what was granted at `now`."""
        self._tokens.extend([now + self._good] * tokens)

    def pop(self, tokens: int = 1) -> None:
        """Take the oldest out: spent, or given back."""
        for _ in range(tokens):
            self._tokens.popleft()

    def lose(self) -> None:
        """Forget what there is."""
        self._tokens.clear()
