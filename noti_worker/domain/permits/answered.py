"""It is sent only if another notification, on another channel, was not."""

from datetime import datetime, timedelta

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop, Wait

SOON, LATE = timedelta(seconds=2), timedelta(hours=1)
"""When the other is asked about again: the longer it takes, the later."""


def answered(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Send nothing where it was sent, cancelled or removed; wait for one that has not ended."""
    elder = briefing.elder
    if elder is None or elder.status in {Status.FAILED, Status.EXPIRED, Status.SUPPRESSED}:
        return None
    which = f"notification {elder.notification_id}"
    match elder.status:
        case Status.SENT:
            return Drop(Status.SUPPRESSED, f"{which} was delivered by {elder.channel}")
        case Status.CANCELLED:
            return Drop(Status.CANCELLED, f"{which}, whose place it was to take, was cancelled")
        case None:
            return Drop(Status.SUPPRESSED, f"{which}, whose place it was to take, was removed")
    return Wait(min(max(SOON, (now - row.first_due_at) / 4), LATE), f"it waits for {which} by {elder.channel}")
