"""The recorded tries, page by page: as many as there are, never all of them in memory."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from noti_worker.domain.replay import Recorded
from noti_worker.store.people.filters import Since
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import statement

PAGE = 2_000


def recorded(
    source: Source, since: Since, account: str | None = None, at_most: int = 100_000, page: int = PAGE
) -> Iterator[Recorded]:
    """Give the newest `at_most` tries since then, the newest first; `account` limits them to those through it.

    Each page is a statement of its own. Raises DatabaseAway or DatabaseRefused.
    """
    span = since if isinstance(since, timedelta) else None
    asked = {"since": since if span is None else None, "span": span, "account": account}
    before: tuple[datetime | None, int] = None, 2**63 - 1
    while at_most > 0:
        wanted = min(page, at_most)
        with by_index(source):
            found = rows(
                source,
                statement("read_recorded"),
                asked | {"before_at": before[0], "before_id": before[1], "rows": wanted},
            )
        for row in found:
            before = row["at"], row.pop("log_id")
            yield Recorded(**row)
        at_most -= len(found)
        if len(found) < wanted:
            return
