"""See which quotas and bounds what waits will use up, once for all workers: beyond them inserts are refused."""

import time
from collections.abc import Callable
from datetime import timedelta

from noti_worker.store.connect import Session
from noti_worker.store.upkeep.duties import Duties
from noti_worker.store.upkeep.quotas import watch_quotas

EVERY = timedelta(milliseconds=500)
DUTY = "quotas"

SHARE = 20
"""The next count waits this many times as long as the last one took: what waits may be a million rows."""


class WatchQuotas:
    """Does nothing while neither a quota nor a bound refuses."""

    def __init__(
        self,
        duties: Duties,
        session: Session,
        refuses: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refuses` tells whether some quota or bound does."""
        self._duties = duties
        self._session = session
        self._refuses = refuses
        self._monotonic = monotonic
        self._not_before = float("-inf")

    def run_once(self) -> int:
        """Count if it is due; gives how many are full. Raises DatabaseAway, DatabaseRefused."""
        began = self._monotonic()
        if not self._refuses() or began < self._not_before or not self._duties.take(DUTY, EVERY):
            return 0
        full = watch_quotas(self._session)
        self._duties.finish(DUTY, {"full": full})
        ended = self._monotonic()
        self._not_before = ended + SHARE * (ended - began)
        return full
