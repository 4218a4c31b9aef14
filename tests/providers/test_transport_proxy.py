"""The way out through a real forward proxy: who decides where it may go, and whose fault it is when it fails."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import sendgrid, webhook
from noti_worker.transport import Kit
from noti_worker.transport.client import Client
from noti_worker.transport.lookup import Addresses, Lookup
from tests.certificates import Authority
from tests.forward_proxy import ForwardProxy
from tests.providers.misbehaving_http import MisbehavingServer, misbehaving
from tests.providers.test_transport import LOCAL, NOW, a_client, failed, post, replied, until

NAME = "hooks.example"


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as proxy:
        yield proxy


@pytest.fixture
def server(authority: Authority) -> Iterator[MisbehavingServer]:
    with misbehaving(authority.server_context("127.0.0.1", NAME)) as server:
        yield server


@pytest.fixture
def plain() -> Iterator[MisbehavingServer]:
    with misbehaving() as server:
        yield server


def through(proxy: ForwardProxy, authority: Authority, lookup: Lookup | None = None, **reach: Any) -> Client:
    reach = {"allow_networks": LOCAL, "ca_file": str(authority.ca_file), "proxy": Secret(proxy.url), **reach}
    return a_client(lookup or local, **reach)


def local(host: str, port: int) -> Addresses:
    """Every name leads to this machine."""
    return [(socket.AF_INET, ("127.0.0.1", port))]


def nowhere(host: str, port: int) -> Addresses:
    """Nothing is known here but this machine's own addresses."""
    if host == "127.0.0.1":
        return local(host, port)
    raise socket.gaierror


def judged(said: Any) -> Outcome:
    assert isinstance(said, Said)
    return judge(said, webhook.RULES, None)


class TestHttps:
    def test_the_proxy_is_asked_for_the_address_that_was_checked(
        self, proxy: ForwardProxy, server: MisbehavingServer, authority: Authority
    ) -> None:
        """By name it could find another one; the certificate is still that of the name."""
        client = through(proxy, authority)
        for _ in range(2):
            assert replied(post(client, server.url("/ok", NAME))).status == 200
        assert set(proxy.asked) == {f"127.0.0.1:{server.port}"}
        assert server.received[0].headers["host"] == f"{NAME}:{server.port}"
        assert "proxy-authorization" not in server.received[0].headers

    def test_a_private_address_is_refused_before_the_proxy_hears_of_it(
        self, proxy: ForwardProxy, server: MisbehavingServer, authority: Authority
    ) -> None:
        client = through(proxy, authority, allow_networks=())
        said = failed(post(client, server.url("/ok", NAME)))
        assert (said.stage, said.code) == ("guard", "ssrf_blocked")
        assert (proxy.asked, server.connections) == ([], 0)

    def test_where_the_proxy_guards_it_gets_the_name_and_nobody_here_resolves_it(
        self, proxy: ForwardProxy, server: MisbehavingServer, authority: Authority
    ) -> None:
        proxy.names[NAME] = "127.0.0.1"
        url = server.url("/ok", NAME)
        said = failed(post(through(proxy, authority, nowhere), url))
        assert (said.stage, said.code, proxy.asked) == ("connect", "dns", [])
        assert "where only the proxy can, say proxy_guards = true" in (said.error or "")
        trusting = through(proxy, authority, nowhere, allow_networks=(), proxy_guards=True)
        assert replied(post(trusting, url)).status == 200
        assert proxy.asked == [f"{NAME}:{server.port}"]

    def test_another_address_is_asked_for_when_one_is_not_reached(
        self, proxy: ForwardProxy, server: MisbehavingServer, authority: Authority
    ) -> None:
        def two(host: str, port: int) -> Addresses:
            return [(socket.AF_INET, ("127.0.0.2", port)), *local(host, port)] if host == NAME else local(host, port)

        assert replied(post(through(proxy, authority, two), server.url("/ok", NAME))).status == 200
        assert proxy.asked == [f"127.0.0.2:{server.port}", f"127.0.0.1:{server.port}"]

    def test_a_login_goes_to_the_proxy_alone(self, server: MisbehavingServer, authority: Authority) -> None:
        with ForwardProxy(login="noti:p@ss:w") as proxy:
            assert replied(post(through(proxy, authority), server.url("/ok"))).status == 200
        assert "proxy-authorization" not in server.received[0].headers


class TestHttp:
    def test_the_proxy_gets_the_whole_url(self, plain: MisbehavingServer, authority: Authority) -> None:
        with ForwardProxy(login="noti:pass") as proxy:
            proxy.names[NAME] = "127.0.0.1"
            client = through(proxy, authority, nowhere, allow_networks=(), allow_http=True, proxy_guards=True)
            assert replied(post(client, plain.url("/ok?a=%20b", NAME))).status == 200
        assert proxy.asked == [f"http://{NAME}:{plain.port}/ok?a=%20b"]
        assert (plain.received[0].target, plain.received[0].body) == ("/ok?a=%20b", b"{}")

    def test_a_login_that_the_proxy_repeats_is_kept_nowhere(self, authority: Authority) -> None:
        with ForwardProxy(login="noti:a long password") as proxy:
            login = b64encode(b"noti:a long password")
            proxy.says = b"HTTP/1.1 500 Oh\r\n\r\nyou said Proxy-Authorization: Basic " + login
            client = through(proxy, authority, allow_http=True)
            assert replied(post(client, "http://127.0.0.1/")).body == b"you said Proxy-Authorization: Basic ***"

    def test_a_name_that_the_proxy_would_resolve_unchecked_is_refused(
        self, proxy: ForwardProxy, plain: MisbehavingServer, authority: Authority
    ) -> None:
        client = through(proxy, authority, allow_http=True)
        said = failed(post(client, plain.url("/ok", NAME)))
        assert (said.stage, said.code) == ("guard", "proxy_resolves")
        assert "proxy_guards" in (said.error or "")
        assert judged(said).kind is Kind.PERMANENT
        assert replied(post(client, plain.url("/ok"))).status == 200  # an address is what it is
        strict = through(proxy, authority, allow_http=True, allow_networks=())
        assert failed(post(strict, plain.url("/ok"))).code == "ssrf_blocked"
        assert len(proxy.asked) == 1

    def test_a_refused_login_does_not_look_sent(
        self, proxy: ForwardProxy, plain: MisbehavingServer, authority: Authority
    ) -> None:
        client = through(proxy, authority, allow_http=True)
        proxy.login = "noti:pass"
        outcome = judged(post(client, plain.url("/ok")))
        assert (outcome.kind, outcome.code, outcome.offered) == (Kind.TRANSIENT, "proxy_407", False)
        assert not plain.received


