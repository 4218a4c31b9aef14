"""Kept connections of one SMTP account: opened as its settings say, used by one thread at a time."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from noti_worker.domain.secret import Secret
from noti_worker.providers._smtp import Line, credentials
from noti_worker.providers._smtp_said import Transcript

IDLE_AT_MOST = 60.0
MAILS_AT_MOST = 100
_GOODBYE = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """How to get a line on which mails can be sent.

    `context` is None without TLS, else `implicit` tells whether TLS comes first or by STARTTLS.
    """

    host: str
    port: int
    name: str
    context: ssl.SSLContext | None = field(repr=False)
    implicit: bool
    loopback: bool
    username: str | None = None
    password: Secret | None = None

    def open(self, deadline: float, transcript: Transcript) -> Line:
        """Connect, speak TLS, log in; raises Broken or Refused."""
        line = Line.dial(self.host, self.port, deadline, transcript, loopback=self.loopback)
        try:
            if self.context is not None and self.implicit:
                line.secure(self.context, self.host, deadline)
            line.greeting(deadline)
            line.hello(self.name, deadline)
            if self.context is not None and not self.implicit:
                if "STARTTLS" not in line.extensions:
                    line.give_up(
                        "starttls",
                        "the server does not offer STARTTLS: somebody may stand in between, or it needs tls = implicit",
                    )
                line.demand("starttls", "STARTTLS", 220, deadline)
                line.secure(self.context, self.host, deadline)
                line.hello(self.name, deadline)
            if self.username is not None and self.password is not None:
                line.login(self.username, self.password.reveal(), deadline)
        except BaseException:
            line.drop()
            raise
        return line

    def hidden(self) -> tuple[str, ...]:
        """What no record of a conversation may show: the password, plain and as it goes over the wire."""
        if self.username is None or self.password is None:
            return ()
        return (*credentials(self.username, self.password.reveal()), self.password.reveal())


class Pool:
    """The idle lines, the latest used first, so that those of a past rush grow old and go."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._idle: list[Line] = []
        self._lock = Lock()
        self._closed = False

    def take(self) -> Line | None:
        """A line that seems alive, or None: then open one."""
        with self._lock:
            now = self._clock()
            old = [line for line in self._idle if now - line.idle_since > IDLE_AT_MOST]
            self._idle = self._idle[len(old) :]
            taken = self._idle.pop() if self._idle else None
        for line in old:
            line.quit()
        while taken is not None and not taken.is_quiet():
            taken.drop()
            with self._lock:
                taken = self._idle.pop() if self._idle else None
        return taken

    def give_back(self, line: Line) -> None:
        """Keep a line on which no transaction is open."""
        with self._lock:
            line.idle_since = self._clock()
            keep = not self._closed and line.mails < MAILS_AT_MOST
            if keep:
                self._idle.append(line)
        if not keep:
            line.quit()

    def close(self) -> None:
        """Say goodbye on all idle lines; those in use follow when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        deadline = self._clock() + _GOODBYE
        for line in idle:
            line.quit(deadline - self._clock())
