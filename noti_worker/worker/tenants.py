"""What the loop hears of tenants' own accounts, together with what is closed."""

from collections.abc import Callable

from noti_worker.domain.closures import Closures
from noti_worker.domain.own_accounts import Tenants
from noti_worker.domain.ports import AccountStore, ClosureReader


class Heed:
    """Port ClosureReader: whoever asks what is closed has learned by then which accounts there are."""

    def __init__(
        self, closures: ClosureReader, store: AccountStore, tenants: Tenants, changed: Callable[[], None]
    ) -> None:
        """`changed` is called on the loop's thread, when `tenants` know what is new."""
        self._closures = closures
        self._store = store
        self._tenants = tenants
        self._changed = changed

    def closures(self) -> Closures:
        """All closures in force. Raises as both doors do."""
        closures = self._closures.closures()
        if (owners := self._store.news()) is not None:
            self._tenants.learn(owners)
            self._changed()
        return closures
