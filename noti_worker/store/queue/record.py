"""The record document: results as JSON that PostgreSQL accepts whatever a provider answered.

A message that was sent and cannot be recorded would be sent again for ever. So everything is cleaned
(NUL, lone surrogates, NaN), capped (texts, depth, numbers) and clamped (waits, durations) here, and a
document that the database refuses all the same is narrowed until the one result stands alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from noti_worker.domain.errors import DatabaseRefused, TimedOut
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import Follow, FurtherAddress, InboxLine, LaterCopy
from noti_worker.domain.kept import Kept
from noti_worker.domain.narrowing import narrow
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.domain.ports import Fate
from noti_worker.store.errors import Refusal
from noti_worker.store.queue.portions import Portion
from noti_worker.store.storable import BROKEN_VALUES, compact, storable

Entry = dict[str, Any]
_Pair = tuple[Result, Entry]

ERROR_AT_MOST = 2_000
"""Characters of an error text."""

NAME_AT_MOST = 200
"""Characters of a name: of an account, a code, a rule."""

DURATION_AT_MOST = 7 * 86_400.0
"""Seconds that a try is said to have taken, or to be ago."""

_WAIT_AT_MOST = 366 * 86_400.0

# Made once: json.dumps makes one for each call that asks for anything unusual.
_DOCUMENT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def entry(result: Result, now_monotonic: float) -> Entry:
    """One result as an entry of the document; total: a value that cannot be kept is left out."""
    try:
        known = _verdict(result) | _details(result, now_monotonic)
        return known if result.kept is None else known | {"kept": _kept(result.kept)}
    except BROKEN_VALUES as error:
        return minimal(result, f"the details could not be recorded ({type(error).__name__})")


def minimal(result: Result, error: str) -> Entry:
    """What must be known of a result, nothing that came from outside."""
    names = [follow.name for follow in result.follows if isinstance(follow, LaterCopy)]
    if any(isinstance(follow, FurtherAddress) for follow in result.follows):
        names.append("further addresses")
    lost = ", ".join(names)
    error = f"{error}; not sent to {lost}" if lost else error
    least = _verdict(result) | {"error": error, "reason": error}
    if result.verdict.status is Status.SENT and any(isinstance(follow, InboxLine) for follow in result.follows):
        # Without its message in the inbox it was not delivered.
        least |= {"status": Status.FAILED, "kind": Kind.PERMANENT}
    return least


def record(
    results: Sequence[Result], now_monotonic: float, write: Callable[[str], Mapping[int, str]], portion: Portion
) -> dict[int, Fate]:
    """Write the results with `write` (a document in, fates out), isolating what the database refuses.

    Raises what `write` raises, except for a refusal that concerns single results: it is their fate. After a
    statement that took too long the same results go in smaller portions; one alone that does again and again is
    refused, and what comes after it is left for the next time.
    """
    # Sorted by id: two workers that record then never wait for each other.
    ordered = sorted(results, key=lambda result: result.notification.notification_id)
    fates: dict[int, Fate] = {}
    for few in portion.of(ordered):
        pairs = [(result, entry(result, now_monotonic)) for result in few]
        try:
            fates |= _apart(pairs, write)
        except TimedOut as error:
            portion.took_too_long(few)
            if len(few) > 1 or not portion.again_alone(few[0]):
                raise
            later = dict.fromkeys((result.notification.notification_id for result in ordered), "busy")
            return later | fates | {few[0].notification.notification_id: DatabaseRefused(str(error))}
    portion.went_through()
    return fates


def of_the_address(results: Sequence[Result]) -> list[int]:
    """Those that were answered what keeps further messages from the same address."""
    kinds = {Kind.DEAD, Kind.OPTOUT}
    return [r.notification.notification_id for r in results if r.outcome is not None and r.outcome.kind in kinds]


def documented(results: Sequence[Result], now_monotonic: float) -> str:
    """The results as the document of one statement."""
    return _DOCUMENT.encode([entry(result, now_monotonic) for result in results])


def _apart(pairs: Sequence[_Pair], write: Callable[[str], Mapping[int, str]]) -> dict[int, Fate]:
    fates: dict[int, Fate] = {}

    def call(some: Sequence[_Pair]) -> None:
        try:
            fates.update(write(_DOCUMENT.encode([one for _, one in some])))
        except Refusal as refusal:
            if len(some) > 1 or refusal.whole:
                raise
            least = minimal(some[0][0], f"the details could not be recorded: {refusal}")
            fates.update(write(_DOCUMENT.encode([least])))

    found = narrow(pairs, call)
    if found.whole is not None:
        raise found.whole
    for (result, _), refusal in found.refused:
        fates[result.notification.notification_id] = refusal
    for result, _ in found.untried:
        fates[result.notification.notification_id] = "busy"  # with the next flush
    return fates


def _verdict(result: Result) -> Entry:
    notification, verdict, outcome = result.notification, result.verdict, result.outcome
    least: Entry = {
        "id": notification.notification_id,
        "claim_count": notification.claim_count,
        "status": verdict.status,
        "kind": storable(result.kind if outcome is None else outcome.kind, NAME_AT_MOST),
    }
    if outcome is not None:
        least["tried"] = True
        least["attempt"] = notification.attempt_count + 1
    if verdict.gathers is not None:
        least["gathers"] = verdict.gathers
    if verdict.charge:
        least["charge"] = True
    if verdict.wait is not None:
        least["wait_ms"] = milliseconds(verdict.wait.total_seconds(), _WAIT_AT_MOST)
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
        details["provider"] = storable(result.provider, NAME_AT_MOST)
        details["account"] = storable(result.account, NAME_AT_MOST)
    if outcome is not None:
        details["code"] = storable(outcome.code, NAME_AT_MOST)
        details["scope"] = outcome.scope
        if outcome.stage is not None:
            details["stage"] = storable(outcome.stage, NAME_AT_MOST)
        if result.choice is not None or result.template is not None:
            details |= {"choice": result.choice, "template": result.template}
        if outcome.rule is not None:
            details["rule"] = storable(outcome.rule, NAME_AT_MOST)
        details["provider_message_id"] = storable(outcome.provider_message_id, 1_000)
        details["age_ms"] = milliseconds(now_monotonic - result.since, DURATION_AT_MOST)
        details["duration_ms"] = milliseconds(result.seconds, DURATION_AT_MOST)
        if result.referenced:
            details["referenced"] = True
        if outcome.response is not None:
            details["response"] = compact(outcome.response)
        if result.traceparent is not None:
            details["traceparent"] = storable(result.traceparent, NAME_AT_MOST)
    if result.follows:
        details["follows"] = [_follow(follow, result, now_monotonic) for follow in result.follows]
    return details


def _kept(kept: Kept) -> Entry:
    content = {"channel": kept.channel, "recipient": kept.recipient, "subject": kept.subject}
    content |= {"body": kept.body, "html": kept.html}
    cleaned: Entry = {name: storable(value, None) for name, value in content.items()}
    if kept.options:
        cleaned["options"] = compact(kept.options)
    return cleaned | {"seconds": int(kept.span.total_seconds()), "truncated": kept.truncated}


def _follow(follow: Follow, result: Result, now_monotonic: float) -> Entry:
    if isinstance(follow, LaterCopy):
        # A try of its own, of the same mail at the same moment.
        own = replace(result, verdict=follow.verdict, outcome=follow.outcome, follows=())
        return {"into": "copy", "name": follow.name} | _verdict(own) | _details(own, now_monotonic)
    if isinstance(follow, FurtherAddress):
        return {"into": "address", "address": storable(follow.address, None), "locale": follow.locale}
    # Cleaned, never cut: a message that is too long for the inbox is refused as a whole.
    content = {
        "tenant_id": follow.tenant_id,
        "recipient": follow.recipient,
        "subject": follow.subject,
        "body": follow.body,
        "html": follow.html,
    }
    return {"into": "inbox"} | {name: storable(value, None) for name, value in content.items()}


def milliseconds(seconds: float, at_most: float) -> int:
    """Whole milliseconds; none for what lies in the future or is no number."""
    return int(min(seconds, at_most) * 1000) if seconds > 0 else 0  # also for NaN
