"""When each task is called: at its due time, or once a second to see whether there is one."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Trouble
from noti_worker.domain.ports import Clock, Observer

MOST = 100
"""What a task does before the next one has its turn."""

POLL = 1.0
"""Seconds between two calls of a task that has nothing to do."""

SOON = 0.1
"""The least between two calls: what is due may be in another worker's hand."""

REFUSED_PAUSE = 30.0
"""Seconds without a task that the database refuses."""


class Task(Protocol):
    """Something that is due now and then, for any number of workers."""

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        """Do at most `most` of it; gives how much was done, and when the next is due, if that is known."""
        ...


class Rota:
    """Calls tasks on one thread of its own, beside the deliveries."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        clock: Clock,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is called before `start`."""
        self._tasks = tasks
        self._clock = clock
        self._observer = observer
        self._monotonic = monotonic
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)

    def start(self) -> None:
        """Call them from now on."""
        self._thread.start()

    def stop(self, within: float) -> None:
        """Call them no more; what is under way is waited for as long."""
        self._stopped.set()
        self._thread.join(within)

    def _run(self) -> None:
        due = dict.fromkeys(self._tasks, self._monotonic())
        while not self._stopped.is_set():
            for name, task in self._tasks.items():
                if due[name] <= self._monotonic():
                    due[name] = self._monotonic() + self._call(name, task)
            self._stopped.wait(max(0.0, min(due.values()) - self._monotonic()))

    def _call(self, name: str, task: Task) -> float:
        """Do some of a task; gives the seconds until its next turn."""
        try:
            done, next_at = task.run_once(MOST)
        except DatabaseAway:
            return POLL  # the worker itself says that the database is away
        except DatabaseRefused as error:
            self._observer.on(Trouble(f"task {name}", str(error)))
            return REFUSED_PAUSE
        if done >= MOST:
            return 0.0
        if next_at is None:
            return POLL
        return min(POLL, max(SOON, (next_at - self._clock.now()).total_seconds()))
