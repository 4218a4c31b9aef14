"""Forget workers that were killed, and limits that are used no more: kept for a day, for whoever asks why."""

from datetime import timedelta

from noti_worker.store.connect import Session
from noti_worker.store.upkeep.departed import forget_departed
from noti_worker.store.upkeep.duties import Duties

EVERY = timedelta(hours=1)
DUTY = "departed"
KEPT = timedelta(days=1)


class ForgetDeparted:
    """Deletes register rows without a heartbeat for a day."""

    def __init__(self, duties: Duties, session: Session) -> None:
        """Nothing happens before `run_once`."""
        self._duties = duties
        self._session = session

    def run_once(self) -> int:
        """Delete if it is due; gives how many rows went. Raises DatabaseAway, DatabaseRefused."""
        if not self._duties.take(DUTY, EVERY):
            return 0
        count = forget_departed(self._session, KEPT)
        self._duties.finish(DUTY, {"forgotten": count})
        return count
