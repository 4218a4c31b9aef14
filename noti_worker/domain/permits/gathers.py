"""Its person wants such messages together, once an hour or a day."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Gather, Notification, Priority, Stop


def gathers(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it wait for the others; what is urgent, was tried or has gathered already goes out."""
    if (
        briefing.frequency == "instant"
        or row.gathered
        or row.attempt_count
        or row.copy_of is not None
        or row.priority is Priority.URGENT
    ):
        return None
    return Gather(
        briefing.frequency, f"its person wants such messages {briefing.frequency}: it goes out with the others"
    )
