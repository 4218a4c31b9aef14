"""Tell endpoints what happened."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from noti_worker.domain.facts import EndpointDisabled
from noti_worker.domain.ports import Clock, Observer
from noti_worker.store.connect import Session
from noti_worker.store.upkeep.events import pump_events

SWEEP_EVERY = 10.0
"""Seconds between two looks from the beginning on: an event may be committed after one that came later."""

SOON = timedelta(milliseconds=100)
"""While an endpoint has more to hear than one webhook holds: as soon as it has taken that."""


class TellEvents:
    """Any number of workers try, one at a time does it for all; nobody asks anything while there is no endpoint."""

    def __init__(
        self,
        session: Session,
        told: Callable[[], bool],
        clock: Clock,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`told` says whether there is an endpoint that hears of events. Nothing happens before `run_once`."""
        self._session = session
        self._told = told
        self._clock = clock
        self._observer = observer
        self._monotonic = monotonic
        self._floor = 0  # what stands before has its place: dead entries of the index are not walked again
        self._swept_at = float("-inf")
        self._soon_until = float("-inf")

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        """Tell what waits; gives how many events that were, and when to come again. Raises DatabaseError."""
        if not self._told():
            return 0, None
        now = self._monotonic()
        if now - self._swept_at >= SWEEP_EVERY:
            self._floor, self._swept_at = 0, now
        pumped = pump_events(self._session, self._floor)
        self._floor = pumped.last
        for tenant_id, name, reason in pumped.failed:
            self._observer.on(EndpointDisabled(tenant_id, name, reason))
        if pumped.more:
            self._soon_until = now + 1.0
        # never `most`, after which it would be called at once: what was told is under way
        return min(pumped.told, most - 1), self._clock.now() + SOON if now < self._soon_until else None
