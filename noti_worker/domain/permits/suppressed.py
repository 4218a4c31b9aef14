"""Its address is on the suppression list."""

from collections.abc import Mapping
from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop
from noti_worker.domain.suppression import Reason

_WORDS: Mapping[str, str] = {
    Reason.DEAD: "the address does not exist, as was said",
    Reason.OPTOUT: "the recipient opted out",
    Reason.COMPLAINT: "the recipient complained",
    Reason.MANUAL: "it was put there by hand",
}


def suppressed(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Send nothing there."""
    entry = briefing.suppression
    if entry is None or not entry.stops:
        return None
    # A newer version may know further reasons.
    words = _WORDS.get(entry.reason, entry.reason)
    of = f" of {entry.category}" if entry.category else ""
    return Drop(
        Status.SUPPRESSED,
        f"the suppression list stops it: entry {entry.suppression_id}, {words}{of} on {entry.since:%Y-%m-%d}",
        kind=entry.reason,
    )
