"""Sending one HTTP request: through the adapter of requests, telling how far it went where the line broke."""

import logging
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout, SSLError
from urllib3.exceptions import HTTPError, ProtocolError

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.transport.answer import Answer
from noti_worker.transport.connections import Dial, Pools
from noti_worker.transport.deadline import Call, under_way
from noti_worker.transport.dial import Dialler, NotSent
from noti_worker.transport.guard import Guard, Refused, Target
from noti_worker.transport.lookup import Resolver
from noti_worker.transport.messages import Reply, Request
from noti_worker.transport.proxy import Proxy
from noti_worker.transport.tls import Trust

LARGEST_BODY = 64 * 1024
LARGEST_HEADER = 4 * 1024

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")

_WRONG_HOST = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH

# urllib3 writes whole URLs into its log, at DEBUG and in a warning that a hostile answer provokes; a URL may be
# a secret.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def open_client(
    resolver: Resolver,
    now: Callable[[], datetime],
    concurrency: int,
    *,
    allow_networks: Sequence[str] = (),
    allow_http: bool = False,
    ca_file: str | None = None,
    trust: Trust | None = None,
    proxy: Secret | None = None,
    proxy_guards: bool = False,
) -> "Client":
    """A client of its own, with its own connections, for `concurrency` sends at once.

    `allow_networks` opens private networks (CIDR) on all their ports, `allow_http` lets requests go
    unencrypted, the certificates in `ca_file` (PEM) are trusted besides the usual ones. Raises
    ConfigurationError that names the setting. `trust` has the contexts that accounts share. `proxy` is the URL of a
    forward proxy, and with `proxy_guards` it alone decides where requests may go.
    """
    if proxy_guards and allow_networks:
        raise ConfigurationError(
            "allow_networks does nothing where proxy_guards = true leaves it to the proxy where requests may go:"
            " remove one of them"
        )
    guard = Guard(allow_networks, allow_http=allow_http)
    context = (trust or Trust()).context("http", ca_file)
    if proxy is None:
        dial = Dialler(resolver, guard.check).dial
        return Client(guard, _Adapter({"http": dial, "https": dial}, context, concurrency), now)
    through = Proxy(proxy, proxy_guards, guard, resolver)
    adapter = _Adapter({"http": through.dial, "https": through.tunnel}, context, concurrency)
    return Client(guard, adapter, now, through)


class Client:
    """Sends requests of one account; used by several threads at once."""

    def __init__(
        self, guard: Guard, adapter: "_Adapter", now: Callable[[], datetime], proxy: Proxy | None = None
    ) -> None:
        self._guard = guard
        self._adapter = adapter
        self._now = now
        self._proxy = proxy

    @property
    def proxied(self) -> bool:
        """True when requests go through a proxy."""
        return self._proxy is not None

    def send(self, request: Request, limit: float) -> Reply | Said:
        """Send `request` once and read the answer, all within `limit` seconds.

        No redirect is followed, nothing is tried twice, no proxy or password of the environment is used.
        When there is no answer, Said has no status and tells what is known: stage `proxy`, `connect` or `tls` when
        surely nothing was sent, `answer` when it may have been, `guard` when it may not go there (code `bad_url`,
        `bad_header`, `ssrf_blocked` or `proxy_resolves`).
        """
        try:
            prepared = _Prepared(request, self._guard.target(request.url))
            path = prepared.target.path
            over = self._proxy if prepared.target.scheme == "http" else None  # who gets the request itself
            if over is not None:
                path = over.absolute(prepared.target)
                prepared.headers.update(over.headers)
        except Refused as refused:
            return Said("guard", code=refused.code, error=str(refused))
        with under_way(limit, path) as call:
            try:
                answer: Any = self._adapter.send(prepared, stream=True, timeout=limit)
            except Refused as refused:
                return Said("guard", code=refused.code, error=str(refused))
            except NotSent as error:
                return Said(error.stage, code=error.code, error=str(error))
            except (requests.RequestException, HTTPError) as error:
                return _broken(call, error)
            assert isinstance(answer, Answer)
            body, truncated = answer.body(LARGEST_BODY)
            headers = {name: value[:LARGEST_HEADER] for name, value in answer.headers.items()}
            if over is not None:
                body = over.veiled(body)
            if over is not None and answer.status == 407:  # an endpoint can say so too, and not for the account
                return Said("connect", code="proxy_407", error="answered 407: the proxy refuses us or our login")
            return Reply(answer.status, headers, body, request, self._now(), truncated)

    def close(self) -> None:
        """Close the idle connections; calls under way end by themselves."""
        self._adapter.close()


