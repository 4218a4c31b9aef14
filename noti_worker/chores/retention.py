"""Let old things go, and make the months of the logs before they begin; see `store/upkeep/retention.py`."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from noti_worker.domain.ages import Ages
from noti_worker.domain.errors import DatabaseRefused
from noti_worker.domain.facts import Retained
from noti_worker.domain.ports import Observer
from noti_worker.store.connect import Session
from noti_worker.store.upkeep.duties import Duties
from noti_worker.store.upkeep.retention import run

EVERY = timedelta(minutes=10)
DUTY = "retention"
SECONDS = 60.0
"""How long one run deletes at most, well within the lease of a duty; the next one goes on."""


class Retention:
    """Sees to partitions and deletes what is past its age when it is this worker's turn."""

    def __init__(
        self,
        duties: Duties,
        session: Session,
        ages: Ages,
        observer: Observer,
        show: Callable[[Mapping[str, int]], None],
    ) -> None:
        """`show` gets the lines in default partitions by log, whoever counted them."""
        self._duties = duties
        self._session = session
        self._ages = ages
        self._observer = observer
        self._show = show
        self._stopped = threading.Event()

    def run_once(self) -> int:
        """Do what is due; gives how many rows and partitions that were. Raises DatabaseAway, DatabaseRefused."""
        count = 0
        refusal = None
        if self._duties.take(DUTY, EVERY):
            try:
                done = run(self._session, self._ages, wait=self._stopped.wait, seconds=SECONDS)
            finally:
                self._session.close()  # no connection stands idle until the next time
            self._duties.finish(DUTY, {"stray": done.stray})
            count, refusal = done.count, done.refusal
            if count or done.stray or done.postponed:
                self._observer.on(
                    Retained(done.deleted, done.made + done.settled, done.dropped, done.postponed, done.stray)
                )
        state = self._duties.state(DUTY) or {}
        self._show(state.get("stray", {}))
        if refusal is not None:
            raise DatabaseRefused(refusal)
        return count

    def stop(self) -> None:
        """End a run after its batch: the process waits for it."""
        self._stopped.set()
