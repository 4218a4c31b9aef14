"""HTTP connections and the pools that keep them: what urllib3 does, with our own way of connecting."""

import socket
from collections.abc import Callable, Mapping
from queue import LifoQueue
from time import monotonic
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from noti_worker.transport import idle
from noti_worker.transport.answer import Answer
from noti_worker.transport.deadline import current

Dial = Callable[[str, int, float], socket.socket]
"""A line to a host and port before a monotonic instant; raises Refused or NotSent."""

STALE = 5.0
"""Seconds after which an idle connection is not used again: the peer may just be closing it, and a request
that meets the closing looks like one whose answer was lost."""


class _Line(HTTPConnection):
    """A connection that dials by our rules, speaks within the call's time and notes when a byte may be gone."""

    dial: Dial
    idle_since = 0.0
    _method = ""

    def _new_conn(self) -> socket.socket:
        call = current()
        connected = self.dial(self._dns_host, self.port, call.ends_at)
        call.stage = "tls"
        return connected

    def request(  # type: ignore[override]
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> None:
        # Head and body leave together: one packet for a small request, and one point where it counts as sent.
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == self.default_port else f":{self.port}"
        fields = "".join([f"{name}: {value}\r\n" for name, value in (headers or {}).items()])
        call = current()
        # Not `url`: urllib3 encodes what is encoded already.
        head = f"{method} {call.target} HTTP/1.1\r\nHost: {host}{port}\r\n{fields}\r\n"
        rest = memoryview(head.encode("latin-1") + (body or b""))
        self._method = method
        if self.sock is None:
            self.connect()
        call.remaining()  # without any time left nothing is begun
        call.stage = "answer"
        while rest:
            self.sock.settimeout(call.remaining())
            rest = rest[self.sock.send(rest) :]

    def getresponse(self) -> Answer:  # type: ignore[override]
        return Answer(self.sock, current(), self._method)


class _TlsLine(_Line, HTTPSConnection):
    pass


class _Idle(LifoQueue[Any]):
    """The connections of one host that nobody uses: the live ones first, the latest used before the others.

    Those of urllib3 are used in the order in which they came back, closed ones among them: where no new one can be
    opened, the live ones beneath would never be used again.
    """

    def _put(self, item: Any) -> None:
        if item is None or item.is_closed:
            self.queue.insert(0, item)
        else:
            self.queue.append(item)

    def shed(self) -> None:
        """Close them all; they stay, to be opened anew."""
        with self.mutex:
            for line in self.queue:
                if line is not None:
                    line.close()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Line  # type: ignore[assignment]
    QueueCls = _Idle
    dial: Dial

    def _new_conn(self) -> Any:
        line: Any = super()._new_conn()
        line.dial = self.dial
        return line

    def _get_conn(self, timeout: float | None = None) -> Any:
        line: Any = super()._get_conn(timeout)
        if not line.is_closed and monotonic() - line.idle_since > STALE:
            line.close()
        return line

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = monotonic()
        super()._put_conn(conn)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsLine  # type: ignore[assignment]


class Pools(PoolManager):
    """One pool per scheme, host and port, the least recently used given up first."""

    def __init__(self, dials: Mapping[str, Dial], **options: Any) -> None:
        """`dials` opens a line for each scheme."""
        super().__init__(**options)
        self._dials = dials
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        idle.register(self)

    def at(self, scheme: str, host: str, port: int) -> HTTPConnectionPool:
        """The pool of one scheme, host and port."""
        # The inherited method makes a key of thirty settings for each request; ours differ in these three only.
        context = self.connection_pool_kw | {"scheme": scheme, "host": host, "port": port}
        key: Any = (scheme, host, port)
        return self.connection_from_pool_key(key, context)

    def shed(self) -> None:
        """Close the idle connections."""
        for key in self.pools.keys():  # noqa: SIM118 - it cannot be iterated
            pool: Any = self.pools.get(key)
            lines = pool and pool.pool  # None: the pool was closed meanwhile
            if lines is not None:
                lines.shed()

    def _new_pool(self, scheme: str, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super()._new_pool(scheme, *args, **kwargs)
        assert isinstance(pool, _Pool)
        pool.dial = self._dials[scheme]
        return pool
