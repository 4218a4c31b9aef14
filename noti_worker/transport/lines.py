"""Guarded connections and the pools that keep them: what urllib3 does, with our own way of connecting."""

import errno
import os
import socket
from time import monotonic
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

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
            # An address that does not answer must leave time for the others.
            timeout = call.remaining() / (len(addresses) - tried)
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # a family that this machine lacks
                trouble = _trouble(error)
                continue
            try:
                call.hold(sock)
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
    """A connection that dials by our rules and notes when the first byte of a request may be gone."""

    dialler: Dialler
    idle_since = 0.0

    def _new_conn(self) -> socket.socket:
        return self.dialler.dial(self._dns_host, self.port)

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._parts: list[bytes] = []
        super().request(*args, **kwargs)
        if self.sock is None:
            self.connect()
        else:
            current().hold(self.sock)
        current().sent = True
        super().send(b"".join(self._parts))

    def send(self, data: Any) -> None:
        # Head and body leave together: one packet for a small request, and one point where it counts as sent.
        self._parts.append(data)


class _TlsLine(_Line, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Line
    dialler: Dialler

    def _new_conn(self) -> Any:
        line = super()._new_conn()
        assert isinstance(line, _Line)
        line.dialler = self.dialler
        return line

    def _get_conn(self, timeout: float | None = None) -> Any:
        line = super()._get_conn(timeout)
        assert isinstance(line, _Line)
        if not line.is_closed and monotonic() - line.idle_since > STALE:
            line.close()
        return line

    def _put_conn(self, conn: Any) -> None:
        current().let_go()  # the next request that takes it must not be hit by our deadline
        if conn is not None:
            conn.idle_since = monotonic()
        super()._put_conn(conn)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsLine


class Pools(PoolManager):
    """One pool per scheme, host and port, the least recently used given up first."""

    def __init__(self, dialler: Dialler, **options: Any) -> None:
        super().__init__(**options)
        self._dialler = dialler
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def _new_pool(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        assert isinstance(pool, _Pool)
        pool.dialler = self._dialler
        return pool
