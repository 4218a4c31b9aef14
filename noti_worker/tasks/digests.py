"""Send what gathered, when the window of its digest is over."""

import time
from collections.abc import Callable
from datetime import datetime

from noti_worker.store.connect import Session
from noti_worker.store.upkeep.digests import close_digests

SWEEP_EVERY = 10.0
"""Seconds between two looks from the beginning on: a row may be committed after one that was due later."""


class CloseDigests:
    """Any number of workers do it; while nothing gathers it is a look at an index that is empty."""

    def __init__(self, session: Session, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nothing happens before `run_once`."""
        self._session = session
        self._monotonic = monotonic
        self._floor: datetime | None = None  # nothing is due before: dead entries of the index are not walked again
        self._swept_at = float("-inf")

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        """Close what is due; gives how many digests that were, and when the next one is due. Raises DatabaseError."""
        now = self._monotonic()
        if now - self._swept_at >= SWEEP_EVERY:
            self._floor, self._swept_at = None, now
        done = close_digests(self._session, most, self._floor)
        self._floor = done.seen
        return done.closed, done.next_at
