"""A visit to a mailbox by POP3 (RFC 1939): what is deleted goes when it ends well."""

import base64
import poplib
import socket
from collections.abc import Sequence

from noti_worker.domain.bounces import LARGEST_HEAD, BounceMailbox, MailboxAway
from noti_worker.transport.mail_line import away, bearer, connected, context_of, kept_open

_REFUSED = (poplib.error_proto,)
_LINES = 5_000
"""Lines of a body that are asked for: LARGEST_HEAD, when they are of the usual length."""
_PIECE = 64 * 1024


class Pop3Session:
    """Mails are named by their unique ids (UIDL)."""

    def __init__(self, mailbox: BounceMailbox) -> None:
        """Log in; raises MailboxAway."""
        self._mailbox = mailbox
        self._numbers: dict[str, int] = {}
        with away(mailbox, _REFUSED, "connecting"):
            self._pop = _connected(mailbox)
        try:
            with away(mailbox, _REFUSED, "login"):
                self._login()
        except MailboxAway:
            self._pop.close()
            raise

    def names(self) -> Sequence[str]:
        """The unique ids, in the order of the mailbox."""
        with away(self._mailbox, _REFUSED, "list"):
            lines = self._pop.uidl()[1]
        for line in lines:
            number, _, name = line.decode("utf-8", "replace").partition(" ")
            if number.isdecimal() and name:
                self._numbers.setdefault(name.strip(), int(number))
        return list(self._numbers)

    def head(self, name: str) -> bytes | None:
        """The beginning of a mail. Read by our own hand: the library knows no limit, and gives up at a long line."""
        with away(self._mailbox, _REFUSED, "fetch"):
            self._pop.sock.sendall(f"TOP {self._numbers[name]} {_LINES}\r\n".encode())
            answer = self._pop.file.readline(_PIECE)
            if not answer.startswith(b"+OK"):
                raise poplib.error_proto(answer or "the connection ended")
            return self._text()

    def dispose(self, name: str) -> None:
        """Delete a mail, or leave it."""
        if self._mailbox.after == "delete":
            with away(self._mailbox, _REFUSED, "delete"):
                self._pop.dele(self._numbers[name])

    def close(self) -> None:
        """Have the server delete what is deleted, and hang up."""
        try:
            with away(self._mailbox, _REFUSED, "quit"):
                self._pop.quit()
        finally:
            self._pop.close()

    def _text(self) -> bytes:
        """Lines up to the one with a single dot; what is beyond the limit is heard and forgotten."""
        kept = bytearray()
        begins = True  # a line, and not the rest of a long one
        while True:
            piece = self._pop.file.readline(_PIECE)
            if not piece:
                raise EOFError("the connection ended")
            if begins and piece in {b".\r\n", b".\n"}:
                return bytes(kept[:LARGEST_HEAD])
            if len(kept) < LARGEST_HEAD:
                kept += piece[1:] if begins and piece.startswith(b"..") else piece
            begins = piece.endswith(b"\n")

    def _login(self) -> None:
        mailbox, pop = self._mailbox, self._pop
        if mailbox.token is not None:
            proof = base64.b64encode(bearer(mailbox).encode())
            pop.sock.sendall(b"AUTH XOAUTH2 " + proof + b"\r\n")
            answer = pop.file.readline(_PIECE)
            if not answer.startswith(b"+OK"):
                raise poplib.error_proto(answer)
        elif mailbox.password is not None:
            pop.user(mailbox.username)
            pop.pass_(mailbox.password.reveal())


class _Pop3(poplib.POP3):
    """Speaks on a line that is there."""

    def __init__(self, line: socket.socket, host: str) -> None:
        self._line = line
        super().__init__(host)

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._line


def _connected(mailbox: BounceMailbox) -> _Pop3:
    line = connected(mailbox)
    with kept_open(line):
        pop = _Pop3(line, mailbox.host)
        if mailbox.tls == "starttls":
            pop.stls(context_of(mailbox))
    return pop
