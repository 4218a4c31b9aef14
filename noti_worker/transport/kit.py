"""What a provider's `build` gets: it makes senders of translations that do no I/O themselves.

How many sends are in flight, and by what (threads, an event loop), is decided here and behind: a translation never
sees a socket, a time limit or a broken line.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Message
from noti_worker.domain.return_path import ReturnPath
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.transport.lookup import Resolver
from noti_worker.transport.tls import Trust

if TYPE_CHECKING:  # requests and urllib3 cost 100 ms, and not every account needs them
    from noti_worker.transport.client import Client
    from noti_worker.transport.dial import Check
    from noti_worker.transport.http import HttpSender, Translation
    from noti_worker.transport.lines import Lines
    from noti_worker.transport.talk import Conversation

Ready = TypeVar("Ready")


class Kit:
    """The means of one account: senders, the time, how many send at once."""

    def __init__(
        self,
        now: Callable[[], datetime],
        resolver: Resolver | None = None,
        concurrency: int = 20,
        trust: Trust | None = None,
        proxy: Secret | None = None,
        proxy_guards: bool = False,
        receipts_url: Secret | None = None,
        return_paths: Sequence[ReturnPath] = (),
        networks: Sequence[str] | None = None,
    ) -> None:
        """`now` gives aware UTC by the database's clock; `resolver` and `trust` are those of all accounts.

        `proxy` is the account's forward proxy for HTTP; with `proxy_guards` it decides where requests may go, and a
        provider opens no networks.
        `receipts_url` is where the provider may post what becomes of messages, None: nowhere. `return_paths` are those
        whose mailboxes are read. With `networks` nothing but public addresses and those is reached, whatever the
        account says: who wrote its settings is not who configured this machine.
        """
        self.now = now
        self.concurrency = concurrency
        self.receipts_url = receipts_url
        self.return_paths = return_paths
        self._resolver = resolver or Resolver()
        self._trust = trust or Trust()
        self._proxy = proxy
        self.proxy_guards = proxy_guards
        self.networks = networks

    def of(
        self,
        concurrency: int,
        proxy: Secret | None = None,
        *,
        proxy_guards: bool = False,
        receipts_url: Secret | None = None,
        return_paths: Sequence[ReturnPath] = (),
        networks: Sequence[str] | None = None,
    ) -> "Kit":
        """The kit of an account through which `concurrency` messages go at once; resolver and trust are shared."""
        return Kit(
            self.now,
            self._resolver,
            concurrency,
            self._trust,
            proxy,
            proxy_guards,
            receipts_url,
            return_paths,
            networks,
        )

    def anew(self) -> "Kit":
        """A kit that reads anew whom to trust: certificates may have changed since the last configuration."""
        return Kit(self.now, self._resolver, self.concurrency)

    def http(
        self,
        translation: "Translation",
        *,
        allow_networks: Sequence[str] = (),
        allow_http: bool = False,
        ca_file: str | None = None,
    ) -> "HttpSender":
        """A sender over HTTP, with connections of its own.

        `allow_networks` opens private networks (CIDR) on all their ports, `allow_http` lets requests go
        unencrypted, the certificates in `ca_file` (PEM) are trusted besides the usual ones. Raises
        ConfigurationError that names the setting.
        """
        from noti_worker.transport.client import open_client
        from noti_worker.transport.http import HttpSender

        client = open_client(
            self._resolver,
            self.now,
            self.concurrency,
            allow_networks=allow_networks if self.networks is None else self.networks,
            allow_http=allow_http,
            ca_file=ca_file,
            trust=self._trust,
            proxy=self._proxy,
            proxy_guards=self.proxy_guards,
        )
        return HttpSender(translation, client)

    def client(self) -> "Client":
        """A client for single requests to public addresses, with connections of its own."""
        from noti_worker.transport.client import open_client

        return open_client(
            self._resolver, self.now, 1, trust=self._trust, proxy=self._proxy, proxy_guards=self.proxy_guards
        )

    def http2(self, translation: "Translation", host: str, port: int, *, ca_file: str | None = None) -> "HttpSender":
        """A sender over HTTP/2 and TLS to the one server that `host` names, which needs the package h2.

        The certificates in `ca_file` (PEM) are trusted besides the usual ones. Raises ConfigurationError that names
        `ca_file` or `proxy`.
        """
        self._without_proxy()
        from noti_worker.transport.dial import Dialler
        from noti_worker.transport.http import HttpSender
        from noti_worker.transport.http2 import Http2Client

        dialler = Dialler(self._resolver, self._anywhere())
        return HttpSender(
            translation, Http2Client(dialler, self._trust.context("http2", ca_file), host, port, self.now)
        )

    def lines(
        self,
        conversation: "Conversation[Ready]",
        host: str,
        port: int,
        *,
        encrypted: bool,
        ca_file: str | None = None,
        only_here: bool = False,
    ) -> "Lines[Ready]":
        """A sender over kept lines of text to a server; it has `check` besides.

        With `encrypted` the conversation may ask for TLS, at the beginning or on the way. `only_here` refuses all
        addresses that leave this machine. Raises ConfigurationError that names `ca_file` or `proxy`.
        """
        self._without_proxy()
        from noti_worker.transport.dial import Dialler
        from noti_worker.transport.dial import only_here as here
        from noti_worker.transport.lines import Lines

        permitted = self._anywhere()

        def check(address: str, port: int) -> None:
            permitted(address, port)
            if only_here:
                here(address, port)

        dialler = Dialler(self._resolver, check)
        return Lines(conversation, dialler, host, port, self._trust.context("lines", ca_file) if encrypted else None)

    def blocking(self, call: Callable[[Message, float], Said], close: Callable[[], Any] | None = None) -> "Blocking":
        """A sender of what can only be called and waited for (an SDK), or needs no I/O.

        `call(message, limit)` is done within `limit` seconds, and is used by several threads at once. Raises
        ConfigurationError when the account has a proxy.
        """
        self._without_proxy()
        return Blocking(call, close)

    def _anywhere(self) -> "Check":
        """Where a host may lie that the account's settings name."""
        from noti_worker.transport.dial import anywhere
        from noti_worker.transport.guard import Guard

        return anywhere if self.networks is None else Guard(self.networks).check_address

    def _without_proxy(self) -> None:
        """Only HTTP goes through a proxy: whoever configures one must not believe that the rest does."""
        if self._proxy is not None:
            raise ConfigurationError(
                "proxy: only what is sent over HTTP goes through a proxy, and this provider sends otherwise: remove"
                " the key; mail behind a firewall goes through a relay of yours"
            )


class Blocking:
    """Sends by calling."""

    def __init__(self, call: Callable[[Message, float], Said], close: Callable[[], Any] | None) -> None:
        self._call = call
        self._close = close

    def send(self, message: Message, limit: float) -> Said:
        """Call, and give what was said."""
        try:
            return self._call(message, limit)
        except BadNotification as bad:
            return Said("compose", error=str(bad))

    def close(self) -> None:
        """Give back what the call holds."""
        if self._close is not None:
            self._close()
