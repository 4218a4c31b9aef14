"""Prints messages to standard output instead of sending them: for trying out."""

import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit

CHANNELS = frozenset(Channel)
OPTIONS = ALL_OPTIONS

RULES = (
    Rule("console.printed", Kind.OK, code="printed"),
    Rule("console.closed", Kind.CONFIG, Scope.ACCOUNT, code="closed"),
)

# A subject may hold the escapes that clear a terminal or write into its title.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_RULE = "─" * 72


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender that prints."""
    return kit.blocking(_Console().print)


class _Console:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def print(self, message: Message, limit: float) -> Said:
        block = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", "\n".join(_lines(message)))
        # Under LANG=C the terminal takes less than Unicode: a question mark is better than no message.
        encoding = sys.stdout.encoding or "utf-8"
        shown = block.encode(encoding, "replace").decode(encoding)
        try:
            with self._lock:
                print(shown, flush=True)  # noqa: T201 - what it is for
        except OSError as broken:
            error = f"standard output takes nothing: {type(broken).__name__}"
            return Said("answer", code="closed", error=error)
        return Said("answer", code="printed", id=str(message.message_id))


def _lines(message: Message) -> Iterator[str]:
    yield _RULE
    yield f"{message.channel} to {message.recipient}  (notification {message.notification_id}, {message.message_id})"
    if message.subject is not None:
        yield f"Subject: {message.subject}"
    for name, value in message.options.items():
        yield f"{name}: {value}"
    for attachment in message.attachments:
        yield f"Attachment: {attachment.filename} ({attachment.content_type}, {len(attachment.content)} bytes)"
    for text in (message.text, message.html):
        if text is not None:
            yield ""
            yield text
    yield _RULE
