"""Where a request may go: URLs come from rows, and rows come from strangers (server-side request forgery).

The address is judged at the moment of connecting, so that no spelling of a URL and no change of
a name's address between check and use gets around it.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from noti_worker.domain.errors import ConfigurationError

LONGEST_URL = 2048
PORTS = frozenset({80, 443, 8443})

# `is_global` alone is open: it takes NAT64, 6to4, Teredo, multicast and cloud metadata for public. Of IPv6 only what
# is given out to networks of the internet is open at all: elsewhere many forms hold an IPv4 address, as NAT64
# (64:ff9b::/96) and SIIT (::ffff:0:0:0/96) do.
_GIVEN_OUT = ip_network("2000::/3")
_DENIED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
        "2001::/32",
        "2001:db8::/32",
        "3fff::/20",
        "2002::/16",
    )
)
_ISATAP = 0x0000_5EFE  # RFC 5214: an interface whose last 32 bits are an IPv4 address
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986: what a path or a query may hold; the rest goes percent-encoded, as from any browser.
_OPEN = "!$%&'()*+,-./:;=?@_~"
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")


class Refused(Exception):
    """This request must not be sent; `code` for rules, the message for a person, without URL or address."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart once: everything after this uses these parts and never the text again."""

    scheme: str
    host: str  # ASCII, lower case; an IPv6 address without brackets
    port: int
    path: str = field(repr=False)  # with the query, as it goes out

    @property
    def url(self) -> str:
        """The URL put together from the parts."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class Guard:
    """The rules of one account: public addresses on the usual ports, and what `allow_networks` adds."""

    def __init__(self, allow_networks: Sequence[str] = (), *, allow_http: bool = False) -> None:
        """Raise ConfigurationError when `allow_networks` holds something that is not a network."""
        self._allowed = tuple(_network(one) for one in allow_networks)
        self._allow_http = allow_http

    def target(self, url: str) -> Target:
        """Take `url` apart; raise Refused when it is not one that may be called."""
        if len(url) > LONGEST_URL:
            raise Refused("bad_url", f"the URL is longer than {LONGEST_URL} characters")
        if not url.isprintable() or " " in url or "\\" in url:
            raise Refused(
                "bad_url", "the URL holds a space, a backslash or a control character: it must be percent-encoded"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused("bad_url", "the URL cannot be read") from None
        if parts.scheme not in {"http", "https"}:
            raise Refused("bad_url", "the URL does not begin with https://")
        if parts.scheme == "http" and not self._allow_http:
            raise Refused("bad_url", "http:// is not allowed: use https://, or set allow_http = true for the account")
        if "@" in parts.netloc:
            raise Refused("bad_url", "the URL holds a user name or password")
        host = _host(parts.hostname or "", literal="[" in parts.netloc)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if _STRAY_PERCENT.search(path):
            raise Refused("bad_url", "the URL holds a % that begins no code such as %20: write it as %25")
        return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), quote(path, safe=_OPEN))

    def check(self, address: str, port: int) -> None:
        """Raise Refused when no connection may go to this IP address and port."""
        self.check_address(address, port)
        if port not in PORTS and not self._opened(_unmapped(address)):
            raise Refused(
                "ssrf_blocked",
                "only the ports 443, 80 and 8443 are open: for another, name the host's network in allow_networks",
            )

    def check_address(self, address: str, port: int) -> None:
        """As `check`, on every port: of hosts that stand in the settings of an account."""
        ip = _unmapped(address)
        if not self._opened(ip) and not _is_public(ip):
            raise Refused(
                "ssrf_blocked",
                "the host's address is private or reserved: to send there, name its network in allow_networks",
            )

    def _opened(self, ip: IPv4Address | IPv6Address) -> bool:
        return any(ip in network for network in self._allowed)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address) and (ip not in _GIVEN_OUT or int(ip) >> 32 & 0xFDFF_FFFF == _ISATAP):
        return False
    return ip.is_global and not any(ip in network for network in _DENIED)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"allow_networks: {error}; write networks such as 10.1.0.0/16 or fd00::/8") from None


def _unmapped(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def _host(host: str, *, literal: bool) -> str:
    """The one spelling of a host: ASCII, lower case."""
    if literal:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise Refused("bad_url", "the URL's IPv6 address cannot be read") from None
        if address.scope_id:  # a zone names an interface of this machine
            raise Refused("bad_url", "the URL's IPv6 address names a zone: leave the zone out")
        return str(address)
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower()
    if not name.isascii():
        try:
            name = parse_url(f"//{name}").host or ""
        except LocationParseError:
            name = ""
    if not _NAME.fullmatch(name):
        raise Refused("bad_url", "the URL's host is not a valid name: write its name or address")
    return name
