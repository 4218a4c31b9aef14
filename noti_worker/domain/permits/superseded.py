"""A newer message with the same collapse key took its place."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop


def superseded(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Only the newest matters."""
    if briefing.newer is None:
        return None
    return Drop(Status.SUPPRESSED, f"superseded by notification {briefing.newer}")
