"""Name resolution within a time limit: the C library's lookup has none, so it waits in a helper thread."""

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

Addresses = Sequence[tuple[int, tuple[Any, ...]]]
"""(address family, socket address) pairs."""

Lookup = Callable[[str, int], Addresses]
"""Finds the addresses of a host; raises OSError. Tests put their own in."""


def system_lookup(host: str, port: int) -> Addresses:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


class Resolver:
    """Looks names up in at most `threads` threads; those who ask for the same name share one lookup.

    The threads are daemons: a lookup that hangs must not keep the process from ending.
    """

    def __init__(self, lookup: Lookup, threads: int) -> None:
        self._lookup = lookup
        self._most = threads
        self._lock = Lock()
        self._tasks: SimpleQueue[tuple[tuple[str, int], Future[Addresses]] | None] = SimpleQueue()
        self._pending: dict[tuple[str, int], Future[Addresses]] = {}
        self._threads = 0

    def resolve(self, host: str, port: int, timeout: float) -> Addresses:
        """The addresses of `host`; raises TimeoutError after `timeout` seconds, OSError when there are none."""
        key = (host, port)
        with self._lock:
            future = self._pending.get(key)
            if future is None:
                future = self._pending[key] = Future()
                self._tasks.put((key, future))
                if self._threads < min(self._most, len(self._pending)):
                    self._threads += 1
                    Thread(target=self._run, name="noti-lookup", daemon=True).start()
        return future.result(timeout)

    def close(self) -> None:
        """End the threads, each after its lookup."""
        with self._lock:
            for _ in range(self._threads):
                self._tasks.put(None)

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                with self._lock:
                    self._threads -= 1
                return
            key, future = task
            try:
                future.set_result(self._lookup(*key))
            except (OSError, UnicodeError) as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    del self._pending[key]
