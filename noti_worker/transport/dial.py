"""Opening a connection, for all transports: resolve, check every address, connect to exactly one that was checked."""

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from threading import Event
from time import monotonic
from typing import Any

from noti_worker.transport import idle
from noti_worker.transport.guard import Refused
from noti_worker.transport.lookup import Resolver

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What the system says that has no socket for us now: the fault is neither the message's nor the account's."""

SHORT_STEP = 0.05
"""Seconds between two looks whether a socket can be had."""

Check = Callable[[str, int], None]
"""Raises Refused when no connection may go to this IP address and port."""


def anywhere(address: str, port: int) -> None:
    """Connections may go to every address: the host stands in the configuration."""


def only_here(address: str, port: int) -> None:
    """Connections may only go to this machine."""
    if not ip_address(address.partition("%")[0]).is_loopback and not address.startswith("::ffff:127."):
        raise Refused("not_loopback", "the host is not this machine")


class NotSent(Exception):
    """No connection came about, so nothing was sent; `code` for rules, the message for a person.

    `looking` tells that the host's name was still looked up, `reason` is the message without what was tried. `stage`
    is `connect`, or tells whose fault it is: `proxy`, the account's own, `machine`, this one, which had no socket.
    """

    def __init__(
        self, code: str, message: str, reason: str = "", *, looking: bool = False, stage: str = "connect"
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.looking, self.stage = code, reason or message, looking, stage


class Dialler:
    """Dials for one account; the names are looked up by the `resolver` of all."""

    def __init__(self, resolver: Resolver, check: Check) -> None:
        self._resolver = resolver
        self._check = check

    def dial(self, host: str, port: int, ends_at: float) -> socket.socket:
        """A connected socket before the monotonic instant `ends_at`, with what is left of it as its time limit.

        Raises Refused or NotSent.
        """
        return _first(self.permitted(host, port, ends_at), ends_at)

    def permitted(self, host: str, port: int, ends_at: float) -> "list[tuple[int, tuple[Any, ...]]]":
        """The addresses of `host` that connections may go to, one at least; raises as `dial`."""
        try:
            addresses = self._resolver.resolve(host, port, max(0.0, ends_at - monotonic()), self)
        except TimeoutError:
            raise NotSent("timeout", "the host's name was not resolved in time", looking=True) from None
        except (OSError, UnicodeError):
            _socket(socket.AF_INET, monotonic()).close()  # without a descriptor no name is found either
            raise NotSent("dns", "the host's name could not be resolved", looking=True) from None
        permitted, refusal = [], None
        for family, address in addresses:
            try:
                self._check(address[0], address[1])
                permitted.append((family, address))
            except Refused as refused:
                refusal = refused
        if not permitted:
            raise refusal or NotSent("dns", "the host's name has no address", looking=True)
        return permitted


def _first(addresses: list[tuple[int, tuple[Any, ...]]], ends_at: float) -> socket.socket:
    """Connect to the first address that answers, each with its share of the time."""
    trouble = NotSent("timeout", "no connection in time", "no answer")
    for tried, (family, address) in enumerate(addresses):
        # An address that does not answer must leave time for the others.
        patience = (ends_at - monotonic()) / (len(addresses) - tried)
        if patience <= 0:
            break
        try:
            sock = _socket(family, monotonic() + patience / 2)
        except OSError as error:  # a family that this machine lacks
            trouble = _trouble(error)
            continue
        try:
            sock.settimeout(patience)
            sock.connect(address)
            peer = sock.getpeername()
            # A small write must not wait for the answer to the one before it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(max(ends_at - monotonic(), 0.001))  # zero would make it non-blocking
        except OSError as error:
            sock.close()
            trouble = _trouble(error)
            continue
        if peer[:2] != address[:2]:
            sock.close()
            raise Refused("ssrf_blocked", "the connection went elsewhere than to the address that was checked")
        return sock
    raise trouble


def _socket(family: int, until: float) -> socket.socket:
    """A socket; where the process has none left, one that was idle, or else the next that a send gives back.

    Raises NotSent when there is none before the monotonic instant `until`, OSError for a family that is missing.
    """
    while True:
        try:
            return socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno not in _SHORT:
                raise
            idle.shed()
            if monotonic() >= until:
                reason = os.strerror(error.errno)
                raise NotSent("no_socket", f"this machine has no socket left: {reason}", stage="machine") from None
        Event().wait(SHORT_STEP)


def _trouble(error: OSError) -> NotSent:
    if isinstance(error, TimeoutError):
        return NotSent("timeout", "no connection in time", "no answer")
    reason = os.strerror(error.errno or 0)
    if error.errno == errno.ECONNREFUSED:
        return NotSent("refused", "the connection was refused", reason)
    return NotSent("connect", f"no connection: {reason}", reason)
