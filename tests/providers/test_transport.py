"""The way out over HTTP against real servers that misbehave: time, size, honesty, secrecy."""

import gc
import logging
import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.transport import Reply, Request
from noti_worker.transport.client import Client, open_client
from noti_worker.transport.lookup import Addresses, Lookup, Resolver, system_lookup
from tests.certificates import Authority
from tests.providers.contract import BUSY, prompt
from tests.providers.misbehaving_http import (
    MisbehavingServer,
    closes_at_once,
    hangs_at_once,
    misbehaving,
    resets_at_once,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOCAL = ("127.0.0.0/8",)


def a_client(lookup: Lookup = system_lookup, concurrency: int = 20, **reach: Any) -> Client:
    return open_client(Resolver(lookup), lambda: NOW, concurrency, **reach)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving() as server:
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    client = a_client(allow_networks=LOCAL, allow_http=True)
    yield client
    client.close()


def post(client: Client, url: str, limit: float = 5.0, **headers: str) -> Reply | Said:
    return client.send(Request("POST", url, headers, b"{}"), limit)


def replied(answer: Reply | Said) -> Reply:
    assert isinstance(answer, Reply), answer
    return answer


def failed(answer: Reply | Said) -> Said:
    assert isinstance(answer, Said), answer
    assert answer.error
    assert not answer.status, "nobody answered"
    return answer


def kind(said: Said) -> Kind:
    """What the house makes of it."""
    return judge(said, (), None).kind


def until(fact: Any, seconds: float = 20.0) -> None:
    ends = monotonic() + seconds
    while not fact():
        assert monotonic() < ends, "it did not happen"
        Event().wait(0.01)


def test_a_request_goes_out_as_it_was_given(server: MisbehavingServer, client: Client) -> None:
    body = 'ünï\r\n"'.encode()
    request = Request(
        "PUT", server.url("/ok/a%2fb/%C3%bc?c=d&e=%20%2b+#fragment"), {"X-Own": "1", "user-agent": "me"}, body
    )
    reply = replied(client.send(request, 5))
    assert (reply.status, reply.body, reply.truncated) == (200, b"fine", False)
    (received,) = server.received
    assert (received.method, received.target, received.body) == ("PUT", "/ok/a%2fb/%C3%bc?c=d&e=%20%2b+", body)
    assert received.headers["x-own"] == "1"
    assert received.headers["user-agent"] == "me"
    assert received.headers["host"] == f"127.0.0.1:{server.port}"
    assert received.headers["accept-encoding"] == "identity"
    assert "authorization" not in received.headers
    assert "cookie" not in received.headers


@pytest.mark.fault("F31")
def test_a_packed_answer_is_never_asked_for(server: MisbehavingServer, client: Client) -> None:
    for name in ("accept-encoding", "Accept-Encoding"):
        replied(client.send(Request("POST", server.url("/ok"), {name: "gzip"}, b""), 5))
    assert {received.headers["accept-encoding"] for received in server.received} == {"identity"}


def test_an_empty_body_has_a_length(server: MisbehavingServer, client: Client) -> None:
    replied(client.send(Request("POST", server.url("/ok"), {}, b""), 5))
    assert server.received[0].headers["content-length"] == "0"


def test_a_connection_is_used_again(server: MisbehavingServer, client: Client) -> None:
    for path in ("/ok", "/status/503?body=busy", "/says/65536", "/status/204", "/ok"):
        replied(post(client, server.url(path)))
    assert server.connections == 1


def test_an_idle_connection_is_not_used_again(
    server: MisbehavingServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    replied(post(client, server.url("/ok")))
    monkeypatch.setattr("noti_worker.transport.connections.STALE", 0.05)
    Event().wait(0.1)
    replied(post(client, server.url("/ok")))
    assert server.connections == 2


def test_a_connection_that_the_peer_closed_is_not_used_again(server: MisbehavingServer, client: Client) -> None:
    for _ in range(5):
        replied(post(client, server.url("/closes-kept")))
        Event().wait(0.05)
    assert len(server.received) == 5


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
def test_a_redirect_is_an_answer(server: MisbehavingServer, client: Client, status: int) -> None:
    reply = replied(post(client, server.url(f"/status/{status}?location=/ok")))
    assert (reply.status, reply.headers["location"]) == (status, "/ok")
    assert len(server.received) == 1


def test_nothing_is_tried_twice(server: MisbehavingServer, client: Client) -> None:
    for path in ("/closes-after", "/resets-after", "/not-http", "/status/503?retry-after=1", "/redirect/ok"):
        server.received.clear()
        post(client, server.url(path))
        assert len(server.received) == 1, path


def test_the_environment_has_no_say(
    server: MisbehavingServer, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    replied(post(client, server.url("/ok")))
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/closes-after", "closed"),
        ("/resets-after", "closed"),
        ("/not-http", "not_http"),
        ("/huge-header", "not_http"),
        ("/many-headers", "not_http"),
    ],
)
def test_a_line_that_breaks_after_the_request_is_uncertain(
    server: MisbehavingServer, client: Client, path: str, code: str
) -> None:
    outcome = failed(post(client, server.url(path)))
    assert (kind(outcome), outcome.stage, outcome.code) == (Kind.UNCERTAIN, "answer", code)


def test_a_peer_that_hangs_up_at_once_may_have_read_it(server: MisbehavingServer, client: Client) -> None:
    server.greeting = closes_at_once
    assert kind(failed(post(client, server.url("/ok")))) is Kind.UNCERTAIN


def test_a_peer_that_resets_at_once_is_uncertain_once_we_wrote(server: MisbehavingServer, client: Client) -> None:
    server.greeting = resets_at_once
    outcomes = [failed(post(client, server.url("/ok"))) for _ in range(10)]
    # The reset may win the race against our first byte: then nothing was sent.
    assert {(kind(outcome), outcome.code) for outcome in outcomes} <= {
        (Kind.UNCERTAIN, "closed"),
        (Kind.TRANSIENT, "closed"),
        (Kind.TRANSIENT, "connect"),
    }


@pytest.mark.fault("F29")
def test_what_surely_was_not_sent_is_transient(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = failed(post(client, f"http://127.0.0.1:{port}/"))
    assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "refused")
    outcome = failed(post(client, "http://no-such-host.invalid/"))
    assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "dns")


