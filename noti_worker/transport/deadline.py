"""The total time of a call: a watchdog shuts the socket of what lasts too long.

A socket's own timeout is per read: an answer that trickles, or an endless `100 Continue`, resets it with
every byte. Only shutting the socket from outside ends those.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from threading import Condition, Lock, Thread, local
from time import monotonic


class Call:
    """One request under way in one thread: its time, and whether a byte of it may have been sent."""

    def __init__(self, limit: float) -> None:
        self.ends_at = monotonic() + limit
        self.sent = False
        self.expired = False
        self._lock = Lock()
        self._socket: socket.socket | None = None

    def remaining(self) -> float:
        """Seconds left, never quite zero: zero would make a socket non-blocking."""
        return max(self.ends_at - monotonic(), 0.001)

    def hold(self, sock: socket.socket) -> None:
        """Have `sock` shut when the time is up.

        A duplicate is held: TLS moves the descriptor into a new object, and a closed descriptor's number may
        belong to somebody else by the time we shut it.
        """
        self.let_go()
        copy = socket.socket(sock.family, sock.type, fileno=os.dup(sock.fileno()))
        with self._lock:
            self._socket = copy
        if self.expired:
            self.expire()

    def let_go(self) -> None:
        """Leave the socket alone from here on."""
        with self._lock:
            copy, self._socket = self._socket, None
        if copy is not None:
            copy.close()

    def expire(self) -> None:
        """The time is up: shut the socket, so that whoever reads from it wakes up."""
        with self._lock:
            self.expired = True
            if self._socket is not None:
                with suppress(OSError):  # not connected yet, or gone already
                    self._socket.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """One thread that expires the calls whose time is up; it runs only once there are calls."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._calls: set[Call] = set()
        self._wakes_at = inf
        self._thread: Thread | None = None
        self._closing = False

    @contextmanager
    def watch(self, limit: float) -> Iterator[Call]:
        """A call that expires after `limit` seconds; it is the thread's current one inside."""
        call = Call(limit)
        with self._changed:
            self._calls.add(call)
            if self._thread is None:
                self._closing = False
                self._thread = Thread(target=self._run, name="noti-deadlines", daemon=True)
                self._thread.start()
            elif call.ends_at < self._wakes_at:
                self._changed.notify()
        _current.call = call
        try:
            yield call
        finally:
            _current.call = None
            with self._changed:
                self._calls.discard(call)
                if self._closing and not self._calls:
                    self._changed.notify()
            call.let_go()

    def close(self) -> None:
        """Let the thread end once no call is under way."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._calls or not self._closing:
                now = monotonic()
                for call in [call for call in self._calls if call.ends_at <= now]:
                    self._calls.discard(call)
                    call.expire()
                # Calls that end in time leave no trace here: few are ever under way, so looking
                # through them now and then is cheaper than keeping them ordered.
                self._wakes_at = min((call.ends_at for call in self._calls), default=inf)
                self._changed.wait(None if self._wakes_at == inf else self._wakes_at - now)
            self._thread = None


def current() -> Call:
    """The call that this thread is making."""
    call: Call | None = getattr(_current, "call", None)
    if call is None:
        raise RuntimeError("connections are opened by Client.send only")
    return call


_current = local()
