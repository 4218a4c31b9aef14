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


class Pool:
    """`size` threads that work off one queue; `freed` is called when it has room worth a claim."""

    def __init__(
        self,
        channel: Channel,
        size: int,
        work: Callable[[Held], None],
        freed: Callable[[], None],
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Start the threads; they end with `close` or with the process."""
        self.channel = channel
        self.size = size
        self._work = work
        self._freed = freed
        self._clock = clock
        self._observer = observer
        self._tasks: SimpleQueue[Held | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._load = 0  # queued and in work
        self._finished: deque[float] = deque(maxlen=10_000)
        # Daemon threads: a send that hangs past the drain deadline must not keep the process alive.
        self._threads = [
            threading.Thread(target=self._run, name=f"send-{channel}-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def want(self, at_most: int) -> int:
        """How many rows can start soon: free slots and what the last 100 ms finished, at most `at_most`."""
        with self._lock:
            return self._capacity(at_most) - self._load

    def submit(self, rows: Iterable[Held]) -> None:
        """Hand rows to the threads."""
        tasks = list(rows)
        with self._lock:
            self._load += len(tasks)
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

    def _capacity(self, at_most: int) -> int:
        horizon = self._clock.monotonic() - WINDOW
        while self._finished and self._finished[0] < horizon:
            self._finished.popleft()
        return min(self.size + len(self._finished), max(at_most, 1))

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._work(task)
            except Exception as error:  # noqa: BLE001 - a bug in one row must not cost the pool a thread
                self._observer.on(Trouble("send", type(error).__name__))
            with self._lock:
                self._load -= 1
                self._finished.append(self._clock.monotonic())
                room = self._load * 4 <= 3 * (self.size + len(self._finished))
            if room:
                self._freed()
