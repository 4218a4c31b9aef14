"""The conditions that `list` and the moves share: options on the command line become one filter."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.completion import accounts
from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.outcome import LOST, Kind

if TYPE_CHECKING:
    from noti_worker.store.people.filters import Filter

_ID_LIMIT = 2**63


def entity(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str | None] | None:
    """Read TYPE or TYPE:ID."""
    if value is None:
        return None
    kind, colon, id_ = value.partition(":")
    if not kind or (colon and not id_):
        raise click.BadParameter("write TYPE or TYPE:ID, like order:17")
    return kind, id_ if colon else None


_OPTIONS = (
    click.option("--channel", multiple=True, type=click.Choice([c.value for c in Channel]), help="Of this channel."),
    click.option("--status", multiple=True, type=click.Choice([s.value for s in Status]), help="With this status."),
    click.option(
        "--priority", multiple=True, type=click.Choice([p.value for p in Priority]), help="With this priority."
    ),
    click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant."),
    click.option("--recipient", metavar="ADDRESS", help="To exactly this recipient."),
    click.option("--template", metavar="ID", help="Made from this template."),
    click.option("--category", metavar="NAME", help="Of this category."),
    click.option("--entity", metavar="TYPE[:ID]", callback=entity, help="About this entity, like order:17."),
    click.option(
        "--provider",
        metavar="NAME",
        shell_complete=accounts,
        help="That ask for this provider or account themselves.",
    ),
    click.option(
        "--account",
        multiple=True,
        metavar="NAME",
        shell_complete=accounts,
        help="Whose latest try went through this account.",
    ),
    click.option(
        "--kind",
        multiple=True,
        type=click.Choice([*(k.value for k in Kind), LOST]),
        help="Whose latest try ended like this, or that failed so without one; lost: with five workers in a row.",
    ),
    click.option("--error", metavar="TEXT", help="Whose last error contains this text, in any case."),
    click.option(
        "--since",
        metavar=MOMENT,
        callback=moment,
        help="That failed, ended or were parked since then, as --status says; without it, created since then.",
    ),
    click.option(
        "--failed-since", metavar=MOMENT, callback=moment, help="That failed since then: 1h ago, or an instant."
    ),
    click.option("--created-since", metavar=MOMENT, callback=moment, help="Created since then: 1h ago, or an instant."),
    click.option(
        "--created-before", metavar=MOMENT, callback=moment, help="Created before then: 1h ago, or an instant."
    ),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it receives them as `chosen(ids) -> Filter`, so that nothing loads early."""

    @wraps(command)
    def wrapped(*args: Any, status: tuple[str, ...], entity: tuple[str, str | None] | None, **given: Any) -> Any:
        conditions = {name: given.pop(name) for name in _NAMES}
        entity_type, entity_id = entity or (None, None)

        def chosen(ids: tuple[int, ...] = ()) -> "Filter":
            from noti_worker.store.people.filters import Filter

            return Filter(
                ids=ids,
                status=tuple(Status(label) for label in status),
                entity_type=entity_type,
                entity_id=entity_id,
                **conditions,
            )

        return command(*args, chosen=chosen, **given)

    decorated: Callable[..., Any] = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_NAMES = (
    "channel",
    "priority",
    "tenant",
    "recipient",
    "template",
    "category",
    "provider",
    "account",
    "kind",
    "error",
    "since",
    "failed_since",
    "created_since",
    "created_before",
)

NOTIFICATION_ID = click.IntRange(1, _ID_LIMIT - 1)
"""What an id on the command line may be: a bigint."""
