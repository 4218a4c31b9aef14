"""Is the worker alive, is it ready; and the small HTTP server that says so and serves /metrics."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from noti_worker.domain.facts import (
    Able,
    DatabaseBack,
    DatabaseLost,
    Fact,
    Fenced,
    Reloaded,
    Unable,
    WorkerStarted,
    WorkerStopping,
)

STUCK_AFTER = 60.0
"""Seconds after which a loop that did not tick is stuck. Statements end by their own time limits long before."""

REACHABLE_WITHIN = 5.0
"""The database counts as reachable while its last answer is no older, so that a blip takes nobody out of service."""

LOST_FOR = 60.0
"""Seconds after which the process that strangers reach is tried again."""

BEAT_EVERY = 2.0
"""The loop `leases` ticks at least this often, just before it asks the database."""


class Vitals(Protocol):
    """What is wrong with a process; nothing when all is well."""

    def live(self) -> list[str]:
        """Why it should be started anew."""
        ...

    def ready(self) -> list[str]:
        """Why it does not work now."""
        ...


class Health:
    """Learns from facts and ticks; `live` and `ready` give what is wrong, and nothing when all is well. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """A loop is judged from its first tick on."""
        self._monotonic = monotonic
        self._ticks: dict[str, float] = {}
        self._started = False
        self._channels: tuple[str, ...] = ()
        self._draining = False
        self._fenced = False
        self._unable: Mapping[str, str] = {}  # replaced whole
        self._lost_since: float | None = None

    def tick(self, loop: str) -> None:
        """Note that a loop goes round."""
        self._ticks[loop] = self._monotonic()

    def on(self, fact: Fact) -> None:
        """Take note of what changes the answers."""
        match fact:
            case WorkerStarted(_, _, channels):
                self._started, self._channels = True, channels
            case Reloaded(channels, _):
                self._channels = channels
            case WorkerStopping():
                self._draining = True
            case DatabaseLost(_, seconds, _):
                self._lost_since = self._monotonic() - seconds
            case DatabaseBack():
                self._lost_since = None
            case Fenced(on, _):
                self._fenced = on
            case Unable(what, error, _):
                self._unable = {**self._unable, what: error}
            case Able(what, _):
                self._unable = {of: error for of, error in self._unable.items() if of != what}
            case _:
                pass

    def live(self) -> list[str]:
        """The loops that are stuck. A database that is away is no reason to be restarted."""
        now = self._monotonic()
        return [f"loop {loop} is stuck" for loop, last in sorted(self._ticks.items()) if now - last > STUCK_AFTER]

    def ready(self) -> list[str]:
        """Why this worker delivers nothing now."""
        reasons = self.live()
        if not self._started:
            reasons.append("starting")
        elif not self._channels:
            reasons.append("no channel can be served")
        if self._draining:
            reasons.append("stopping")
        if self._fenced:
            reasons.append("no heartbeat")
        if not self._reachable():
            reasons.append("the database does not answer")
        reasons += [f"cannot {what}: {error}" for what, error in self._unable.items()]
        return reasons

    def _reachable(self) -> bool:
        now, lost = self._monotonic(), self._lost_since
        if lost is not None and now - lost >= REACHABLE_WITHIN:
            return False
        # A call that hangs is not reported before its time limit; the loop that makes it does not tick meanwhile.
        beat = self._ticks.get("leases")
        return beat is None or self._draining or now - beat < BEAT_EVERY + REACHABLE_WITHIN


class WebHealth:
    """The same of the process that strangers reach. Thread-safe."""

    def __init__(self, serves: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        """`serves` tells whether it answers."""
        self._serves = serves
        self._monotonic = monotonic
        self._lost_at: float | None = None

    def on(self, fact: Fact) -> None:
        """Take note of what changes the answers."""
        match fact:
            case DatabaseLost():
                self._lost_at = self._monotonic()
            case DatabaseBack():
                self._lost_at = None
            case _:
                pass

    def live(self) -> list[str]:
        """Whether it has stopped to serve. A database that is away is no reason to be restarted."""
        return [] if self._serves() else ["it does not serve"]

    def ready(self) -> list[str]:
        """Why what is posted is not kept. It asks the database only when something is posted, so this is forgotten."""
        away = self._lost_at is not None and self._monotonic() - self._lost_at < LOST_FOR
        return self.live() + (["the database does not answer"] if away else [])
