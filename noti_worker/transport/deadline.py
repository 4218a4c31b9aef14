"""The total time of a call: every wait on the network gets what is left of it.

A socket's own timeout is per read: an answer that trickles, or an endless `100 Continue`, resets it with
every byte. So nobody here reads or writes without asking the call first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from time import monotonic


class Call:
    """One request under way in one thread: its time, its target, and how far it went.

    `stage` is `connect`, then `tls`, and `answer` from the moment on at which a byte of it may have been sent.
    """

    def __init__(self, limit: float, target: str = "/") -> None:
        self.ends_at = monotonic() + limit
        self.target = target
        self.stage = "connect"

    @property
    def expired(self) -> bool:
        """True when the time is up."""
        return monotonic() >= self.ends_at

    def remaining(self) -> float:
        """Seconds left; raises TimeoutError when there are none: zero would make a socket non-blocking."""
        left = self.ends_at - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@contextmanager
def under_way(limit: float, target: str) -> Iterator[Call]:
    """A call of `limit` seconds for `target` (path and query); it is the thread's current one inside."""
    _current.call = call = Call(limit, target)
    try:
        yield call
    finally:
        _current.call = None


def current() -> Call:
    """The call that this thread is making."""
    call: Call | None = getattr(_current, "call", None)
    if call is None:
        raise RuntimeError("connections are opened by Client.send only")
    return call


_current = local()
