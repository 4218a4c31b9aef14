"""A visit to a mailbox by IMAP (RFC 3501, 9051): nothing is marked as read."""

import imaplib
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from noti_worker.domain.bounces import LARGEST_HEAD, BounceMailbox, MailboxAway
from noti_worker.transport.mail_line import away, bearer, connected, context_of, kept_open

_REFUSED = (imaplib.IMAP4.error,)


class ImapSession:
    """Mails are named by their UIDs, after the folder's validity: a folder that was made anew has others."""

    def __init__(self, mailbox: BounceMailbox) -> None:
        """Log in and open the folder; raises MailboxAway."""
        self._mailbox = mailbox
        self._changed = False
        with away(mailbox, _REFUSED, "connecting"):
            self._imap = _connected(mailbox)
        try:
            with away(mailbox, _REFUSED, "login"):
                self._login()
                self._can = frozenset(self._imap.capability()[1][-1].decode("ascii", "replace").upper().split())
            with away(mailbox, _REFUSED, f"folder {mailbox.folder}"):
                self._validity = self._open()
        except MailboxAway:
            self._hang_up()
            raise

    def names(self) -> Sequence[str]:
        """The UIDs, the oldest mail first."""
        [found] = self._ask("SEARCH", "UNDELETED", doing="search")[:1] or [b""]
        numbers = sorted(int(one) for one in (found or b"").split() if one.isdigit())
        return [f"{self._validity}.{number}" for number in numbers]

    def head(self, name: str) -> bytes | None:
        """The beginning of a mail."""
        answer = self._ask("FETCH", self._uid(name), f"(BODY.PEEK[]<0.{LARGEST_HEAD}>)", doing="fetch")
        return next((part[1][:LARGEST_HEAD] for part in answer if isinstance(part, tuple) and len(part) > 1), None)

    def dispose(self, name: str) -> None:
        """Move or delete a mail, or leave it."""
        uid, folder = self._uid(name), self._mailbox.move_to
        if self._mailbox.after == "keep":
            return
        if folder is not None and "MOVE" in self._can:
            self._ask("MOVE", uid, _quoted(folder), doing=f"move to {folder}")
            return
        if folder is not None:
            self._ask("COPY", uid, _quoted(folder), doing=f"move to {folder}")
        self._ask("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)", doing="delete")
        if "UIDPLUS" in self._can:
            self._ask("EXPUNGE", uid, doing="delete")
        else:
            self._changed = True

    def close(self) -> None:
        """Remove what was deleted, and hang up."""
        try:
            if self._changed:
                with away(self._mailbox, _REFUSED, "delete"):
                    self._imap.expunge()
        finally:
            self._hang_up()

    def _login(self) -> None:
        mailbox, imap = self._mailbox, self._imap
        if mailbox.token is not None:
            proof = bearer(mailbox)
            imap.authenticate("XOAUTH2", lambda said: b"" if said else proof.encode())
        elif mailbox.password is not None and "AUTH=PLAIN" in imap.capabilities:
            # LOGIN takes ASCII only.
            proof = f"\0{mailbox.username}\0{mailbox.password.reveal()}"
            imap.authenticate("PLAIN", lambda _: proof.encode())
        elif mailbox.password is not None:
            imap.login(_quoted(mailbox.username), mailbox.password.reveal())

    def _open(self) -> str:
        mailbox, imap = self._mailbox, self._imap
        _check(imap.select(_quoted(mailbox.folder), readonly=mailbox.after == "keep"))
        if mailbox.move_to is not None:
            imap.create(_quoted(mailbox.move_to))  # a no says that it is there
        validity: Any = imap.response("UIDVALIDITY")[1]
        return validity[0].decode("ascii") if validity and validity[0] else "0"

    def _uid(self, name: str) -> str:
        return name.partition(".")[2]

    def _ask(self, *command: str, doing: str) -> list[Any]:
        with away(self._mailbox, _REFUSED, doing):
            return _check(self._imap.uid(*command))

    def _hang_up(self) -> None:
        try:
            self._imap.logout()
        except (OSError, imaplib.IMAP4.error):
            with suppress(OSError):
                self._imap.shutdown()


class _Imap(imaplib.IMAP4):
    """Speaks on a line that is there."""

    def __init__(self, line: socket.socket, host: str) -> None:
        self._line = line
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._line


def _connected(mailbox: BounceMailbox) -> _Imap:
    line = connected(mailbox)
    with kept_open(line):
        imap = _Imap(line, mailbox.host)
        if mailbox.tls == "starttls":
            imap.starttls(context_of(mailbox))
    return imap


def _check(answer: tuple[str, list[Any]]) -> list[Any]:
    said, data = answer
    if said != "OK":
        raise imaplib.IMAP4.error(data[0] if data else said)
    return data


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
