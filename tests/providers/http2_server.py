"""A real HTTP/2 server over TLS on this machine, which answers as it is told, or misbehaves."""

import json
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from tests.certificates import Authority

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """A request as it came; header names in lower case, `connection` counts from 1."""

    connection: int
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A connection, as a way to behave sees it."""

    def __init__(self, tls: ssl.SSLSocket, http2: H2Connection, stopping: Event) -> None:
        self.tls, self.http2, self.stopping = tls, http2, stopping

    def flush(self) -> None:
        self.tls.sendall(self.http2.data_to_send())

    def answer(self, stream: int, status: int, body: bytes = b"", **headers: str) -> None:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.http2.send_headers(stream, [(":status", str(status)), *named], end_stream=not body)
        if body:
            self.http2.send_data(stream, body, end_stream=True)
        self.flush()


Way = Callable[[Line, int, Asked], None]
"""What is done when a request was read whole; the number is its stream's."""


def answering(status: int, document: Any = None, **headers: str) -> Way:
    """An answer in JSON; Apple repeats the request's `apns-id`."""
    body = b"" if document is None else json.dumps(document).encode()

    def answer(line: Line, stream: int, asked: Asked) -> None:
        line.answer(stream, status, body, **({"apns_id": asked.headers.get("apns-id", "")} | headers))

    return answer


def echoing(line: Line, stream: int, asked: Asked) -> None:
    """An error that repeats all that was asked, the path in capitals too."""
    told = {"reason": f"Odd {asked.path} {asked.headers}", "asked": asked.headers, "path": asked.path.upper()}
    body = json.dumps(told)
    line.answer(stream, 400, body.encode())


def hanging(line: Line, stream: int, asked: Asked) -> None:
    """Say nothing more."""
    line.stopping.wait(20)


def trickling(line: Line, stream: int, asked: Asked) -> None:
    """Be busy, and never answer."""
    with suppress(OSError):
        while not line.stopping.wait(0.1):
            line.http2.ping(b"busybusy")
            line.flush()


def closing(line: Line, stream: int, asked: Asked) -> None:
    line.tls.close()


def refusing(line: Line, stream: int, asked: Asked) -> None:
    line.http2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
    line.flush()


def resetting(line: Line, stream: int, asked: Asked) -> None:
    line.http2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
    line.flush()


def leaving(line: Line, stream: int, asked: Asked) -> None:
    """Say goodbye, and that this request was not looked at."""
    line.tls.sendall(GoAwayFrame(0, stream - 1, additional_data=b'{"reason":"Shutdown"}').serialize())


def leaving_after(way: Way) -> Way:
    """Say goodbye, and serve this request as the last one."""

    def leave(line: Line, stream: int, asked: Asked) -> None:
        line.tls.sendall(GoAwayFrame(0, stream).serialize())
        way(line, stream, asked)

    return leave


def cutting(line: Line, stream: int, asked: Asked) -> None:
    """Break off within the body."""
    line.http2.send_headers(stream, [(":status", "410")])
    line.http2.send_data(stream, b'{"reason":"Unreg')
    line.flush()
    line.tls.close()


def flooding(line: Line, stream: int, asked: Asked) -> None:
    """Answer with more than anybody wants to read."""
    line.http2.send_headers(stream, [(":status", "400")])
    with suppress(ProtocolError, OSError):
        for _ in range(10):
            while line.http2.local_flow_control_window(stream) < 16_000:
                received = line.tls.recv(65_536)
                if not received:
                    return
                line.http2.receive_data(received)
            line.http2.send_data(stream, b"x" * 16_000)
            line.flush()


def babbling(line: Line, stream: int, asked: Asked) -> None:
    line.tls.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


class Http2Server:
    """Listens on a free port while it is entered; `way` is how it behaves, `greets` whether it begins at all."""

    def __init__(self, authority: Authority, window: int = 65_535, protocol: str = "h2", host: str = HOST) -> None:
        self.ca_file = str(authority.ca_file)
        self.asked: list[Asked] = []
        self.connections = 0
        self.way: Way = answering(200)
        self.greeting: Callable[[ssl.SSLSocket, Event], None] | None = None
        self.stopping = Event()
        self._window = window
        self._tls = authority.server_context(host)
        self._tls.set_alpn_protocols([protocol])
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://{HOST}:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(5)

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def hang_up(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _start(self, run: Callable[..., None], *given: Any) -> None:
        thread = Thread(target=run, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError, ProtocolError), self._tls.wrap_socket(connection, server_side=True) as tls:
            with self._lock:
                self._open.add(tls)
            if self.greeting is not None:
                self.greeting(tls, self.stopping)
                return
            http2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
            window = {SettingCodes.INITIAL_WINDOW_SIZE: self._window}
            http2.local_settings = Settings(client=False, initial_values=window)
            http2.initiate_connection()
            self._converse(Line(tls, http2, self.stopping), number)

    def _converse(self, line: Line, number: int) -> None:
        line.flush()
        heads: dict[int, dict[str, str]] = {}
        bodies: dict[int, bytes] = {}
        while received := line.tls.recv(65_536):
            for event in line.http2.receive_data(received):
                if isinstance(event, RequestReceived) and event.stream_id:
                    heads[event.stream_id] = {str(name): str(value) for name, value in event.headers or ()}
                    bodies[event.stream_id] = b""
                elif isinstance(event, DataReceived) and event.stream_id:
                    bodies[event.stream_id] += event.data or b""
                    line.http2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                elif isinstance(event, StreamEnded) and event.stream_id:
                    head = heads.pop(event.stream_id)
                    asked = Asked(number, head[":path"], head, bodies.pop(event.stream_id))
                    self.asked.append(asked)
                    line.flush()
                    self.way(line, event.stream_id, asked)
            line.flush()
