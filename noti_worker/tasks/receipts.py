"""Read what providers posted, each request by its provider's own file."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from noti_worker import providers
from noti_worker.domain.errors import ConfigurationError, DatabaseRefused
from noti_worker.domain.facts import ReceiptsRead
from noti_worker.domain.ports import Observer
from noti_worker.store.receipts import Raw, ReceiptDesk
from noti_worker.store.receipts.desk import Said

SWEEP_EVERY = 10.0
"""Seconds between two looks from the beginning on: a request may be committed after one that came later."""


class ReadReceipts:
    """Any number of workers read at the same time, each other requests."""

    def __init__(self, desk: ReceiptDesk, observer: Observer, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nothing happens before `run_once`."""
        self._desk = desk
        self._observer = observer
        self._monotonic = monotonic
        self._floor = 0  # what stands before is read: dead entries of the index are not walked again
        self._swept_at = float("-inf")

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        """Read at most `most` requests; gives how many, and when to come again. Raises DatabaseError."""
        now = self._monotonic()
        if now - self._swept_at >= SWEEP_EVERY:
            self._floor, self._swept_at = 0, now
        counts: Counter[tuple[str, str, str]] = Counter()
        unread: Counter[str] = Counter()
        done = 0
        while done < most and self._read_one(counts, unread):
            done += 1
        if counts or unread:
            self._observer.on(ReceiptsRead(dict(counts), dict(unread)))
        return done, self._desk.next_at()

    def _read_one(self, counts: Counter[tuple[str, str, str]], unread: Counter[str]) -> bool:
        at: Raw | None = None

        def read(raw: Raw) -> Said | str:
            nonlocal at
            at = raw
            found = said_by(raw)
            if isinstance(found, str):
                unread[raw.provider] += 1
            return found

        try:
            raw_id, told = self._desk.read(self._floor, read)
        except DatabaseRefused as error:
            if at is None or error.whole:
                raise
            self._desk.give_up(at.raw_id, str(error))
            unread[at.provider] += 1
            return True
        counts.update(told)
        self._floor = max(self._floor, raw_id or 0)
        return raw_id is not None


def said_by(raw: Raw) -> Said | str:
    """What a request says, by its provider's own file; in words why that is not known."""
    try:
        reporting = providers.reporting(raw.provider)
        if reporting is None:
            return f"the provider {raw.provider} posts nothing that is understood"
        return reporting.receipts(raw.posted)
    except ConfigurationError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one request that nobody foresaw must not keep the others from being read
        return f"it cannot be read: {type(error).__name__}"
