"""Out through a forward proxy: a tunnel for https (CONNECT), the whole URL for http.

Where a request may go is decided before the proxy hears of it: the name is resolved and checked here, and the proxy is
asked for the address that was checked, so that it cannot find another one. Of an http request the proxy resolves the
host itself, so names go there only when the account says that the proxy guards (`proxy_guards`): it alone resolves
then, and refuses what is private, as Stripe's Smokescreen does.
"""

import socket
from base64 import b64encode
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from ipaddress import ip_address
from time import monotonic
from urllib.parse import unquote, urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.transport.answer import Answer
from noti_worker.transport.deadline import Call
from noti_worker.transport.dial import Dialler, NotSent, anywhere
from noti_worker.transport.guard import Guard, Refused, Target
from noti_worker.transport.lookup import Resolver

MOST_ADDRESSES = 3
"""So many addresses of a host the proxy is asked for, one after the other."""

_FORM = "write it as http://HOST:PORT; with user and password as env:NAME or file:PATH, which hold the whole URL"


class Proxy:
    """The proxy of one account, and whom it may be asked for. Thread-safe."""

    def __init__(self, url: Secret, guards: bool, guard: Guard, resolver: Resolver) -> None:
        """Raise ConfigurationError that names `proxy`, without its value."""
        try:
            parts = urlsplit(url.reveal())
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"proxy: this is no URL; {_FORM}") from None
        if parts.scheme != "http" or not parts.hostname or not port or parts.path.strip("/") or parts.query:
            raise ConfigurationError(f"proxy: only http:// proxies are spoken to; {_FORM}")
        self._host, self._port, self._guards = parts.hostname, port, guards
        self._line = Dialler(resolver, anywhere)
        self._checked = Dialler(resolver, guard.check)
        self._guard = guard
        self._heard_at = 0.0
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self.headers = {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login != ":" else {}

    def absolute(self, target: Target) -> str:
        """How an http request names `target`; raises Refused when the proxy would resolve a name that nobody guards."""
        if not self._guards:
            try:
                ip_address(target.host)
            except ValueError:
                raise Refused(
                    "proxy_resolves",
                    "the proxy would resolve the host of an http:// URL itself, unchecked: use https://, or set"
                    " proxy_guards = true if it refuses private addresses",
                ) from None
            self._guard.check(target.host, target.port)
        return target.url.replace(":80/", "/", 1) if target.port == 80 else target.url

    def veiled(self, body: bytes) -> bytes:
        """An answer that came through the proxy, without our login: error pages like to repeat the request."""
        for value in self.headers.values():
            body = body.replace(value.partition(" ")[2].encode(), b"***")
        return body

    def dial(self, host: str, port: int, ends_at: float) -> socket.socket:
        """A line to the proxy itself, whatever the `host`; raises NotSent, stage `proxy`."""
        try:
            return self._line.dial(self._host, self._port, ends_at)
        except NotSent as error:
            if error.stage != "connect":
                raise
            raise NotSent(error.code, f"the proxy is not reached: {error}", stage="proxy") from None

    def tunnel(self, host: str, port: int, ends_at: float) -> socket.socket:
        """A line to `host` through the proxy; raises Refused, or NotSent, whose stage tells whose fault it is."""
        asked = [host] if self._guards else self._addresses(host, port, ends_at)
        trouble: NotSent | None = None
        for tried, address in enumerate(asked):
            try:
                return self._tunnel(address, port, monotonic() + (ends_at - monotonic()) / (len(asked) - tried))
            except NotSent as error:
                if error.stage != "connect":
                    raise
                trouble = error
        assert trouble is not None
        raise trouble

    def _addresses(self, host: str, port: int, ends_at: float) -> list[str]:
        """Those that may be asked for, as we find them."""
        try:
            found = self._checked.permitted(host, port, ends_at)
        except NotSent as error:
            if error.stage != "connect":
                raise
            raise NotSent(
                error.code, f"{error}; where only the proxy can, say proxy_guards = true if it guards"
            ) from None
        return [address[0] for _, address in found][:MOST_ADDRESSES]

    def _tunnel(self, host: str, port: int, ends_at: float) -> socket.socket:
        began = monotonic()
        line = self.dial(host, port, ends_at)
        try:
            answer = self._connect(line, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", ends_at)
        except TimeoutError:
            line.close()
            # Who answered somebody else meanwhile is not hanging: it waits for this endpoint itself.
            if self._heard_at >= began:
                raise NotSent("timeout", "the proxy reached nobody there in time") from None
            raise NotSent("timeout", "the proxy did not answer in time", stage="proxy") from None
        except (OSError, HTTPException) as error:
            line.close()
            if isinstance(error, BadStatusLine) and not isinstance(error, RemoteDisconnected):
                raise NotSent("not_http", "what answers as the proxy does not speak HTTP", stage="proxy") from None
            raise NotSent("closed", "the proxy broke the connection", stage="proxy") from None
        if 200 <= answer.status < 300 and not answer.rest:
            return line
        line.close()
        raise _refusal(answer)

    def _connect(self, line: socket.socket, asked: str, ends_at: float) -> Answer:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        call = Call(ends_at - monotonic())
        line.settimeout(call.remaining())
        line.sendall(f"CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n{fields}\r\n".encode("ascii"))
        answer = Answer(line, call, "CONNECT")
        self._heard_at = monotonic()
        return answer


def _refusal(answer: Answer) -> NotSent:
    """What the proxy says instead of a tunnel. Only a login that it asks for concerns the account as a whole."""
    if answer.status == 407 and "proxy-authenticate" in answer.headers:
        return NotSent("proxy_login", "the proxy wants a login: user and password belong into `proxy`", stage="proxy")
    if answer.status in {403, 407}:  # Smokescreen refuses with 407
        return NotSent(
            f"proxy_{answer.status}",
            f"the proxy answered {answer.status}: it does not let us go there; one that knows names only needs"
            " proxy_guards = true",
        )
    return NotSent(f"proxy_{answer.status}", f"the proxy answered {answer.status} and does not reach the endpoint")
