"""A provider from outside that keeps book: its lines outlive whatever happens to the worker.

The recipient says what happens: `gated…` waits for the gate when it is sent for the first time, `deadly…` kills
the process, `hungry…` takes 400 MB, `slow…` 0.3 s, `slower…` 1 s. Else the account's `answer` comes at once; it is
throttled where all processes together were asked more often than `most_a_second`.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit

CHANNELS = frozenset(Channel)
OPTIONS = ALL_OPTIONS
RULES = tuple(
    Rule(f"ledger.{kind}", kind, Scope.ACCOUNT if kind is Kind.THROTTLED else Scope.MESSAGE, code=kind) for kind in Kind
)


@dataclass(frozen=True, slots=True)
class Settings:
    book: str
    answer: str = "ok"
    retry_after: float = 0.0
    most_a_second: int = 0


def build(settings: Settings, kit: Kit) -> Sender:
    ledger = _Ledger(Path(settings.book), Kind(settings.answer), settings.retry_after, settings.most_a_second)
    return kit.blocking(ledger.send, ledger.close)


class _Ledger:
    def __init__(self, book: Path, answer: Kind, retry_after: float, most_a_second: int) -> None:
        self._book = book
        self._answer = Said("answer", code=answer, error="as the test wants it", hint=retry_after or None)
        self._most = most_a_second
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def send(self, message: Message, limit: float) -> Said:
        word = message.recipient
        first = word.startswith("gated") and not self._knows(message)
        self._write("begun", message)
        if word.startswith("deadly"):
            os._exit(9)
        if word.startswith("hungry"):
            bytes(b"x" * (400 << 20))
        if first:
            while not self._book.with_suffix(".gate").exists() and not self._closed.wait(0.02):
                pass
        if word.startswith("slow"):
            self._closed.wait(1.0 if word.startswith("slower") else 0.3)
        if self._most and self._asked_lately() > self._most:
            return Said("answer", code=Kind.THROTTLED, error="too fast")
        if self._answer.code == Kind.OK:
            self._write("accepted", message)
        return self._answer

    def close(self) -> None:
        self._closed.set()

    def _knows(self, message: Message) -> bool:
        return self._book.exists() and str(message.message_id) in self._book.read_text()

    def _asked_lately(self) -> int:
        """How often all processes asked within the last second."""
        with self._book.open("rb") as book:
            book.seek(max(0, self._book.stat().st_size - 20_000))
            lines = book.read().decode().splitlines()[1:]
        since = time.monotonic() - 1.0
        return sum(line.startswith("begun") and float(line.rpartition("\t")[2]) >= since for line in lines)

    def _write(self, what: str, message: Message) -> None:
        # One write of one line to a file opened for appending: several workers may do so at a time.
        with self._lock, self._book.open("a") as book:
            book.write(f"{what}\t{message.account}\t{message.message_id}\t{message.recipient}\t{time.monotonic()}\n")
