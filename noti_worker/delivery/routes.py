"""Which account sends: the row's own wish, else failover along the channel's route."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from noti_worker.domain.account import OrderByWeight
from noti_worker.domain.bounds import Bounds, NotAllowed
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Briefing, Notification
from noti_worker.domain.outcome import Kind
from noti_worker.domain.own_accounts import of_tenant
from noti_worker.domain.ports import Accounts, Allows, Steers

_SURELY_NOT_SENT = frozenset({Kind.TRANSIENT, Kind.CONFIG, Kind.THROTTLED})
# `lost` is the kind of a claim whose worker vanished: as ambiguous as a lost answer.
_PERHAPS_SENT = frozenset({Kind.UNCERTAIN, "lost"})


class Choice(StrEnum):
    """Why an account was chosen; nothing is said of the first of its route. `notification_attempts_log.choice`."""

    ROW = "row"  # the notification asks for it
    WEIGHT = "weight"  # the message falls into its share of the route
    FAILOVER = "failover"  # the account of the last try did not send it
    WITNESS = "witness"  # it alone can tell whether it took the message already
    CLOSED = "closed"  # those before it are paused, in trouble or spent
    PROBE = "probe"  # this message tells whether it works again


@dataclass(frozen=True, slots=True)
class Routing:
    """Chooses accounts; those that are closed, or have nothing left just now, leave their routes for now."""

    accounts: Accounts
    steering: Steers
    allowance: Allows

    def choose(self, row: Notification, briefing: Briefing, route: Sequence[str]) -> tuple[str, Choice | None] | None:
        """The account of the next try and why it is that one; None when it is closed and no other may take its place.

        Raises BadNotification when the row asks for an account that is not there.
        """
        accounts, closed = accounts_for(row, route, self._provider_of), self.steering.closed_accounts(row.tenant_id)
        last = only_witness(accounts, briefing)
        if last in closed:
            return None
        if last is None and (probes := self.steering.probes):
            # One message tells whether an account in trouble works again, wherever in the route it stands.
            for account in accounts:
                if account in probes and account not in closed:
                    return account, Choice.PROBE
        left = open_accounts(accounts, closed, self.steering.troubled)
        if not left:
            return None
        if last is None and len(left) > 1:
            left = [account for account in left if not self.allowance.spent(account)] or left
        account = next_account(left, briefing)
        return account, self._why(row, briefing, route, account)

    def within(self, row: Notification, briefing: Briefing, bounds: Bounds, route: Sequence[str]) -> Sequence[str]:
        """The accounts of a route that the tenant of the row may use for it. Raises NotAllowed when it may not do that.

        Raises BadNotification as `choose`.
        """
        if (refused := bounds.refuses(row)) is not None:
            raise NotAllowed(refused)
        allowed = bounds.route(route, self._provider_of)
        able = set(allowed).intersection(accounts_for(row, route, self._provider_of))
        # one that may have taken the message already is not passed over
        if not able or (witness(briefing) in route and witness(briefing) not in able):
            raise NotAllowed(bounds.no_account(row.channel))
        return allowed

    def _why(self, row: Notification, briefing: Briefing, route: Sequence[str], account: str) -> Choice | None:
        last = briefing.last_account
        if row.provider:
            return Choice.ROW
        if last == account and last == witness(briefing):
            return Choice.WITNESS
        if last not in (None, account) and last in route and briefing.last_kind in _SURELY_NOT_SENT:
            return Choice.FAILOVER
        if account != route[0]:
            return Choice.CLOSED
        return Choice.WEIGHT if isinstance(route, OrderByWeight) else None

    def goes_on(self, row: Notification, account: str) -> bool:
        """Tell whether a further account of the route may take the row that `account` did not send."""
        route, closed = self._all(row), self.steering.closed_accounts(row.tenant_id)
        return has_later([name for name in route if name == account or name not in closed], account)

    def has_another(self, row: Notification, account: str) -> bool:
        """Tell whether any other account may take the row just now."""
        closed = self.steering.closed_accounts(row.tenant_id)
        return any(name != account and name not in closed for name in self._all(row))

    def _all(self, row: Notification) -> Sequence[str]:
        route = self.accounts.route(row.tenant_id, row.channel, row.message_id)
        bounds = self.allowance.bounds.get(row.tenant_id)
        if bounds is not None:
            route = bounds.route(route, self._provider_of)
        return accounts_for(row, route, self._provider_of)

    def _provider_of(self, account: str) -> str:
        return self.accounts.account(account).provider


def accounts_for(notification: Notification, route: Sequence[str], provider_of: Callable[[str], str]) -> Sequence[str]:
    """The accounts of `route` that may send this row, in failover order; one when the row names it.

    Raises BadNotification when the row's `provider` names no account of the route, and no provider
    with exactly one account on it.
    """
    wanted = notification.provider
    if not wanted:  # an empty text says nothing either
        return route
    if wanted in route:
        return (wanted,)
    if (own := of_tenant(notification.tenant_id, wanted)) in route:
        return (own,)
    of_provider = [account for account in route if provider_of(account) == wanted]
    if len(of_provider) == 1:
        return of_provider
    known = ", ".join(route)
    if of_provider:
        raise BadNotification(
            f"provider {wanted!r} has several accounts for {notification.channel}: name one of {', '.join(of_provider)}"
        )
    raise BadNotification(
        f"provider {wanted!r} is neither an account nor a provider of {notification.channel}: name one of {known}"
    )


def open_accounts(accounts: Sequence[str], closed: Collection[str], troubled: Collection[str] = ()) -> Sequence[str]:
    """The accounts that are not closed; when a pause that came after the claim closes all, those not in `troubled`."""
    if not closed:  # as nearly always
        return accounts
    return [account for account in accounts if account not in closed] or [
        account for account in accounts if account not in troubled
    ]


def witness(briefing: Briefing) -> str | None:
    """The account of the last try, if it alone can tell whether it took the message."""
    return briefing.last_account if briefing.last_kind in _PERHAPS_SENT else None


def only_witness(accounts: Sequence[str], briefing: Briefing) -> str | None:
    """The account that alone can tell whether it took the message already; another would surely send it twice."""
    last = witness(briefing)
    return last if last in accounts else None


def next_account(accounts: Sequence[str], briefing: Briefing) -> str:
    """The account of the next try.

    After a definite failure the next one in the route, cyclic. After an uncertain try the same one
    again: only it can recognise the message_id, a second provider would surely send it twice.
    """
    last = briefing.last_account
    if last is None or last not in accounts:
        return accounts[0]
    if briefing.last_kind in _SURELY_NOT_SENT:
        return accounts[(accounts.index(last) + 1) % len(accounts)]
    return only_witness(accounts, briefing) or accounts[0]


def has_later(accounts: Sequence[str], account: str) -> bool:
    """Tell whether the route goes on after `account`; it does not wrap around here."""
    return accounts.index(account) + 1 < len(accounts)
