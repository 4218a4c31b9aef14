"""Nobody knows an address of the person that the row names."""

from datetime import datetime, timedelta

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop, Wait
from noti_worker.domain.outcome import Kind

SOON, LATE = timedelta(seconds=10), timedelta(minutes=10)
"""When addresses that cannot be read are asked for again: the longer a row has waited, the later."""


def unreached(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Fail where there is no address, as where there is no template; where all of them left, do not try for nothing."""
    why = briefing.unreached
    if why is None:
        return None
    if not why.asked:
        return Wait(min(max(SOON, (now - row.first_due_at) / 4), LATE), why.words)
    if why.left:
        return Drop(Status.SUPPRESSED, why.words, kind=Kind.DEAD)
    return Drop(Status.FAILED, why.words, kind=Kind.PERMANENT)
