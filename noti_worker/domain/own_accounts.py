"""Accounts of tenants' own, as the database has them: which there are, and which channels go through them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel


def of_tenant(tenant_id: str, name: str) -> str:
    """What a tenant's own account is called wherever accounts are named; no account of the configuration has a `/`."""
    return f"{tenant_id}/{name}"


def is_own(name: str) -> bool:
    """Tell whether an account is a tenant's own, by its name."""
    return "/" in name


@dataclass(frozen=True, slots=True)
class Place:
    """What a secret is sealed for, and nothing else: the setting `purpose` of one account of one tenant."""

    tenant_id: str
    account: str
    purpose: str

    def __str__(self) -> str:
        """For a person."""
        return f"{self.purpose} of {of_tenant(self.tenant_id, self.account)}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed secret, and the id of the key that opens it."""

    key_id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """One row of `noti.accounts` with its secrets, by purpose. Another `version` needs another sender."""

    tenant_id: str
    own_name: str
    provider: str
    channels: frozenset[Channel]
    settings: Mapping[str, object] = field(repr=False)
    mode: Mode
    version: int
    secrets: Mapping[str, Sealed]

    @property
    def name(self) -> str:
        """What it is called among all accounts."""
        return of_tenant(self.tenant_id, self.own_name)


@dataclass(frozen=True, slots=True)
class OwnRoute:
    """The accounts of a tenant's channel in failover order, each with its provider.

    With `goes_on` those of the installation follow.
    """

    accounts: Mapping[str, str]
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant with accounts of its own, or that had some. `routes` are those that it says."""

    tenant_id: str
    accounts: tuple[OwnAccount, ...] = ()
    routes: Mapping[Channel, tuple[str | None, ...]] = field(default_factory=dict)

    def route(self, channel: Channel) -> OwnRoute | None:
        """Its own route: as it says, else its accounts that serve the channel, by name; None when it has none."""
        serving = {one.own_name: one for one in self.accounts if channel in one.channels}
        said = self.routes.get(channel)
        order = sorted(serving) if said is None else said
        if not order:
            return None
        accounts = {
            serving[name].name: serving[name].provider for name in order if name is not None and name in serving
        }
        return OwnRoute(accounts, None in order)


class Tenants:
    """All tenants with accounts of their own. One thread learns, any thread reads; nothing here is changed in place."""

    __slots__ = ("_of", "accounts", "channels")

    def __init__(self) -> None:
        """There is none."""
        self._of: dict[str, dict[Channel, OwnRoute]] = {}
        self.accounts: dict[str, OwnAccount] = {}
        self.channels: frozenset[Channel] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._of)

    def learn(self, owners: Collection[Owner]) -> None:
        """Take over what the database says of these tenants."""
        of, accounts = dict(self._of), dict(self.accounts)
        changed = {owner.tenant_id for owner in owners if owner.tenant_id in of}
        if changed:
            accounts = {name: one for name, one in accounts.items() if one.tenant_id not in changed}
        for owner in owners:
            routes = {channel: route for channel in Channel if (route := owner.route(channel)) is not None}
            of.pop(owner.tenant_id, None)
            if routes:
                of[owner.tenant_id] = routes
            accounts.update((one.name, one) for one in owner.accounts)
        self.accounts = accounts  # first: a route names accounts that are there
        self._of = of
        self.channels = frozenset(channel for routes in of.values() for channel in routes)

    def route(self, tenant_id: str, channel: Channel) -> OwnRoute | None:
        """The route of a tenant's own; None: the installation's."""
        routes = self._of.get(tenant_id)
        return None if routes is None else routes.get(channel)
