"""Somebody asked to cancel or hold the row while an earlier try was in flight."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Hold, Notification, Status, Stop


def wished(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Do what was asked for."""
    if row.requested is Status.CANCELLED:
        return Drop(Status.CANCELLED, "cancelled while an earlier try was in flight")
    if row.requested is Status.HELD:
        return Hold("held while an earlier try was in flight")
    return None
