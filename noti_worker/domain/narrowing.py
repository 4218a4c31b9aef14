"""Which of many things the database refuses: a statement for all of them is divided until each stands alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from noti_worker.domain.errors import DatabaseRefused

T = TypeVar("T")

SAMPLES = 5
"""So many that are refused alone, far apart, and nothing that went through: it is none of them."""

MOST_STATEMENTS = 200
"""Enough to find a dozen among five hundred; what is left is tried with the next statement."""


@dataclass(frozen=True, slots=True)
class Narrowed(Generic[T]):
    """What came of it: those that were `refused` alone and why, those that were not tried.

    `whole` when nothing went through although it was tried with enough of them: then none is `refused`, all are
    `untried`.
    """

    refused: tuple[tuple[T, DatabaseRefused], ...] = ()
    untried: tuple[T, ...] = ()
    whole: DatabaseRefused | None = None


def narrow(things: Sequence[T], call: Callable[[Sequence[T]], object]) -> Narrowed[T]:
    """Call with all of them; where that raises DatabaseRefused, with ever smaller parts of them.

    A part goes down to a single one, so that few bad ones among many are found soon; while nothing went through the
    next part is the largest one left, so that many bad ones side by side are not taken for all.
    """
    pending = [things] if things else []
    refused: list[tuple[T, DatabaseRefused]] = []
    went, down, left = False, True, MOST_STATEMENTS
    while pending and left and (went or len(refused) < SAMPLES):
        some = pending.pop(-1 if down else _largest(pending))
        left, down = left - 1, True
        try:
            call(some)
        except DatabaseRefused as error:
            if len(some) == 1:
                refused.append((some[0], error))
                down = went
            else:
                middle = len(some) // 2
                pending += (some[middle:], some[:middle])
        else:
            went = True
    if refused and not went and (len(refused) >= SAMPLES or refused[-1][1].whole):
        return Narrowed(untried=tuple(things), whole=refused[-1][1])
    return Narrowed(tuple(refused), tuple(thing for some in pending for thing in some))


def _largest(parts: Sequence[Sequence[T]]) -> int:
    return max(range(len(parts)), key=lambda number: (len(parts[number]), number))
