"""A mail server without manners: the local part of the recipient says what it answers, and when.

`550-nul` is refused with a NUL in the words, `250-lines` is accepted in many lines; `rcpt-…` and `dot-…` lose their
way at RCPT or after the final dot. What it accepted stands in `accepted`.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Self

Words = Callable[[], Iterator[bytes]]

_ANSWERS: dict[str, Words] = {
    "nul": lambda: iter([b"%d no\x00thing\r\n"]),
    "latin": lambda: iter([b"%d k\xf6nnen wir nicht\r\n"]),
    "surrogates": lambda: iter([b"%d \xed\xa0\x80 \xf0\x9f\r\n"]),
    "escapes": lambda: iter([b"%d \x1b[2J\x1b]0;owned\x07\x85\r\n"]),
    "lines": lambda: iter([*repeat(b"%d-more\r\n", 100), b"%d enough\r\n"]),
    "of-4000": lambda: iter([b"%d " + b"x" * 4000 + b"\r\n"]),
    "echo": lambda: iter([b"%d no mail for %e, MAIL FROM %s\r\n"]),
    "bare-lf": lambda: iter([b"%d-one\n%d two\n"]),
    "right-to-left": lambda: iter(["%d \u202eon\u2028\r\n".encode()]),
    "nothing": lambda: iter([b"%d \r\n"]),
    "bare": lambda: iter([b"%d\r\n"]),
    "strange-id": lambda: iter([b"%d 2.0.0 Ok: queued as <script>\x00\r\n"]),
    "long-id": lambda: iter([b"%d Ok: queued as " + b"A" * 3000 + b"\r\n"]),
    "endless-line": lambda: repeat(b"x" * 65536),
    "endless-lines": lambda: repeat(b"%d-and\r\n"),
    "of-10-mb": lambda: iter([b"550 ", *repeat(b"x" * 65536, 160), b"\r\n"]),
    "http": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]),
    "999": lambda: iter([b"999 what\r\n"]),
    "354": lambda: iter([b"354 go on\r\n"]),
    "no-code": lambda: iter([b"yes\r\n"]),
    "empty-line": lambda: iter([b"\r\n"]),
}


class StrangeMail(ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1 while it is entered."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port: int = self.server_address[1]
        self.accepted: list[tuple[str, bytes]] = []
        self.stopping = Event()

    def __enter__(self) -> Self:
        self._thread = Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join(10)
        self.server_close()


class _Conversation(StreamRequestHandler):
    server: StrangeMail

    def handle(self) -> None:
        with suppress(OSError):
            self._say(b"220 strange.example\r\n")
            recipient = ""
            while line := self.rfile.readline().decode():
                match line[:4].upper():
                    case "EHLO":
                        self._say(b"250-strange.example\r\n250 8BITMIME\r\n")
                    case "RCPT":
                        recipient = line.partition("<")[2].partition(">")[0]
                        if not self._answer("rcpt", recipient):
                            return
                    case "DATA":
                        self._say(b"354 go on\r\n")
                        content = b"".join(iter(self.rfile.readline, b".\r\n"))
                        if not recipient.startswith("dot-"):
                            self.server.accepted.append((recipient, content))
                        if not self._answer("dot", recipient):
                            return
                    case "QUIT":
                        return
                    case _:
                        self._say(b"250 fine\r\n")

    def _answer(self, stage: str, recipient: str) -> bool:
        """Whether the conversation goes on."""
        when, _, how = recipient.partition("@")[0].partition("-")
        due = {"550": "rcpt", "250": "dot"}.get(when, when)
        if due != stage:
            self._say(b"250 fine\r\n")
            return True
        if how == "closes":
            return False
        if how == "silence":
            self.server.stopping.wait(60)
            return False
        if how == "trickle":
            while not self.server.stopping.wait(0.05):
                self._say(b"2")
            return False
        code = when.encode() if when.isdigit() else b"250"
        for words in _ANSWERS[how]():
            self._say(words.replace(b"%d", code).replace(b"%e", recipient.encode()).replace(b"%s", b"us"))
            if self.server.stopping.is_set():
                return False
        return True

    def _say(self, words: bytes) -> None:
        connection: socket.socket = self.connection
        connection.sendall(words)
