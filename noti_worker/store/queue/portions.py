"""How many results one statement is given: their number says little, five hundred inbox messages can be 500 MB."""

from collections.abc import Iterator, Sequence

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import LaterCopy, size

PORTION = 8 * 1024 * 1024
"""Characters: what a statement writes well within its time, and what memory holds a few times over."""

PATIENCE = 3
"""Somebody may have cancelled a statement, or a lock was in its way: once or twice says nothing."""

_ORDINARY = 12 * 1024
"""Characters of an entry besides what follows from it: it is bounded to twice that and usually has a thirtieth."""


class Portion:
    """The size of a document: less after one that took too long, and soon as much as before."""

    def __init__(self) -> None:
        self.most = PORTION
        self._alone: tuple[int, int] = (0, 0)

    @property
    def whole(self) -> bool:
        """True while no statement has taken too long lately."""
        return self.most >= PORTION

    def of(self, results: Sequence[Result]) -> Iterator[Sequence[Result]]:
        """Divide the results, in their order; one alone may be larger than a portion."""
        most, first, size = self.most, 0, 0
        for number, result in enumerate(results):
            more = _size(result)
            if number > first and size + more > most:
                yield results[first:number]
                first, size = number, 0
            size += more
        if results:
            yield results[first:]

    def took_too_long(self, results: Sequence[Result]) -> None:
        """Half of these is enough for the next."""
        self.most = min(self.most, sum(map(_size, results)) // 2)

    def again_alone(self, result: Result) -> bool:
        """Tell whether this one took too long alone, three times one after the other."""
        id_ = result.notification.notification_id
        self._alone = (id_, self._alone[1] + 1 if self._alone[0] == id_ else 1)
        return self._alone[1] >= PATIENCE

    def went_through(self) -> None:
        """The next may have twice as much."""
        if self.most < PORTION:
            self.most = min(2 * max(self.most, 1), PORTION)


def _size(result: Result) -> int:
    if not result.follows:
        return _ORDINARY
    # A copy is a whole entry and a row to insert.
    return _ORDINARY + sum(_ORDINARY if isinstance(one, LaterCopy) else size(one) for one in result.follows)
