"""What is not sent now, and which lanes, accounts and rows that closes. Pure: who asks when is the worker's matter.

`noti.closed_by` says the same in SQL; one table of cases runs over both.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from noti_worker.domain.lanes import Lane
from noti_worker.domain.limits import destination
from noti_worker.domain.notification import Channel, Notification

Route = Mapping[str, str]
"""The accounts of a channel in failover order, each with its provider's name."""

PAUSE = "pause"
CIRCUIT = "circuit"
QUOTA = "quota"
SUSPENDED = "suspended"
LIMIT = "limit"


class Scope(StrEnum):
    """What can be closed; all but `everything` by name.

    What is closed for one tenant alone has words of its own: a version that does not know them closes nothing.
    """

    EVERYTHING = "everything"
    CHANNEL = "channel"
    ACCOUNT = "account"
    TENANT = "tenant"
    TEMPLATE = "template"
    TENANT_CHANNEL = "tenant channel"
    TENANT_ACCOUNT = "tenant account"
    TENANT_TEMPLATE = "tenant template"


OF_TENANT: Mapping[Scope, Scope] = {
    Scope.CHANNEL: Scope.TENANT_CHANNEL,
    Scope.ACCOUNT: Scope.TENANT_ACCOUNT,
    Scope.TEMPLATE: Scope.TENANT_TEMPLATE,
}
"""The scope that closes the same for one tenant alone."""


@dataclass(frozen=True, slots=True, order=True)
class Closure:
    """One line of `noti.closures`. `tenant_id` is empty but for the scopes of one tenant.

    `until` is when it ends by itself, or when the account is tried again (None: when somebody ends it).
    """

    scope: str
    name: str = ""
    tenant_id: str = ""
    cause: str = PAUSE
    until: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Skip:
    """Rows that a claim leaves where they are: those that ask for one of `providers`, or use one of `templates`.

    Each as (tenant, name); an empty tenant stands for all. `rows` are few, by their ids. Those of a lane to one of
    `destinations` stay, too; or with `only` all others.
    """

    providers: tuple[tuple[str, str], ...] = ()
    templates: tuple[tuple[str, str], ...] = ()
    rows: frozenset[int] = frozenset()
    destinations: frozenset[tuple[Lane, str]] = frozenset()
    only: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows or self.many)

    @property
    def many(self) -> bool:
        """Whether there may be very many such rows."""
        return bool(self.providers or self.templates or self.destinations)

    def hits(self, notification: Notification) -> bool:
        """Tell whether this row stays."""
        return (
            notification.notification_id in self.rows
            or _among(notification.provider, notification.tenant_id, self.providers)
            or _among(notification.template_id, notification.tenant_id, self.templates)
            or (bool(self.destinations) and self._is_of_destinations(notification) is not self.only)
        )

    def _is_of_destinations(self, row: Notification) -> bool:
        to = destination(row.channel, row.recipient)
        return to is not None and (Lane(row.channel, row.priority, row.tenant_id), to) in self.destinations


NOTHING = Skip()


@dataclass(frozen=True, slots=True)
class Closed:
    """What all closures together keep back, whichever worker asks, for counting.

    `lanes` are (tenant, channel); `templates` and `providers` as in Skip, the latter by channel.
    """

    channels: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    lanes: tuple[tuple[str, str], ...] = ()
    templates: tuple[tuple[str, str], ...] = ()
    providers: tuple[tuple[str, str, str], ...] = ()


