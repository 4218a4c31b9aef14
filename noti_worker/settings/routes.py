"""The section `routes`: which accounts send a channel, in failover order or by weight."""

from collections.abc import Mapping

from noti_worker.domain.account import ConfiguredRoute
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Secrets
from noti_worker.settings.coercion import coerce, named, nearest, unknown
from noti_worker.settings.overrides import Table
from noti_worker.settings.sections import AccountSettings

IN_APP = "in_app"
"""The account that is there without being configured."""

HEAVIEST = 1000
"""The highest weight of an account on a route."""


def read_routes(
    table: Table, accounts: Mapping[str, AccountSettings], source: str, secrets: Secrets
) -> dict[Channel, ConfiguredRoute]:
    """The section `routes`; raises ConfigurationError."""
    routes: dict[Channel, ConfiguredRoute] = {}
    for name, value in table.items():
        where = f"{source}routes.{name}"
        channel = channel_named(name, value, f"{source}routes")
        route = _weights(value, where, secrets) if isinstance(value, Mapping) else _order(value, where, secrets)
        if not route:
            raise ConfigurationError(f"{named(where, value)}: name at least one account, or leave the line out")
        for account in route:
            if account not in accounts and account != IN_APP:
                place = named(where, value[account] if isinstance(value, Mapping) else value)
                hint = nearest(account, accounts) if accounts else f"write [accounts.{account}]"
                raise ConfigurationError(f'{place} names "{account}": there is no such account; {hint}')
        routes[channel] = route
    return routes


def _order(value: object, where: str, secrets: Secrets) -> tuple[str, ...]:
    route = coerce(tuple[str, ...], value, where, secrets, {})
    assert isinstance(route, tuple)
    if len(set(route)) < len(route):
        raise ConfigurationError(f"{named(where, value)}: an account is named twice")
    return route


def _weights(table: Mapping[str, object], where: str, secrets: Secrets) -> dict[str, int]:
    """The weights of a route in falling order; of equal ones the first that is written stays before the others."""
    weights = {}
    for account, value in table.items():
        weight = coerce(int, value, f"{where}.{account}", secrets, {"at_least": 0, "at_most": HEAVIEST})
        assert isinstance(weight, int)
        weights[account] = weight
    if weights and not any(weights.values()):
        raise ConfigurationError(f"{where}: every weight is 0, failover only; give one account at least 1")
    return dict(sorted(weights.items(), key=lambda one: -one[1]))


def channel_named(name: str, value: object, where: str) -> Channel:
    """The channel of that name; raises ConfigurationError, which names the key `name` with its `value`."""
    try:
        return Channel(name)
    except ValueError:
        raise ConfigurationError(unknown(name, value, where, Channel)) from None
