"""What is posted, over real sockets: genuine requests are kept, others cost little and keep nobody out."""

import hmac
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import DatabaseBack, DatabaseLost, ReceiptRefused, ReceiptTaken, Trouble
from noti_worker.domain.receipts import Inlet, NotGenuine, Posted, Taken
from noti_worker.domain.secret import Secret
from noti_worker.observe.listener import address_of, listen_on
from noti_worker.web import server as module
from noti_worker.web.receipts import LARGEST_BODY, Receipts
from noti_worker.web.server import MOST_CONNECTIONS, WebServer
from noti_worker.web.strangers import MOST, WINDOW, Strangers
from tests.web.posting import Kept, connect, post, status_of
from tests.worker.fakes import Witness

TOKEN = "0123456789abcdef"
PATH = f"/receipts/mail/{TOKEN}"
KEY = b"a key that nobody knows"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Signed:
    """A receiver of what is signed by KEY."""

    taken: Taken = field(default_factory=Taken)

    def take(self, posted: Posted, now: datetime) -> Taken:
        assert now == NOW
        if posted.headers.get("x-signature") != signature(posted.body):
            raise NotGenuine("signature", "the signature is another")
        return self.taken


def signature(body: bytes) -> str:
    return hmac.digest(KEY, body, "sha256").hex()


def signed(body: bytes) -> dict[str, str]:
    return {"X-Signature": signature(body)}


@dataclass
class Web:
    """A server of ours that takes receipts for the account `mail`."""

    address: str
    kept: Kept
    heard: Witness
    receiver: Signed
    clock: list[float]

    def post(self, body: bytes = b"{}", path: str = PATH, **more: Any) -> int:
        return post(self.address, path, body, **({"headers": signed(body)} | more))[0]


@pytest.fixture
def start() -> Iterator[Callable[..., Web]]:
    servers: list[WebServer] = []

    def start(*proxies: str) -> Web:
        kept, heard, receiver, clock = Kept(), Witness(), Signed(), [1000.0]
        inlets = {"mail": Inlet("mail", "sendgrid", Secret(TOKEN), receiver)}
        receipts = Receipts(inlets, kept, lambda: NOW, heard, lambda: clock[0])
        listener = listen_on("web.listen", "127.0.0.1:0")
        server = WebServer(receipts.app(), listener, proxies)
        server.start()
        servers.append(server)
        return Web(address_of(listener), kept, heard, receiver, clock)

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def web(start: Callable[..., Web]) -> Web:
    return start()


def test_what_is_genuine_is_kept_as_it_came(web: Web) -> None:
    body = os.urandom(100_000)
    assert web.post(body, f"{PATH}?a=%2B1&b=%20") == 200
    [(account, provider, posted)] = web.kept.requests
    assert (account, provider, posted.method, posted.query, posted.body) == (
        "mail",
        "sendgrid",
        "POST",
        "a=%2B1&b=%20",
        body,
    )
    assert posted.headers["x-signature"] == signature(body)
    assert web.heard.facts == [ReceiptTaken("mail")]


def test_an_answer_says_nothing_of_us(web: Web) -> None:
    status, headers, body = post(web.address, PATH, b"{}", signed(b"{}"))
    assert (status, body) == (200, b"")
    assert headers == {
        "content-length": "0",
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }


def test_a_receiver_answers_what_its_provider_wants_to_hear(web: Web) -> None:
    web.receiver.taken = Taken(keep=False, body=b"<Response/>", media_type="text/xml")
    status, headers, body = post(web.address, PATH, b"{}", signed(b"{}"))
    assert (status, body, headers["content-type"]) == (200, b"<Response/>", "text/xml; charset=utf-8")
    assert web.kept.requests == []


@pytest.mark.parametrize("changed", [b"{ }", b"", b"{}\n"])
def test_what_is_not_genuine_is_not_kept(web: Web, changed: bytes) -> None:
    assert web.post(changed, headers=signed(b"{}")) == 403
    assert web.kept.requests == []
    assert web.heard.facts == [ReceiptRefused("mail", "signature")]


@pytest.mark.parametrize(
    "path",
    [
        f"/receipts/other/{TOKEN}",
        "/receipts/mail/0123456789abcdeg",
        "/receipts/mail/0123456789abcde",
        f"/receipts/mail/{TOKEN}/",
        f"/receipts/mail/{TOKEN}x",
        "/receipts/mail/%00%ff",
        "/receipts/mail/",
        "/receipts/mail",
        "/receipts",
        f"/receipts//{TOKEN}",
        "/metrics",
        "/health/live",
    ],
)
def test_there_is_nothing_without_the_token(web: Web, path: str) -> None:
    assert web.post(path=path) == 404
    assert web.heard.facts == []


def test_the_root_greets(web: Web) -> None:
    assert post(web.address, "/", method="GET")[::2] == (200, b"noti-worker\n")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_post_are_understood(web: Web, method: str) -> None:
    assert web.post(method=method) == 405


