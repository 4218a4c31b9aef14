"""Commands of `tenant`: list, add, show, set, suspend, resume, settings and usage."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.limits import limit_words
from noti_worker.cli.pausing import pause_words, person
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment, plain, show, show_json, table
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.spans import span

if TYPE_CHECKING:
    from noti_worker.store.people.tenants import TenantChannel, TenantLine, TenantStatus

NAME = click.argument("name", metavar="TENANT")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON: the tenant as it is then.")
_NONE = ("none", "any")
"""What takes a bound away."""


def _list(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | str | None:
    if value is None or value in _NONE:
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _number(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value in _NONE:
        return value
    scale = {"k": 10**3, "M": 10**6, "G": 10**9}.get(value[-1:], 1)
    digits = value[:-1] if scale > 1 else value
    if not digits.isdecimal() or not digits.isascii():
        raise click.BadParameter(f"{value!r} is no number: write 10000, 10k, 500M, or none")
    return int(digits) * scale


def bounds_words(line: "TenantLine") -> str:
    """What a tenant may do at most, in one line; empty when it has no bounds."""
    bounds = {
        "rows waiting": line.waiting_rows,
        "bytes waiting": line.waiting_bytes,
        "priority": line.highest_priority,
        "channels": line.channels,
        "providers": line.providers,
        "senders": line.senders,
        "hosts": line.hosts,
    }
    told = "; ".join(
        f"{name} {value if isinstance(value, str | int) else ', '.join(value)}"
        for name, value in bounds.items()
        if value is not None
    )
    return plain(told + (f"; refuses inserts: all its {line.refuses} wait" if line.refuses else ""))


def status_words(line: "TenantLine") -> str:
    """Whether it is active, else since when and why not."""
    if line.status == "active" or line.status_at is None:
        return line.status
    why = f" ({line.reason})" if line.reason else ""
    return plain(f"{line.status} by {line.status_by} since {moment(line.status_at)}{why}")


def tenant_lines(now: "TenantStatus") -> list[str]:
    """The picture of a tenant, for `tenant show` and `status --tenant`."""
    line = now.tenant
    lines = [plain(f"tenant {line.tenant_id}: {status_words(line)}")]
    if words := bounds_words(line):
        lines.append(f"may at most: {words}")
    lines += [f"set: {plain(one.key)} = {plain(json.dumps(one.value))}" for one in now.settings]
    lines += [f"limited: {limit_words(one)}" for one in now.limits]
    lines += [f"paused: {pause_words(one)}" for one in now.pauses]
    lines += [_channel(one) for one in now.channels]
    if not now.channels:
        lines.append("nothing of it waits, and nothing failed within the hour")
    return lines


def _channel(one: "TenantChannel") -> str:
    more = "+" if one.bounded else ""
    counts = (
        (one.due, "due"),
        (one.in_flight, "in flight"),
        (one.scheduled, "to come"),
        (one.held, "held"),
        (one.failed_last_hour, "failed within the hour"),
    )
    words = f"{one.channel}: " + ", ".join(f"{count}{more} {name}" for count, name in counts if count)
    if one.oldest_due_seconds is not None and one.oldest_id is not None:
        words += f"; the oldest since {span(one.oldest_due_seconds)} ({one.oldest_id})"
        if one.why:
            words += f": {one.why}"
    return plain(words)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON: the tenants.")
@click.pass_obj
def list_(place: Place, as_json: bool) -> None:
    """List the tenants that are written down, and those that have notifications."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        lines = tenants.tenants(connection)
    if as_json:
        show_json([asdict(line) for line in lines])
    elif lines:
        columns = ("tenant", "status", "newest", "may at most")
        show(
            table(
                columns, [(one.tenant_id, status_words(one), one.newest_at or "-", bounds_words(one)) for one in lines]
            )
        )
    else:
        click.echo("there is no tenant", err=True)


@click.command("add")
@NAME
@click.pass_obj
def add(place: Place, name: str) -> None:
    """Write a tenant down. Nobody has to be: one that is not is active, and has no bounds."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        added = tenants.add(connection, name, by=person())
    click.echo(f"added: tenant {plain(name)}" if added else f"tenant {plain(name)} is there already", err=not added)


@click.command("show")
@NAME
@click.option("--json", "as_json", is_flag=True, help="JSON: what it is and may do, what it has, what holds that back.")
@click.pass_obj
def show_(place: Place, name: str, as_json: bool) -> None:
    """Show what a tenant is and may do, what of it waits and why, and what is set for it."""
    show_status(place, name, as_json=as_json)


def show_status(place: Place, name: str, *, as_json: bool) -> None:
    """Print the picture of one tenant."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        now = tenants.tenant_status(connection, name)
    if as_json:
        show_json(asdict(now))
    else:
        click.echo("\n".join(tenant_lines(now)))


