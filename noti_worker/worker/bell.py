"""What wakes the loop: a row came in, slots came free, somebody wants us to stop."""

from queue import Empty, SimpleQueue


class Bell:
    """Rung from any thread and from signal handlers; several rings before the loop looks are one.

    A SimpleQueue and not an Event: its `put` is reentrant, while `Event.set` in a signal handler can
    wait for the very lock that the interrupted thread holds.
    """

    def __init__(self) -> None:
        """Start silent."""
        self._rings: SimpleQueue[None] = SimpleQueue()
        self._rung = False

    def ring(self) -> None:
        """Make the current or the next `wait` return at once."""
        if not self._rung:
            self._rung = True
            self._rings.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most `seconds`; True when it rang."""
        try:
            self._rings.get(timeout=max(seconds, 0.0))
        except Empty:
            return False
        # From here on a ring is for the next wait; the caller looks at everything after this line.
        self._rung = False
        return True
