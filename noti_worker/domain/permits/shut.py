"""Its category is sent at other hours."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Notification, Stop
from noti_worker.domain.permits.quiet import until


def shut(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it wait until the send window opens."""
    found = briefing.shut
    if found is None or found.opens_at <= now:
        return None
    words = f"the send window of {found.category} ({found.window}, {found.zone}) is shut"
    return until(row, found.opens_at, now, words)
