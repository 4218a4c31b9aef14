"""Workers that had the row were lost, again and again."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop
from noti_worker.domain.outcome import LOST

LOST_AT_MOST = 5
"""Lost claims after which a row is given up: it would kill workers for ever."""


def lost_often(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Give up a row that may kill whoever takes it."""
    if row.lost_count < LOST_AT_MOST:
        return None
    return Drop(Status.FAILED, f"its claim was lost {row.lost_count} times in a row: it may kill workers", kind=LOST)
