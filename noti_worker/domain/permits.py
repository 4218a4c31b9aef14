"""May a claimed notification be sent at all? Asked before anything is rendered."""

from datetime import datetime

from noti_worker.domain.notification import Drop, Hold, Notification, OnUncertain, Status
from noti_worker.domain.outcome import LOST

LOST_AT_MOST = 5
"""Lost claims after which a row is given up: it would kill workers for ever."""


def permit(
    notification: Notification, now: datetime, on_uncertain: OnUncertain = OnUncertain.RETRY
) -> Hold | Drop | None:
    """None when it may be sent, else what becomes of it; `on_uncertain` is the channel's setting."""
    if notification.requested is Status.CANCELLED:
        return Drop(Status.CANCELLED, "cancelled while an earlier try was in flight")
    if notification.requested is Status.HELD:
        return Hold("held while an earlier try was in flight")
    if notification.lost_count >= LOST_AT_MOST:
        return Drop(
            Status.FAILED,
            f"its claim was lost {notification.lost_count} times in a row: it may kill workers",
            kind=LOST,
        )
    if notification.dispatched:
        match notification.on_uncertain or on_uncertain:
            case OnUncertain.HOLD:
                return Hold(
                    "a worker was lost while sending it: an operator decides (on_uncertain = hold)", Status.UNKNOWN
                )
            case OnUncertain.FAIL:
                return Drop(Status.FAILED, "a worker was lost while sending it (on_uncertain = fail)", kind="uncertain")
            case OnUncertain.RETRY:
                pass
    if notification.expires_at is not None and notification.expires_at <= now:
        return Drop(Status.EXPIRED, "it expired before it could be sent")
    return None
