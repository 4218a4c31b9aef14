"""Real SMTP servers on 127.0.0.1: one that works and misbehaves on request (aiosmtpd), one that follows a script."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

# The server writes down what it hears, passwords and bodies included; a test looks for such leaks.
logging.getLogger("mail.log").disabled = True

CLOSE = "hang up"
SILENCE = "say nothing"
USERNAME, PASSWORD = "noti", "correct horse battery staple"


@dataclass(frozen=True)
class Received:
    """One mail as the server took it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    options: tuple[str, ...]
    over_tls: bool
    logged_in: bool


@dataclass
class Behaviour:
    """What the server does and saw; change `answers` at any time.

    `answers` maps EHLO, STARTTLS, MAIL, RCPT, `RCPT <address>`, DATA, DOT, RSET, QUIT to a reply line, CLOSE
    or SILENCE; a list is used up one by one, then the server behaves. One mail has `most_recipients`.
    """

    answers: dict[str, str | list[str]] = field(default_factory=dict)
    most_recipients: int = 1000
    password: str = PASSWORD
    logins: int = 0
    mails: list[Received] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    open: list["_Server"] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def answer(self, stage: str) -> str | None:
        with self.lock:
            self.commands.append(stage)
            answer = self.answers.get(stage)
            if isinstance(answer, list):
                return answer.pop(0) if answer else None
            return answer