def test_what_cannot_be_kept_comes_again(web: Web) -> None:
    web.kept.broken = DatabaseAway("gone")
    for _ in range(2):
        status, headers, _ = post(web.address, PATH, b"{}", signed(b"{}"))
        assert (status, headers["retry-after"]) == (503, "30")
        web.clock[0] += 5
    web.kept.broken = None
    assert web.post() == 200
    assert web.heard.facts == [
        DatabaseLost("gone", 0.0, 0),
        DatabaseLost("gone", 5.0, 0),
        DatabaseBack(10.0),
        ReceiptTaken("mail"),
    ]


def test_a_missing_right_is_told(web: Web) -> None:
    web.kept.broken = DatabaseRefused("permission denied", whole=True)
    assert web.post() == 503
    assert web.heard.facts == [Trouble("receipts", "permission denied")]


# ------------------------------------------------------------------------------ size


def test_a_body_of_a_megabyte_is_taken_and_no_larger_one(web: Web) -> None:
    assert web.post(bytes(LARGEST_BODY)) == 200
    with suppress(OSError):  # it stops to read, and the client may notice before it hears why
        assert web.post(bytes(LARGEST_BODY + 1)) == 413
    assert len(web.kept.requests) == 1
    assert web.heard.facts[-1] == ReceiptRefused("mail", "size")


def test_what_says_that_it_is_large_is_not_read(web: Web) -> None:
    with connect(web.address) as client:
        client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n".encode())
        assert status_of(client) == b"HTTP/1.1 413 Request Entity Too Large"


def test_what_does_not_say_its_size_is_counted(web: Web) -> None:
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with connect(web.address) as client:
        client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(OSError):  # it stops to read
            for _ in range(64):
                client.sendall(piece)
        assert b"200" not in status_of(client)
    assert web.kept.requests == []


def test_a_head_has_a_limit(web: Web) -> None:
    with connect(web.address) as client:
        with suppress(OSError):
            client.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"x" * 200_000)
        assert b"200" not in status_of(client)


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\r\n" * 100])
def test_what_is_no_http_harms_nobody(web: Web, said: bytes) -> None:
    with connect(web.address) as client:
        client.sendall(said)
        assert web.post() == 200


# ------------------------------------------------------------------------------ time and number


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    "begun", [b"", b"POST ", f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12".encode()]
)
def test_a_client_that_takes_too_long_is_dropped(web: Web, begun: bytes) -> None:
    with connect(web.address) as client:
        client.sendall(begun)
        assert status_of(client) == b""
    assert web.kept.requests == []


@pytest.mark.usefixtures("_hurried")
def test_a_client_that_trickles_is_dropped(web: Web) -> None:
    with connect(web.address) as client:
        with suppress(OSError):
            for _ in range(10_000):
                client.sendall(b"X")
                client.settimeout(0.01)
                with suppress(TimeoutError):
                    if client.recv(100) == b"":
                        return
        assert status_of(client) == b""


def test_slow_clients_keep_nobody_out(web: Web) -> None:
    slow = [connect(web.address) for _ in range(2 * MOST_CONNECTIONS)]
    try:
        for client in slow:
            client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx".encode())
        assert web.post() == 200
        dropped = 0
        for client in slow:
            client.settimeout(0.001)
            with suppress(TimeoutError):
                dropped += status_of(client) == b""
        assert MOST_CONNECTIONS <= dropped < 2 * MOST_CONNECTIONS, "those that waited longest, and no more"
    finally:
        for client in slow:
            client.close()


def test_who_is_refused_again_and_again_is_not_read_any_more(web: Web) -> None:
    for _ in range(MOST):
        assert web.post(headers={}) == 403
    status, headers, _ = post(web.address, PATH, b"{}", signed(b"{}"))
    assert (status, headers["retry-after"]) == (429, "60")
    assert web.heard.facts[-1] == ReceiptRefused("mail", "often")
    web.clock[0] += WINDOW
    assert web.post() == 200


def test_what_is_genuine_is_never_too_often(web: Web) -> None:
    assert {web.post() for _ in range(3 * MOST)} == {200}


def test_behind_a_proxy_clients_are_told_apart(start: Callable[..., Web]) -> None:
    web = start("127.0.0.1")
    for _ in range(MOST):
        assert web.post(headers={"X-Forwarded-For": "198.51.100.7"}) == 403
    assert web.post(headers={"X-Forwarded-For": "198.51.100.7"}) == 429
    assert web.post(headers=signed(b"{}") | {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}) == 200
    assert web.post() == 200


def test_a_stranger_cannot_say_who_he_is(web: Web) -> None:
    for number in range(MOST):
        assert web.post(headers={"X-Forwarded-For": f"198.51.100.{number}"}) == 403
    assert web.post(headers={"X-Forwarded-For": "203.0.113.9"}) == 429


def test_strangers_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noti_worker.web.strangers.REMEMBERED", 100)
    now = [0.0]
    strangers = Strangers(lambda: now[0])
    for number in range(250):
        strangers.refused(str(number))
        assert len(strangers._counts) <= 100
    now[0] = WINDOW
    strangers.refused("x")
    assert not strangers.tiresome("249")
