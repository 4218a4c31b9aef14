"""Reading an answer: however it is framed, as the standard library reads it, and nothing left for the next one."""

import socket
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.outcome import Kind
from noti_worker.domain.said import Said
from noti_worker.transport import Reply, Request
from noti_worker.transport.answer import Answer
from noti_worker.transport.client import Client
from noti_worker.transport.deadline import Call
from tests.providers.misbehaving_http import MisbehavingServer, misbehaving
from tests.providers.test_transport import LOCAL, a_client, failed, kind, post, replied


@pytest.fixture
def client() -> Iterator[Client]:
    client = a_client(allow_networks=LOCAL, allow_http=True)
    yield client
    client.close()


def saying(server: MisbehavingServer, *answers: bytes) -> None:
    """Have each connection answer its requests with these bytes, one after the other, then hang up."""

    def serve(connection: socket.socket, stopping: Event) -> None:
        for answer in answers:
            heard = b""
            while not heard.endswith(b"\r\n\r\n{}"):
                received = connection.recv(65536)
                if not received:
                    return
                heard += received
            connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)

    server.greeting = serve


def asked(client: Client, *answers: bytes) -> tuple[list[Reply | Said], int]:
    """What the same URL answers twice, and on how many connections."""
    with misbehaving() as server:
        saying(server, *answers)
        return [post(client, server.url("/"), limit=1.0) for _ in range(2)], server.connections


SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


@pytest.mark.parametrize(
    ("answer", "body", "connections"),
    [
        (SIZED, b"fine", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 1),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", b"", 1),
        (b"HTTP/1.1 200 OK\nContent-Length: 4\n\nfine", b"fine", 1),
        (b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nfine", b"fine", 1),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED, b"fine", 1),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;a=b\r\nne\r\n0\r\nX: y\r\n\r\n",
            b"fine",
            1,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nContent-Length: 9\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
            b"fine",
            1,
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 4\r\n\r\nfine", b"fine", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", b"fine", 2),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nfine", b"fine", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfine", b"fine", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 45\r\n\r\nfine", b"fine", 2),
        (SIZED + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"fine", 2),
        (b"HTTP/1.1 204 No Content\r\n\r\nevil", b"", 2),
    ],
)
def test_a_body_ends_where_it_says(client: Client, answer: bytes, body: bytes, connections: int) -> None:
    replies, used = asked(client, answer, answer)
    assert [replied(reply).body for reply in replies] == [body, body]
    assert not any(replied(reply).truncated for reply in replies)
    assert used == connections


def test_a_body_without_a_length_ends_with_its_connection(client: Client) -> None:
    replies, used = asked(client, b"HTTP/1.1 200 OK\r\nContent-Length: soon\r\n\r\nfine")
    assert [(replied(reply).body, replied(reply).truncated) for reply in replies] == [(b"fine", False)] * 2
    assert used == 2


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 10\r\n\r\nfine",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\nsoon\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n-1\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n+1\r\nx\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfineand more\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n" + b"X: y\r\n" * 1000,
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n" + b"0" * 100_000,
    ],
)
def test_a_body_that_is_cut_or_broken_leaves_the_status(client: Client, rest: bytes) -> None:
    replies, used = asked(client, b"HTTP/1.1 201 Made\r\n" + rest)
    assert [(replied(reply).status, replied(reply).body, replied(reply).truncated) for reply in replies] == [
        (201, b"fine", True)
    ] * 2
    assert used == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "closed"),
        (b"HT", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "closed"),
        (b"HTTP/2 200\r\n\r\n", "not_http"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "not_http"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not_http"),
        (b"ICY 200 OK\r\n\r\n", "not_http"),
        (b"<html>\n\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 65536 + b"\r\n\r\n", "not_http"),
    ],
)
def test_an_answer_that_is_none_leaves_us_uncertain(client: Client, answer: bytes, code: str) -> None:
    outcomes, _ = asked(client, answer)
    assert [(kind(failed(outcome)), failed(outcome).code) for outcome in outcomes] == [(Kind.UNCERTAIN, code)] * 2


