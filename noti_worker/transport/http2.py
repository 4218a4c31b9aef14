"""Sending over HTTP/2 to one service: connections are kept, each is used by one thread at a time.

Streams are not shared by threads: the state of a connection is not made for it, and a time limit of one send would
be another's. A service that allows HTTP/2 at all allows some tens of connections.
"""

import ssl
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from noti_worker.domain.said import Said
from noti_worker.transport import idle
from noti_worker.transport.client import LARGEST_BODY, LARGEST_HEADER, tls_reason
from noti_worker.transport.dial import Dialler, NotSent
from noti_worker.transport.guard import Refused
from noti_worker.transport.messages import Reply, Request

if TYPE_CHECKING:  # h2 is needed by few
    from noti_worker.transport.streams import Connection

IDLE_AT_MOST = 900.0
QUIET_AT_MOST = 10.0
"""Seconds of silence after which a kept connection is asked whether it still works, before a message goes out on it."""


class Http2Client:
    """Sends requests of one account to one server; used by several threads at once."""

    proxied = False

    def __init__(
        self, dialler: Dialler, context: ssl.SSLContext, host: str, port: int, now: Callable[[], datetime]
    ) -> None:
        """`context` is set to HTTP/2; nothing else may use it."""
        context.set_alpn_protocols(["h2"])
        self._dialler = dialler
        self._context = context
        self._host, self._port = host, port
        self._now = now
        self._idle: list[Connection] = []
        self._lock = Lock()
        self._closed = False
        idle.register(self)

    def send(self, request: Request, limit: float) -> Reply | Said:
        """Post `request` once and read the answer, all within `limit` seconds.

        When there is no answer, Said has no status and tells what is known: stage `connect` or `tls` when surely
        nothing was taken, `answer` when it may have been. What a kept connection surely did not take goes out on a
        fresh one.
        """
        now = monotonic()
        ends_at = now + limit
        kept = self._take(now + limit / 3)
        if kept is not None:
            answer = self._on(kept, request, ends_at)
            if not isinstance(answer, Said) or answer.stage != "connect":
                return answer
        fresh = self._open(ends_at)
        return fresh if isinstance(fresh, Said) else self._on(fresh, request, ends_at)

    def close(self) -> None:
        """Close the idle connections; those in use follow when their answer came."""
        self._closed = True
        self.shed()

    def shed(self) -> None:
        """Close the idle connections."""
        with self._lock:
            connections, self._idle = self._idle, []
        for one in connections:
            one.leave()

    def _open(self, ends_at: float) -> "Connection | Said":
        from noti_worker.transport.streams import BROKEN, Connection, secured

        try:
            sock = self._dialler.dial(self._host, self._port, ends_at)
        except Refused as refused:
            return Said("guard", code=refused.code, error=str(refused))
        except NotSent as error:
            return Said(error.stage, code=error.code, error=str(error))
        try:
            encrypted = secured(sock, self._context, self._host, ends_at)
        except OSError as error:
            sock.close()
            return _no_tls(error)
        connection = Connection(encrypted, self._host if self._port == 443 else f"{self._host}:{self._port}")
        if encrypted.selected_alpn_protocol() != "h2":
            connection.drop()
            return Said("tls", code="no_http2", error="the server does not speak HTTP/2")
        try:
            connection.begin(ends_at)
        except BROKEN as error:
            connection.drop()
            if isinstance(error, TimeoutError):
                return Said("connect", code="timeout", error="the server did not greet in time")
            if isinstance(error, OSError):
                return Said("connect", code="closed", error="the connection broke before anything was sent")
            return Said("connect", code="not_http", error="the server's greeting is no HTTP/2")
        return connection

    def _on(self, connection: "Connection", request: Request, ends_at: float) -> Reply | Said:
        from noti_worker.transport.streams import BROKEN, NotTaken

        headers = {"user-agent": "noti-worker", "content-length": str(len(request.body)), **request.headers}
        try:
            answer = connection.exchange(urlsplit(request.url).path, headers, request.body, ends_at, LARGEST_BODY)
        except NotTaken as refusal:
            words = " ".join(str(refusal).split())
            return Said("connect", code="refused_stream", words=words, error="the server did not take the request")
        except BROKEN as error:
            return _no_answer(error)
        else:
            kept = {name: value[:LARGEST_HEADER] for name, value in answer.headers.items()}
            return Reply(answer.status, kept, bytes(answer.body), request, self._now(), answer.truncated)
        finally:
            self._give_back(connection)

    def _take(self, ends_at: float) -> "Connection | None":
        """The connection that was used last and works, or None: then open one."""
        with self._lock:
            now = monotonic()
            old = [one for one in self._idle if now - one.idle_since > IDLE_AT_MOST]
            self._idle = self._idle[len(old) :]
        for one in old:
            one.leave()
        while True:
            with self._lock:
                taken = self._idle.pop() if self._idle else None
            if taken is None or taken.is_alive(ends_at, ask=monotonic() - taken.idle_since > QUIET_AT_MOST):
                return taken
            taken.drop()

    def _give_back(self, connection: "Connection") -> None:
        with self._lock:
            keep = connection.reusable and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.leave()


def _no_tls(error: OSError) -> Said:
    if isinstance(error, TimeoutError):
        return Said("tls", code="timeout", error="no connection in time")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Said("tls", code="tls", error=f"TLS failed: {tls_reason(error)}")
    return Said("tls", code="closed", error="the connection broke before anything was sent")


def _no_answer(error: Exception) -> Said:
    if isinstance(error, TimeoutError):
        return Said("answer", code="timeout", error="no answer in time; it may have been received")
    if isinstance(error, OSError):
        return Said("answer", code="closed", error="the connection broke; it may have been received")
    return Said("answer", code="not_http", error="the answer is not proper HTTP/2")
