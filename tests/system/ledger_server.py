"""A receiver of webhooks in a process of its own that keeps book: what it accepts is on disk before it answers.

`python -m tests.system.ledger_server BOOK PORT` listens on loopback. It may be killed at any moment: what it answered
is in the book, and the next one on the same port goes on with it. POST is a send. PUT takes what it does from now on,
words of which one is drawn for each send:

| word | what happens |
|---|---|
| `ok` | accepted |
| `slow` | accepted, answered after half a second |
| `broken` | 500, not accepted |
| `throttled` | 429, not accepted |
| `cut` | accepted, and the line is cut instead of an answer: uncertain |
| `hang` | no answer, not accepted: uncertain |
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
WORDS = ("ok", "slow", "broken", "throttled", "cut", "hang")
SLOW = 0.5

_ANSWERS = {"broken": (500, ""), "throttled": (429, "retry-after: 1\r\n"), "ok": (200, ""), "slow": (200, "")}


@dataclass(frozen=True, slots=True)
class Accept:
    """One accepted send: its idempotency key, the path it went to, and when it began (seconds of the epoch)."""

    key: str
    to: str
    began: float


class LedgerServer:
    """Starts the process, tells it what to do, reads its book; a context manager that ends it."""

    def __init__(self, directory: Path) -> None:
        self.book = directory / "accepted.jsonl"
        self._log = directory / "ledger_server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, after a kill on the port that it had."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.ledger_server", str(self.book), str(self.port)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        with self._process.stdout as said:
            self.port = int(said.readline())

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def behave(self, *words: str) -> None:
        """Do this from now on, one of `words` for each send."""
        request = urllib.request.Request(self.url(""), " ".join(words).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def url(self, to: str) -> str:
        """Where a webhook to `to` goes."""
        return f"http://127.0.0.1:{self.port}/{to}"

    @property
    def account(self) -> str:
        """A webhook account that may send there, as TOML."""
        return (
            '[accounts.ledger]\nprovider = "webhook"\nunsigned = true\n'
            'allow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
        )

    def accepts(self) -> list[Accept]:
        """What it accepted, in order. A line without its end was never answered."""
        text = self.book.read_text() if self.book.exists() else ""
        whole, _, _ = text.rpartition("\n")
        return [Accept(**json.loads(line)) for line in whole.splitlines()]


class _Book:
    """Appends lines; all that came while the last ones were written are written together."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def accept(self, accept: Accept) -> None:
        """Return when it is on disk."""
        line = json.dumps({"key": accept.key, "to": accept.to, "began": accept.began}).encode() + b"\n"
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._sync, b"".join(line for line, _ in batch))
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    def _sync(self, lines: bytes) -> None:
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())


class _Receiver:
    def __init__(self, book: _Book) -> None:
        self._book = book
        self._words = ["ok"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the line stays open."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        # The same machine, so the same clock as the database's.
        began = time.time()  # noqa: TID251
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "PUT":
            self._words = body.decode().split()
            return await self._say(writer, "ok")
        word = random.choice(self._words)
        if word == "hang":
            await reader.read()  # until the other side gives up
            return False
        if word in {"ok", "slow", "cut"}:
            await self._book.accept(Accept(headers.get("webhook-id", ""), path.lstrip("/"), began))
        if word == "cut":
            return False
        if word == "slow":
            await asyncio.sleep(SLOW)
        return await self._say(writer, word)

    async def _say(self, writer: asyncio.StreamWriter, word: str) -> bool:
        status, header = _ANSWERS[word]
        writer.write(f"HTTP/1.1 {status} x\r\n{header}content-length: 0\r\n\r\n".encode())
        await writer.drain()
        return True


async def _serve(path: Path, port: int) -> None:
    _end_with_parent()
    if path.exists():  # a torn line was never answered; the next one must not be glued to it
        whole = path.read_bytes()
        os.truncate(path, whole.rfind(b"\n") + 1)
    server = await asyncio.start_server(_Receiver(_Book(path)).serve, "127.0.0.1", port, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def _end_with_parent() -> None:
    """A test that was killed leaves no server behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
