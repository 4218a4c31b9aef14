"""Values from outside made such that PostgreSQL can store them: cleaned, cut, and never refused."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

RESPONSE_AT_MOST = 20_000
"""Bytes of what `compact` gives, as JSON."""

# Made once: json.dumps makes one for each call that asks for anything unusual.
_ASCII = json.JSONEncoder(allow_nan=False)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# What the cutter is for: characters that PostgreSQL refuses (as JSON escapes them) and numbers that nobody reads.
_ODD = re.compile(r"\\u0000|\\ud|[0-9]{19}")
BROKEN_VALUES = (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What values from outside raise that are not what they should be."""


def storable(value: object, at_most: int | None) -> str | None:
    """A text that PostgreSQL can store: U+FFFD for NUL and lone surrogates, cut to `at_most` characters."""
    if value is None:
        return None
    words = value if isinstance(value, str) else str(value)
    if at_most is not None and len(words) > at_most:
        words = words[: at_most - 1] + "…"
    return words if words.isascii() and "\0" not in words else _UNSTORABLE.sub("\ufffd", words)


def compact(response: Mapping[str, Any]) -> Any:
    """JSON-able data of at most RESPONSE_AT_MOST bytes; what was cut is marked `"truncated": true`."""
    if _plain(response) is not None:
        return response
    for texts, items, nodes in ((10_000, 200, 2_000), (2_000, 50, 500), (200, 20, 100)):
        cutter = _Cutter(texts, items, nodes)
        kept = cutter.keep(response, depth=0)
        if cutter.cut and isinstance(kept, dict):
            kept["truncated"] = True
        if len(json.dumps(kept, ensure_ascii=False).encode()) <= RESPONSE_AT_MOST:
            return kept
    return {"truncated": True}


def compact_json(response: Mapping[str, Any]) -> str:
    """The same as JSON, in ASCII."""
    text = _plain(response)
    return _ASCII.encode(compact(response)) if text is None else text


def _plain(response: Mapping[str, Any]) -> str | None:
    """The JSON of what can be kept as it stands, as most answers can: small, hardly nested, JSON all through."""
    try:
        text = _ASCII.encode(response)  # never shorter than the same in UTF-8
    except BROKEN_VALUES:
        return None
    fits = len(text) <= RESPONSE_AT_MOST and text.count("[") + text.count("{") <= 20 and not _ODD.search(text)
    return text if fits else None


class _Cutter:
    """Copies data that may be of any size, depth or shape, even containing itself, within bounds."""

    def __init__(self, texts: int, items: int, nodes: int) -> None:
        self.cut = False
        self._texts = texts
        self._items = items
        self._nodes = nodes

    def keep(self, value: object, depth: int) -> Any:
        self._nodes -= 1
        if self._nodes < 0 or depth > 20:
            self.cut = True
            return None
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value)
            case bytes() | bytearray():
                return self._text(bytes(value[: self._texts + 1]).decode("utf-8", "replace"))
            case int():
                # Python refuses to print an integer of thousands of digits, and nobody reads it.
                return value if abs(value) < 2**63 else self._text(f"an integer of {value.bit_length()} bits")
            case float():
                return value if math.isfinite(value) else str(value)
            case Mapping():
                pairs = self._few(value.items())
                return {self._text(str(key)): self.keep(item, depth + 1) for key, item in pairs}
            case list() | tuple() | set() | frozenset():
                return [self.keep(item, depth + 1) for item in self._few(value)]
            case _:
                return f"<{type(value).__name__}>"  # its own words may hold a secret

    def _text(self, value: str) -> str:
        self.cut = self.cut or len(value) > self._texts
        return storable(value, self._texts) or ""

    def _few(self, values: Any) -> list[Any]:
        few = []
        for number, value in enumerate(values):
            if number >= self._items:
                self.cut = True
                break
            few.append(value)
        return few
