"""Whose requests are not even read any more: those of clients that were refused again and again."""

from collections.abc import Callable

MOST = 20
WINDOW = 60.0
"""So many refusals within so many seconds; then a client waits until they are over."""

REMEMBERED = 10_000
"""Clients at a time."""


class Strangers:
    """Counts refusals by the client's address, and never what is genuine. For one event loop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Nobody was refused yet."""
        self._monotonic = monotonic
        self._counts: dict[str, tuple[int, float]] = {}  # and when the window ends

    def refused(self, client: str) -> None:
        """Note a refusal."""
        now = self._monotonic()
        count, ends = self._counts.get(client, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + WINDOW
            if len(self._counts) >= REMEMBERED:
                self._counts = {known: one for known, one in self._counts.items() if one[1] > now}
            if len(self._counts) >= REMEMBERED:
                self._counts.clear()
        self._counts[client] = count + 1, ends

    def tiresome(self, client: str) -> bool:
        """Whether to refuse the client unread."""
        count, ends = self._counts.get(client, (0, 0.0))
        return count >= MOST and ends > self._monotonic()
