"""Successes that are alike, as columns: most of what a worker records, at two thirds of the price of a document.

What is unusual in any way, and what the statement did not write, is left for the document, which can tell why.
"""

from collections.abc import Callable, Collection, Sequence

from noti_worker.domain.errors import DatabaseRefused, TimedOut
from noti_worker.domain.facts import Result
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.store.arrays import array
from noti_worker.store.queue.record import DURATION_AT_MOST, ERROR_AT_MOST, milliseconds
from noti_worker.store.storable import BROKEN_VALUES, compact_json, storable

FEWEST = 8
"""Fewer, or less than half of what is to be written, are not worth a statement of their own."""

Columns = dict[str, object]
Token = tuple[int, int]

SEPARATOR = "\x1f"
"""Between the texts of a column."""

_COMMON = ("provider", "account", "code", "stage", "scope", "rule", "choice", "template", "reason")


def record_alike(
    results: Sequence[Result], now_monotonic: float, write: Callable[[Columns], Collection[Token]]
) -> tuple[Sequence[Result], Sequence[Result]]:
    """Write the largest group of successes that are alike with `write` (columns in, tokens out).

    Gives those that were written, and the rest. A token is (notification_id, claim_count). Raises DatabaseAway; what
    the database refuses, or takes too long for, is nobody's fault yet.
    """
    try:
        alike = _largest_group(results)
        if len(alike) < max(FEWEST, len(results) / 2):
            return (), results
        tokens = write(columns(alike, now_monotonic))
    except (DatabaseRefused, TimedOut, *BROKEN_VALUES):
        return (), results
    if len(tokens) == len(results):
        return results, ()
    found = set(tokens)
    written = [result for result in alike if _token(result) in found]
    return written, [result for result in results if _token(result) not in found]


def columns(alike: Sequence[Result], now_monotonic: float) -> Columns:
    """The parameters of the statement, but for the worker."""
    # Sorted by id, as the document is: two workers that record never wait for each other.
    ordered = sorted(alike, key=lambda result: result.notification.notification_id)
    outcomes = [result.outcome for result in ordered if result.outcome is not None]
    responses = [None if outcome.response is None else compact_json(outcome.response) for outcome in outcomes]
    return {
        **{name: storable(value, ERROR_AT_MOST) for name, value in zip(_COMMON, _common(alike[0]) or (), strict=True)},
        "referenced": alike[0].referenced,
        "ids": array([result.notification.notification_id for result in ordered]),
        "claim_counts": array([result.notification.claim_count for result in ordered]),
        "ages_ms": array([milliseconds(now_monotonic - result.since, DURATION_AT_MOST) for result in ordered]),
        "durations_ms": array([milliseconds(result.seconds, DURATION_AT_MOST) for result in ordered]),
        "provider_message_ids": _texts([storable(outcome.provider_message_id, 1_000) for outcome in outcomes]),
        "responses": _texts(responses),
    }


def _largest_group(results: Sequence[Result]) -> Sequence[Result]:
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        if (common := _common(result)) is not None:
            groups.setdefault(common, []).append(result)
    return max(groups.values(), key=len, default=())


def _common(result: Result) -> tuple[object, ...] | None:
    """What it has in common with others of its group; None for whatever is more than a success."""
    outcome, verdict = result.outcome, result.verdict
    if (
        outcome is None
        or verdict.status is not Status.SENT
        or outcome.kind is not Kind.OK
        or outcome.error is not None
        or verdict.charge
        or result.follows
        or result.kept is not None
        or result.traceparent is not None
    ):
        return None
    return (
        result.provider,
        result.account,
        outcome.code,
        outcome.stage,
        outcome.scope,
        outcome.rule,
        result.choice,
        result.template,
        verdict.reason,
    )


def _token(result: Result) -> Token:
    return result.notification.notification_id, result.notification.claim_count


def _texts(texts: Sequence[str | None]) -> str:
    """Texts as one; raises ValueError for one that holds the separator."""
    joined = SEPARATOR.join([text or "" for text in texts])
    if joined.count(SEPARATOR) != len(texts) - 1:
        raise ValueError("a text holds the separator")
    return joined
