"""What keeps notifications from being sent, as fields for programs; `why` has the same in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One cause that keeps a notification from being sent now.

    `scope` and `name` say what is concerned, `by` who did it, `code` more where a cause has kinds; `since` and `until`
    are None where they mean nothing or are not known.
    """

    cause: str
    scope: str
    name: str | None
    since: datetime | None
    until: datetime | None
    by: str | None
    code: str | None


def obstacles(source: Source, ids: Iterable[int]) -> dict[int, tuple[Obstacle, ...]]:
    """The obstacles of each of these notifications; none for one that could be sent at once, or is finished."""
    found: dict[int, tuple[Obstacle, ...]] = dict.fromkeys(ids, ())
    for row in rows(source, statement("read_obstacles"), {"ids": list(found)}):
        found[row.pop("id")] += (Obstacle(**row),)
    return found
