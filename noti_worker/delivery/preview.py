"""What would be sent for a row, without sending it: by the same code as delivery, with everything open."""

from collections.abc import Collection, Mapping

from noti_worker.delivery.prepare import Preparation, Renders
from noti_worker.delivery.routes import Routing
from noti_worker.delivery.safety import Safety
from noti_worker.domain.bounds import Bounds
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Message, Notification, Stop
from noti_worker.domain.ports import Accounts, Numbers
from noti_worker.domain.subscription import Links


def preview(
    row: Notification,
    briefing: Briefing,
    accounts: Accounts,
    renderer: Renders,
    safety: Safety,
    numbers: Numbers,
    links: Links | None,
) -> Message | Stop:
    """The message that would go out, or why none would."""
    routing = Routing(accounts, _Open(), _Unlimited())
    preparation = Preparation(accounts, routing, renderer, safety, numbers, lambda: 0.5, links)
    return preparation.prepare(row, briefing, Policy(), row.claimed_at)


class _Open:
    """Port Steers: what is closed just now says nothing of a message that is only looked at."""

    troubled: Collection[str] = ()
    probes: Collection[str] = ()

    def spend(self, account: str) -> bool:
        return True

    def closed_accounts(self, tenant_id: str) -> Collection[str]:
        return ()


class _Unlimited:
    """Port Allows: nothing is sent."""

    bounds: Mapping[str, Bounds] = {}

    def spent(self, account: str) -> bool:
        return False

    def spend(self, row: Notification, account: str) -> bool:
        return True
