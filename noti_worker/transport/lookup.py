"""Name resolution within a time limit: the C library's lookup has none, so it waits in a thread of its own."""

import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

Addresses = Sequence[tuple[int, tuple[Any, ...]]]
"""(address family, socket address) pairs."""

Lookup = Callable[[str, int], Addresses]
"""Finds the addresses of a host; raises OSError. Tests put their own in."""

IDLE_AT_MOST = 2.0
"""Seconds after which a thread without work ends."""


def system_lookup(host: str, port: int) -> Addresses:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


@dataclass(eq=False, slots=True)
class _Task:
    key: tuple[str, int]
    asker: object
    future: "Future[Addresses]" = field(default_factory=Future)
    waiters: int = 0


class Resolver:
    """Looks names up for all transports, in at most `threads` threads, of which one asker has at most `share`.

    Those who ask for the same name share one lookup. One account whose names take minutes leaves threads to the
    others. The threads are daemons: a lookup that hangs must not keep the process from ending.
    """

    def __init__(self, lookup: Lookup = system_lookup, threads: int = 32, share: int = 8) -> None:
        self._lookup = lookup
        self._most, self._share = threads, share
        self._changed = Condition()
        self._waiting: deque[_Task] = deque()
        self._pending: dict[tuple[str, int], _Task] = {}
        self._busy: Counter[object] = Counter()
        self._threads = self._idle = 0

    def resolve(self, host: str, port: int, timeout: float, asker: object = None) -> Addresses:
        """The addresses of `host`; raises TimeoutError after `timeout` seconds, OSError when there are none."""
        with self._changed:
            task = self._pending.get((host, port)) or self._begin(_Task((host, port), asker))
            task.waiters += 1
        try:
            return task.future.result(timeout)
        finally:
            with self._changed:
                task.waiters -= 1
                if not task.waiters and task in self._waiting:  # all gave up before it was begun
                    self._waiting.remove(task)
                    del self._pending[task.key]

    def _begin(self, task: _Task) -> _Task:
        self._pending[task.key] = task
        self._waiting.append(task)
        if self._idle < len(self._waiting) and self._threads < self._most:
            self._threads += 1
            Thread(target=self._run, name="noti-lookup", daemon=True).start()
        else:
            self._changed.notify()
        return task

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                addresses, error = self._lookup(*task.key), None
            except (OSError, UnicodeError) as failed:
                addresses, error = (), failed
            with self._changed:
                del self._pending[task.key]
                self._busy[task.asker] -= 1
                if not self._busy[task.asker]:
                    del self._busy[task.asker]
            task.future.set_result(addresses) if error is None else task.future.set_exception(error)

    def _next(self) -> _Task | None:
        """The oldest task whose asker has a thread left; None when there was none for a while."""
        with self._changed:
            while True:
                for task in self._waiting:
                    if self._busy[task.asker] < self._share:
                        self._waiting.remove(task)
                        self._busy[task.asker] += 1
                        return task
                self._idle += 1
                woken = self._changed.wait(IDLE_AT_MOST)
                self._idle -= 1
                if not woken:
                    self._threads -= 1
                    return None
