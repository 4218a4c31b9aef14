"""One SMTP conversation, stage by stage: who said what and when, and where it broke (RFC 5321, 3207, 4954).

Nothing here waits longer than its deadline, an instant of `time.monotonic()`: every single wait
gets what is left of it, so a server that trickles its answer gains nothing. The socket itself never blocks: one
that has a time limit asks the kernel thrice for each read or write, and lets go of the interpreter each time.
"""

import base64
import re
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from select import POLLIN, POLLOUT, poll
from threading import Thread
from time import monotonic
from typing import Any, NoReturn

from noti_worker.providers._smtp_said import Broken, Refused, Reply, Transcript

CONNECT_AT_MOST = 15.0
STEP_AT_MOST = 60.0
_LONGEST_LINE = 4096
_MOST_LINES = 128
_CHUNK = 65536
_LONGEST_WAIT = 2**31 - 1  # milliseconds, of poll
_ANSWER = re.compile(r"[2-5]\d\d([ -]|$)")


class Line:
    """A connection to an SMTP server, between conversations or in one. Not for two threads at once."""

    def __init__(self, connection: socket.socket, transcript: Transcript) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._events = poll()
        self._events.register(connection)
        self._buffer = b""
        self._owed: deque[str] = deque()
        self.transcript = transcript
        self.extensions: dict[str, str] = {}
        self.mails = 0
        self.idle_since = 0.0

    @classmethod
    def dial(cls, host: str, port: int, deadline: float, transcript: Transcript, *, loopback: bool) -> "Line":
        """Connect to the first address that answers; `loopback` refuses all that leave this machine."""
        since = monotonic()
        try:
            connection, address = _reach(host, port, min(deadline, since + CONNECT_AT_MOST), loopback=loopback)
        except Broken as broken:
            transcript.add("connect", None, broken.reason, since)
            raise
        # A small write must not wait for the answer to the one before it.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transcript.add("connect", None, f"{address} port {port}", since)
        return cls(connection, transcript)

    def secure(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Speak TLS from here on; nothing that was said before counts (RFC 3207 section 4.2)."""
        since = monotonic()
        if self._buffer:
            self._broke("tls", "the server went on talking before TLS began: somebody may stand in between", ours=True)
        try:
            self._socket.settimeout(_left("tls", deadline))
            secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
            self._socket = secured
            secured.settimeout(_left("tls", deadline))
            secured.do_handshake()
            secured.setblocking(False)
        except ssl.SSLCertVerificationError as error:
            self._broke("tls", f"the server's certificate is not accepted: {error.verify_message}", ours=True)
        except TimeoutError:
            self._broke("tls", "no answer in time")
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
            self._broke("tls", "the server closed the connection", closed=True)
        except ssl.SSLError as error:
            self._broke("tls", f"the server and we find no common TLS ({error.reason or 'unknown'})", ours=True)
        except OSError:
            self._broke("tls", "the server closed the connection", closed=True)
        self.transcript.add("tls", None, secured.version() or "", since)

    def greeting(self, deadline: float) -> None:
        """Wait for the server's first words."""
        reply = self.reply("greeting", min(deadline, monotonic() + STEP_AT_MOST))
        if reply.code != 220:
            raise Refused("greeting", reply)

    def hello(self, name: str, deadline: float) -> None:
        """Introduce ourselves and learn what the server can do."""
        reply = self.demand("ehlo", f"EHLO {name}", 250, deadline)
        words = [line.strip().partition(" ") for line in reply.lines[1:]]
        self.extensions = {keyword.upper(): parameters for keyword, _, parameters in words}

    def login(self, username: str, password: str, deadline: float) -> None:
        """Prove who we are, with PLAIN or LOGIN (RFC 4954)."""
        plain, name, word = credentials(username, password)
        offered = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            self.demand("auth", f"AUTH PLAIN {plain}", 235, deadline)
        elif "LOGIN" in offered:
            self.demand("auth", "AUTH LOGIN", 334, deadline)
            self.demand("auth", name, 334, deadline)
            self.demand("auth", word, 235, deadline)
        else:
            what = f"only offers {' '.join(offered)[:80]}" if offered else "offers no login"
            self.give_up("auth", f"the account has a username, but the server {what}")

    def demand(self, stage: str, command: str, code: int, deadline: float) -> Reply:
        """Say `command`; raises Refused unless the answer has `code`."""
        reply = self.ask(stage, command, deadline)
        if reply.code != code:
            raise Refused(stage, reply)
        return reply

    def ask(self, stage: str, command: str, deadline: float) -> Reply:
        """Say `command` and give the answer, whatever it is."""
        since = monotonic()
        deadline = min(deadline, since + STEP_AT_MOST)
        self._write(stage, command.encode() + b"\r\n", deadline, since)
        return self.reply(stage, deadline, since)

    def give_up(self, stage: str, reason: str) -> NoReturn:
        """Go no further: what the server offers and what our configuration demands do not fit."""
        self._broke(stage, reason, ours=True)

    def talk(self, commands: Sequence[tuple[str, str]], first: float, deadline: float) -> Iterator[Reply]:
        """Say `commands`, each after its stage, and give their answers in this order.

        All are said at once where the server takes that (RFC 2920), else each after the answer to the one before:
        who stops listening then has not said the rest. The first answer is waited for until `first`.
        """
        at_once = "PIPELINING" in self.extensions
        if at_once:
            since = monotonic()
            content = "".join(f"{command}\r\n" for _, command in commands).encode()
            self._write(commands[0][0], content, min(first, since + STEP_AT_MOST), since)
            self._owed.extend(stage for stage, _ in commands)
        until = first
        for stage, command in commands:
            if at_once:
                since = monotonic()
                yield self.reply(self._owed.popleft(), min(until, since + STEP_AT_MOST), since)
            else:
                yield self.ask(stage, command, until)
            until = deadline

    def settle(self, deadline: float) -> bool:
        """Hear what is still to come and take back what was begun; False when the line is of no more use."""
        try:
            while self._owed:
                code = self.reply(self._owed.popleft(), deadline).code
                # After a 354 only hanging up ends the mail: a final dot would send an empty one to who was accepted.
                if code in {354, 421}:
                    return False
            return self.ask("rset", "RSET", deadline).code == 250
        except Broken:
            return False

    def deliver(self, content: bytes, deadline: float, patience: float) -> Reply:
        """Write the mail, dots at the start of a line doubled, and the final dot; give the yes.

        Raises Refused, or Broken: at `data` the final dot did not go out, at `dot` it did, and the mail may have been
        taken. The answer may take `patience` seconds from the last byte on.
        """
        since = monotonic()
        if self._buffer:
            # The next word would be taken for the answer to the dot.
            self._broke("data", "the server said more than it was asked", since=since)
        stuffed = memoryview(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        for start in range(0, len(stuffed), _CHUNK):
            # A write that fails was not taken by the kernel whole, so the line of the dot is not complete.
            self._write("data", stuffed[start : start + _CHUNK], deadline, since)
        since = monotonic()
        reply = self.reply("dot", since + patience, since)
        if reply.code // 100 != 2:
            raise Refused("dot", reply)
        return reply

    def reply(self, stage: str, deadline: float, since: float | None = None) -> Reply:
        """Read one answer; raises Broken when none comes or when it is no SMTP."""
        since = monotonic() if since is None else since
        lines: list[str] = []
        while True:
            line = self._read_line(stage, deadline, since)
            if not _ANSWER.match(line):
                # A greeting that is no SMTP is a wrong port; later it is a server that lost its way.
                self._broke(stage, "the server does not speak SMTP", since=since, ours=stage == "greeting")
            lines.append(line[4:])
            if line[3:4] != "-":
                break
            if len(lines) >= _MOST_LINES:
                self._broke(stage, "the server's answer has no end", since=since)
        reply = Reply(int(line[:3]), tuple(lines))
        self.transcript.add(stage, reply.code, reply.text, since)
        return reply

    def is_quiet(self) -> bool:
        """False when the server said something unasked or hung up while the line was kept.

        A word too many would be taken for the answer to the next command.
        """
        if self._buffer or self._pending():
            return False
        self._events.modify(self._socket, POLLIN)
        return not self._events.poll(0)

    def quit(self, patience: float = 0.0) -> None:
        """Say goodbye, wait at most `patience` seconds for the answer, hang up; failing to is no failure."""
        self.transcript = Transcript()
        deadline = monotonic() + max(patience, 0.1)
        try:
            self._write("quit", b"QUIT\r\n", deadline, monotonic())
            if patience > 0:
                self.reply("quit", deadline)
        except Broken:
            pass
        self.drop()

    def drop(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read_line(self, stage: str, deadline: float, since: float) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                self._broke(stage, "the server's answer has no end", since=since)
            try:
                received = self._receive(deadline)
            except TimeoutError:
                self._broke(stage, "no answer in time", since=since)
            except OSError:
                received = b""
            if not received:
                self._broke(stage, "the server closed the connection", since=since, closed=True)
            self._buffer += received
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _write(self, stage: str, content: bytes | memoryview, deadline: float, since: float) -> None:
        try:
            self._send(memoryview(content), deadline)
        except TimeoutError:
            self._broke(stage, "the server does not read", since=since)
        except OSError:
            self._broke(stage, "the server closed the connection", since=since, closed=True)

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
        self._events.modify(self._socket, event)
        if left <= 0 or not self._events.poll(min(left * 1000, _LONGEST_WAIT)):
            raise TimeoutError

    def _pending(self) -> bool:
        """True when something was read off the socket already and decrypted."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _broke(
        self, stage: str, reason: str, *, since: float | None = None, closed: bool = False, ours: bool = False
    ) -> NoReturn:
        self.transcript.add(stage, None, reason, monotonic() if since is None else since)
        raise Broken(stage, reason, closed=closed, ours=ours) from None


def _left(stage: str, deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise Broken(stage, "no time left")
    return left


def _reach(host: str, port: int, deadline: float, *, loopback: bool) -> tuple[socket.socket, str]:
    """Connect to the first address that answers, each with its share of the time."""
    addresses = _resolve(host, port, deadline)
    if loopback and not all(_is_loopback(address[0]) for _, address in addresses):
        raise Broken("connect", f"{host} is not this machine; to leave it without TLS, say insecure = true", ours=True)
    reason = ""
    for tried, (family, address) in enumerate(addresses):
        patience = _left("connect", deadline) / (len(addresses) - tried)
        try:
            return _connect(family, address, patience), address[0]
        except TimeoutError:
            reason = "no answer"
        except OSError as error:
            reason = error.strerror or type(error).__name__
    raise Broken("connect", f"cannot connect to {host} port {port}: {reason}")


def _connect(family: int, address: tuple[Any, ...], patience: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _resolve(host: str, port: int, deadline: float) -> Sequence[tuple[int, tuple[Any, ...]]]:
    """Look the name up in a thread of its own: the resolver knows no time limit, and may take minutes."""
    answers: SimpleQueue[list[Any]] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answers.put([])

    Thread(target=look_up, name="smtp-resolve", daemon=True).start()
    try:
        found = answers.get(timeout=_left("connect", deadline))
    except Empty:
        raise Broken("connect", f"no answer in time to the question where {host} is") from None
    if not found:
        raise Broken("connect", f"the name {host} is not found")
    return [(family, address) for family, _, _, _, address in found]


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith(("127.", "::ffff:127."))


def credentials(username: str, password: str) -> tuple[str, str, str]:
    """What goes over the wire: both together for PLAIN, then each for LOGIN."""
    plain, name, word = (
        base64.b64encode(text.encode()).decode("ascii") for text in (f"\0{username}\0{password}", username, password)
    )
    return plain, name, word
