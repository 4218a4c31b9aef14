"""Guarded connections and the pools that keep them: what urllib3 does, with our own way of connecting."""

import errno
import os
import socket
from collections.abc import Mapping
from time import monotonic
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from noti_worker.transport.answer import Answer
from noti_worker.transport.deadline import current
from noti_worker.transport.guard import Guard, Refused
from noti_worker.transport.lookup import Resolver

STALE = 5.0
"""Seconds after which an idle connection is not used again: the peer may just be closing it, and a request
that meets the closing looks like one whose answer was lost."""


class NotSent(Exception):
    """No connection came about, so nothing was sent; `code` for rules, the message for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Dialler:
    """Opens connections: resolve, check every address, connect to exactly the one that was checked."""

    def __init__(self, guard: Guard, resolver: Resolver) -> None:
        self._guard = guard
        self._resolver = resolver

    def dial(self, host: str, port: int) -> socket.socket:
        """A connected socket within the current call's time; raises Refused or NotSent."""
        call = current()
        try:
            addresses = self._resolver.resolve(host, port, call.remaining())
        except TimeoutError:
            raise NotSent("timeout", "the host's name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise NotSent("dns", "the host's name could not be resolved") from None
        permitted, refusal = [], None
        for family, address in addresses:
            try:
                self._guard.check(address[0], address[1])
                permitted.append((family, address))
            except Refused as refused:
                refusal = refused
        if not permitted:
            raise refusal or NotSent("dns", "the host's name has no address")
        return self._first(permitted)

    def _first(self, addresses: list[tuple[int, tuple[Any, ...]]]) -> socket.socket:
        call = current()
        trouble = NotSent("connect", "no connection")
        for tried, (family, address) in enumerate(addresses):
            if call.expired:
                break
            try:
                # An address that does not answer must leave time for the others.
                timeout = call.remaining() / (len(addresses) - tried)
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # a family that this machine lacks
                trouble = _trouble(error)
                continue
            try:
                sock.settimeout(timeout)
                sock.connect(address)
                peer = sock.getpeername()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(call.remaining())
            except OSError as error:
                sock.close()
                trouble = _trouble(error)
                continue
            if peer[:2] != address[:2]:
                sock.close()
                raise Refused("ssrf_blocked", "the connection went elsewhere than to the address that was checked")
            return sock
        raise trouble


def _trouble(error: OSError) -> NotSent:
    if isinstance(error, TimeoutError):
        return NotSent("timeout", "no connection in time")
    if error.errno == errno.ECONNREFUSED:
        return NotSent("refused", "the connection was refused")
    return NotSent("connect", f"no connection: {os.strerror(error.errno or 0)}")


class _Line(HTTPConnection):
    """A connection that dials by our rules, speaks within the call's time and notes when a byte may be gone."""

    dialler: Dialler
    idle_since = 0.0
    _method = ""

    def _new_conn(self) -> socket.socket:
        return self.dialler.dial(self._dns_host, self.port)

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
        call.sent = True
        while rest:
            self.sock.settimeout(call.remaining())
            rest = rest[self.sock.send(rest) :]

    def getresponse(self) -> Answer:  # type: ignore[override]
        return Answer(self.sock, current(), self._method)


class _TlsLine(_Line, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Line  # type: ignore[assignment]
    dialler: Dialler

    def _new_conn(self) -> Any:
        line: Any = super()._new_conn()
        line.dialler = self.dialler
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

    def __init__(self, dialler: Dialler, **options: Any) -> None:
        super().__init__(**options)
        self._dialler = dialler
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def at(self, scheme: str, host: str, port: int) -> HTTPConnectionPool:
        """The pool of one scheme, host and port."""
        # The inherited method makes a key of thirty settings for each request; ours differ in these three only.
        context = self.connection_pool_kw | {"scheme": scheme, "host": host, "port": port}
        key: Any = (scheme, host, port)
        return self.connection_from_pool_key(key, context)

    def _new_pool(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        assert isinstance(pool, _Pool)
        pool.dialler = self._dialler
        return pool