class _Prepared(requests.PreparedRequest):
    """A request as the adapter wants it, made without the parsing and merging that we have done already."""

    def __init__(self, request: Request, target: Target) -> None:
        super().__init__()
        self.target = target
        self.method = request.method
        self.url = target.url
        self.body = request.body
        self.headers = requests.structures.CaseInsensitiveDict(_checked(request.headers))
        self.headers.setdefault("User-Agent", "noti-worker")
        self.headers["Accept-Encoding"] = "identity"  # a few kB must not become 300 MB
        self.headers["Content-Length"] = str(len(request.body))


class _Adapter(HTTPAdapter):
    def __init__(self, dials: Mapping[str, Dial], tls: ssl.SSLContext, concurrency: int) -> None:
        self._dials = dials
        self._tls = tls
        super().__init__(pool_connections=2 * concurrency, pool_maxsize=concurrency, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **_: Any) -> None:
        self.poolmanager: Pools = Pools(
            self._dials, num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._tls
        )

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> Any:
        target: Target = request.target
        return self.poolmanager.at(target.scheme, target.host, target.port)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to set: the TLS context verifies; the inherited method would load a bundle per connection."""

    def request_url(self, request: Any, *_: Any, **__: Any) -> str:
        target: Target = request.target
        return target.path

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Any:
        """The answer as the line read it; the inherited method parses cookies, which nobody here reads."""
        return resp


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Refused(
                "bad_header", "a header's name or value holds a character that is not allowed there: write it in ASCII"
            )
    return headers


def _broken(call: Call, error: Exception) -> Said:
    """What a broken line means, by how far the call went.

    Requests cannot tell: it raises the same errors for "never sent" and "sent, answer lost".
    """
    late = call.expired or isinstance(error, ReadTimeout)
    if call.stage != "answer":
        if late:
            return Said(call.stage, code="timeout", error="no connection in time")
        if isinstance(error, SSLError):
            return Said("tls", code="tls", error=f"TLS failed: {tls_reason(error)}")
        return Said(call.stage, code="closed", error="the connection broke before anything was sent")
    if late:
        return Said("answer", code="timeout", error="no answer in time; it may have been received")
    if _cause(error, HTTPException) and not _cause(error, ConnectionError):
        return Said("answer", code="not_http", error="the answer is not proper HTTP")
    return Said("answer", code="closed", error="the connection broke; it may have been received")


def _cause(error: Exception, kind: type[Exception]) -> bool:
    """Tell whether the error that urllib3 wrapped is of this kind."""
    inner = error.args[0] if error.args else None
    return isinstance(inner, ProtocolError) and any(isinstance(one, kind) for one in inner.args)


def tls_reason(error: Exception) -> str:
    """OpenSSL's own words where they hold no host name: `certificate refused (self-signed certificate)`."""
    seen: Any = error
    while isinstance(seen, Exception):
        if isinstance(seen, ssl.SSLCertVerificationError):
            if seen.verify_code in _WRONG_HOST:
                return "the certificate is for another host"
            return f"certificate refused ({seen.verify_message})"
        if isinstance(seen, ssl.SSLError) and seen.reason:
            return seen.reason.lower().replace("_", " ")
        seen = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
    return "handshake"
