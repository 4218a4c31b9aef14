"""Sending over kept lines: opened as the conversation says, used by one thread at a time, given up when worn out."""

import ssl
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Message
from noti_worker.domain.said import Said
from noti_worker.transport import idle
from noti_worker.transport.dial import Dialler, NotSent
from noti_worker.transport.guard import Refused
from noti_worker.transport.line import Line
from noti_worker.transport.talk import Broke, Conversation, Ended, Exchange, Talk

CONNECT_AT_MOST = 15.0
IDLE_AT_MOST = 60.0
MAILS_AT_MOST = 100
_GOODBYE = 1.0

T = TypeVar("T")
Ready = TypeVar("Ready")


@dataclass(slots=True)
class _Open(Generic[Ready]):
    line: Line
    ready: Ready


class Lines(Generic[Ready]):
    """The lines of one account: a Sender that can also look."""

    def __init__(
        self,
        conversation: Conversation[Ready],
        dialler: Dialler,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
    ) -> None:
        self._conversation = conversation
        self._dialler = dialler
        self._host, self._port = host, port
        self._context = context
        self._pool: _Pool[Ready] = _Pool(conversation.farewell)

    def send(self, message: Message, limit: float) -> Said:
        """Send on a kept line, or on a fresh one; once more on a fresh one when the kept one was worn out."""
        try:
            exchange = self._conversation.about(message)
        except BadNotification as bad:
            return Said("compose", error=str(bad))
        now = monotonic()
        ends_at = now + limit
        kept = self._pool.take()
        if kept is not None:
            # A silent line gets a third of the time, so that enough is left for a fresh one.
            ended = self._on(kept, exchange, ends_at, first=now + limit / 3)
            if not ended.worn_out:
                return ended.said
        fresh = self._open(exchange, ends_at)
        return fresh if isinstance(fresh, Said) else self._on(fresh, exchange, ends_at, first=ends_at).said

    def check(self, limit: float) -> Said:
        """Open a line within `limit` seconds, then hang up; no message is begun."""
        exchange = self._conversation.about(None)
        opened = self._open(exchange, monotonic() + limit)
        if isinstance(opened, Said):
            return opened
        opened.line.quit(self._conversation.farewell)
        return exchange.look(opened.ready)

    def close(self) -> None:
        """Say goodbye on the kept lines."""
        self._pool.close()

    def _open(self, exchange: Exchange[Ready], ends_at: float) -> "_Open[Ready] | Said":
        since = monotonic()
        try:
            sock = self._dialler.dial(self._host, self._port, min(ends_at, since + CONNECT_AT_MOST))
        except (Refused, NotSent) as error:
            if isinstance(error, NotSent) and error.stage != "connect":
                return Said(error.stage, code=error.code, error=str(error))
            return exchange.unreachable(self._unreachable(error, since))
        line = Line(sock, self._context, self._host)
        address, ms = sock.getpeername()[0], (monotonic() - since) * 1000
        try:
            ready = _drive(exchange.open(address, ms), line, ends_at, ends_at)
        except BaseException:
            line.drop()
            raise
        if isinstance(ready, Said):
            line.drop()
            return ready
        return _Open(line, ready)

    def _unreachable(self, error: Refused | NotSent, since: float) -> Broke:
        code, reason = error.code, f"cannot connect to {self._host} port {self._port}: {error}"
        if isinstance(error, NotSent):
            if error.looking and code == "timeout":
                reason = f"no answer in time to the question where {self._host} is"
            elif error.looking:
                reason = f"the name {self._host} is not found"
            else:
                reason = f"cannot connect to {self._host} port {self._port}: {error.reason}"
        return Broke(code, reason, (monotonic() - since) * 1000)

    def _on(self, opened: _Open[Ready], exchange: Exchange[Ready], ends_at: float, first: float) -> Ended:
        line = opened.line
        line.mails += 1
        line.begin()
        try:
            ended = _drive(exchange.send(opened.ready), line, first, ends_at)
        except BaseException:
            line.drop()
            raise
        if ended.keep and not ended.worn_out:
            self._pool.give_back(opened)
        else:
            line.drop()
        return ended


def _drive(talk: Talk[T], line: Line, first: float, ends_at: float) -> T:
    """Do what the conversation asks for until it is over; the first answer is waited for until `first`."""
    until = first
    try:
        step = next(talk)
        while True:
            try:
                heard = line.do(step, until)
            except Broke as broke:
                step = talk.throw(broke)
            else:
                until = ends_at
                step = talk.send(heard)
    except StopIteration as over:
        result: T = over.value
        return result


class _Pool(Generic[Ready]):
    """The idle lines, the latest used first, so that those of a past rush grow old and go."""

    def __init__(self, farewell: bytes) -> None:
        self._farewell = farewell
        self._idle: list[_Open[Ready]] = []
        self._lock = Lock()
        self._closed = False
        idle.register(self)

    def take(self) -> "_Open[Ready] | None":
        """A line that seems alive, or None: then open one."""
        with self._lock:
            now = monotonic()
            old = [one for one in self._idle if now - one.line.idle_since > IDLE_AT_MOST]
            self._idle = self._idle[len(old) :]
            taken = self._idle.pop() if self._idle else None
        for one in old:
            one.line.quit(self._farewell)
        while taken is not None and not taken.line.is_quiet():
            taken.line.drop()
            with self._lock:
                taken = self._idle.pop() if self._idle else None
        return taken

    def shed(self) -> None:
        """Say goodbye on all idle lines, waiting for no answer."""
        with self._lock:
            lines, self._idle = self._idle, []
        for one in lines:
            one.line.quit(self._farewell)

    def give_back(self, opened: "_Open[Ready]") -> None:
        """Keep a line on which no message is open."""
        with self._lock:
            opened.line.idle_since = monotonic()
            keep = not self._closed and opened.line.mails < MAILS_AT_MOST
            if keep:
                self._idle.append(opened)
        if not keep:
            opened.line.quit(self._farewell)

    def close(self) -> None:
        """Say goodbye on all idle lines; those in use follow when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        deadline = monotonic() + _GOODBYE
        for one in idle:
            one.line.quit(self._farewell, deadline - monotonic())
