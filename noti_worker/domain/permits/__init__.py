"""May a claimed notification be sent at all? One file for each reason why not; asked before anything is rendered.

A permit is a pure function `(row, briefing, policy, now) -> Stop | None`. They are asked in order, and the first that
stops the row has the word.
"""

from collections.abc import Callable
from datetime import datetime

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Notification, Stop
from noti_worker.domain.permits.answered import answered
from noti_worker.domain.permits.capped import capped
from noti_worker.domain.permits.dispatched import dispatched
from noti_worker.domain.permits.expired import expired
from noti_worker.domain.permits.gathers import gathers
from noti_worker.domain.permits.lost_often import lost_often
from noti_worker.domain.permits.not_wanted import not_wanted
from noti_worker.domain.permits.quiet import quiet
from noti_worker.domain.permits.shut import shut
from noti_worker.domain.permits.superseded import superseded
from noti_worker.domain.permits.suppressed import suppressed
from noti_worker.domain.permits.unreached import unreached
from noti_worker.domain.permits.wished import wished

Permit = Callable[[Notification, Briefing, Policy, datetime], Stop | None]

PERMITS: tuple[Permit, ...] = (
    wished,
    lost_often,
    dispatched,
    expired,
    superseded,
    answered,
    unreached,
    suppressed,
    not_wanted,
    gathers,
    quiet,
    shut,
    capped,
)


def permit(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """None when it may be sent, else what becomes of it; `policy` is its channel's, `now` the database's clock."""
    for allows in PERMITS:
        if (stop := allows(row, briefing, policy, now)) is not None:
            return stop
    return None
