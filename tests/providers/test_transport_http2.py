"""HTTP/2: what a broken line means, which connections are used again, many sends at once."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event

import pytest

from noti_worker.domain.notification import Channel
from noti_worker.domain.said import Said
from noti_worker.providers._api import read_json
from noti_worker.transport import Kit, Reply, Request, http2, idle
from noti_worker.transport.http import HttpSender
from tests.certificates import Authority
from tests.providers.contract import LIMIT, NOW, a_message, prompt
from tests.providers.http2_server import (
    HOST,
    Asked,
    Http2Server,
    Line,
    Way,
    answering,
    babbling,
    closing,
    cutting,
    flooding,
    hanging,
    leaving,
    leaving_after,
    refusing,
    resetting,
    trickling,
)

MESSAGE = a_message(Channel.PUSH, "device")


class Plain:
    """Sends a message's text as it is."""

    def request(self, message: object) -> Request:
        return Request("POST", "https://ignored/push", {}, str(getattr(message, "text", "")).encode())

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, words="reason")
        return replace(
            said, id=str(len(reply.body)), words=f"{said.words} truncated" if reply.truncated else said.words
        )


@contextmanager
def sending(server: Http2Server, port: int | None = None, ca_file: str | None = None) -> Iterator[HttpSender]:
    sender = Kit(now=lambda: NOW).http2(Plain(), HOST, port or server.port, ca_file=ca_file or server.ca_file)
    try:
        yield sender
    finally:
        sender.close()


@pytest.fixture
def server(authority: Authority) -> Iterator[Http2Server]:
    with Http2Server(authority) as server:
        yield server


@pytest.fixture
def sender(server: Http2Server) -> Iterator[HttpSender]:
    with sending(server) as sender:
        yield sender


def end_of(said: Said) -> tuple[str, str, str]:
    return said.stage, said.status, said.code


def first_on_a_connection(way: Way, after: Way) -> Way:
    """`way` for the first request of each connection, `after` for the others."""
    seen: set[int] = set()

    def choose(line: Line, stream: int, asked: Asked) -> None:
        known = asked.connection in seen
        seen.add(asked.connection)
        (after if known else way)(line, stream, asked)

    return choose


def speaking_smtp(tls: ssl.SSLSocket, stopping: Event) -> None:
    tls.sendall(b"220 mail.example.com ESMTP\r\n")
    stopping.wait(20)