class TestFaults:
    """Nothing was sent in any of these; what is the proxy's own fault is not the endpoint's, and spends no retry."""

    @pytest.mark.parametrize(
        ("says", "kind", "scope", "code"),
        [
            (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", Kind.CONFIG, Scope.ACCOUNT, "proxy_login"),
            (b"HTTP/1.1 407 Request rejected by proxy\r\n\r\n", Kind.TRANSIENT, Scope.RECIPIENT, "proxy_407"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", Kind.TRANSIENT, Scope.RECIPIENT, "proxy_403"),
            (b"HTTP/1.1 503 Unreachable\r\n\r\n", Kind.TRANSIENT, Scope.RECIPIENT, "proxy_503"),
            (b"HTTP/1.1 200 OK\r\n\r\nand more", Kind.TRANSIENT, Scope.RECIPIENT, "proxy_200"),
            (b"220 mail.example ESMTP\r\n\r\n", Kind.TRANSIENT, Scope.PROVIDER, "not_http"),
            (b"", Kind.TRANSIENT, Scope.PROVIDER, "closed"),
        ],
    )  # fmt: skip
    def test_a_proxy_that_refuses(
        self, proxy: ForwardProxy, authority: Authority, says: bytes, kind: Kind, scope: Scope, code: str
    ) -> None:
        proxy.says = says
        outcome = judged(post(through(proxy, authority), f"https://{NAME}/"))
        assert (outcome.kind, outcome.scope, outcome.code, outcome.offered) == (kind, scope, code, False)

    def test_a_proxy_that_is_away(self, proxy: ForwardProxy, authority: Authority) -> None:
        client = through(proxy, authority, allow_http=True)
        proxy.__exit__()
        for url in (f"https://{NAME}/", "http://127.0.0.1/"):
            outcome = judged(post(client, url))
            assert (outcome.kind, outcome.scope, outcome.code) == (Kind.TRANSIENT, Scope.PROVIDER, "refused")
            assert not outcome.offered
            assert "proxy" in (outcome.error or "")

    def test_a_proxy_that_hangs(self, proxy: ForwardProxy, authority: Authority) -> None:
        proxy.hangs = {"*"}
        outcome = judged(post(through(proxy, authority), f"https://{NAME}/", limit=1.0))
        assert (outcome.kind, outcome.scope, outcome.code) == (Kind.TRANSIENT, Scope.PROVIDER, "timeout")
        assert not outcome.offered

    def test_a_proxy_that_serves_others_meanwhile_waits_for_the_endpoint(
        self, proxy: ForwardProxy, server: MisbehavingServer, authority: Authority
    ) -> None:
        """Else one dead endpoint would speak for all that goes through the proxy."""
        proxy.hangs = {"127.0.0.1:443"}
        client = through(proxy, authority)
        with ThreadPoolExecutor() as pool:
            waits = pool.submit(post, client, f"https://{NAME}/", 10.0)
            until(lambda: "127.0.0.1:443" in proxy.asked)
            assert replied(post(client, server.url("/ok"))).status == 200
            outcome = judged(waits.result())
        assert (outcome.kind, outcome.scope, outcome.code) == (Kind.TRANSIENT, Scope.RECIPIENT, "timeout")


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://proxy", "http://proxy:x", "http://:1"],
    )
    def test_a_proxy_that_is_none_is_refused_without_showing_it(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="proxy: ") as refused:
            a_client(proxy=Secret(url))
        assert url not in str(refused.value)

    def test_allow_networks_beside_a_proxy_that_guards_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="allow_networks"):
            a_client(proxy=Secret("http://proxy:3128"), proxy_guards=True, allow_networks=LOCAL)

    def test_the_api_of_a_service_is_reached_through_a_proxy_that_guards(self) -> None:
        """Elsewhere an account opens all networks to it: the operator chose where it is."""
        kit = Kit(lambda: NOW).of(1, Secret("http://proxy:3128"), proxy_guards=True)
        sendgrid.build(sendgrid.Settings(api_key=Secret("SG.k"), from_=("a@example.com",)), kit).close()

    def test_only_http_takes_a_proxy(self) -> None:
        kit = Kit(lambda: NOW, proxy=Secret("http://proxy:3128"))
        conversation: Any = None
        for make in (
            lambda: kit.blocking(lambda *_: Said("answer")),
            lambda: kit.lines(conversation, "h", 25, encrypted=False),
        ):
            with pytest.raises(ConfigurationError, match="only what is sent over HTTP"):
                make()