def test_a_status_counts_even_when_the_body_is_cut_short(server: MisbehavingServer, client: Client) -> None:
    reply = replied(post(client, server.url("/cut-body")))
    assert (reply.status, reply.body, reply.truncated) == (503, b"first words", True)
    for path in ("/trickled-body", "/trickled-rest"):
        reply = replied(post(client, server.url(path), limit=0.3))
        assert (reply.status, reply.body[:3], reply.truncated) == (200, b"xxx", True)


@pytest.mark.parametrize(
    ("path", "means"),
    [
        ("/hang", Kind.UNCERTAIN),
        ("/trickled-header", Kind.UNCERTAIN),
        ("/endless-continue", Kind.UNCERTAIN),
        ("/trickled-body", None),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.fault("F30")
def test_no_call_outlives_its_limit(
    authority: Authority, client: Client, path: str, means: Kind | None, encrypted: bool
) -> None:
    tls = authority.server_context("127.0.0.1") if encrypted else None
    with misbehaving(tls) as server, ExitStack() as stack:
        ours = a_client(allow_networks=LOCAL, allow_http=True, ca_file=str(authority.ca_file))
        stack.callback(ours.close)
        began = monotonic()
        answer = prompt(lambda: post(ours, server.url(path), limit=1.0), 1.0)
        assert monotonic() - began > 0.9
    if means is None:
        assert replied(answer).truncated
    else:
        assert (kind(failed(answer)), failed(answer).code) == (means, "timeout")


def test_a_kept_connection_obeys_the_limit_too(authority: Authority, server: MisbehavingServer) -> None:
    client = a_client(allow_networks=LOCAL, allow_http=True, ca_file=str(authority.ca_file))
    with misbehaving(authority.server_context("127.0.0.1")) as encrypted:
        for one in (server, encrypted):
            replied(post(client, one.url("/ok")))
            began = monotonic()
            assert failed(post(client, one.url("/trickled-header"), limit=0.5)).code == "timeout"
            assert monotonic() - began < 0.5 + BUSY
            assert one.connections == 1
    client.close()


def test_a_peer_that_does_not_read_costs_no_more_than_the_limit(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        request = Request("POST", f"http://127.0.0.1:{port}/", {}, bytes(20_000_000))  # more than any socket buffers
        began = monotonic()
        outcome = failed(prompt(lambda: client.send(request, 0.5), 0.5))
        assert monotonic() - began >= 0.5
    assert (kind(outcome), outcome.code) == (Kind.UNCERTAIN, "timeout")


@pytest.mark.fault("F30")
def test_tls_that_never_answers_ends_in_time_and_was_not_sent() -> None:
    with misbehaving() as server:
        server.greeting = hangs_at_once
        client = a_client(allow_networks=LOCAL)
        outcome = failed(prompt(lambda: post(client, f"https://127.0.0.1:{server.port}/", limit=0.5), 0.5))
        assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "timeout")
        client.close()


@pytest.mark.fault("F29")
def test_a_name_that_is_never_resolved_ends_in_time() -> None:
    stop = Event()

    def hanging(host: str, port: int) -> Addresses:
        stop.wait(30)
        return []

    resolver = Resolver(hanging)
    client = open_client(resolver, lambda: NOW, 20)
    outcome = failed(prompt(lambda: post(client, "https://slow.test/", limit=0.5), 0.5))
    assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "timeout")
    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(lambda _: failed(post(client, "https://slow.test/", limit=0.2)), range(50)))
    assert {outcome.code for outcome in outcomes} == {"timeout"}
    assert resolver._threads == 1
    stop.set()
    client.close()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(server: MisbehavingServer) -> None:
    # A full backlog swallows further connections, as a dropped packet does.
    with socket.create_server(("127.0.0.2", 0), backlog=0) as full, ExitStack() as stack:
        stack.enter_context(socket.create_connection(full.getsockname()))
        addresses = [(socket.AF_INET, full.getsockname()), (socket.AF_INET, ("127.0.0.1", server.port))]
        client = a_client(lambda host, port: addresses, allow_networks=LOCAL, allow_http=True)
        stack.callback(client.close)
        assert replied(post(client, f"http://two.test:{server.port}/ok", limit=2)).status == 200


