"""Nobody wants it any more."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop
from noti_worker.domain.spans import span


def expired(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it go once `expires_at` has come, or where the row has none what its category says."""
    until = ends_at(row, briefing)
    if until is None or until > now:
        return None
    if row.expires_at is None:
        return Drop(
            Status.EXPIRED,
            f"it expired before it could be sent: messages of {row.category} are worth sending for"
            f" {span((until - row.first_due_at).total_seconds())}",
        )
    return Drop(Status.EXPIRED, "it expired before it could be sent")


def ends_at(row: Notification, briefing: Briefing) -> datetime | None:
    """When nobody wants it any more; None: it does not end. A category's time runs from when it may first be sent."""
    if row.expires_at is not None or briefing.expires_after is None:
        return row.expires_at
    return row.first_due_at + briefing.expires_after
