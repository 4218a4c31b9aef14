"""Forget workers that were killed: their rows in the register are kept for a day, for whoever asks why."""

from datetime import timedelta

from noti_worker.store.workers import PostgresWorkers

EVERY = timedelta(hours=1)
DUTY = "departed"
KEPT = timedelta(days=1)


class ForgetDeparted:
    """Deletes register rows without a heartbeat for a day."""

    def __init__(self, worker_id: int, workers: PostgresWorkers) -> None:
        """Nothing happens before `run_once`."""
        self._worker_id = worker_id
        self._workers = workers

    def run_once(self) -> int:
        """Delete if it is due; gives how many rows went. Raises DatabaseAway, DatabaseRefused."""
        if not self._workers.take_duty(self._worker_id, DUTY, EVERY):
            return 0
        count = self._workers.forget(KEPT)
        self._workers.finish_duty(DUTY, self._worker_id, {"forgotten": count})
        return count