@pytest.mark.fault("F30")
def test_fifty_hung_calls_leave_nothing_behind(server: MisbehavingServer) -> None:
    resolver = Resolver()
    client = open_client(resolver, lambda: NOW, 25, allow_networks=LOCAL, allow_http=True)
    replied(post(client, server.url("/ok")))
    descriptors = len(os.listdir("/proc/self/fd"))
    began = monotonic()
    with ThreadPoolExecutor(25) as threads:
        outcomes = list(threads.map(lambda _: failed(post(client, server.url("/hang"), limit=2.0)), range(50)))
    assert monotonic() - began < 4 + 2 * BUSY
    assert {kind(outcome) for outcome in outcomes} == {Kind.UNCERTAIN}
    assert resolver._threads <= 1, "one lookup for all of them"
    client.close()
    server.__exit__()
    until(lambda: gc.collect() >= 0 and len(os.listdir("/proc/self/fd")) <= descriptors)


def test_a_closed_client_leaves_no_thread_and_can_be_closed_again(server: MisbehavingServer) -> None:
    resolver = Resolver()
    client = open_client(resolver, lambda: NOW, 20, allow_networks=LOCAL, allow_http=True)
    replied(post(client, server.url("/ok")))
    client.close()
    client.close()
    until(lambda: not resolver._threads)


@pytest.mark.parametrize("path", ["/endless-body", "/big-body", "/gzip-bomb"])
@pytest.mark.fault("F31")
def test_a_giant_answer_costs_no_memory(server: MisbehavingServer, client: Client, path: str) -> None:
    replied(post(client, server.url("/ok")))
    if path == "/gzip-bomb":
        replied(post(client, server.url(path)))  # the server packs it first, in this very process
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = monotonic()
    reply = replied(post(client, server.url(path)))
    assert monotonic() - began < 2
    assert reply.truncated
    assert len(reply.body) == 64 * 1024
    assert path != "/gzip-bomb" or reply.body.startswith(b"\x1f\x8b"), "it was unpacked"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@pytest.mark.fault("F31")
def test_a_large_header_is_cut(server: MisbehavingServer, client: Client) -> None:
    reply = replied(post(client, server.url("/large-header")))
    assert len(reply.headers["x-large"]) == 4096


