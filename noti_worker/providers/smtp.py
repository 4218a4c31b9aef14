"""E-mail over SMTP: to a relay or a mail server, with TLS and login, on kept connections.

One message is one transaction. Its first recipient is the row's, and the outcome speaks for it: when it
is refused, nothing is sent to anybody. What was answered to a cc or bcc that is refused stands beside it.
What breaks before the final dot was surely not sent; what breaks after it is `uncertain`.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from noti_worker.domain.bounces import address_of
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Channel
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.ports import Sender
from noti_worker.domain.return_path import ReturnPath
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.traits import Carries
from noti_worker.providers._smtp_exchange import Account, Conversation
from noti_worker.providers._smtp_login import Login
from noti_worker.providers._smtp_rules import RULES
from noti_worker.transport import Kit

__all__ = ["CHANNELS", "OPTIONS", "RULES", "Settings", "build"]

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS
CHECK = "connects, with TLS where it is asked for, and logs in"
IDEMPOTENCY = Carries("mail Message-ID", "is sent again, with the same Message-ID")

_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_REFERENCE = "`env:NAME`, `file:PATH` or `exec:PROGRAM`"
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?|\[[0-9A-Fa-f.:IPv]+\]")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at a mail server."""

    host: str = field(metadata=about("name or address of the server"))
    from_: tuple[str, ...] = field(
        metadata=about(
            "the senders that a message may use, `a@b` or `Name <a@b>`; the first is the default. One text or a list"
        )
    )
    return_path: str | None = field(
        default=None,
        metadata=about(
            "where bounces come back to: the `return_path` of a section `bounces.NAME`; without it to the sender"
        ),
    )
    port: int | None = field(
        default=None, metadata=about('without it 587, 465 with `tls = "implicit"`, 25 with `tls = "none"`')
    )
    tls: Literal["starttls", "implicit", "none"] = field(
        default="starttls",
        metadata=about("`starttls`, `implicit` or `none`; `none` only to this machine, or with `insecure`"),
    )
    insecure: bool = field(
        default=False,
        metadata=about('say it together with `tls = "none"` when the network may read mails and password'),
    )
    username: str | None = field(default=None, metadata=about("for the login; together with `password` or `token`"))
    password: Secret | None = field(default=None, metadata=about(f"a reference: {_REFERENCE}"))
    token: Secret | None = field(
        default=None,
        metadata=about("instead of `password`: an access token of OAuth 2.0, read anew for each login"),
    )
    ca_file: str | None = field(
        default=None, metadata=about("certificates (PEM) that are trusted besides the usual ones")
    )
    local_hostname: str | None = field(
        default=None, metadata=about("how we introduce ourselves; without it the domain of the first sender")
    )
    dot_timeout: timedelta = field(
        default=timedelta(minutes=5),
        metadata=about(
            "how long the server may take to accept a mail after its last byte; then the try is `uncertain`"
        ),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the key."""
        if not self.host or any(char.isspace() or char in "/@" for char in self.host):
            raise ConfigurationError("host is not the name or address of a mail server")
        if self.tls not in _PORTS:
            raise ConfigurationError(f"tls is one of {', '.join(_PORTS)}")
        if self.tls == "none" and not self.insecure and not self.on_this_machine:
            raise ConfigurationError("tls = none shows mails and password to the network; say insecure = true as well")
        if self.tls != "none" and self.insecure:
            raise ConfigurationError("insecure has a meaning only with tls = none")
        if self.tls == "none" and self.ca_file is not None:
            raise ConfigurationError("ca_file has no meaning with tls = none")
        if self.port is not None and not 0 < self.port < 65536:
            raise ConfigurationError("port lies between 1 and 65535")
        self._check_login()
        if self.local_hostname is not None and not _HOST_NAME.fullmatch(self.local_hostname):
            raise ConfigurationError("local_hostname is not a host name")
        if self.dot_timeout <= timedelta(0):
            raise ConfigurationError("dot_timeout must be longer than nothing")
        self.senders()
        if self.return_path is not None:
            address_of(self.return_path)

    @property
    def on_this_machine(self) -> bool:
        """True when `host` is a loopback address."""
        return _LOOPBACK.fullmatch(self.host) is not None

    def login(self) -> Login | None:
        """Who logs in, and with what; None without a username."""
        if self.username is None:
            return None
        return Login(self.username, self.password, self.token, self.host, self.port or _PORTS[self.tls])

    def _check_login(self) -> None:
        if self.username is None and (self.password or self.token) is not None:
            raise ConfigurationError("username is missing")
        if self.username is not None and (self.password or self.token) is None:
            raise ConfigurationError("password is missing (or token, where the server wants one)")
        if self.password is not None and self.token is not None:
            raise ConfigurationError("token contradicts password: remove one of them")
        secrets = {"password": self.password, "token": self.token}
        given = {"username": self.username} | {key: one and one.reveal() for key, one in secrets.items()}
        for key, value in given.items():
            if value is not None and (not value or any(char in value for char in "\0\1\r\n")):
                raise ConfigurationError(f"{key} is empty or holds a control character")

    def senders(self) -> tuple[Mailbox, ...]:
        """The allowed senders, the default first."""
        if not self.from_:
            raise ConfigurationError("from names no sender")
        try:
            return tuple(read_mailbox(one, "from", intranet=True) for one in self.from_)
        except BadNotification as error:
            raise ConfigurationError(str(error)) from None


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account. Raises ConfigurationError for an unusable ca_file, or a return_path nobody reads."""
    account = Account(
        name=settings.local_hostname or settings.senders()[0].domain,
        senders=settings.senders(),
        intranet=settings.insecure or settings.on_this_machine,
        tls=settings.tls,
        login=settings.login(),
        dot_timeout=settings.dot_timeout.total_seconds(),
        host=settings.host,
        port=settings.port or _PORTS[settings.tls],
        return_path=_signed(settings.return_path, kit),
    )
    return kit.lines(
        Conversation(account),
        account.host,
        account.port,
        encrypted=settings.tls != "none",
        ca_file=settings.ca_file,
        only_here=settings.tls == "none" and not settings.insecure,
    )


def _signed(return_path: str | None, kit: Kit) -> ReturnPath | None:
    if return_path is None:
        return None
    for signed in kit.return_paths:
        if signed.address == address_of(return_path):
            return signed
    raise ConfigurationError("return_path is that of no section bounces.NAME: say there how its mailbox is read")
