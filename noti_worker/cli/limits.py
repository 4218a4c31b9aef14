"""`limit`: how many may be sent, by account, by a tenant's channel, and to a domain or host."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from noti_worker.cli import completion
from noti_worker.cli.kinds import SPAN, span
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment, plain, show_json
from noti_worker.domain.limits import ACCOUNT, DESTINATION, PERIODS, RATE, TENANT_CHANNEL, allowed
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.store.people.limits import LimitLine

_SCOPES = {"account": ACCOUNT, "channel": TENANT_CHANNEL, "destination": DESTINATION}
_KINDS = {"rate": RATE, **{period: period for period in PERIODS}}


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    if ctx.params.get("scope") == "channel":
        return [channel.value for channel in Channel if channel.startswith(incomplete)]
    return completion.accounts(ctx, param, incomplete) if ctx.params.get("scope") == ACCOUNT else []


def _read(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, timedelta | None, str]:
    try:
        return allowed(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no limit: {error}") from None


_WHAT = click.argument("scope", metavar="WHAT", type=click.Choice(list(_SCOPES)))
_NAME = click.argument("name", metavar="NAME", shell_complete=_names)
_TENANT = click.option("--tenant", metavar="TENANT", default="default", show_default=True, help="Whose channel.")


def limit_words(line: "LimitLine") -> str:
    """A limit in one line, with what is left of it."""
    of = f"channel {line.name} of tenant {line.tenant_id}" if line.tenant_id else f"{line.scope} {line.name}"
    waiting = f"; {line.waiting} due messages wait" if line.waiting else ""
    by = f" (set by {line.set_by})" if line.set_by else ""
    return plain(f"{of}: {_quota(line) if line.rate is None else _rate(line, line.rate)}{waiting}{by}")


def _rate(line: "LimitLine", rate: float) -> str:
    words = f"{_a_second(rate)}, at most {line.burst} at once" if line.burst else _a_second(rate)
    if line.slowed_at is not None and line.pace is not None:
        words += f"; {_a_second(rate * line.pace)} just now: it found us too fast at {moment(line.slowed_at)}"
    return words


def _quota(line: "LimitLine") -> str:
    words = f"{line.taken} of {line.amount} of this {line.period} used"
    words += f", until {moment(line.until)}" if line.until else f" (by the clock of {line.zone})"
    if line.double_every_seconds:
        words += f", twice as many every {timedelta(seconds=line.double_every_seconds).days} days"
    return words + ("; what is inserted beyond it is refused" if line.when_spent == "refuse" else "")


def _a_second(rate: float) -> str:
    return f"{rate:.4g}/s" if rate >= 1 else f"1/{1 / rate:.4g}s"


@click.group()
def limit() -> None:
    """Look after how many may be sent."""


@limit.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON: the limits.")
@click.pass_obj
def list_limits(place: Place, as_json: bool) -> None:
    """Tell how many may be sent, what is left, and how many wait; of the configuration those that were asked for."""
    from noti_worker.store.people.limits import limits

    with place.connection() as connection:
        lines = limits(connection)
    if as_json:
        show_json({"limits": [asdict(line) for line in lines]})
        return
    for line in lines:
        click.echo(limit_words(line))
    if not lines:
        click.echo("nothing is limited", err=True)


@limit.command("set")
@_WHAT
@_NAME
@click.argument("amount", metavar="LIMIT", callback=_read)
@_TENANT
@click.option("--burst", type=click.IntRange(min=1), metavar="N", help="Of a rate: so many at once.")
@click.option("--zone", metavar="ZONE", help="Of a quota: whose days and months; else UTC.")
@click.option(
    "--refuse", is_flag=True, help="Of a channel's quota: refuse inserts beyond it, instead of letting them wait."
)
@click.option("--double-every", metavar=SPAN, callback=span, help="Of a day's quota: it grows, twice as much so often.")
@click.option("--dry-run", is_flag=True, help="Only see whether it may be set; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the limits that hold for it then.")
@click.pass_obj
def set_(
    place: Place,
    scope: str,
    name: str,
    amount: tuple[int, timedelta | None, str],
    tenant: str,
    burst: int | None,
    zone: str | None,
    refuse: bool,
    double_every: timedelta | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let an account, a tenant's channel or a domain or host NAME have no more than LIMIT: 14/s, 1/6s or 1000/day."""
    from noti_worker.store.people import limits, pausing

    number, every, period = amount
    given = limits.Given(
        _SCOPES[scope],
        tenant if scope == "channel" else "",
        name,
        number,
        period,
        every,
        burst,
        zone or "UTC",
        "refuse" if refuse else "wait",
        double_every,
    )
    with place.connection() as connection:
        lines = limits.set_limit(connection, given, by=person(), dry_run=dry_run)
        strange = scope == "account" and not pausing.knows_account(connection, name)
    if as_json:
        show_json({"dry_run": dry_run, "limits": [asdict(line) for line in lines]})
    else:
        for line in lines:
            click.echo(f"{'would be limited' if dry_run else 'limited'}: {limit_words(line)}")
    if strange:
        click.echo(f"no running worker has an account {plain(name)}", err=True)


@limit.command("remove")
@_WHAT
@_NAME
@click.argument("kind", metavar="[KIND]", type=click.Choice(list(_KINDS)), required=False)
@_TENANT
@click.option("--dry-run", is_flag=True, help="Only tell which limits that would remove; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the kinds of the limits that were removed.")
@click.pass_obj
def remove(place: Place, scope: str, name: str, kind: str | None, tenant: str, dry_run: bool, as_json: bool) -> None:
    """Remove the limits of an account, a tenant's channel or a destination, or of KIND (rate, day, month) alone."""
    from noti_worker.store.people import limits

    period = None if kind is None else _KINDS[kind]
    with place.connection() as connection:
        found = limits.remove_limits(connection, _SCOPES[scope], tenant, name, period, by=person(), dry_run=dry_run)
    removed = [period or "rate" for period in found]
    if as_json:
        show_json({"dry_run": dry_run, "removed": removed})
    elif removed:
        click.echo(f"{'would be removed' if dry_run else 'removed'}: {', '.join(removed)} of {scope} {plain(name)}")
    else:
        click.echo(f"no limit of {scope} {plain(name)} is set", err=True)
    if not removed:
        raise SystemExit(1)
