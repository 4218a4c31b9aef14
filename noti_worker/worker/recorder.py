"""Group commit: what finished within a few milliseconds is recorded by one statement. Nothing is dropped."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Finished, Recorded, RecordRefused, Result, Trouble
from noti_worker.domain.ports import Clock, Observer, Queue
from noti_worker.worker.leases import Hand
from noti_worker.worker.outage import Outage

FLUSH_AFTER = 0.02
LARGEST_FLUSH = 500
"""A statement costs the database two thirds a row at 500 of what it costs at 100, and no more beyond."""

BUSY_PAUSE = 0.05


class Recorder:
    """A thread that writes results in batches; while the database is away it keeps them."""

    def __init__(
        self,
        worker_id: int,
        queue: Queue,
        hand: Hand,
        clock: Clock,
        outage: Outage,
        observer: Observer,
        flushed: Callable[[Iterable[Result]], None],
        tick: Callable[[str], None],
    ) -> None:
        """Prepare; `start` runs it. `flushed` is told what each flush wrote."""
        self._worker_id = worker_id
        self._queue = queue
        self._hand = hand
        self._clock = clock
        self._outage = outage
        self._observer = observer
        self._flushed = flushed
        self._tick = tick
        self._incoming: SimpleQueue[Result | None] = SimpleQueue()
        self._waiting: list[Result] = []
        self._batch: list[Result] = []  # gathered, and not written yet
        self._stop_at: float | None = None
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    @property
    def alive(self) -> bool:
        """False once the thread has died of an error."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def put(self, result: Result) -> None:
        """Take a result; it is recorded soon."""
        self._incoming.put(result)

    @property
    def waiting(self) -> int:
        """How many results are not recorded yet."""
        return self._incoming.qsize() + len(self._waiting) + len(self._batch)

    def stop(self, seconds: float) -> int:
        """Record what is left within `seconds`; gives how many results could not be recorded."""
        self._stop_at = self._clock.monotonic() + seconds
        self._pause.set()
        self._incoming.put(None)
        self._thread.join(timeout=seconds + 1)
        return self.waiting

    def gather(self) -> list[Result]:
        """Wait for a first result, then a moment for its company: 500 results, 20 ms, or the last one at work."""
        batch = self._batch = self._waiting
        self._waiting = []
        known = len(batch)
        if not batch:
            try:
                first = self._incoming.get(timeout=1.0)
            except Empty:
                return []
            if first is not None:
                batch.append(first)
        ends = self._clock.monotonic() + FLUSH_AFTER
        while len(batch) < LARGEST_FLUSH:
            patience = ends - self._clock.monotonic() if self._hand.open else 0.0
            try:
                result = self._incoming.get(timeout=patience) if patience > 0 else self._incoming.get_nowait()
            except Empty:
                break
            if result is not None:
                batch.append(result)
        if len(batch) > known:
            self._observer.on(Finished(tuple(batch[known:])))
        return batch

    def flush(self, batch: list[Result]) -> float:
        """Record a batch; gives the pause before the next one. What could not be written waits on."""
        # A row that this worker claimed twice (it was paused past its lease) has two results; one at a time.
        first: dict[int, Result] = {}
        for result in batch:
            first.setdefault(result.notification.notification_id, result)
        later = [result for result in batch if first[result.notification.notification_id] is not result]
        began = self._clock.monotonic()
        try:
            fates = self._queue.record(self._worker_id, list(first.values()))
        except DatabaseAway as error:
            self._keep(batch)
            return self._outage.lost(error)
        self._batch = []
        self._outage.over()
        self._waiting += [result for id_, result in first.items() if fates[id_] == "busy"] + later
        self._hand.recorded(result for id_, result in first.items() if fates[id_] != "busy")
        for id_, fate in fates.items():
            if fate == "refused":
                self._observer.on(RecordRefused(id_, "the database refuses the result"))
        self._observer.on(Recorded(Counter(fates.values()), self._clock.monotonic() - began))
        self._flushed(first.values())
        return BUSY_PAUSE if self._waiting else 0.0

    def _run(self) -> None:
        while True:
            self._tick("recorder")
            batch = self.gather()
            pause = self._try(batch) if batch else 0.0
            if self._stop_at is not None and (not self.waiting or self._clock.monotonic() >= self._stop_at):
                return
            if pause:
                # Stopping must not wait for the whole pause: the event is set once and shortens it.
                self._pause.wait(pause if self._stop_at is None else min(pause, 0.2))
                if self._stop_at is not None:
                    self._pause.clear()

    def _try(self, batch: list[Result]) -> float:
        try:
            return self.flush(batch)
        except DatabaseRefused as error:
            # The store has tried each result by itself already: what is refused as a whole is the statement.
            self._observer.on(Trouble("recorder", str(error)))
            self._keep(batch)
            return 1.0

    def _keep(self, batch: list[Result]) -> None:
        self._waiting, self._batch = batch + self._waiting, []
