"""What recipients want, as they say by the link in a message."""

from datetime import timedelta

from noti_worker.domain.subscription import Subscription
from noti_worker.store.connect import Database
from noti_worker.store.statements import statement

_LEAVE = statement("unsubscribe")
_STAY = statement("resubscribe")

WITHIN = timedelta(seconds=3)
"""Somebody looks at an empty page meanwhile."""


class Subscriptions:
    """Leaves and takes back, each in a transaction of its own. Used by several threads, which take turns."""

    def __init__(self, database: Database) -> None:
        """Connect when the first recipient comes."""
        self._session = database.session("unsubscribe", WITHIN)

    def leave(self, subscription: Subscription) -> None:
        """Send no more of it; raises DatabaseAway and DatabaseRefused."""
        self._session.run(_LEAVE, {**_named(subscription), "notification_id": subscription.notification_id})

    def stay(self, subscription: Subscription) -> bool:
        """Take it back; False where something else keeps the messages from the recipient. Raises as `leave`."""
        [row] = self._session.run(_STAY, _named(subscription))
        return bool(row["stays"])

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _named(subscription: Subscription) -> dict[str, object]:
    return {
        "tenant_id": subscription.tenant_id,
        "channel": subscription.channel.value,
        "address_hash": subscription.address_hash,
        "category": subscription.category,
    }