def test_headers_are_read_by_name(client: Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\nX-NAME:v\xe4l \r\nContent-Length: 0\r\n\r\n"
    replies, used = asked(client, head, head)
    assert replied(replies[0]).headers == {"x-long": "one two", "x-name": "väl", "content-length": "0"}
    assert used == 1


def test_who_writes_broken_headers_gets_no_second_request_on_the_connection(client: Client) -> None:
    replies, used = asked(client, b"HTTP/1.1 200 OK\r\nX-Name: value\r\nno colon\r\nContent-Length: 4\r\n\r\nfine")
    assert [replied(reply).body for reply in replies] == [b"fine"] * 2
    assert used == 2


class _Nobody:
    """In the place of the connection and of its pool."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def _put_conn(self, conn: Any) -> None:
        del conn


def ours(content: bytes, pieces: list[int], method: str) -> tuple[int, bytes, bool]:
    server, client = socket.socketpair()
    with server, client:
        answer = None
        start = 0
        # All of it waits in the socket, but each read takes as little as a slow line would bring.
        server.sendall(content)
        server.shutdown(socket.SHUT_WR)

        class Slow:
            settimeout = client.settimeout

            def recv(self, most: int) -> bytes:
                nonlocal start
                start += 1
                return client.recv(pieces[start % len(pieces)])

        answer = Answer(Slow(), Call(5.0), method)  # type: ignore[arg-type]
        answer._connection = answer._pool = _Nobody()
        return (answer.status, *answer.body(1_000_000))


def theirs(content: bytes, method: str) -> tuple[int, bytes, bool]:
    class Socket:
        def makefile(self, mode: str) -> BytesIO:
            return BytesIO(content)

    response = HTTPResponse(Socket(), method=method)  # type: ignore[arg-type]
    response.begin()
    try:
        return response.status, response.read(), False
    except HTTPException:
        return response.status, b"", True


@given(
    status=st.sampled_from([200, 204, 304, 400, 503]),
    method=st.sampled_from(["POST", "HEAD"]),
    interim=st.integers(0, 3),
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    framing=st.sampled_from(["sized", "chunked", "open"]),
    cut=st.integers(0, 12),
    pieces=st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_it_is_read_as_the_standard_library_reads_it(
    status: int, method: str, interim: int, chunks: list[bytes], framing: str, cut: int, pieces: list[int]
) -> None:
    if framing == "chunked" and (method == "HEAD" or status in {204, 304}):
        framing = "sized"  # there the standard library reads chunks that RFC 9112 (6.3) says are none
    body = b"".join(chunks)
    head = b"HTTP/1.1 100 Continue\r\n\r\n" * interim + f"HTTP/1.1 {status} So\r\nX-Name: value\r\n".encode()
    match framing:
        case "sized":
            content = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        case "chunked":
            packed = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
            content = head + b"Transfer-Encoding: chunked\r\n\r\n" + packed + b"0\r\n\r\n"
        case _:
            content = head + b"\r\n" + body
    end = content.index(b"X-Name: value")
    end = content.index(b"\r\n\r\n", end) + 4
    content = content[: max(end, len(content) - cut)]
    got, expected = ours(content, pieces, method), theirs(content, method)
    assert got[0] == expected[0]
    if expected[2]:
        assert got[2], "what is missing is told"
    elif not got[2]:
        assert got[1] == expected[1]
    else:
        # The standard library does not miss the empty line after the last chunk.
        assert framing == "chunked"
        assert cut <= 4


def test_an_answer_that_comes_before_the_body_was_read_counts(client: Client) -> None:
    def refuse(connection: socket.socket, stopping: Event) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        # and hangs up, most of it unread

    with misbehaving() as server:
        server.greeting = refuse
        for size in (100_000, 20_000_000):  # the reset comes while we read, or while we write
            request = Request("POST", server.url("/"), {}, bytes(size))
            assert replied(client.send(request, 5.0)).status == 413