@click.command("set")
@NAME
@click.option("--waiting-rows", metavar="N", callback=_number, help="So many unfinished messages; then inserts fail.")
@click.option("--waiting-bytes", metavar="N", callback=_number, help="So many bytes of content in them, as stored.")
@click.option(
    "--highest-priority", type=click.Choice([*(rank.value for rank in Priority), "none"]), help="No more urgent."
)
@click.option(
    "--channels", metavar="LIST", callback=_list, help=f"Of {', '.join(channel.value for channel in Channel)}."
)
@click.option("--providers", metavar="LIST", callback=_list, help="Accounts, or providers whose accounts all may be.")
@click.option("--senders", metavar="LIST", callback=_list, help="Addresses in from, *@DOMAIN; numbers for phones.")
@click.option("--hosts", metavar="LIST", callback=_list, help="Where webhooks may go: hosts, or *.DOMAIN.")
@click.option("--dry-run", is_flag=True, help="Only see whether it may be set; change nothing.")
@_JSON
@click.pass_obj
def set_(place: Place, /, name: str, dry_run: bool, as_json: bool, **bounds: Any) -> None:
    """Set what a tenant may do at most; LIST is a,b,c, and none takes a bound away. What is not named stays."""
    from noti_worker.store.people import tenants

    said = {key: None if value in _NONE else value for key, value in bounds.items() if value is not None}
    if not said:
        raise click.UsageError("say what to set: noti-worker tenant set --help")
    with place.connection() as connection:
        line = tenants.set_bounds(connection, name, said, by=person(), dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(line)})
    else:
        words = bounds_words(line) or "nothing is bounded"
        click.echo(f"{'would be set' if dry_run else 'set'}: tenant {plain(name)}: {words}")


@click.command("suspend")
@NAME
@click.option("--reason", metavar="TEXT", help="Why; status and why show it.")
@_JSON
@click.pass_obj
def suspend(place: Place, name: str, reason: str | None, as_json: bool) -> None:
    """Send nothing of a tenant; what it inserts is taken and waits. A tenant cannot end that by itself, as a pause."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        line = tenants.suspend(connection, name, reason, by=person())
    if as_json:
        show_json(asdict(line))
    else:
        click.echo(f"suspended: tenant {plain(name)}; noti-worker tenant resume {plain(name)} lets it send again")


@click.command("resume")
@NAME
@click.option("--json", "as_json", is_flag=True, help="JSON: whether it was suspended.")
@click.pass_obj
def resume(place: Place, name: str, as_json: bool) -> None:
    """Let a tenant send again."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        ended = tenants.resume(connection, name, by=person())
    if as_json:
        show_json({"resumed": ended})
    elif ended:
        click.echo(f"resumed: tenant {plain(name)}")
    else:
        click.echo(f"tenant {plain(name)} is not suspended", err=True)
    if not ended:
        raise SystemExit(1)


def _value(text: str) -> object:
    """JSON, or else the text as it stands: 90, true, Europe/Berlin."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@click.command("setting")
@NAME
@click.argument("key", metavar="[KEY]", required=False)
@click.argument("value", metavar="[VALUE]", required=False)
@click.option("--remove", is_flag=True, help="Take KEY away.")
@click.option("--json", "as_json", is_flag=True, help="JSON: all that is set then.")
@click.pass_obj
def setting(place: Place, name: str, key: str | None, value: str | None, remove: bool, as_json: bool) -> None:
    """Show what is set, or set KEY: retention_days, zone, locale, quiet_hours, or flag.NAME for the application."""
    from noti_worker.store.people import tenants

    if key is None and remove:
        raise click.UsageError("say which KEY to remove")
    if remove and value is not None:
        raise click.UsageError("give a VALUE or --remove, not both")
    with place.connection() as connection:
        if key is not None and remove and not tenants.unset_setting(connection, name, key, by=person()):
            raise click.ClickException(f"{plain(key)} is not set for tenant {plain(name)}")
        if key is not None and value is not None:
            tenants.set_setting(connection, name, key, _value(value), by=person())
        lines = tenants.settings(connection, name)
    if key is not None and not remove and value is None:
        lines = [line for line in lines if line.key == key]
    if as_json:
        show_json({line.key: line.value for line in lines})
    else:
        for line in lines:
            click.echo(f"{plain(line.key)} = {plain(json.dumps(line.value))} (set by {plain(line.set_by)})")
        if not lines:
            click.echo(f"nothing is set for tenant {plain(name)}", err=True)


def _month(ctx: click.Context, param: click.Parameter, value: str | None) -> date:
    if value is None:
        return datetime.now(UTC).date()  # noqa: TID251 - a default for a person
    try:
        return date.fromisoformat(value if value.count("-") > 1 else f"{value}-01")
    except ValueError:
        raise click.BadParameter(f"{value!r} is no month: write 2026-03") from None


@click.command("usage")
@NAME
@click.argument("month", metavar="[MONTH]", required=False, callback=_month)
@click.option("--json", "as_json", is_flag=True, help="JSON: the lines.")
@click.pass_obj
def usage(place: Place, name: str, month: date, as_json: bool) -> None:
    """Count what a tenant sent in a month, such as 2026-03, by channel and account; without one in this month."""
    from noti_worker.store.people import tenants

    with place.connection() as connection:
        lines = tenants.usage(connection, name, month)
    if as_json:
        show_json([asdict(line) for line in lines])
    elif lines:
        columns = ("channel", "account", "provider", "sent", "tries")
        show(table(columns, [(one.channel, one.account, one.provider, one.sent, one.tries) for one in lines]))
    else:
        click.echo(f"tenant {plain(name)} tried nothing in {month:%Y-%m}", err=True)
