"""What workers say that the database refuses them, read from their heartbeats; what a worker says is not believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noti_worker.store.people.gauges import WorkerLine


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One notification that is refused to a worker: what is to be done with it, and the database's answer."""

    notification_id: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`unable`: what a worker cannot do at all, each with the answer; `count` rows set aside, the first in `rows`."""

    unable: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[RefusedRow, ...] = ()
    count: int = 0

    @property
    def named(self) -> str:
        """The rows in words, those that are refused alike together."""
        alike: dict[tuple[str, str], list[int]] = {}
        for row in self.rows:
            alike.setdefault((row.what, row.why), []).append(row.notification_id)
        parts = (f"{', '.join(map(str, ids))} ({what}: {why})" for (what, why), ids in alike.items())
        more = f" and {self.count - len(self.rows)} more" if self.count > len(self.rows) else ""
        return "; ".join(parts) + more


def refused(worker: WorkerLine) -> Refused:
    """What the database refuses this worker, if it lives."""
    if not worker.alive:
        return Refused()
    unable, rows, count = (worker.state.get(name) for name in ("unable", "refused_rows", "refused"))
    lines = tuple(line for each in rows if (line := _row(each)) is not None) if isinstance(rows, list) else ()
    return Refused(
        {str(what): str(why) for what, why in unable.items()} if isinstance(unable, dict) else {},
        lines,
        max(count if isinstance(count, int) else 0, len(lines)),
    )


def _row(told: Any) -> RefusedRow | None:
    if not isinstance(told, dict) or not isinstance(told.get("id"), int):
        return None
    return RefusedRow(told["id"], str(told.get("what", "")), str(told.get("why", "")))
