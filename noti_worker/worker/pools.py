"""The sender threads: one pool per channel, so that a hanging channel holds up no other."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from noti_worker.domain.facts import Trouble
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Clock, Observer
from noti_worker.worker.leases import Held

WINDOW = 0.1
"""Rows finished within this many seconds are asked for ahead: claim what can start soon."""

PATIENCE = 0.05
"""Seconds that free room waits for more of it: a claim of a few rows costs nearly as much as one of many."""


class Pool:
    """`size` threads that work off one queue of at most `batch_size` rows; `freed` tells of room worth a claim."""

    def __init__(
        self,
        channel: Channel,
        size: int,
        batch_size: int,
        work: Callable[[Held], None],
        freed: Callable[[], None],
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Start the threads; they end with `close` or with the process."""
        self.channel = channel
        self.size = size
        self._batch_size = max(batch_size, 1)
        self._work = work
        self._freed = freed
        self._clock = clock
        self._observer = observer
        self._tasks: SimpleQueue[Held | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._load = 0  # queued and in work
        self._submitted = float("-inf")
        self._finished: deque[float] = deque(maxlen=10_000)
        # Daemon threads: a send that hangs past the drain deadline must not keep the process alive.
        self._threads = [
            threading.Thread(target=self._run, name=f"send-{channel}-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def free(self) -> int:
        """How many rows could start soon: free slots and what the last 100 ms finished, at most a batch."""
        with self._lock:
            return self._free(self._clock.monotonic())

    @property
    def want(self) -> int:
        """How many rows to claim now: none while little is free that was free only a moment ago."""
        now = self._clock.monotonic()
        with self._lock:
            free = self._free(now)
            return free if self._much(free) or now - self._submitted >= PATIENCE else 0

    def submit(self, rows: Iterable[Held]) -> None:
        """Hand rows to the threads."""
        tasks = list(rows)
        with self._lock:
            self._load += len(tasks)
            self._submitted = self._clock.monotonic()
        for task in tasks:
            self._tasks.put(task)

    def take_back(self) -> list[Held]:
        """Take what no thread has begun."""
        rows: list[Held] = []
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                rows.append(task)
        with self._lock:
            self._load -= len(rows)
        return rows

    def close(self) -> None:
        """Let the threads end when they are done with what they have."""
        for _ in self._threads:
            self._tasks.put(None)

    def _free(self, now: float) -> int:
        while self._finished and self._finished[0] < now - WINDOW:
            self._finished.popleft()
        return min(self.size + len(self._finished), self._batch_size) - self._load

    def _much(self, free: int) -> bool:
        """Tell whether a quarter of all is free, of a few slots any."""
        return free > 0 and free >= (free + self._load) // 4

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._work(task)
            except BaseException as error:  # noqa: BLE001 - a bug in one row must not cost the pool a thread
                self._observer.on(Trouble("send", type(error).__name__))
            now = self._clock.monotonic()
            with self._lock:
                self._load -= 1
                self._finished.append(now)
                room = self._much(self._free(now))
            if room:
                self._freed()
