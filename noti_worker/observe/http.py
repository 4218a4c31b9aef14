"""A small HTTP server for /metrics, /health/live and /health/ready: one thread, few connections, short patience."""

import contextlib
import errno
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from noti_worker.observe.health import Vitals
from noti_worker.observe.listener import address_of, listen_on
from noti_worker.observe.metrics import CONTENT_TYPE

LARGEST_REQUEST = 4096
MOST_CONNECTIONS = 16
PATIENCE = 5.0
"""Seconds from the first byte that could come to the last one that must have gone."""

_PLAIN = "text/plain; charset=utf-8"
_REQUEST = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]\r?\n")
_END = re.compile(rb"\r?\n\r?\n")


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    ends: float  # monotonic
    request: bytes = b""
    answer: bytes | None = field(default=None, repr=False)  # what is left of it

    def claim_to_stay(self) -> tuple[int, float]:
        """The least goes first when room is needed: answered, then still asking, then being answered."""
        rank = 1 if self.answer is None else 2 if self.answer else 0
        return rank, self.ends


class Server:
    """Serves GET on three paths. Listens from its construction on, answers from `start` on.

    A seventeenth client takes the place of the one that has waited longest, so that half-open connections keep
    nobody out.
    """

    def __init__(
        self,
        listen: str,
        health: Vitals,
        metrics: Callable[[], bytes],
        *,
        configured: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind `listen` (host:port). When it is in use and nobody `configured` it, any free port is taken.

        Raises ConfigurationError that names http.listen.
        """
        self._pages: Mapping[str, Callable[[], tuple[HTTPStatus, str, bytes]]] = {
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE, metrics()),
            "/health/live": lambda: _state(health.live()),
            "/health/ready": lambda: _state(health.ready()),
        }
        self._monotonic = monotonic
        self._socket = listen_on("http.listen", listen, configured=configured)
        self._socket.setblocking(False)
        self._connections: dict[socket.socket, _Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._breath = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def address(self) -> str:
        """host:port that really listens."""
        return address_of(self._socket)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening and drop all connections."""
        self._wake.close()
        if self._thread.is_alive():
            self._thread.join(timeout=PATIENCE)
        self._woken.close()
        self._socket.close()
        self._selector.close()

    def _run(self) -> None:
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(timeout=self._patience()):
                if key.fileobj is self._woken:
                    for connection in list(self._connections.values()):
                        self._drop(connection)
                    return
                if key.fileobj is self._socket:
                    self._accept()
                elif isinstance(key.data, _Connection) and key.data.socket in self._connections:
                    self._go_on(key.data)
            now = self._monotonic()
            for connection in [c for c in self._connections.values() if c.ends <= now]:
                self._drop(connection)

    def _patience(self) -> float | None:
        if not self._connections:
            return None
        return max(min(c.ends for c in self._connections.values()) - self._monotonic(), 0.0)

    def _accept(self) -> None:
        for _ in range(MOST_CONNECTIONS // 2):  # a burst must not fill the backlog, nor push each other out unread
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        try:
            client, _ = self._socket.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                self._breath.wait(0.1)  # it stays ready to be accepted: without a pause this would spin
            return False
        if len(self._connections) >= MOST_CONNECTIONS:
            self._drop(min(self._connections.values(), key=_Connection.claim_to_stay))
        client.setblocking(False)
        connection = _Connection(client, self._monotonic() + PATIENCE)
        self._connections[client] = connection
        self._selector.register(client, selectors.EVENT_READ, connection)
        self._go_on(connection)
        return True

    def _go_on(self, connection: _Connection) -> None:
        try:
            if connection.answer:
                self._write(connection)
            else:
                self._read(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _read(self, connection: _Connection) -> None:
        received = connection.socket.recv(LARGEST_REQUEST)
        if not received:
            self._drop(connection)
            return
        if connection.answer is not None:  # answered: what still comes is not for us
            return
        connection.request += received
        if _END.search(connection.request) or len(connection.request) > LARGEST_REQUEST:
            connection.answer = self._answer(connection.request)
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)

    def _write(self, connection: _Connection) -> None:
        assert connection.answer is not None
        sent = connection.socket.send(connection.answer)
        connection.answer = connection.answer[sent:]
        if not connection.answer:
            # Closing while bytes of the client wait unread would reset the connection and may cost the answer:
            # tell that we are done, and let the client close.
            connection.socket.shutdown(socket.SHUT_WR)
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _answer(self, request: bytes) -> bytes:
        if len(request) > LARGEST_REQUEST:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        match = _REQUEST.match(request)
        if match is None:
            return _response(HTTPStatus.BAD_REQUEST)
        method, target = match.group(1).decode(), match.group(2).decode()
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            return _response(HTTPStatus.NOT_FOUND)
        if method != "GET":
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET\r\n")
        try:
            status, kind, body = page()
        except Exception:  # noqa: BLE001 - a reading that fails must not take the other pages away
            return _response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _response(status, kind, body)

    def _drop(self, connection: _Connection) -> None:
        if self._connections.pop(connection.socket, None) is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(connection.socket)
            connection.socket.close()


def _state(reasons: list[str]) -> tuple[HTTPStatus, str, bytes]:
    if reasons:
        return HTTPStatus.SERVICE_UNAVAILABLE, _PLAIN, "".join(f"{reason}\n" for reason in reasons).encode()
    return HTTPStatus.OK, _PLAIN, b"ok\n"


def _response(status: HTTPStatus, kind: str = _PLAIN, body: bytes | None = None, extra: str = "") -> bytes:
    body = f"{status.phrase}\n".encode() if body is None else body
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n{extra}\r\n"
    )
    return head.encode() + body
