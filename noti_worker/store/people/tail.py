"""What happens just now: the lines that are written of notifications, as they come."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noti_worker.store.connect import Row
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.listing import Line, list_notifications
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import statement

PAGE = 1_000
"""Lines that are read at once."""

BACK = timedelta(seconds=3)
"""So far back is looked again: a line may be committed after one that came later."""

BACK_RECEIPTS = 200
"""The same for receipts, by their number."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to a notification."""

    at: datetime
    event: str
    detail: str | None
    by: str | None
    notification: Line


class Tail:
    """Follows what fits a filter, from the moment on in which it is made."""

    def __init__(self, source: Source, chosen: Filter) -> None:
        """Raises DatabaseAway, DatabaseRefused, as `look` does."""
        self._source = source
        self._chosen = chosen
        [now] = rows(source, statement("read_newest"), {})
        self._at = self._begun_at = now["at"]
        self._receipt = self._first_receipt = now["receipt_id"]
        self._seen: dict[tuple[str, int], datetime] = {}

    def look(self) -> Iterator[News]:
        """What is new since the last look, in order."""
        floor = max(self._begun_at, self._at - BACK)
        after, number = floor, 0
        while True:
            with by_index(self._source):
                page = rows(
                    self._source, statement("read_news"), {"after_at": after, "after_id": number, "limit": PAGE}
                )
            yield from self._fresh("line", page)
            if page:
                after, number = page[-1]["at"], page[-1]["id"]
                self._at = max(self._at, after)
            if len(page) < PAGE:
                break
        since = max(self._first_receipt, self._receipt - BACK_RECEIPTS)
        with by_index(self._source):
            told = rows(self._source, statement("read_told"), {"after_id": since, "limit": PAGE})
        yield from self._fresh("receipt", told)
        self._receipt = max([self._receipt, *(row["id"] for row in told)])
        self._seen = {
            key: at for key, at in self._seen.items() if at >= floor or (key[0] == "receipt" and key[1] > since)
        }

    def _fresh(self, source: str, found: list[Row]) -> Iterator[News]:
        fresh = [row for row in found if (source, row["id"]) not in self._seen]
        self._seen.update(((source, row["id"]), row["at"]) for row in fresh)
        ids = tuple({row["notification_id"] for row in fresh})
        fitting = list_notifications(self._source, replace(self._chosen, ids=ids), len(ids)) if ids else []
        lines = {line.notification_id: line for line in fitting}
        for row in fresh:
            line = lines.get(row["notification_id"])
            if line is not None:
                yield News(row["at"], row["event"], row["detail"] or None, row["by"], line)
