"""The sender threads: one pool per channel, so that a hanging channel holds up no other."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from noti_worker.domain.facts import Trouble
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Clock, Observer
from noti_worker.worker.inflight import Claim

WINDOW = 0.1
"""Rows finished within this many seconds are asked for ahead: claim what can start soon."""

QUICK = WINDOW / 4
"""Seconds; sends that took no longer count in full, so that a tenant of quick ones is held back by nothing."""

MOST_SHARES = 4
"""While several tenants have rows each is kept to its part of the threads, and to no less than a quarter of them."""

PATIENCE = 0.05
"""Seconds that free room waits for more of it: a claim of a few rows costs nearly as much as one of many."""


@dataclass(slots=True)
class _Tenant:
    """What a pool knows of one: rows in hand, rows finished within the window, seconds that slow ones of them took."""

    name: str
    load: int = 0
    finished: int = 0
    slow: float = 0.0


class Pool:
    """`size` threads that work off one queue of at most `batch_size` rows; `freed` tells of room worth a claim."""

    def __init__(
        self,
        channel: Channel,
        size: int,
        batch_size: int,
        work: Callable[[Claim], None],
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
        self._tasks: SimpleQueue[Claim | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._load = 0  # queued and in work
        self._tenants: dict[str, _Tenant] = {}  # those with rows in hand or just finished
        self._submitted = float("-inf")
        self._finished: deque[tuple[float, _Tenant, float]] = deque()  # when, whose, after how many seconds if slow
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

    def room(self, waiting: AbstractSet[str]) -> Mapping[str, int]:
        """How many more rows each tenant of `waiting` may have in hand; empty when there is one tenant alone.

        A part of the threads, and ahead of it what the tenant finished in the last 100 ms; of slow sends no more
        than such a part of the threads would have finished. So a slow tenant leaves threads to the others.
        """
        now = self._clock.monotonic()
        with self._lock:
            self._free(now)
            tenants = len(waiting | self._tenants.keys())
            if tenants < 2:
                return {}
            part = max(1, self.size // min(tenants, MOST_SHARES))
            rooms = {name: self._room(name, part) for name in waiting}
            some = self._much(sum(room for room in rooms.values() if room > 0))
            return rooms if some or now - self._submitted >= PATIENCE else dict.fromkeys(waiting, 0)

    def submit(self, rows: Iterable[Claim]) -> None:
        """InFlight rows to the threads."""
        tasks = list(rows)
        with self._lock:
            self._load += len(tasks)
            for task in tasks:
                name = task.notification.tenant_id
                (self._tenants.get(name) or self._tenants.setdefault(name, _Tenant(name))).load += 1
            self._submitted = self._clock.monotonic()
        for task in tasks:
            self._tasks.put(task)

    def take_back(self) -> list[Claim]:
        """Take what no thread has begun."""
        rows: list[Claim] = []
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                rows.append(task)
        with self._lock:
            self._load -= len(rows)
            for row in rows:
                tenant = self._tenants[row.notification.tenant_id]
                tenant.load -= 1
                self._forget(tenant)
        return rows

    def close(self) -> None:
        """Let the threads end when they are done with what they have."""
        for _ in self._threads:
            self._tasks.put(None)

    def _free(self, now: float) -> int:
        while self._finished and self._finished[0][0] < now - WINDOW:
            _, tenant, slow = self._finished.popleft()
            tenant.finished -= 1
            tenant.slow -= slow
            self._forget(tenant)
        return min(self.size + len(self._finished), self._batch_size) - self._load

    def _room(self, name: str, part: int) -> int:
        tenant = self._tenants.get(name) or _Tenant(name)
        ahead = tenant.finished * part * WINDOW / max(tenant.slow, part * WINDOW)
        return part + int(ahead) - tenant.load

    def _much(self, free: int) -> bool:
        """Tell whether half of all is free; where little is queued a quarter, so that no thread waits for a claim."""
        return free > 0 and free >= (free + self._load) // (2 if self._load > 2 * self.size else 4)

    def _forget(self, tenant: _Tenant) -> None:
        if not tenant.load and not tenant.finished:
            self._tenants.pop(tenant.name, None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            began = self._clock.monotonic()
            try:
                self._work(task)
            except BaseException as error:  # noqa: BLE001 - a bug in one row must not cost the pool a thread
                self._observer.on(Trouble("send", type(error).__name__))
            now = self._clock.monotonic()
            with self._lock:
                self._load -= 1
                tenant = self._tenants[task.notification.tenant_id]
                tenant.load -= 1
                tenant.finished += 1
                slow = now - began if now - began > QUICK else 0.0
                tenant.slow += slow
                self._finished.append((now, tenant, slow))
                room = self._much(self._free(now))
            if room:
                self._freed()