class _Handler:
    """The hooks that aiosmtpd calls."""

    def __init__(self, behaviour: Behaviour, extensions: tuple[str, ...]) -> None:
        self.behaviour, self.extensions = behaviour, extensions

    async def handle_EHLO(
        self, server: "_Server", session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], *(f"250-{extension}" for extension in self.extensions), responses[-1]]

    async def handle_RCPT(
        self, server: "_Server", session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str | None:
        answer = self.behaviour.answer(f"RCPT {address}") or self.behaviour.answer("RCPT")
        if answer is None and len(envelope.rcpt_tos) >= self.behaviour.most_recipients:
            return "452 4.5.3 Error: too many recipients"
        if answer is None:
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Ok"
        await server.obey(answer)
        return answer

    async def handle_DATA(self, server: "_Server", session: Session, envelope: Envelope) -> str:
        answer = self.behaviour.answer("DOT")
        if answer is None or answer == CLOSE or answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.behaviour.mails.append(
                Received(
                    str(envelope.mail_from),
                    tuple(map(str, envelope.rcpt_tos)),
                    envelope.content,
                    tuple(envelope.mail_options),
                    session.ssl is not None or server.implicit,
                    bool(session.authenticated),
                )
            )
        if answer is None:
            return "250 2.0.0 Ok: queued as 4XyZ0001"
        await server.obey(answer)
        return answer


class _Server(SMTP):
    implicit = False
    line: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.line is None and isinstance(transport, asyncio.Transport):
            self.line = transport  # below the TLS that may come
        super().connection_made(transport)

    @property
    def behaviour(self) -> Behaviour:
        handler: _Handler = self.event_handler
        return handler.behaviour

    def hang_up(self, farewell: bytes = b"") -> None:
        """Close the connection, if there still is one."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.write(farewell)
            self.transport.close()

    def drop(self) -> None:
        """Close it without a word: a goodbye by TLS waits for the other side."""
        if self.line is not None:
            self.line.abort()

    async def obey(self, answer: str) -> None:
        """Hang up or keep silent, if that is what was asked for."""
        if answer == CLOSE:
            self.hang_up()
            raise asyncio.CancelledError
        if answer == SILENCE:
            await asyncio.Event().wait()

    async def _instead(self, stage: str) -> bool:
        answer = self.behaviour.answer(stage)
        if answer is None:
            return False
        await self.obey(answer)
        await self.push(answer)
        if answer.startswith("421"):
            self.hang_up()
        return True

    async def smtp_EHLO(self, hostname: str) -> None:
        if not await self._instead("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_MAIL(self, arg: str | None) -> None:
        if not await self._instead("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if not await self._instead("DATA"):
            await super().smtp_DATA(arg)

    async def smtp_RSET(self, arg: str) -> None:
        if not await self._instead("RSET"):
            await super().smtp_RSET(arg)

    async def smtp_QUIT(self, arg: str) -> None:
        if not await self._instead("QUIT"):
            await super().smtp_QUIT(arg)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    assert isinstance(server, _Server)
    server.behaviour.logins += 1
    fine = (data.login.decode(), data.password.decode()) == (USERNAME, server.behaviour.password)
    return AuthResult(success=fine, handled=False)


class Inbox:
    """A running server: `port`, and through `behaviour` what it saw and does."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        implicit: bool = False,
        auth: bool = False,
        without: tuple[str, ...] = (),
        smtputf8: bool = False,
        most_bytes: int = 33_554_432,
        extensions: tuple[str, ...] = (),
        port: int = 0,
    ) -> None:
        self.port = port  # 0: any
        self.behaviour = Behaviour()
        self._extensions = extensions
        self._context, self._implicit = context, implicit
        self._options: dict[str, Any] = {
            "enable_SMTPUTF8": smtputf8,
            "data_size_limit": most_bytes,
            "hostname": "inbox.test",
            "auth_exclude_mechanism": list(without),
        }
        if auth:
            self._options |= {"authenticator": _authenticate, "auth_required": True}
        if context is not None and not implicit:
            self._options |= {"tls_context": context, "require_starttls": True}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="inbox")

    @property
    def mails(self) -> list[Received]:
        return self.behaviour.mails

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(
                self._connect, "127.0.0.1", self.port, ssl=self._context if self._implicit else None, reuse_address=True
            ),
            self._loop,
        )
        self._server = listening.result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hang_up(self, farewell: bytes = b"") -> None:
        """Close all connections, as a server does with idle ones; returns when that is done."""

        def close() -> None:
            for server in self.behaviour.open:
                server.hang_up(farewell)
            self.behaviour.open.clear()
            done.set()

        done = Event()
        self._loop.call_soon_threadsafe(close)
        assert done.wait(10)

    def _connect(self) -> _Server:
        server = _Server(_Handler(self.behaviour, self._extensions), loop=self._loop, **self._options)
        if self._implicit or self._context is None:
            # aiosmtpd does not know that implicit TLS is TLS, and warns when it is told so as an option.
            server._auth_require_tls = False
        server.implicit = self._implicit
        self.behaviour.connections += 1
        self.behaviour.open.append(server)
        return server

    async def _stop(self) -> None:
        self._server.close()
        for _ in range(5):  # who was let in just now has no transport yet
            await asyncio.sleep(0)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for server in self.behaviour.open:
                server.drop()
        await asyncio.sleep(0)


Script = Callable[["Peer"], None]


class Peer:
    """The server's end of one connection, for scripts."""

    def __init__(self, connection: socket.socket, stopping: Event) -> None:
        self.connection, self.stopping = connection, stopping
        self._file = connection.makefile("rb")

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self) -> str:
        return self._file.readline().decode().rstrip("\r\n")

    def hear_mail(self) -> None:
        while self.hear() != ".":
            pass

    def trickle(self, text: str, pause: float = 0.05) -> None:
        """One byte at a time."""
        for octet in text.encode():
            if self.stopping.wait(pause):
                return
            self.connection.sendall(bytes([octet]))

    def wait(self) -> None:
        """Keep silent until the test is over."""
        self.stopping.wait(20)

    def close(self) -> None:
        self._file.close()
        self.connection.close()


@contextmanager
def scripted(script: Script, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that runs `script` on each connection (over TLS with `context`), one after the other; gives its port."""
    stopping = Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(10)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            peer = Peer(connection, stopping)
            try:
                script(peer)
            except OSError:
                pass  # the client hung up, as it may
            finally:
                peer.close()

    thread = Thread(target=serve, name="scripted")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        thread.join(25)
        listener.close()
