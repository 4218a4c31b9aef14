"""What wakes the loop: a row came in, slots came free, somebody wants us to stop."""

from queue import Empty, SimpleQueue


class WakeUp:
    """Called from any thread and from signal handlers; several calls before the loop looks are one.

    A SimpleQueue and not an Event: its `put` is reentrant, while `Event.set` in a signal handler can
    wait for the very lock that the interrupted thread holds.
    """

    def __init__(self) -> None:
        """Nobody has called yet."""
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._called = False

    def call(self) -> None:
        """Make the current or the next `wait` return at once."""
        if not self._called:
            self._called = True
            self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait for a call, at most `seconds`; True when there was one."""
        try:
            self._calls.get(timeout=max(seconds, 0.0))
        except Empty:
            return False
        # From here on a call is for the next wait; the caller looks at everything after this line.
        self._called = False
        return True
