"""What is paused, and which lanes, accounts and rows that closes. Pure: who asks when is the worker's matter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification

Route = Mapping[str, str]
"""The accounts of a channel in failover order, each with its provider's name."""


class Scope(StrEnum):
    """What can be paused; all but `everything` by name."""

    EVERYTHING = "everything"
    CHANNEL = "channel"
    ACCOUNT = "account"
    TENANT = "tenant"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Skip:
    """Rows that a claim leaves where they are: those that ask for one of `providers`, or use one of `templates`."""

    providers: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.providers or self.templates)


NOTHING = Skip()


@dataclass(frozen=True, slots=True)
class Closed:
    """What all pauses together keep back, whichever worker asks; `providers` stand behind their channel and a space."""

    channels: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pauses:
    """The (scope, name) of all pauses in force; a scope that this version does not know closes nothing."""

    all: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Pauses":
        """Gather pairs as `noti.pauses` has them."""
        return cls(frozenset(pairs))

    def __bool__(self) -> bool:
        return bool(self.all)

    def names(self, scope: Scope) -> frozenset[str]:
        """The names that are paused in `scope`."""
        return frozenset(name for of, name in self.all if of == scope)

    def closes_channel(self, channel: Channel, route: Route) -> bool:
        """Tell whether nothing goes out there: everything or the channel is paused, or every account of its route."""
        return (
            (Scope.EVERYTHING, "") in self.all
            or (Scope.CHANNEL, channel) in self.all
            or (bool(route) and all((Scope.ACCOUNT, account) in self.all for account in route))
        )

    def closes_lane(self, lane: Lane, route: Route) -> bool:
        """Tell whether none of the lane's rows goes out."""
        return (Scope.TENANT, lane.tenant_id) in self.all or self.closes_channel(lane.channel, route)

    def skips(self, route: Route) -> Skip:
        """Which rows of an open channel wait all the same."""
        accounts = self.names(Scope.ACCOUNT)
        if not accounts:
            return Skip(templates=tuple(sorted(self.names(Scope.TEMPLATE))))
        # A row may also ask for a provider, unless an account is called so: then it means the account.
        by_provider: dict[str, set[str]] = {}
        for account, provider in route.items():
            by_provider.setdefault(provider, set()).add(account)
        providers = {name for name, of in by_provider.items() if name not in route and of <= accounts}
        return Skip(tuple(sorted(providers | (accounts & route.keys()))), tuple(sorted(self.names(Scope.TEMPLATE))))

    def closes(self, notification: Notification, route: Route) -> bool:
        """Tell whether this row is not to be sent now: what the claim would not take either."""
        lane = Lane(notification.channel, notification.priority, notification.tenant_id)
        skip = self.skips(route)
        return (
            notification.provider in skip.providers
            or notification.template_id in skip.templates
            or self.closes_lane(lane, route)
        )

    def closed(self, routes: Mapping[str, Route]) -> Closed:
        """Gather what is kept back where `routes` are those of all workers together, by channel."""
        accounts = self.names(Scope.ACCOUNT)
        return Closed(
            channels=tuple(channel for channel in Channel if self.closes_channel(channel, routes.get(channel, {}))),
            tenants=tuple(sorted(self.names(Scope.TENANT))),
            templates=tuple(sorted(self.names(Scope.TEMPLATE))),
            providers=tuple(
                f"{channel} {name}"
                for channel in (Channel if accounts else ())
                for name in sorted(accounts.union(self.skips(routes.get(channel, {})).providers))
            ),
        )
