"""How many results one statement is given: their number says little, five hundred inbox messages can be 500 MB."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from noti_worker.domain.facts import Result

PORTION = 8 * 1024 * 1024
"""Characters: what a statement writes well within its time, and what memory holds a few times over."""


@dataclass(frozen=True, slots=True)
class Line:
    """One result and its entry of the document as JSON."""

    result: Result
    text: str


class Portion:
    """The size of a document: less after one that took too long, and soon as much as before."""

    def __init__(self) -> None:
        self.most = PORTION

    def of(self, lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
        """Divide the lines, in their order; one line alone may be larger than a portion."""
        most, first, size = self.most, 0, 0
        for number, line in enumerate(lines):
            if number > first and size + len(line.text) > most:
                yield lines[first:number]
                first, size = number, 0
            size += len(line.text)
        if lines:
            yield lines[first:]

    def took_too_long(self, lines: Sequence[Line]) -> None:
        """Half of these is enough for the next."""
        self.most = min(self.most, sum(len(line.text) for line in lines) // 2)

    def went_through(self) -> None:
        """The next may have twice as much."""
        self.most = min(2 * max(self.most, 1), PORTION)
