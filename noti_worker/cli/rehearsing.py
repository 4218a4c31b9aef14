"""`send --dry-run`: what would become of a notification, by the code that delivers it."""

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.place import now
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Drop, Gather, Hold, Message

if TYPE_CHECKING:
    from noti_worker.accounts import Accounts
    from noti_worker.domain.subscription import Links
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.listing import Line


def rehearse(
    connection: "Connection", settings: "Settings", fields: Mapping[str, Any]
) -> "tuple[Line, tuple[str, ...]]":
    """The line that would be queued, and the account that it would go out through, if that is known.

    Where weights decide it may be one of several: they go by the message id, and this one is taken back.

    Raises BadNotification in the words that the notification would fail with.
    """
    from noti_worker.delivery.preview import preview
    from noti_worker.delivery.render import Renderer
    from noti_worker.delivery.safety import Safety
    from noti_worker.observe import Observers
    from noti_worker.store.people.rehearsal import rehearse as queued

    line, row, briefing = queued(connection, fields, settings.numbers.international, settings.contacts.people)
    accounts, known = _accounts(connection, settings, row.channel)
    safety = Safety(settings.delivery.redirect_to.by_channel)
    with closing(Renderer(Observers(), settings.worker.render_timeout.total_seconds())) as renderer:
        ready = preview(row, briefing, accounts, renderer, safety, settings.numbers, _links(settings))
    if isinstance(ready, Message):
        shares = settings.routes.get(row.channel)
        if isinstance(shares, Mapping) and not row.provider:
            return line, tuple(name for name, weight in shares.items() if weight)
        return line, (ready.account,) if known else ()
    if isinstance(ready, Gather):
        return line, ()  # it is sound, and waits for others
    if isinstance(ready, Drop):
        raise BadNotification(f"it would end as {ready.status}: {ready.reason}")
    if isinstance(ready, Hold):
        raise BadNotification(f"it would be {ready.status}: {ready.reason}")
    raise click.ClickException(f"it could not be tried out: {ready.reason}")


def _links(settings: "Settings") -> "Links | None":
    """As this configuration says, if it is one that sends; the worker's, which is not seen here, may make links."""
    from noti_worker.domain.secret import Secret
    from noti_worker.domain.subscription import Links

    return settings.web.links if settings.accounts else Links("https://noti.invalid", [Secret("nobody sees it")])


def _accounts(connection: "Connection", settings: "Settings", channel: Channel) -> "tuple[Accounts, bool]":
    """Who would send: as this configuration says, else the living workers, else anybody (False)."""
    from noti_worker.accounts import Accounts, read_accounts
    from noti_worker.domain.account import Account
    from noti_worker.domain.mode import Mode
    from noti_worker.domain.options import ALL_OPTIONS
    from noti_worker.providers import find
    from noti_worker.settings.shown import Unread
    from noti_worker.store.people import gauges
    from noti_worker.transport import Kit

    configured = read_accounts(settings, Kit(now), Unread())
    if configured.routes.get(channel):
        return configured, True
    routes = gauges.routes(connection).get(channel, {})
    serving = {}
    for name, provider in routes.items():
        try:
            options = tuple(find(provider).OPTIONS)
        except ConfigurationError:  # a module that is installed at the workers only
            options = ALL_OPTIONS
        serving[name] = Account(name, provider, Mode.LIVE, frozenset({channel}), options=options)
    anybody = Account("any", "any", Mode.LIVE, frozenset({channel}), options=ALL_OPTIONS)
    serving = serving or {"any": anybody}
    return Accounts(serving, {channel: tuple(serving)}, _no_sender), bool(routes)


def _no_sender(account: object) -> Any:
    raise AssertionError("a dry run sends nothing")
