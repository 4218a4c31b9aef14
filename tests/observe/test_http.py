"""The HTTP server, over real sockets: three pages, strict limits, nobody kept out."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from types import TracebackType

import pytest

from noti_worker.domain import facts as f
from noti_worker.domain.errors import ConfigurationError
from noti_worker.observe import http as module
from noti_worker.observe.health import Health
from noti_worker.observe.http import LARGEST_REQUEST, MOST_CONNECTIONS, Server
from noti_worker.observe.metrics import MetricsObserver


@pytest.fixture
def health() -> Health:
    health = Health()
    health.on(f.WorkerStarted(1, "9.8.7", ("email",)))
    return health


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    server = Server("127.0.0.1:0", health, MetricsObserver().text, configured=True)
    server.start()
    yield server
    server.close()


def where(server: Server) -> tuple[str, int]:
    host, _, port = server.address.rpartition(":")
    return host, int(port)


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    connection = HTTPConnection(*where(server), timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def send(server: Server, request: bytes) -> bytes:
    """Everything that the server answers to these bytes, until it closes."""
    with socket.create_connection(where(server), timeout=10) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_metrics_are_served_as_prometheus_wants_them(server: Server) -> None:
    status, headers, body = ask(server, "/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE notifications_sent_total counter" in body
    assert ask(server, "/metrics?name[]=up")[0] == 200


def test_health_is_told_by_status_and_words_without_versions(server: Server, health: Health) -> None:
    assert ask(server, "/health/live")[::2] == (200, "ok\n")
    assert ask(server, "/health/ready")[::2] == (200, "ok\n")
    health.on(f.DatabaseLost("postgresql://u:p@h/d", 60.0, 0))
    assert ask(server, "/health/live")[::2] == (200, "ok\n")
    status, headers, body = ask(server, "/health/ready")
    assert (status, body) == (503, "the database does not answer\n")
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "9.8.7" not in f"{headers}{body}"


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/", "/metrics/", "//metrics", "/../metrics", "/health/live/x"]
)
def test_there_are_no_other_pages(server: Server, path: str) -> None:
    assert ask(server, path)[::2] == (404, "Not Found\n")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_there_is_nothing_but_get(server: Server, method: str) -> None:
    answer = send(server, f"{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET\r\n" in answer


@pytest.mark.parametrize("request_", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_is_not_http_is_refused(server: Server, request_: bytes) -> None:
    assert send(server, request_).startswith(b"HTTP/1.1 400 ")


def test_a_request_of_more_than_4_kib_is_refused_and_the_answer_arrives(server: Server) -> None:
    headers = b"GET /metrics HTTP/1.1\r\nCookie: "
    assert send(server, headers + b"x" * (10 * LARGEST_REQUEST)).startswith(b"HTTP/1.1 431 ")
    fits = headers + b"x" * (LARGEST_REQUEST - len(headers) - 4) + b"\r\n\r\n"
    assert send(server, fits).startswith(b"HTTP/1.1 200 ")


def test_a_request_in_small_pieces_is_understood(server: Server) -> None:
    with socket.create_connection(where(server), timeout=10) as client:
        for byte in b"GET /health/live HTTP/1.0\r\n\r\n":
            client.sendall(bytes([byte]))
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"\r\n\r\nok\n")


@pytest.mark.fault("F49")
def test_half_open_clients_keep_nobody_out(server: Server) -> None:
    idle = [socket.create_connection(where(server), timeout=10) for _ in range(200)]
    try:
        for client in idle:
            client.sendall(b"GET /metr")
        assert ask(server, "/health/live")[0] == 200
        # All but the latest were dropped to make room, the first ones first.
        assert idle[0].recv(1) == b""
    except ConnectionResetError:
        pass
    finally:
        for client in idle:
            client.close()
    assert ask(server, "/metrics")[0] == 200


@pytest.mark.fault("F49")
def test_there_are_at_most_sixteen_connections(server: Server) -> None:
    idle = [socket.create_connection(where(server), timeout=10) for _ in range(3 * MOST_CONNECTIONS)]
    assert ask(server, "/health/live")[0] == 200
    assert len(server._connections) <= MOST_CONNECTIONS
    for client in idle:
        client.close()


@pytest.mark.fault("F49")
def test_a_client_that_takes_too_long_is_dropped(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    server = Server("127.0.0.1:0", health, lambda: b"", configured=True)
    server.start()
    with socket.create_connection(where(server), timeout=10) as client:
        client.sendall(b"GET ")
        assert client.recv(1) == b""
    server.close()


def test_a_reader_that_does_not_read_holds_up_nobody(health: Health) -> None:
    server = Server("127.0.0.1:0", health, lambda: b"x" * 20_000_000, configured=True)
    server.start()
    with socket.create_connection(where(server), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(server, "/health/live")[0] == 200
    server.close()


def test_a_page_that_fails_leaves_the_others(health: Health) -> None:
    def broken() -> bytes:
        raise RuntimeError("canary")

    server = Server("127.0.0.1:0", health, broken, configured=True)
    server.start()
    assert ask(server, "/metrics")[::2] == (500, "Internal Server Error\n")
    assert ask(server, "/health/live")[0] == 200
    server.close()


class Taken:
    """A port in use."""

    def __enter__(self) -> str:
        self.socket = socket.create_server(("127.0.0.1", 0))
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()


def test_a_configured_port_in_use_is_a_configuration_error(health: Health) -> None:
    with Taken() as listen, pytest.raises(ConfigurationError, match=f"http.listen: {re.escape(listen)} cannot be used"):
        Server(listen, health, lambda: b"", configured=True)


def test_a_default_port_in_use_gives_way_to_a_free_one(health: Health) -> None:
    with Taken() as listen:
        server = Server(listen, health, lambda: b"", configured=False)
        server.start()
        assert server.address != listen
        assert server.address.startswith("127.0.0.1:")
        assert ask(server, "/health/live")[0] == 200
        server.close()


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "no.such.host.invalid:0"])
def test_an_address_that_is_not_ours_is_a_configuration_error(health: Health, listen: str) -> None:
    for configured in (True, False):
        with pytest.raises(ConfigurationError, match=r"http\.listen: .* cannot be used"):
            Server(listen, health, lambda: b"", configured=configured)


def test_the_port_is_free_again_after_close(health: Health) -> None:
    first = Server("127.0.0.1:0", health, lambda: b"", configured=True)
    first.start()
    assert ask(first, "/health/live")[0] == 200
    address = first.address
    first.close()
    second = Server(address, health, lambda: b"", configured=True)
    assert second.address == address
    second.close()


def test_ipv6_is_written_in_brackets(health: Health) -> None:
    if not socket.has_ipv6 or not _loopback_of_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    server = Server("[::1]:0", health, lambda: b"", configured=True)
    assert server.address.startswith("[::1]:")
    server.close()


def _loopback_of_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_many_clients_at_once_are_all_answered(server: Server) -> None:
    statuses: list[int] = []
    one: Callable[[], None] = lambda: statuses.extend(ask(server, "/metrics")[0] for _ in range(5))  # noqa: E731
    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40
