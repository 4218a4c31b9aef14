"""Rows that gathered go out as one message when their window is over."""

from dataclasses import dataclass
from datetime import datetime

from noti_worker.store.connect import Session
from noti_worker.store.statements import statement

_CLOSE = statement("close_digests")


@dataclass(frozen=True, slots=True)
class Closed:
    """So many digests were `closed`; the next look may begin at `seen`, and the next window ends at `next_at`."""

    closed: int
    seen: datetime | None
    next_at: datetime | None


def close_digests(session: Session, most: int, since: datetime | None = None) -> Closed:
    """Close digests of up to `most` rows that are due; looks at none that was due before `since`.

    Several may do it at once: one at a time has the rows of one digest. Raises DatabaseAway, DatabaseRefused.
    """
    [row] = session.run(_CLOSE, {"most": most, "since": since or "-infinity"})
    return Closed(row["closed"], row["seen"], row["next_at"])
