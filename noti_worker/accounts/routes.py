"""Which accounts serve a channel for which no route is configured."""

from collections.abc import Mapping

from noti_worker import providers
from noti_worker.domain.account import Account, ConfiguredRoute
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.settings import IN_APP

TRIAL = frozenset({"console", "sandbox"})
"""Providers that send nothing: where another account serves a channel they join its route only by name."""


def complete(
    given: Mapping[Channel, ConfiguredRoute], accounts: Mapping[str, Account]
) -> dict[Channel, ConfiguredRoute]:
    """The route of every channel that is served: as given, else the one account that serves it.

    Raises ConfigurationError for a route through an account that does not serve its channel, and where several
    accounts would.
    """
    routes: dict[Channel, ConfiguredRoute] = {}
    for channel in Channel:
        if channel in given:
            _check(channel, given[channel], accounts)
            routes[channel] = given[channel]
        elif route := _only(channel, accounts):
            routes[channel] = route
    return routes


def _check(channel: Channel, route: ConfiguredRoute, accounts: Mapping[str, Account]) -> None:
    for name in route:
        account = accounts[name]
        if channel not in account.channels:
            if channel in providers.find(account.provider).CHANNELS:
                why = f"which accounts.{name}.channels limits to {', '.join(sorted(account.channels))}"
            else:
                why = f"whose provider {account.provider} does not serve {channel}"
            raise ConfigurationError(f"routes.{channel} names {name}, {why}")


def _only(channel: Channel, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    serve = [account for account in accounts.values() if channel in account.channels]
    real = [account for account in serve if account.provider not in TRIAL]
    names = [account.name for account in real or serve]
    if len(names) > 1 and channel is Channel.IN_APP:
        return (IN_APP,)  # it always has its own account; another one takes over only when a route says so
    if len(names) > 1:
        raise ConfigurationError(
            f"routes.{channel} is missing: {' and '.join(names)} serve {channel}; name them in failover order"
        )
    return tuple(names)
