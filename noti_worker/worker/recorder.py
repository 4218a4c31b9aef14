"""Group commit: what finished within a few milliseconds is recorded by one statement. Nothing is dropped."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from queue import Empty, SimpleQueue

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Finished, Recorded, Result
from noti_worker.domain.ports import Records
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import InFlight
from noti_worker.worker.refusals import RECORD, spot_of

FLUSH_AFTER = 0.02
LARGEST_FLUSH = 500
"""A statement costs the database two thirds a row at 500 of what it costs at 100, and no more beyond."""

BUSY_PAUSE = 0.05
IDLE_PAUSE = 1.0

WRITERS = 2
"""While the database works on one batch the next one is gathered and written: with one writer a worker waits for it."""


class Recorder:
    """Threads that write results in batches; while the database is away they keep them."""

    def __init__(
        self,
        context: Context,
        records: Records,
        in_flight: InFlight,
        flushed: Callable[[Iterable[Result]], None],
    ) -> None:
        """Prepare; `start` runs it. `flushed` is told what each flush wrote."""
        self._context = context
        self._records = records
        self._in_flight = in_flight
        self._flushed = flushed
        self._clock = context.clock
        self._outage = context.outage
        self._outage.watch(lambda: self.waiting, lambda: self._size)
        self._incoming: SimpleQueue[Result | None] = SimpleQueue()
        self._enough = threading.Event()  # one wake-up for a batch: one for each result is a fifth of an e-mail's CPU
        self._gathering = threading.Lock()  # taken by the writer whose turn it is to gather
        self._moving = threading.Lock()
        self._waiting: list[Result] = []
        self._aside: list[Result] = []  # refused alone, each until its pause is over
        self._count = 0  # results that are not recorded yet, wherever they are
        self._size = 0
        self._stop_at: float | None = None
        self._pause = threading.Event()
        names = [f"recorder {number}" for number in range(1, WRITERS + 1)]
        self._threads = [threading.Thread(target=self._run, args=[name], name=name, daemon=True) for name in names]

    @property
    def alive(self) -> bool:
        """False once a thread has died of an error."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Begin to record."""
        for thread in self._threads:
            thread.start()

    def put(self, result: Result) -> None:
        """Take a result; it is recorded soon."""
        size = result.size
        with self._moving:
            self._count += 1
            self._size += size
        self._incoming.put(result)
        if self._is_enough():
            self._enough.set()

    @property
    def waiting(self) -> int:
        """How many results are not recorded yet. Asked for by every row, so it is counted along."""
        return self._count

    def stop(self, seconds: float) -> int:
        """Record what is left within `seconds`; gives how many results could not be recorded."""
        self._stop_at = self._clock.monotonic() + seconds
        self._pause.set()
        self._incoming.put(None)
        self._enough.set()
        for thread in self._threads:
            thread.join(timeout=max(self._stop_at + 1 - self._clock.monotonic(), 0))
        return self.waiting

    def gather(self) -> list[Result]:
        """Wait for a first result, then a moment for its company: 500 results, 20 ms, or the last one at work."""
        with self._gathering:
            batch = self._begin()
            known = len(batch)
            if not batch:
                try:
                    first = self._incoming.get(timeout=IDLE_PAUSE if self._stop_at is None else FLUSH_AFTER)
                except Empty:
                    return []
                if first is not None:
                    batch.append(first)
            self._drain(batch)
            if len(batch) < LARGEST_FLUSH and self._in_flight.open:
                self._enough.clear()
                if not self._is_enough(len(batch)):  # nobody may have been the last while it was cleared
                    self._enough.wait(FLUSH_AFTER)
                self._drain(batch)
        if len(batch) > known:
            self._context.observer.on(Finished(tuple(batch[known:])))
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
            fates = self._records.record(self._context.worker_id, list(first.values()))
        except DatabaseAway as error:
            self._keep(batch)
            return self._outage.failed(error)
        refused = {id_: fate for id_, fate in fates.items() if isinstance(fate, DatabaseRefused)}
        written = [result for id_, result in first.items() if id_ not in refused and fates[id_] != "busy"]
        again = [result for id_, result in first.items() if fates[id_] == "busy"] + later
        self._put_aside([(first[id_], error) for id_, error in refused.items()], among=bool(written))
        self._keep(again)
        with self._moving:
            self._count -= len(written)
            self._size -= sum(result.size for result in written)
        self._outage.answered()
        if written:
            self._context.refusals.can(RECORD)
            self._context.refusals.go_on(result.notification.notification_id for result in written)
        self._in_flight.recorded(written)
        named = Counter("refused" if isinstance(fate, DatabaseRefused) else fate for fate in fates.values())
        self._context.observer.on(Recorded(named, self._clock.monotonic() - began))
        self._flushed(written)
        return BUSY_PAUSE if again else 0.0

    def _run(self, name: str) -> None:
        while True:
            self._context.tick(name)
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
            # The store has tried enough of them alone already. It is as if the database were away: nothing is begun.
            pause = self._context.refusals.cannot(RECORD, str(error))
            self._keep(batch)
            return max(pause, BUSY_PAUSE)

    def _put_aside(self, refused: Sequence[tuple[Result, DatabaseRefused]], *, among: bool) -> None:
        """Keep results that are refused alone, each until its own pause is over."""
        for result, error in refused:
            self._context.refusals.set_aside(spot_of(result.notification), RECORD, error, among=among)
            with self._moving:
                self._aside.append(result)

    def _is_enough(self, more: int = 0) -> bool:
        """Tell whether a batch is full, with `more` results that were taken already, or nothing is at work any more."""
        return more + self._incoming.qsize() >= LARGEST_FLUSH or not self._in_flight.open

    def _drain(self, batch: list[Result]) -> None:
        """Take what has come, up to a full batch."""
        while len(batch) < LARGEST_FLUSH:
            try:
                result = self._incoming.get_nowait()
            except Empty:
                return
            if result is not None:
                batch.append(result)

    def _begin(self) -> list[Result]:
        """Make the next batch of what has to be written once more."""
        # When nothing can be recorded, each of them may be the first that can; at the end there is no later.
        all_ = self._stop_at is not None or not self._context.refusals.records
        over = self._context.refusals.over
        with self._moving:
            batch, self._waiting = self._waiting, []
            due = [all_ or over(result.notification.notification_id) for result in self._aside]
            batch += compress(self._aside, due)
            self._aside = [result for result, now in zip(self._aside, due, strict=True) if not now]
        return batch

    def _keep(self, again: Sequence[Result]) -> None:
        """Keep what has to be written once more."""
        with self._moving:
            self._waiting = [*again, *self._waiting]
