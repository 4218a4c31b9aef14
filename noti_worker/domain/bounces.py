"""A mailbox that bounces and complaints come back to: how it is read, and what is read of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.return_path import LONGEST_LOCAL, ReturnPath
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about

_PORTS = {("imap", "implicit"): 993, ("imap", "starttls"): 143, ("pop3", "implicit"): 995, ("pop3", "starttls"): 110}
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_MOVE = "move:"
_SHORTEST_KEY = 16


def _check_after(after: str) -> None:
    folder = after.removeprefix(_MOVE)
    if after not in {"delete", "keep"} and (folder == after or not _is_folder(folder)):
        raise ValueError('allowed: delete, keep, or move: and the name of a folder in ASCII, such as "move:Read"')


def _check_folder(folder: str) -> None:
    if not _is_folder(folder):
        raise ValueError("write the name of a folder in ASCII, as the server has it")


def _is_folder(name: str) -> bool:
    return bool(name) and name.isascii() and name.isprintable()


@dataclass(frozen=True, slots=True)
class BounceMailbox:
    """The section `bounces.NAME`."""

    return_path: str = field(
        metadata=about("the address that the mails of this mailbox come to; accounts of `smtp` name it as theirs")
    )
    key: Secret = field(metadata=about("a reference to the secret that signs the return path: 16 characters or more"))
    host: str = field(metadata=about("name or address of the server"))
    username: str = field(metadata=about("for the login"))
    protocol: Literal["imap", "pop3"] = field(default="imap", metadata=about("`imap` or `pop3`"))
    port: int | None = field(
        default=None,
        metadata=about("without it 993 and 995, with starttls and none 143 and 110", at_least=1, at_most=65535),
    )
    tls: Literal["implicit", "starttls", "none"] = field(
        default="implicit", metadata=about("`implicit`, `starttls`, or `none`, which is for this machine only")
    )
    ca_file: str | None = field(
        default=None, metadata=about("certificates (PEM) that are trusted besides the usual ones")
    )
    password: Secret | None = field(default=None, metadata=about("a reference to the password"))
    token: Secret | None = field(
        default=None, metadata=about("instead of `password`: an access token of OAuth 2.0, read anew for each login")
    )
    folder: str = field(
        default="INBOX", metadata=about("the folder that is read; POP3 has no other", check=_check_folder)
    )
    after: str = field(
        default="delete",
        metadata=about(
            "what becomes of reports that count and of auto-replies: delete, `move:FOLDER` (IMAP) or keep",
            check=_check_after,
        ),
    )
    every: timedelta = field(
        default=timedelta(minutes=1),
        metadata=about(
            "how often it is read, by one worker at a time", at_least=timedelta(seconds=1), at_most=timedelta(days=1)
        ),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the key."""
        self._check_return_path()
        self._check_server()
        self._check_login()
        if self.protocol == "pop3" and self.folder != "INBOX":
            raise ConfigurationError("folder: POP3 knows no folders; remove the key, or use imap")
        if self.protocol == "pop3" and self.move_to is not None:
            raise ConfigurationError("after: POP3 knows no folders to move mails to; write delete or keep, or use imap")

    def _check_return_path(self) -> None:
        local = address_of(self.return_path).rpartition("@")[0]
        if not local.isascii() or "+" in local or len(local) > LONGEST_LOCAL:
            raise ConfigurationError(
                f"return_path has at most {LONGEST_LOCAL} plain characters before the @, without a +:"
                " a tag of each mail is put there"
            )
        if len(self.key.reveal()) < _SHORTEST_KEY and self.key.reveal() != "***":
            raise ConfigurationError(
                f"key is shorter than {_SHORTEST_KEY} characters, so that bounces could be forged:"
                " openssl rand -hex 16 prints one"
            )

    def _check_server(self) -> None:
        if not self.host or any(char.isspace() or char in "/@" for char in self.host):
            raise ConfigurationError("host is not the name or address of a mail server")
        if self.tls == "none" and _LOOPBACK.fullmatch(self.host) is None:
            raise ConfigurationError("tls = none shows mails and password to the network: use implicit or starttls")
        if self.tls == "none" and self.ca_file is not None:
            raise ConfigurationError("ca_file has no meaning with tls = none")

    def _check_login(self) -> None:
        if (self.password is None) == (self.token is None):
            raise ConfigurationError("one of password and token is needed: what proves the login")
        secrets = {"password": self.password, "token": self.token}
        given = {"username": self.username} | {key: one and one.reveal() for key, one in secrets.items()}
        for key, value in given.items():
            if value is not None and (not value or any(char in value for char in "\0\1\r\n")):
                raise ConfigurationError(f"{key} is empty or holds a control character")

    @property
    def move_to(self) -> str | None:
        """The folder to which mails are moved that are read."""
        return self.after.removeprefix(_MOVE) if self.after.startswith(_MOVE) else None

    @property
    def served_at(self) -> int:
        """The port."""
        return self.port or _PORTS[self.protocol, "implicit" if self.tls == "implicit" else "starttls"]

    @property
    def signed(self) -> ReturnPath:
        """Its return path, which signs and checks."""
        return ReturnPath(address_of(self.return_path), self.key)


def address_of(return_path: str) -> str:
    """A return path as it is compared and written; raises ConfigurationError when it is no address."""
    try:
        return read_mailbox(return_path, "return_path", intranet=True).address.lower()
    except BadNotification as error:
        raise ConfigurationError(str(error)) from None


class MailboxAway(Exception):
    """The mailbox cannot be read: not reached, a wrong login, no such folder; the words are for a person."""


class MailSession(Protocol):
    """One visit to a mailbox; every call raises MailboxAway."""

    def names(self) -> Sequence[str]:
        """The mails that are there, the oldest first, by names that stay."""
        ...

    def head(self, name: str) -> bytes | None:
        """The beginning of a mail, LARGEST_HEAD bytes at most; None when it is no longer there."""
        ...

    def dispose(self, name: str) -> None:
        """Do with a mail what is done after it was read."""
        ...

    def close(self) -> None:
        """Make it so, and hang up."""
        ...


LARGEST_HEAD = 256 * 1024
"""Bytes that are read of a mail: a report and the headers of the mail that it is about come first."""