class TestTls:
    """Certificates are checked against the name in the URL."""

    @pytest.fixture
    def ours(self, authority: Authority) -> Iterator[Client]:
        def lookup(host: str, port: int) -> Addresses:
            return [(socket.AF_INET, ("127.0.0.1", port))]

        client = a_client(lookup, allow_networks=LOCAL, ca_file=str(authority.ca_file))
        yield client
        client.close()

    def test_a_certificate_of_ca_file_is_trusted(self, authority: Authority, ours: Client) -> None:
        with misbehaving(authority.server_context("good.test")) as server:
            for _ in range(3):
                assert replied(post(ours, server.url("/ok", "good.test"))).body == b"fine"
            assert server.connections == 1

    @pytest.mark.fault("F32")
    def test_a_certificate_for_another_host_is_refused(self, authority: Authority, ours: Client) -> None:
        with misbehaving(authority.server_context("good.test")) as server:
            for host in ("bad.test", "127.0.0.1"):
                outcome = failed(post(ours, server.url("/ok", host)))
                assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "tls")
                assert outcome.error == "TLS failed: the certificate is for another host"
            assert not server.received

    @pytest.mark.fault("F32")
    def test_a_certificate_of_nobody_is_refused(self, authority: Authority, client: Client) -> None:
        with misbehaving(authority.server_context("127.0.0.1")) as server:
            outcome = failed(post(client, server.url("/ok")))
            assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "tls")
            assert "certificate refused" in (outcome.error or "")
            assert not server.received

    @pytest.mark.fault("F32")
    def test_tls_to_a_plain_port_is_refused(self, server: MisbehavingServer, ours: Client) -> None:
        outcome = failed(post(ours, f"https://good.test:{server.port}/"))
        assert (kind(outcome), outcome.code) == (Kind.TRANSIENT, "tls")

    def test_a_ca_file_that_cannot_be_read_is_a_configuration_error(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty.pem"
        empty.write_text("nothing")
        for path in (empty, tmp_path / "missing.pem"):
            with pytest.raises(ConfigurationError, match="ca_file"):
                a_client(ca_file=str(path))


class TestWhereRequestsGo:
    """The guard at the moment of connecting."""

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "127\uff0e0\uff0e0\uff0e1",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
        ],
    )
    def test_no_spelling_of_a_private_address_gets_through(self, server: MisbehavingServer, host: str) -> None:
        client = a_client(allow_http=True)
        for url in (f"http://{host}:{server.port}/ok", f"http://{host}/ok"):
            outcome = failed(post(client, url))
            assert (kind(outcome), outcome.stage, outcome.code) == (Kind.PERMANENT, "guard", "ssrf_blocked")
        assert server.connections == 0
        client.close()

    def test_a_name_that_changes_its_mind_is_resolved_once(self, server: MisbehavingServer) -> None:
        answers = ["127.0.0.2", "127.0.0.1"]

        def rebinding(host: str, port: int) -> Addresses:
            return [(socket.AF_INET, (answers.pop(0), port))]

        client = a_client(rebinding, allow_networks=["127.0.0.2"], allow_http=True)
        with socket.create_server(("127.0.0.2", server.port)):
            outcome = failed(post(client, f"http://rebind.test:{server.port}/ok", limit=0.3))
            assert outcome.code == "timeout", "it went to the address that was checked, which says nothing"
        assert answers == ["127.0.0.1"]
        outcome = failed(post(client, f"http://rebind.test:{server.port}/ok"))
        assert (kind(outcome), outcome.code) == (Kind.PERMANENT, "ssrf_blocked")
        assert server.connections == 0
        client.close()

    def test_of_mixed_addresses_only_the_allowed_are_tried(self, server: MisbehavingServer) -> None:
        def mixed(host: str, port: int) -> Addresses:
            return [(socket.AF_INET, ("10.0.0.1", port)), (socket.AF_INET, ("127.0.0.1", port))]

        client = a_client(mixed, allow_networks=["127.0.0.1"], allow_http=True)
        assert replied(post(client, f"http://mixed.test:{server.port}/ok", limit=2)).status == 200
        client.close()

    def test_other_ports_need_an_allowed_network(self) -> None:
        def public(host: str, port: int) -> Addresses:
            return [(socket.AF_INET, ("93.184.215.14", port))]

        client = a_client(public)
        outcome = failed(post(client, "https://public.test:5432/"))
        assert (kind(outcome), outcome.code) == (Kind.PERMANENT, "ssrf_blocked")
        assert "ports" in (outcome.error or "")
        client.close()

    @pytest.mark.fault("F29")
    def test_a_name_without_addresses_is_transient(self) -> None:
        client = a_client(lambda host, port: [])
        assert kind(failed(post(client, "https://nothing.test/"))) is Kind.TRANSIENT
        client.close()

    def test_the_system_s_resolver_gives_addresses_to_connect_to(self) -> None:
        assert (socket.AF_INET, ("127.0.0.1", 443)) in system_lookup("127.0.0.1", 443)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-own", "a\r\nbcc: b"),
        ("x-own", "a\nb"),
        ("x-own", "a\n b"),
        ("x-own", "\x00"),
        ("x-own", "☃"),
        ("x own", "a"),
        ("x:own", "a"),
        ("", "a"),
        ("x-own\r\nx", "a"),
    ],
)
def test_a_header_cannot_carry_another(server: MisbehavingServer, client: Client, name: str, value: str) -> None:
    outcome = failed(client.send(Request("POST", server.url("/ok"), {name: value}, b""), 5))
    assert (kind(outcome), outcome.code) == (Kind.PERMANENT, "bad_header")
    assert server.connections == 0


def test_a_url_is_shown_nowhere(server: MisbehavingServer, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    request = Request("POST", server.url("/ok/s3cret?t=s3cret"), {"authorization": "s3cret"}, b"s3cret")
    assert "s3cret" not in repr(request)
    with caplog.at_level(logging.DEBUG):
        for path in ("ok", "hang", "not-http", "closes-after", "broken-header", "endless-continue", "redirect"):
            answer = post(client, server.url(f"/{path}/s3cret?t=s3cret"), limit=0.3, authorization="s3cret")
            assert "s3cret" not in repr(answer)
            assert "s3cret" not in str(getattr(answer, "error", ""))
        failed(post(client, "ftp://s3cret/"))
    assert "s3cret" not in caplog.text
