"""The person got as many messages of its category as it may."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop
from noti_worker.domain.permits.quiet import until
from noti_worker.domain.spans import span


def capped(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it wait for a place, or drop it, as the category says."""
    found = briefing.full
    if found is None:
        return None
    messages = "1 message" if found.amount == 1 else f"{found.amount} messages"
    words = f"over the cap: {messages} of {found.category} in {span(found.every.total_seconds())}"
    if found.drops:
        return Drop(Status.SUPPRESSED, words, kind="cap")
    return until(row, found.again_at, now, f"{words}; it waits")
