"""Nobody wants it any more."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop


def expired(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it go once `expires_at` has come."""
    if row.expires_at is None or row.expires_at > now:
        return None
    return Drop(Status.EXPIRED, "it expired before it could be sent")
