"""An earlier claim was lost after its dispatch mark: the row may have been sent."""

from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Hold, Notification, OnUncertain, Status, Stop


def dispatched(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Do as `on_uncertain` says."""
    if not row.dispatched:
        return None
    match policy.when_uncertain(row):
        case OnUncertain.HOLD:
            return Hold("a worker was lost while sending it: an operator decides (on_uncertain = hold)", Status.UNKNOWN)
        case OnUncertain.FAIL:
            return Drop(Status.FAILED, "a worker was lost while sending it (on_uncertain = fail)", kind="uncertain")
        case OnUncertain.RETRY:
            return None
