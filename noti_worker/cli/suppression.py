"""`suppression`: to whom nothing is sent, why, and who lifts it."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment as shown
from noti_worker.cli.show import plain, show, show_json, table
from noti_worker.cli.suppression_csv import export_, import_
from noti_worker.domain.notification import Channel
from noti_worker.domain.suppression import Reason

if TYPE_CHECKING:
    from noti_worker.store.people.suppressions import Entry, Event

CHANNELS = click.Choice([channel.value for channel in Channel])
REASONS = click.Choice([reason.value for reason in Reason])


@click.group()
def suppression() -> None:
    """Look after the suppression list: to whom nothing is sent, and why."""


def _several(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which entries, where one address may have several."""
    for option in (
        click.option("--category", multiple=True, metavar="NAME", help="From this category alone."),
        click.option("--reason", multiple=True, type=REASONS, help="For this reason."),
        click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant; '' is what holds for all of them."),
        click.option("--channel", multiple=True, type=CHANNELS, help="Of this channel."),
    ):
        command = option(command)
    return command


@suppression.command("list")
@_several
@click.option("--address", metavar="ADDRESS", help="Of this address, however it is written.")
@click.option("--past", is_flag=True, help="Also what was lifted or has expired.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_entries(
    place: Place,
    channel: tuple[str, ...],
    tenant: tuple[str, ...],
    reason: tuple[str, ...],
    category: tuple[str, ...],
    address: str | None,
    past: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the entries that are in force, the newest first."""
    from noti_worker.store.people import suppressions

    chosen = suppressions.Chosen(tenant, channel, reason, category, address, past)
    with place.connection() as connection:
        found = suppressions.entries(connection, chosen, limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        show_json([asdict(entry) for entry in found])
    elif found:
        show(_table(found))
    else:
        click.echo("nothing fits", err=True)
    if more:
        click.echo(f"there are more: these are the newest {limit} (--limit, or suppression export)", err=True)


def _table(found: "list[Entry]") -> Any:
    columns = ("id", "channel", "address", "tenant", "reason", "category", "hits", "source", "since", "until")
    return table(
        columns,
        [
            (
                entry.suppression_id,
                entry.channel,
                entry.address or "[erased]",
                entry.tenant_id or "(all)",
                entry.reason,
                entry.category or "(all)",
                entry.hits,
                entry.source,
                shown(entry.created_at),
                _until(entry),
            )
            for entry in found
        ],
    )


def _until(entry: "Entry") -> str:
    if entry.lifted_at is not None:
        return f"lifted {shown(entry.lifted_at)}"
    if entry.expires_at is None:
        return "it is lifted"
    return shown(entry.expires_at) if entry.in_force else f"expired {shown(entry.expires_at)}"


_ADDRESS = click.argument("address", metavar="ADDRESS")


def _read(address: str) -> str:
    """The address, or with - the first line of standard input, where no process list shows it."""
    found = sys.stdin.readline().strip() if address == "-" else address
    if not found:
        raise click.UsageError("give the address")
    return found


@suppression.command("add")
@click.argument("channel", type=CHANNELS)
@_ADDRESS
@click.option("--reason", type=REASONS, default=Reason.MANUAL.value, show_default=True, help="Why nothing is sent.")
@click.option("--category", metavar="NAME", help="From this category alone; else whatever the category.")
@click.option("--tenant", default="default", show_default=True, metavar="ID", help="Its tenant; '' means all of them.")
@click.option(
    "--until",
    metavar=MOMENT,
    callback=moment,
    help="It ends by itself: in 30d, or at an instant. Else a dead address ends after 90 days, all else when lifted.",
)
@click.option("--note", metavar="TEXT", help="Why, in words; `suppression why` shows them.")
@click.option("--dry-run", is_flag=True, help="Only check it; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the entry.")
@click.pass_obj
def add_entry(
    place: Place,
    channel: str,
    address: str,
    reason: str,
    category: str | None,
    tenant: str,
    until: timedelta | datetime | None,
    note: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send nothing to ADDRESS any more; a - reads it from standard input. What is in flight is not stopped."""
    from noti_worker.store.people import suppressions

    with place.connection() as connection:
        entry = suppressions.add(
            connection,
            channel,
            _read(address),
            tenant_id=tenant,
            reason=reason,
            category=category,
            until=until,
            note=note,
            by=person(),
            dry_run=dry_run,
        )
    if as_json:
        show_json({"dry_run": dry_run, **asdict(entry)})
    elif dry_run:
        click.echo(f"would be added: {_words(entry)}")
    else:
        click.echo(f"entry {entry.suppression_id}: {_words(entry)}")


@suppression.command("lift")
@_ADDRESS
@_several
@click.option(
    "--as-requested-by",
    metavar="TEXT",
    help="Who asked for it, and how. Opt-outs and complaints are lifted at the person's own request only.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be lifted; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the entries as they were.")
@click.pass_obj
def lift_entries(
    place: Place,
    address: str,
    channel: tuple[str, ...],
    tenant: tuple[str, ...],
    reason: tuple[str, ...],
    category: tuple[str, ...],
    as_requested_by: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send to ADDRESS again: lift its entries, all that fit or none. They stay, as lifted, with who did it."""
    from noti_worker.store.people import suppressions

    chosen = suppressions.Chosen(tenant, channel, reason, category, _read(address))
    with place.connection() as connection:
        found = list(suppressions.every(connection, chosen))
        personal = [entry for entry in found if entry.reason in {Reason.OPTOUT, Reason.COMPLAINT}]
        if personal and not (as_requested_by or "").strip():
            raise click.ClickException(
                f"entry {personal[0].suppression_id} ({personal[0].reason}) is lifted when the person asks for it, and"
                " not otherwise. If so, say who asked and how: --as-requested-by TEXT"
            )
        suppressions.lift(connection, found, by=person(), requested_by=as_requested_by, dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, "lifted": [asdict(entry) for entry in found]})
    for entry in [] if as_json else found:
        click.echo(f"{'would be lifted' if dry_run else 'lifted'}: entry {entry.suppression_id}, {_words(entry)}")
    if not found:
        click.echo("no entry in force speaks of this address", err=True)
        raise SystemExit(1)


@suppression.command("why")
@_ADDRESS
@click.option("--channel", multiple=True, type=CHANNELS, help="Of this channel.")
@click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array: each entry with its events.")
@click.pass_obj
def why_address(place: Place, address: str, channel: tuple[str, ...], tenant: tuple[str, ...], as_json: bool) -> None:
    """Tell why nothing is sent to ADDRESS, or was not: each entry, who told it, when, and how it ended."""
    from noti_worker.store.people import suppressions

    chosen = suppressions.Chosen(tenant, channel, address=_read(address), past=True)
    with place.connection() as connection:
        found = list(suppressions.every(connection, chosen))
        told = suppressions.events(connection, found)
    if as_json:
        show_json(
            [{**asdict(entry), "events": [asdict(event) for event in told[entry.suppression_id]]} for entry in found]
        )
        return
    for entry in found:
        click.echo(f"entry {entry.suppression_id}: {_words(entry)}")
        for event in told[entry.suppression_id]:
            click.echo("  " + _told(event))
        if entry.note:
            click.echo(plain(f"  note: {entry.note}"))
    if not found:
        click.echo("the suppression list knows nothing of this address", err=True)


def _words(entry: "Entry") -> str:
    """An entry in one line."""
    words = [entry.channel, entry.address or "[erased]", "is", entry.reason]
    words += ["of", entry.category] if entry.category else []
    words += ["for tenant", entry.tenant_id] if entry.tenant_id else ["for all tenants"]
    state = "until " + _until(entry) if entry.lifted_at is None and entry.in_force else _until(entry)
    return plain(" ".join(words) + f", {state}")


def _told(event: "Event") -> str:
    words = [shown(event.at), event.event.ljust(8), f"by {event.by}"]
    words += [f"from {event.source}"] if event.source else []
    words += [f"of notification {event.notification_id} (noti-worker why)"] if event.notification_id else []
    words += [f"as requested by {event.requested_by}"] if event.requested_by else []
    return plain(" ".join(words))


suppression.add_command(import_)
suppression.add_command(export_)
