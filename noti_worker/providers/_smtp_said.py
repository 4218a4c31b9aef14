"""What was said in an SMTP conversation, how it ended, and what of it goes into the attempts log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_ENHANCED = re.compile(r"[(#]{0,2}([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_ENHANCED_LATER = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})(?!\d)")


class Broken(Exception):
    """The conversation ended without an answer at `stage`; `code` for rules, the message for a person."""

    def __init__(self, stage: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.stage, self.code, self.reason = stage, code, reason


class Refused(Exception):
    """The server answered `reply` at `stage`, and that is not a yes."""

    def __init__(self, stage: str, reply: "Reply") -> None:
        super().__init__(f"{stage}: {reply.code}")
        self.stage, self.reply = stage, reply


class Reply:
    """A server's answer, all its lines; `text` is its words on one line, control characters taken out."""

    __slots__ = ("code", "lines", "text")

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        self.code, self.lines = code, lines
        text = lines[0] if len(lines) == 1 else " ".join(lines)
        if not text.isprintable():
            text = "".join([char if char.isprintable() else " " for char in text])
        self.text = " ".join(text.split())

    @property
    def enhanced(self) -> str:
        """The RFC 3463 code, as `5.1.1`; empty when there is none. Some write it as `(#5.1.1)`, at the end."""
        found = _ENHANCED.match(self.text) or _ENHANCED_LATER.search(self.text)
        return found[1] if found else ""


@dataclass(slots=True)
class Transcript:
    """What was said, for the attempts log; `hidden` never gets in, even if the server says it back."""

    hidden: tuple[str, ...] = field(default=(), repr=False)
    steps: list[dict[str, Any]] = field(default_factory=list)
    _used: int = 0

    def add(self, stage: str, code: int | None, text: str, ms: float) -> None:
        """Write down one step that took `ms` milliseconds."""
        # A hundred recipients, each with its refusal, must fit as well.
        longest = 300 if self._used < 6_000 else 40 if self._used < 10_000 else 0
        text = (self.clean(text) if self.hidden else text)[:longest]
        self._used += len(text) if text.isascii() else len(text.encode())
        self.steps.append({"stage": stage, "code": code, "text": text, "ms": int(ms * 10) / 10})

    def clean(self, text: str) -> str:
        """`text` without what must be hidden."""
        for secret in self.hidden:
            text = text.replace(secret, "***")
        return text

    def response(self) -> dict[str, Any] | None:
        """The conversation for the attempts log."""
        return {"conversation": self.steps} if self.steps else None