class TestWhatABrokenLineMeans:
    @pytest.mark.parametrize(
        ("way", "said"),
        [
            (closing, ("answer", "", "closed")),
            (resetting, ("answer", "", "closed")),
            (leaving_after(closing), ("answer", "", "closed")),
            (babbling, ("answer", "", "not_http")),
            (refusing, ("connect", "", "refused_stream")),
            (leaving, ("connect", "", "refused_stream")),
            (leaving_after(answering(200)), ("answer", "200", "")),
            (cutting, ("answer", "410", "")),
            (flooding, ("answer", "400", "")),
        ],
    )
    def test_it_tells_whether_the_request_was_taken(
        self, server: Http2Server, sender: HttpSender, way: Way, said: tuple[str, str, str]
    ) -> None:
        server.way = way
        assert end_of(sender.send(MESSAGE, LIMIT)) == said
        assert len(server.asked) == 1

    @pytest.mark.parametrize("way", [hanging, trickling])
    def test_no_answer_in_time_is_uncertain(self, server: Http2Server, sender: HttpSender, way: Way) -> None:
        server.way = way
        assert end_of(prompt(lambda: sender.send(MESSAGE, 0.5), 0.5)) == ("answer", "", "timeout")

    def test_the_words_of_a_goodbye_are_told(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = leaving
        assert "Shutdown" in sender.send(MESSAGE, LIMIT).words

    def test_an_answer_that_is_cut_is_read_as_far_as_it_came(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = cutting
        assert "truncated" in sender.send(MESSAGE, LIMIT).words

    def test_a_flood_is_read_up_to_a_limit(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = flooding
        assert sender.send(MESSAGE, LIMIT).id == str(64 * 1024)

    def test_a_port_where_nobody_listens(self, server: Http2Server) -> None:
        with socket.create_server((HOST, 0)) as listener:
            port = listener.getsockname()[1]
        with sending(server, port) as sender:
            assert end_of(sender.send(MESSAGE, LIMIT)) == ("connect", "", "refused")

    def test_a_server_that_never_speaks_tls(self, server: Http2Server) -> None:
        with socket.create_server((HOST, 0)) as listener, sending(server, listener.getsockname()[1]) as sender:
            assert end_of(prompt(lambda: sender.send(MESSAGE, 0.5), 0.5)) == ("tls", "", "timeout")

    def test_a_server_without_http2(self, authority: Authority) -> None:
        with Http2Server(authority, protocol="http/1.1") as server, sending(server) as sender:
            assert end_of(sender.send(MESSAGE, LIMIT)) == ("tls", "", "no_http2")

    def test_a_certificate_of_another_host(self, authority: Authority) -> None:
        with Http2Server(authority, host="127.0.0.2") as server, sending(server) as sender:
            said = sender.send(MESSAGE, LIMIT)
        assert end_of(said) == ("tls", "", "tls")
        assert "another host" in (said.error or "")

    def test_a_certificate_of_nobody_that_is_trusted(self, server: Http2Server) -> None:
        sender = Kit(now=lambda: NOW).http2(Plain(), HOST, server.port)
        assert end_of(sender.send(MESSAGE, LIMIT)) == ("tls", "", "tls")
        sender.close()

    @pytest.mark.parametrize(
        ("greeting", "code"),
        [
            (lambda tls, stopping: stopping.wait(20), "timeout"),
            (lambda tls, stopping: tls.close(), "closed"),
            (speaking_smtp, "not_http"),
        ],
    )
    def test_a_server_that_does_not_greet_was_sent_nothing(
        self, server: Http2Server, greeting: Callable[[ssl.SSLSocket, Event], None], code: str
    ) -> None:
        server.greeting = greeting
        with sending(server) as sender:
            limit = 0.5 if code == "timeout" else LIMIT
            assert end_of(prompt(lambda: sender.send(MESSAGE, limit), limit)) == ("connect", "", code)


class TestConnections:
    def test_one_is_used_again(self, server: Http2Server, sender: HttpSender) -> None:
        assert {sender.send(MESSAGE, LIMIT).status for _ in range(5)} == {"200"}
        assert server.connections == 1

    def test_one_whose_request_broke_is_not(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = refusing
        sender.send(MESSAGE, LIMIT)
        server.way = answering(200)
        sender.send(MESSAGE, LIMIT)
        assert server.connections == 2

    def test_one_that_the_server_left_is_not(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = leaving_after(answering(200))
        assert [sender.send(MESSAGE, LIMIT).status for _ in range(2)] == ["200", "200"]
        assert server.connections == 2

    def test_one_that_ended_while_it_was_kept_is_replaced(self, server: Http2Server, sender: HttpSender) -> None:
        for _ in range(3):
            assert sender.send(MESSAGE, LIMIT).status == "200"
            server.hang_up()
        assert server.connections == 3

    def test_what_a_kept_one_did_not_take_goes_out_on_a_fresh_one(
        self, server: Http2Server, sender: HttpSender
    ) -> None:
        server.way = first_on_a_connection(answering(200), after=leaving)
        assert [sender.send(MESSAGE, LIMIT).status for _ in range(2)] == ["200", "200"]
        assert [asked.connection for asked in server.asked] == [1, 1, 2]

    def test_what_a_kept_one_may_have_taken_does_not(self, server: Http2Server, sender: HttpSender) -> None:
        server.way = first_on_a_connection(answering(200), after=closing)
        sender.send(MESSAGE, LIMIT)
        assert end_of(sender.send(MESSAGE, LIMIT)) == ("answer", "", "closed")
        assert len(server.asked) == 2

    def test_a_quiet_one_is_asked_first(
        self, server: Http2Server, sender: HttpSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http2, "QUIET_AT_MOST", -1.0)
        assert {sender.send(MESSAGE, LIMIT).status for _ in range(3)} == {"200"}
        assert server.connections == 1

    def test_a_quiet_one_that_is_dead_is_replaced(
        self, server: Http2Server, sender: HttpSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def answer_and_die(line: Line, stream: int, asked: Asked) -> None:
            answering(200)(line, stream, asked)
            if asked.connection == 1:
                line.stopping.wait(20)

        monkeypatch.setattr(http2, "QUIET_AT_MOST", -1.0)
        server.way = answer_and_die
        assert [sender.send(MESSAGE, 3.0).status for _ in range(2)] == ["200", "200"]
        assert [asked.connection for asked in server.asked] == [1, 2]

    def test_one_that_was_kept_for_long_is_closed(
        self, server: Http2Server, sender: HttpSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sender.send(MESSAGE, LIMIT)
        monkeypatch.setattr(http2, "IDLE_AT_MOST", -1.0)
        sender.send(MESSAGE, LIMIT)
        assert server.connections == 2

    def test_idle_ones_are_given_up_when_descriptors_run_out(self, server: Http2Server, sender: HttpSender) -> None:
        sender.send(MESSAGE, LIMIT)
        idle.shed()
        sender.send(MESSAGE, LIMIT)
        assert server.connections == 2

    def test_a_body_waits_for_the_window_of_the_server(self, authority: Authority) -> None:
        with Http2Server(authority, window=100) as server, sending(server) as sender:
            text = "0123456789" * 400
            assert sender.send(replace(MESSAGE, text=text), LIMIT).status == "200"
            assert server.last.body.decode() == text

    def test_many_threads_send_at_once_and_nothing_is_mixed(self, server: Http2Server, sender: HttpSender) -> None:
        def repeating(line: Line, stream: int, asked: Asked) -> None:
            line.answer(stream, 400, json.dumps({"reason": asked.body.decode()}).encode())

        server.way = repeating
        texts = [f"text {number}" for number in range(400)]
        with ThreadPoolExecutor(20) as threads:
            said = list(threads.map(lambda text: sender.send(replace(MESSAGE, text=text), 20.0), texts))
        assert [one.words for one in said] == texts
        assert server.connections <= 20

    def test_after_closing_none_is_kept(self, server: Http2Server, sender: HttpSender) -> None:
        ended = Event()

        def answer_and_watch(line: Line, stream: int, asked: Asked) -> None:
            answering(200)(line, stream, asked)
            with suppress(OSError):
                while line.tls.recv(4096):
                    pass
            ended.set()

        server.way = answer_and_watch
        sender.send(MESSAGE, LIMIT)
        sender.close()
        assert ended.wait(LIMIT)
