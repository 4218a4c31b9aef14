"""A provider that sends nothing and notes, in a file, when each send began: the end of the pickup latency."""

import os
import time
from dataclasses import dataclass

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit

CHANNELS = frozenset(Channel)
OPTIONS = ALL_OPTIONS
RULES = (Rule("probe.noted", Kind.OK, code="noted"),)


@dataclass(frozen=True, slots=True)
class Settings:
    """`book` is the file."""

    book: str


def build(settings: Settings, kit: Kit) -> Sender:
    """Open the book."""
    probe = _Probe(os.open(settings.book, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    return kit.blocking(probe.send, probe.close)


class _Probe:
    def __init__(self, book: int) -> None:
        self._book = book

    def send(self, message: Message, limit: float) -> Said:
        os.write(self._book, f"{message.recipient} {time.monotonic()}\n".encode())
        return Said("answer", code="noted")

    def close(self) -> None:
        os.close(self._book)
