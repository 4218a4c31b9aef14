"""`pause` and `resume`: of a channel, an account, a tenant, a template, or everything."""

import os
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.completion import accounts
from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment as shown
from noti_worker.cli.show import plain, show_json
from noti_worker.domain.closures import OF_TENANT, Scope
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.store.people.pausing import PauseLine, Reach, Suspension


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What can be named of channels and accounts, for the shell."""
    if ctx.params.get("scope") == Scope.CHANNEL:
        return [channel.value for channel in Channel if channel.startswith(incomplete)]
    return accounts(ctx, param, incomplete) if ctx.params.get("scope") == Scope.ACCOUNT else []


_SCOPES = [scope.value for scope in Scope if scope not in OF_TENANT.values()]
_WHAT = click.argument("scope", metavar="WHAT", type=click.Choice(_SCOPES))
_NAME = click.argument("name", metavar="[NAME]", required=False, shell_complete=_names)
_TENANT = click.option("--tenant", metavar="TENANT", help="The channel, account or template of this tenant alone.")


@click.command()
@_WHAT
@_NAME
@click.option("--reason", metavar="TEXT", help="Why; status and why show it.")
@click.option(
    "--until", metavar=MOMENT, callback=moment, help="It ends by itself: in 2h, or at an instant; else with resume."
)
@_TENANT
@click.option("--dry-run", is_flag=True, help="Only tell how many messages that stops; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the pause.")
@click.pass_obj
def pause(
    place: Place,
    scope: str,
    name: str | None,
    reason: str | None,
    until: timedelta | datetime | None,
    tenant: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send nothing of everything, channel, account, tenant or template NAME for now; what waits stays untouched."""
    from noti_worker.store.people import pausing

    with place.connection() as connection:

        def change() -> "PauseLine":
            return pausing.pause(
                connection, Scope(scope), name, reason=reason, until=until, by=person(), tenant_id=tenant
            )

        line, moved = pausing.tried(connection, change) if dry_run else (change(), None)
        strange = Scope(scope) is Scope.ACCOUNT and not pausing.knows_account(connection, line.name)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(line)} | ({"stops": asdict(moved)} if moved else {}))
    elif moved is None:
        click.echo(f"paused: {pause_words(line)}")
    else:
        click.echo(f"would be paused: {pause_words(line)}\nthat would stop {_moved_words(moved)}")
    if strange:
        click.echo(f"no running worker has an account {plain(line.name)}", err=True)


@click.command()
@_WHAT
@_NAME
@_TENANT
@click.option("--dry-run", is_flag=True, help="Only tell how many messages that sets free; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: whether there was a pause, and those that stay.")
@click.pass_obj
def resume(place: Place, scope: str, name: str | None, tenant: str | None, dry_run: bool, as_json: bool) -> None:
    """End a pause; WHAT and NAME as they were paused. Others that close the same messages stay."""
    from noti_worker.store.people import pausing

    with place.connection() as connection:

        def change() -> bool:
            return pausing.resume(connection, Scope(scope), name, by=person(), tenant_id=tenant)

        ended, moved = pausing.tried(connection, change) if dry_run else (change(), None)
        left: list[Any] = [
            line
            for line in pausing.pauses(connection)
            if (line.scope.removeprefix("tenant "), line.name, line.tenant_id) != (scope, name or "", tenant or "")
        ]
    if as_json:
        told = {"dry_run": dry_run, "resumed": ended, "pauses": [asdict(line) for line in left]}
        show_json(told | ({"sets_free": asdict(moved)} if moved else {}))
    elif ended:
        click.echo(f"{'would be resumed' if dry_run else 'resumed'}: {' '.join(filter(None, (scope, plain(name))))}")
        if moved:
            click.echo(f"that would set free {_moved_words(moved)}")
    else:
        click.echo(f"{' '.join(filter(None, (scope, plain(name))))} is not paused", err=True)
    if left and not as_json:
        click.echo("still paused:", err=True)
        for line in left:
            click.echo(f"  {pause_words(line)}", err=True)
    if not ended:
        raise SystemExit(1)


def pause_words(line: "PauseLine") -> str:
    """A pause in one line."""
    scope = line.scope.removeprefix("tenant ") if line.tenant_id else line.scope
    words = [
        scope,
        line.name,
        *(["of tenant", line.tenant_id] if line.tenant_id else []),
        "by",
        line.paused_by,
        "since",
        shown(line.created_at),
    ]
    words += ["until", shown(line.until)] if line.until else ["until it is resumed"]
    words += [f"({line.reason})"] if line.reason else []
    return plain(" ".join(word for word in words if word))


def _moved_words(moved: "Reach") -> str:
    more = "at least " if moved.bounded else ""
    return f"{more}{moved.due} that are due, and {more}{moved.later} whose time comes later"


def suspension_words(one: "Suspension") -> str:
    """A suspended tenant in one line."""
    reason = f" ({one.reason})" if one.reason else ""
    return plain(f"tenant {one.tenant_id} by {one.suspended_by} since {shown(one.suspended_at)}{reason}")


def person() -> str | None:
    """Who sits at the keyboard, as far as the system tells; None: the database role says it."""
    return next((os.environ[name] for name in ("SUDO_USER", "LOGNAME", "USER") if os.environ.get(name)), None)
