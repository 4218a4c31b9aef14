"""A line of text to a server: written and read within time limits, secured on the way.

Every single wait gets what is left of its time, so a server that trickles its answer gains nothing. The socket itself
never blocks: one that has a time limit asks the kernel thrice for each read or write, and lets go of the interpreter
each time.
"""

import socket
import ssl
from select import POLLIN, POLLOUT, poll
from time import monotonic
from typing import NoReturn

from noti_worker.transport.talk import Broke, Hear, Secure

_LONGEST_LINE = 4096
_CHUNK = 65536
_LONGEST_WAIT = 2**31 - 1  # milliseconds, of poll


class Line:
    """A connection, between conversations or in one. Not for two threads at once.

    `mails` counts those that were begun on it, `idle_since` is the monotonic instant of the last one's end.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext | None, host: str) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._context, self._host = context, host
        self._events = poll()
        self._events.register(connection, POLLIN)
        self._awaited = POLLIN
        self._buffer = b""
        self._since = monotonic()
        self.mails = 0
        self.idle_since = 0.0

    def do(self, step: Hear | Secure, ends_at: float) -> list[str]:
        """Take one step before the monotonic instant `ends_at`, and give what was heard; raises Broke."""
        if isinstance(step, Secure):
            heard = [self._secure(ends_at)]
        else:
            if step.first:
                if self._buffer:  # what was begun before is not the answer to what is told now
                    self._broke("spoke", "the server said more than it was asked", writing=True)
                self._write(step.first, ends_at)
                self._since = monotonic()
            until = monotonic() + step.most
            heard = self._read(until if step.beyond or until < ends_at else ends_at)
        now = monotonic()
        step.ms = (now - self._since) * 1000
        self._since = now
        return heard

    def is_quiet(self) -> bool:
        """False when the server said something unasked or hung up while the line was kept.

        A word too many would be taken for the answer to the next command.
        """
        if self._buffer or self._pending():
            return False
        self._await(POLLIN)
        return not self._events.poll(0)

    def quit(self, farewell: bytes, patience: float = 0.0) -> None:
        """Say goodbye, wait at most `patience` seconds for the answer, hang up; failing to is no failure."""
        deadline = monotonic() + max(patience, 0.1)
        try:
            self._write(farewell, deadline)
            if patience > 0:
                self._read(deadline)
        except Broke:
            pass
        self.drop()

    def drop(self) -> None:
        """Hang up."""
        self._socket.close()

    def begin(self) -> None:
        """Measure the next step from here on."""
        self._since = monotonic()

    def _write(self, content: bytes, deadline: float) -> None:
        rest = memoryview(content)
        try:
            for start in range(0, len(rest), _CHUNK):
                # A write that fails was not taken by the kernel whole, so its last line is not complete.
                self._send(rest[start : start + _CHUNK], deadline)
        except TimeoutError:
            self._broke("timeout", "the server does not read", writing=True)
        except OSError:
            self._broke("closed", "the server closed the connection", writing=True)

    def _read(self, deadline: float) -> list[str]:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                self._broke("endless", "the server's answer has no end")
            try:
                received = self._receive(deadline)
            except TimeoutError:
                self._broke("timeout", "no answer in time")
            except OSError:
                received = b""
            if not received:
                self._broke("closed", "the server closed the connection")
            self._buffer += received
        *lines, self._buffer = self._buffer.split(b"\n")
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in lines]

    def _secure(self, deadline: float) -> str:
        if self._context is None:
            raise RuntimeError("this line was made without a TLS context")
        if self._buffer:
            self._broke("spoke_early", "the server went on talking before TLS began: somebody may stand in between")
        try:
            self._socket.settimeout(_left(deadline))
            secured = self._context.wrap_socket(self._socket, server_hostname=self._host, do_handshake_on_connect=False)
            self._socket = secured
            secured.settimeout(_left(deadline))
            secured.do_handshake()
            secured.setblocking(False)
        except ssl.SSLCertVerificationError as error:
            self._broke("certificate", f"the server's certificate is not accepted: {error.verify_message}")
        except TimeoutError:
            self._broke("timeout", "no answer in time")
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
            self._broke("closed", "the server closed the connection")
        except ssl.SSLError as error:
            self._broke("no_common_tls", f"the server and we find no common TLS ({error.reason or 'unknown'})")
        except OSError:
            self._broke("closed", "the server closed the connection")
        return secured.version() or ""

    def _send(self, rest: memoryview, deadline: float) -> None:
        """Hand all to the kernel; raises TimeoutError or OSError."""
        while rest:
            if monotonic() >= deadline:
                raise TimeoutError
            try:
                rest = rest[self._socket.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(POLLOUT, deadline)
            except ssl.SSLWantReadError:
                self._wait(POLLIN, deadline)

    def _receive(self, deadline: float) -> bytes:
        """What comes next, or nothing when the other side hung up; raises TimeoutError or OSError."""
        waits_for = 0 if self._pending() else POLLIN
        while True:
            if waits_for:
                self._wait(waits_for, deadline)
            try:
                return self._socket.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                waits_for = POLLIN
            except ssl.SSLWantWriteError:
                waits_for = POLLOUT

    def _wait(self, event: int, deadline: float) -> None:
        left = deadline - monotonic()
        if event != self._awaited:
            self._await(event)
        if left <= 0 or not self._events.poll(min(left * 1000, _LONGEST_WAIT)):
            raise TimeoutError

    def _await(self, event: int) -> None:
        self._events.modify(self._socket, event)
        self._awaited = event

    def _pending(self) -> bool:
        """True when something was read off the socket already and decrypted."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _broke(self, code: str, reason: str, *, writing: bool = False) -> NoReturn:
        raise Broke(code, reason, (monotonic() - self._since) * 1000, writing=writing) from None


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
