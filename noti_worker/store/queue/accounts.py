"""Tenants' own accounts, as workers learn them: those of a tenant at a time, when something of it has changed."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.own_accounts import OwnAccount, Owner, Sealed
from noti_worker.store.connect import Connection, Row
from noti_worker.store.people.source import rows
from noti_worker.store.queue.postgres import PostgresQueue
from noti_worker.store.statements import statement

_ACCOUNTS = statement("own_accounts")
_ROUTES = statement("own_routes")


class PostgresAccounts:
    """Port AccountStore. That something is new, `queue` hears with what is closed: no question of its own is asked."""

    def __init__(self, queue: PostgresQueue) -> None:
        self._queue = queue
        self._known = 0

    def news(self) -> Sequence[Owner] | None:
        """The tenants whose accounts, routes or secrets were changed since this last gave them; None: nothing was."""
        newest = self._queue.accounts_version
        if newest == self._known:
            return None
        if newest < self._known:  # another server took over, which had not heard of all
            self._known = 0
        known = {"known": self._known}
        found = self._queue.claims.run(_ACCOUNTS, {**known, "tenant": None})
        routes: dict[str, dict[Channel, tuple[str | None, ...]]] = {}
        for row in self._queue.claims.run(_ROUTES, known):  # after the accounts: what came between is news again
            routes.setdefault(row["tenant_id"], {})[Channel(row["channel"])] = tuple(row["accounts"])
        owners = [
            Owner(tenant_id, tuple(_account(row) for row in of if row["name"] is not None), routes.get(tenant_id, {}))
            for tenant_id, of in groupby(found, itemgetter("tenant_id"))
        ]
        self._known = max((row["version"] for row in found), default=newest)
        return owners


def own_accounts(connection: Connection, tenant_id: str) -> Owner:
    """The accounts of one tenant with their secrets, which only workers may read. Raises DatabaseRefused."""
    found = rows(connection, _ACCOUNTS, {"known": 0, "tenant": tenant_id})
    return Owner(tenant_id, tuple(_account(row) for row in found if row["name"] is not None))


def _account(row: Row) -> OwnAccount:
    sealed = zip(row["purposes"], row["key_ids"], row["sealed"], strict=True)
    return OwnAccount(
        tenant_id=row["tenant_id"],
        own_name=row["name"],
        provider=row["provider"],
        channels=frozenset(map(Channel, row["channels"])),
        settings=row["settings"],
        mode=Mode(row["mode"]),
        version=row["account_version"],
        secrets={purpose: Sealed(key_id, bytes(data)) for purpose, key_id, data in sealed},
    )
