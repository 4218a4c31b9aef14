"""The record document: results as JSON that PostgreSQL accepts whatever a provider answered.

A message that was sent and cannot be recorded would be sent again for ever. So everything is cleaned
(NUL, lone surrogates, NaN), capped (texts, depth, numbers) and clamped (waits, durations) here, and a
document that the database refuses all the same is halved until the one result stands alone.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from noti_worker.domain.facts import InboxLine, Result
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.store.connect import Refusal

Entry = dict[str, Any]

ERROR_AT_MOST = 2_000
"""Characters of an error text."""

RESPONSE_AT_MOST = 20_000
"""Bytes of `response_data` as JSON."""

_NAME_AT_MOST = 200
_WAIT_AT_MOST = 366 * 86_400.0
_DURATION_AT_MOST = 7 * 86_400.0

# Made once: json.dumps makes one for each call that asks for anything unusual.
_DOCUMENT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_ASCII = json.JSONEncoder(allow_nan=False)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# What the cutter is for: characters that PostgreSQL refuses (as JSON escapes them) and numbers that nobody reads.
_ODD = re.compile(r"\\u0000|\\ud|[0-9]{19}")
_BROKEN_VALUES = (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

# A fault of the statement or of a right is no fault of one result: halving would only blame them all.
_NOT_ABOUT_A_RESULT = ("0A", "26", "28", "3D", "3F", "42")


def entry(result: Result, now_monotonic: float) -> Entry:
    """One result as an entry of the document; total: a value that cannot be kept is left out."""
    try:
        return _verdict(result) | _details(result, now_monotonic)
    except _BROKEN_VALUES as error:
        return minimal(result, f"the details could not be recorded ({type(error).__name__})")


def minimal(result: Result, error: str) -> Entry:
    """What must be known of a result, nothing that came from outside."""
    least = _verdict(result) | {"error": error, "reason": error}
    if result.follows and result.verdict.status is Status.SENT:
        # Without its message in the inbox it was not delivered.
        least |= {"status": Status.FAILED, "kind": Kind.PERMANENT}
    return least


def dump(entries: Sequence[Entry]) -> str:
    """The document."""
    return _DOCUMENT.encode(entries)


def record(
    results: Sequence[Result], now_monotonic: float, write: Callable[[str], Mapping[int, str]]
) -> dict[int, str]:
    """Write the results with `write` (a document in, fates out), isolating what the database refuses.

    Raises what `write` raises, except for a refusal that concerns single results: their fate is `refused`.
    """
    # Sorted by id: two workers that record then never wait for each other.
    ordered = sorted(results, key=lambda result: result.notification.notification_id)
    return _halving([(result, entry(result, now_monotonic)) for result in ordered], write)


def _halving(pairs: Sequence[tuple[Result, Entry]], write: Callable[[str], Mapping[int, str]]) -> dict[int, str]:
    try:
        return dict(write(dump([one for _, one in pairs])))
    except Refusal as refusal:
        if refusal.sqlstate is not None and refusal.sqlstate.startswith(_NOT_ABOUT_A_RESULT):
            raise
        if len(pairs) == 1:
            return _alone(pairs[0][0], write, refusal)
    middle = len(pairs) // 2
    return _halving(pairs[:middle], write) | _halving(pairs[middle:], write)


def _alone(result: Result, write: Callable[[str], Mapping[int, str]], refusal: Refusal) -> dict[int, str]:
    try:
        return dict(write(dump([minimal(result, f"the details could not be recorded: {refusal}")])))
    except Refusal:
        return {result.notification.notification_id: "refused"}


def _verdict(result: Result) -> Entry:
    notification, verdict, outcome = result.notification, result.verdict, result.outcome
    least: Entry = {
        "id": notification.notification_id,
        "claim_count": notification.claim_count,
        "status": verdict.status,
        "kind": storable(result.kind if outcome is None else outcome.kind, _NAME_AT_MOST),
    }
    if outcome is not None:
        least["tried"] = True
        least["attempt"] = notification.attempt_count + 1
    if verdict.charge:
        least["charge"] = True
    if verdict.wait is not None:
        least["wait_ms"] = _milliseconds(verdict.wait.total_seconds(), _WAIT_AT_MOST)
    return least


def _details(result: Result, now_monotonic: float) -> Entry:
    outcome = result.outcome
    reason = storable(result.verdict.reason, ERROR_AT_MOST)
    details: Entry = {"reason": reason}
    if outcome is not None and (outcome.kind is Kind.OK or outcome.error is not None):
        # With `ok` an error speaks of copies that were refused: it stands in the try, not in the row.
        details["error"] = storable(outcome.error, ERROR_AT_MOST)
    elif result.verdict.status is not Status.CANCELLED:  # a row that is cancelled keeps what its last try said
        details["error"] = reason
    if result.account is not None:
        details["provider"] = storable(result.provider, _NAME_AT_MOST)
        details["account"] = storable(result.account, _NAME_AT_MOST)
    if outcome is not None:
        details["code"] = storable(outcome.code, _NAME_AT_MOST)
        details["provider_message_id"] = storable(outcome.provider_message_id, 1_000)
        details["age_ms"] = _milliseconds(now_monotonic - result.since, _DURATION_AT_MOST)
        details["duration_ms"] = _milliseconds(result.seconds, _DURATION_AT_MOST)
        if outcome.response is not None:
            details["response"] = compact(outcome.response)
        if result.traceparent is not None:
            details["traceparent"] = storable(result.traceparent, _NAME_AT_MOST)
    for line in result.follows:
        details["inbox"] = _inbox(line)
    return details


def _inbox(line: InboxLine) -> Entry:
    # Cleaned, never cut: a message that is too long for the inbox is refused as a whole.
    content = {
        "tenant_id": line.tenant_id,
        "recipient": line.recipient,
        "subject": line.subject,
        "body": line.body,
        "html": line.html,
    }
    return {name: storable(value, None) for name, value in content.items()}


def storable(value: object, at_most: int | None) -> str | None:
    """A text that PostgreSQL can store: U+FFFD for NUL and lone surrogates, cut to `at_most` characters."""
    if value is None:
        return None
    words = value if isinstance(value, str) else str(value)
    if at_most is not None and len(words) > at_most:
        words = words[: at_most - 1] + "…"
    return words if words.isascii() and "\0" not in words else _UNSTORABLE.sub("\ufffd", words)


def _milliseconds(seconds: float, at_most: float) -> int:
    return int(min(seconds, at_most) * 1000) if seconds > 0 else 0  # also for NaN


def compact(response: Mapping[str, Any]) -> Any:
    """JSON-able data of at most RESPONSE_AT_MOST bytes; what was cut is marked `"truncated": true`."""
    if _plain(response):
        return response
    for texts, items, nodes in ((10_000, 200, 2_000), (2_000, 50, 500), (200, 20, 100)):
        cutter = _Cutter(texts, items, nodes)
        kept = cutter.keep(response, depth=0)
        if cutter.cut and isinstance(kept, dict):
            kept["truncated"] = True
        if len(json.dumps(kept, ensure_ascii=False).encode()) <= RESPONSE_AT_MOST:
            return kept
    return {"truncated": True}


def _plain(response: Mapping[str, Any]) -> bool:
    """Tell whether it can be kept as it stands, as most answers can: small, hardly nested, JSON through and through."""
    try:
        text = _ASCII.encode(response)  # never shorter than the same in UTF-8
    except _BROKEN_VALUES:
        return False
    return len(text) <= RESPONSE_AT_MOST and text.count("[") + text.count("{") <= 20 and not _ODD.search(text)


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