class Closures:
    """All closures in force; a scope that this version does not know closes nothing. Nobody changes one."""

    __slots__ = ("_names", "_tenants", "all")

    def __init__(self, closures: Iterable[Closure] = ()) -> None:
        self.all = frozenset(closures)
        names: dict[tuple[str, str], set[str]] = {}
        for closure in self.all:
            names.setdefault((closure.scope, closure.tenant_id), set()).add(closure.name)
        self._names = {key: frozenset(found) for key, found in names.items()}
        self._tenants = {tenant_id for _, tenant_id in names if tenant_id}

    def __bool__(self) -> bool:
        return bool(self.all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Closures) and self.all == other.all

    def __hash__(self) -> int:
        return hash(self.all)

    def __repr__(self) -> str:
        return f"Closures({sorted(self.all)})"

    def names(self, scope: Scope, tenant_id: str = "") -> frozenset[str]:
        """The names that are closed in `scope`."""
        return self._names.get((scope, tenant_id), _NONE)

    def accounts(self, tenant_id: str) -> frozenset[str]:
        """The accounts that send nothing for this tenant now."""
        everybodys = self.names(Scope.ACCOUNT)
        return everybodys | self.names(Scope.TENANT_ACCOUNT, tenant_id) if tenant_id in self._tenants else everybodys

    @property
    def circuits(self) -> frozenset[str]:
        """The accounts whose circuits are open."""
        return frozenset(
            closure.name for closure in self.all if closure.cause == CIRCUIT and closure.scope == Scope.ACCOUNT
        )

    def closes_channel(self, channel: Channel, route: Route) -> bool:
        """Tell whether nothing goes out there: everything or the channel is closed, or every account of its route."""
        return (
            "" in self.names(Scope.EVERYTHING)
            or channel in self.names(Scope.CHANNEL)
            or (bool(route) and self.names(Scope.ACCOUNT).issuperset(route))
        )

    def closes_lane(self, lane: Lane, route: Route) -> bool:
        """Tell whether none of the lane's rows goes out."""
        tenant_id = lane.tenant_id
        return (
            self.closes_channel(lane.channel, route)
            or tenant_id in self.names(Scope.TENANT)
            or (
                tenant_id in self._tenants
                and (
                    lane.channel in self.names(Scope.TENANT_CHANNEL, tenant_id)
                    or (bool(route) and self.accounts(tenant_id).issuperset(route))
                )
            )
        )

    def skips(self, route: Route) -> Skip:
        """Which rows of an open channel wait all the same."""
        providers: list[tuple[str, str]] = []
        templates: list[tuple[str, str]] = []
        for tenant_id in ("", *sorted(self._tenants)):
            scope = Scope.TENANT_TEMPLATE if tenant_id else Scope.TEMPLATE
            templates += ((tenant_id, name) for name in sorted(self.names(scope, tenant_id)))
            if not tenant_id or (Scope.TENANT_ACCOUNT, tenant_id) in self._names:
                providers += ((tenant_id, name) for name in _unable(route, self.accounts(tenant_id)))
        return Skip(tuple(providers), tuple(templates))

    def closes(self, notification: Notification, route: Route) -> bool:
        """Tell whether this row is not to be sent now: what the claim would not take either."""
        lane = Lane(notification.channel, notification.priority, notification.tenant_id)
        return self.skips(route).hits(notification) or self.closes_lane(lane, route)

    def without_circuits(self, accounts: Collection[str]) -> "Closures":
        """All but the circuits of these accounts."""
        if not accounts:
            return self
        return Closures(
            closure
            for closure in self.all
            if not (closure.cause == CIRCUIT and closure.scope == Scope.ACCOUNT and closure.name in accounts)
        )

    def closed(self, routes: Mapping[str, Route]) -> Closed:
        """Gather what is kept back where `routes` are those of all workers together, by channel."""
        skips = {channel: self.skips(routes.get(channel, {})) for channel in Channel}
        accounts = [(closure.tenant_id, closure.name) for closure in self.all if closure.scope in _ACCOUNTS]
        return Closed(
            channels=tuple(channel for channel in Channel if self.closes_channel(channel, routes.get(channel, {}))),
            tenants=tuple(sorted(self.names(Scope.TENANT))),
            lanes=tuple(
                (tenant_id, channel.value)
                for tenant_id in sorted(self._tenants)
                for channel in Channel
                if channel in self.names(Scope.TENANT_CHANNEL, tenant_id)
                or (routes.get(channel) and self.accounts(tenant_id).issuperset(routes[channel]))
            ),
            templates=skips[Channel.EMAIL].templates,
            providers=tuple(
                (channel.value, *named)
                for channel in (Channel if accounts else ())
                for named in sorted({*accounts, *skips[channel].providers})
            ),
        )


_NONE: frozenset[str] = frozenset()
_ACCOUNTS = frozenset({Scope.ACCOUNT, Scope.TENANT_ACCOUNT})


def _unable(route: Route, closed: frozenset[str]) -> tuple[str, ...]:
    """The words by which a row may ask for closed accounts only: their names, and providers all of whose are closed."""
    return _unable_of(tuple(route.items()), closed) if closed else ()


@lru_cache(maxsize=256)
def _unable_of(route: tuple[tuple[str, str], ...], closed: frozenset[str]) -> tuple[str, ...]:
    names = {account for account, _ in route}
    by_provider: dict[str, set[str]] = {}
    for account, provider in route:
        by_provider.setdefault(provider, set()).add(account)
    # An account that is called as a provider is: then the word means the account.
    providers = {name for name, of in by_provider.items() if name not in names and of <= closed}
    return tuple(sorted(providers | (closed & names)))


def _among(name: str | None, tenant_id: str, skipped: tuple[tuple[str, str], ...]) -> bool:
    return name is not None and bool(skipped) and (("", name) in skipped or (tenant_id, name) in skipped)
