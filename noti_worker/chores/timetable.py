"""When to *try* each chore; whether it is its turn, the lease row of the duty tells."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Trouble
from noti_worker.domain.ports import Observer


class Chore(Protocol):
    """One duty."""

    def run_once(self) -> int:
        """Do it if it is due; gives how much was done."""
        ...


class Timetable:
    """Tries chores on a thread of its own, each as often as it says, never twice at a time.

    The jobs live in memory: a job store in the database would fire each job once per process and would
    unpickle whatever stands in its table.
    """

    def __init__(
        self,
        chores: Mapping[str, tuple[Chore, timedelta]],
        observer: Observer,
        stopping: Callable[[], bool],
    ) -> None:
        """`chores` by name, with the period of their tries; none begins while `stopping`."""
        # Its own lines say nothing that a Trouble does not.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        for name, (chore, every) in chores.items():
            run = _guarded(name, chore, observer, stopping)
            # The first try is due at once. A job of its own for it would end, and one that ends during `stop` raises.
            at_once = datetime.now(UTC)  # noqa: TID251 - the scheduler goes by this clock
            self._scheduler.add_job(
                run, "interval", seconds=every.total_seconds(), id=name, jitter=1, next_run_time=at_once
            )

    def start(self) -> None:
        """Try each chore from now on."""
        self._scheduler.start()

    def stop(self) -> None:
        """Try no more; a chore at work is not waited for."""
        self._scheduler.shutdown(wait=False)


def _guarded(name: str, chore: Chore, observer: Observer, stopping: Callable[[], bool]) -> Callable[[], None]:
    def run() -> None:
        if stopping():  # the process waits for what is at work
            return
        try:
            chore.run_once()
        except DatabaseAway:
            pass  # tried again at its next time; the worker itself says that the database is away
        except DatabaseRefused as error:
            observer.on(Trouble(f"chore {name}", str(error)))

    return run
