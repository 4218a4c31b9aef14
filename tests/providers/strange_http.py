"""Further ways of `misbehaving_http`: answers that are hard to read or to keep."""

import socket
from threading import Event
from urllib.parse import unquote

from tests.providers.misbehaving_http import Received, _answer, _way


@_way
def bytes_(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """`/bytes-/500/00610062`: a status, and a body in hexadecimal digits."""
    status, _, digits = rest.partition("/")
    return _answer(connection, f"{status} Because", bytes.fromhex(digits), x_request_id="r17")


@_way
def digits(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b'{"n":' + b"9" * 5000 + b"}", content_type="application/json")


@_way
def deep(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"[" * 20_000 + b"]" * 20_000, content_type="application/json")


@_way
def error_of_10_mb(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "500 Oh", "ünlesbar \x00".encode() * 1_000_000)


@_way
def latin_header(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"", x_request_id="\xe4\xff\x80")


@_way
def long_request_id(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    return _answer(connection, "200 OK", b"", x_request_id="x" * 60_000)


@_way
def endless_headers(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not stopping.is_set():
        connection.sendall(b"X-Again: and again\r\n")
    return False


@_way
def long_status(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 " + b"O" * 2**20 + b"\r\n\r\n")
    return False


@_way
def odd_status(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    """`/odd-status/HTTP%2F9.9%20200%20OK`: the status line as it stands."""
    connection.sendall(unquote(rest).encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n")
    return False


@_way
def no_status(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"<html>hello</html>\r\n\r\n")
    return False


@_way
def two_lengths(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 7\r\n\r\nanother")
    return False


@_way
def length_lies(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nwords")
    return False


@_way
def bad_chunks(connection: socket.socket, request: Received, rest: str, stopping: Event) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nwords\r\n0\r\n\r\n")
    return False
