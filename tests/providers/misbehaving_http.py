"""A real HTTP or HTTPS server that misbehaves on request: the path of the URL says how.

`/ok`, `/status/503?retry-after=120`, `/hang` … the names are those of the functions below. What goes wrong
before a request can be read is said by `server.greeting`.
"""

import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import BufferedReader
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    """A request as it came over the line; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class MisbehavingServer:
    """Listens on a free port of `host` while it is entered; one thread per connection."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.greeting: Callable[[socket.socket, Event], None] | None = None
        self.stopping = Event()
        self._tls = tls
        self._host = host
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self._host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *self._threads]:
            thread.join(5)

    def url(self, path: str, host: str | None = None) -> str:
        """The URL of a way to misbehave; `host` where the name matters."""
        return f"http{'s' if self._tls else ''}://{host or self._host}:{self.port}{path}"

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            if self.greeting is not None:
                self.greeting(connection, self.stopping)
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(connection)
            stream = connection.makefile("rb")
            with stream:
                if stream.peek(1)[:1] == b"\x16":  # TLS, where plain HTTP is spoken
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    stream.read()
                    return
                while (request := _read(stream)) is not None:
                    self.received.append(request)
                    name, _, rest = urlsplit(request.target).path.strip("/").partition("/")
                    if not _WAYS[name](connection, request, rest, self.stopping):
                        return
        except OSError:
            pass  # the client hung up, which is what most of these tests are about
        finally:
            with self._lock:
                self._open.discard(raw)
                self._open.discard(connection)
            connection.close()


@contextmanager
def misbehaving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[MisbehavingServer]:
    """A running server."""
    with MisbehavingServer(tls, host) as server:
        yield server


def closes_at_once(connection: socket.socket, stopping: Event) -> None:
    """A greeting: hang up before anything is read."""


def resets_at_once(connection: socket.socket, stopping: Event) -> None:
    """A greeting: reset before anything is read."""
    _reset(connection)


def hangs_at_once(connection: socket.socket, stopping: Event) -> None:
    """A greeting: accept and say nothing, not even in TLS."""
    stopping.wait(60)


Way = Callable[[socket.socket, Received, str, Event], bool]
"""Answers one request; tells whether the connection may serve another."""

_WAYS: dict[str, Way] = {}


def _way(function: Way) -> Way:
    _WAYS[function.__name__.replace("_", "-")] = function
    return function


@_way
def ok(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"fine")


@_way
def status(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """`/status/503?retry-after=120&body=busy`: the query gives headers and the body."""
    headers = dict(parse_qsl(urlsplit(request.target).query))
    body = headers.pop("body", "")
    return _answer(connection, f"{rest.partition('/')[0]} Because", body.encode(), **headers)


@_way
def echo(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """An error page that repeats what it was asked, as many frameworks do."""
    words = f"Cannot {request.method} {request.target} {request.headers} {request.headers.get('host')}"
    return _answer(connection, "404 Not Found", words.encode(), location=request.target)


@_way
def says(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """`/says/N`: a body of N bytes."""
    return _answer(connection, "200 OK", b"x" * int(rest))


@_way
def unwilling(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "422 No", b"no such order", x_request_id="r17", set_cookie="a=b")


@_way
def quotes(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """A body that grows when it is written as JSON."""
    return _answer(connection, "200 OK", b'"\x00' * 20_000)


@_way
def hang(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    stopping.wait(60)
    return False


@_way
def trickled_header(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not stopping.wait(0.05):
        connection.sendall(b"x")
    return False


@_way
def trickled_body(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not stopping.wait(0.05):
        connection.sendall(b"x")
    return False


@_way
def trickled_rest(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """A body without a length: its end is the end of the connection."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not stopping.wait(0.05):
        connection.sendall(b"x")
    return False


@_way
def endless_body(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not stopping.is_set():
        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    return False


@_way
def big_body(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (400 * 2**20))
    for _ in range(400):
        connection.sendall(bytes(2**20))
    return True


@_way
def gzip_bomb(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", _bomb(), content_encoding="gzip")


@_way
def endless_continue(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    while not stopping.wait(0.01):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return False


@_way
def redirect(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "302 Found", b"", location=f"/{rest}")


@_way
def closes_after(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return False


@_way
def resets_after(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    _reset(connection)
    return False


@_way
def closes_kept(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """Promises to keep the connection, and closes it."""
    _answer(connection, "200 OK", b"fine")
    return False


@_way
def not_http(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    return False


@_way
def huge_header(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"", x_huge="x" * 100_000)


@_way
def large_header(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"", x_large="x" * 60_000)


@_way
def many_headers(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"", **{f"x-{number}": "x" for number in range(500)})


@_way
def broken_header(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n")
    return False


@_way
def cut_body(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nfirst words")
    return False


def _answer(connection: socket.socket, line: str, body: bytes, **headers: str) -> bool:
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection.sendall(f"HTTP/1.1 {line}\r\n{head}\r\n".encode("latin-1") + body)
    return True


def _read(stream: BufferedReader) -> Received | None:
    readline, read = stream.readline, stream.read
    first = readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(first[0], first[1], headers, read(int(headers.get("content-length", "0"))))


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@cache
def _bomb() -> bytes:
    """100 kB that unpack to 100 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()
