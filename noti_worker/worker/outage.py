"""The database away for minutes or hours is normal weather: wait with jitter, say so once a minute."""

import threading
from collections.abc import Callable

from noti_worker.domain.errors import DatabaseAway, DatabaseBusy
from noti_worker.domain.facts import DatabaseBack, DatabaseHeldUp, DatabaseLost
from noti_worker.domain.ports import Clock, Observer

FIRST_WAIT = 0.1
LONGEST_WAIT = 3.0
"""Before it is spread by a half, so never above 4.5 s: results in hand are recorded long before the 15 s are over for
which neighbours leave expired leases alone after an outage."""

SAY_EVERY = 60.0


MOST_RESULTS = 5_000
MOST_CONTENT = 64 * 1024 * 1024
"""Results, and characters of content with them, that wait in memory to be recorded."""


class Outage:
    """Shared by all threads that talk to the database: is it away, since when, how long to wait now, what waits for it.

    Thread-safe.
    """

    def __init__(self, clock: Clock, observer: Observer, dice: Callable[[], float]) -> None:
        """Begin in good weather."""
        self._clock = clock
        self._observer = observer
        self._dice = dice
        self._waiting: Callable[[], int] = lambda: 0
        self._size: Callable[[], int] = lambda: 0
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said = 0.0
        self._busy_said = float("-inf")
        self._tries = 0
        self.count = 0  # outages so far
        self._settled = 0  # outages after which all results were recorded
        self._ended: float | None = None

    @property
    def on(self) -> bool:
        """True while the database is away."""
        return self._since is not None

    def watch(self, waiting: Callable[[], int], size: Callable[[], int]) -> None:
        """Ask here how many results are in hand, and how many characters of content with them."""
        self._waiting, self._size = waiting, size

    @property
    def waiting(self) -> int:
        """How many results are in hand and not recorded."""
        return self._waiting()

    @property
    def much(self) -> bool:
        """Whether so much is in hand that nothing may join it before some of it is recorded."""
        return self._size() > MOST_CONTENT or self.waiting > MOST_RESULTS

    @property
    def results_first(self) -> bool:
        """While the database is away only heartbeat and recorder knock; then results in hand go before all else."""
        outages = self.count
        if not self.on and not self.waiting:
            self._settled = outages
        return self.on or self._settled != outages

    def failed(self, error: DatabaseAway) -> float:
        """Note a failed call; gives the seconds to wait before the next one.

        A call that another transaction was in the way of makes no outage: the neighbours' leases still count.
        """
        now = self._clock.monotonic()
        if isinstance(error, DatabaseBusy):
            with self._lock:
                say = now - self._busy_said >= SAY_EVERY
                self._busy_said = now if say else self._busy_said
            if say:
                self._observer.on(DatabaseHeldUp(str(error)))
            return FIRST_WAIT * (0.5 + self._dice())
        with self._lock:
            say = self._since is None or now - self._said >= SAY_EVERY
            if self._since is None:
                self._since, self._tries = now, 0
                self.count += 1
            since = self._since
            if say:
                self._said = now
            wait = min(FIRST_WAIT * 2.0 ** min(self._tries, 10), LONGEST_WAIT) * (0.5 + self._dice())
            self._tries += 1
        if say:
            self._observer.on(DatabaseLost(str(error), now - since, self.waiting))
        return wait

    def answered(self) -> None:
        """Note a call that went through."""
        if self._since is None:
            return
        now = self._clock.monotonic()
        with self._lock:
            since, self._since, self._ended = self._since, None, now
        if since is not None:
            self._observer.on(DatabaseBack(now - since))

    def ended_within(self, seconds: float) -> bool:
        """True when an outage ended less than `seconds` ago."""
        ended = self._ended
        return ended is not None and self._clock.monotonic() - ended < seconds
