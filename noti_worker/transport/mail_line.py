"""The line to a mailbox, for IMAP and POP3 alike: opened, encrypted, and what goes wrong on it in words."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from noti_worker.domain.bounces import BounceMailbox, MailboxAway
from noti_worker.domain.errors import ConfigurationError
from noti_worker.transport.dial import Dialler, NotSent, anywhere, only_here
from noti_worker.transport.guard import Refused
from noti_worker.transport.lookup import Resolver
from noti_worker.transport.tls import trusting

ANSWER_WITHIN = 30.0
"""Seconds that the server may take for each part of an answer."""


def context_of(mailbox: BounceMailbox) -> ssl.SSLContext:
    """The TLS context; raises MailboxAway when ca_file cannot be read any more."""
    try:
        return trusting(mailbox.ca_file)
    except ConfigurationError as error:
        raise MailboxAway(str(error)) from None


def connected(mailbox: BounceMailbox) -> socket.socket:
    """A line to the server, encrypted where it is so from the beginning; raises MailboxAway and OSError."""
    dialler = Dialler(Resolver(), only_here if mailbox.tls == "none" else anywhere)
    try:
        line = dialler.dial(mailbox.host, mailbox.served_at, monotonic() + ANSWER_WITHIN)
    except (NotSent, Refused) as error:
        raise MailboxAway(f"{mailbox.host} port {mailbox.served_at}: {error}") from None
    line.settimeout(ANSWER_WITHIN)
    if mailbox.tls != "implicit":
        return line
    try:
        return context_of(mailbox).wrap_socket(line, server_hostname=mailbox.host)
    except BaseException:
        line.close()
        raise


@contextmanager
def kept_open(line: socket.socket) -> Iterator[None]:
    """Leave a line open, unless what is begun on it fails: the libraries forget it then."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()
        raise


def bearer(mailbox: BounceMailbox) -> str:
    """What proves the login by a token of OAuth 2.0 (XOAUTH2), as it is now; raises MailboxAway."""
    assert mailbox.token is not None
    try:
        token = mailbox.token.fresh().reveal()
    except ConfigurationError as error:
        raise MailboxAway(str(error)) from None
    return f"user={mailbox.username}\1auth=Bearer {token}\1\1"


@contextmanager
def away(mailbox: BounceMailbox, refusals: tuple[type[Exception], ...], doing: str) -> Iterator[None]:
    """Have what goes wrong told in one way: who did not answer, or answered no, and to what."""
    place = f"{mailbox.host} port {mailbox.served_at}"
    try:
        yield
    except TimeoutError:
        raise MailboxAway(f"{place}: no answer in time ({doing})") from None
    except ssl.SSLCertVerificationError as error:
        raise MailboxAway(f"{place}: its certificate is not trusted: {error.verify_message} ({doing})") from None
    except refusals as error:
        raise MailboxAway(f"{place}: the server answers no ({doing}): {_words(error, mailbox)}") from None
    except (OSError, EOFError) as error:
        raise MailboxAway(f"{place}: {error.strerror if isinstance(error, OSError) else error} ({doing})") from None


def _words(error: Exception, mailbox: BounceMailbox) -> str:
    """What the server said, on one line and without our secret, should it repeat that."""
    given = error.args[0] if error.args else ""
    said = given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
    for secret in (mailbox.password, mailbox.token):
        if secret is not None:
            said = said.replace(secret.reveal(), "***")
    return " ".join(said.split())[:200] or type(error).__name__
