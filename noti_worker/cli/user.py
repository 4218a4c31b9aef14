"""`user`: what is known of a person, all of it as data, and how it goes."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.asking import confirm
from noti_worker.cli.erasing import tell, told
from noti_worker.cli.place import Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import moment, plain, show, show_json, table
from noti_worker.domain.counts import counted
from noti_worker.domain.errors import NotFound

if TYPE_CHECKING:
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.persons import Choice, Contact, Entry, Person, Sent


@click.group()
def user() -> None:
    """Tell, export or erase what is known of a person: USER is the 42 of user:42."""


def _of_one(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who it is."""
    option = click.option("--tenant", metavar="NAME", help="Of this tenant; needed where several know the id.")
    return click.argument("user_ref", metavar="USER")(option(command))


@user.command("show")
@_of_one
@click.option(
    "--most", type=click.IntRange(0, 1000), default=20, show_default=True, help="At most so many notifications."
)
@click.option("--json", "as_json", is_flag=True, help="JSON: contacts, choices, suppressions and notifications.")
@click.pass_obj
def show_user(place: Place, user_ref: str, tenant: str | None, most: int, as_json: bool) -> None:
    """Tell a person's addresses and choices, what stops messages to them, what was sent, and what not and why."""
    from noti_worker.store.people import persons

    with place.connection() as connection:
        who = persons.person(connection, user_ref, tenant)
        newest = list(islice(persons.ids(connection, who), most + 1)) if most else []
        messages = persons.sent(connection, newest[:most]) if newest else []
    _known(who, bool(messages))
    if as_json:
        told_of = {**asdict(who), "notifications": [asdict(one) for one in messages]}
        show_json(told_of)
        return
    click.secho(plain(f"user {who.user_ref} of tenant {who.tenant_id}"), bold=True)
    _part("addresses", ("channel", "address", "state", "more"), [_contact(one) for one in who.contacts])
    _part("choices", ("category", "channel", "choice", "since"), [_choice(one) for one in who.choices])
    _part("on the suppression list", ("entry", "address", "what", "state"), [_entry(one) for one in who.suppressions])
    _part("messages", ("id", "created", "channel", "to", "status", "why"), [_message(one) for one in messages])
    if len(newest) > most:
        click.echo(f"there are more: these are the newest {most} (--most)", err=True)


def _known(who: "Person", more: bool) -> None:
    if not (who.contacts or who.choices or more):
        raise NotFound(
            f"nothing is known of a user {who.user_ref} in the tenant {who.tenant_id}: noti-worker user show"
            " takes the id as it stands in noti.contacts, and --tenant"
        )


def _part(title: str, columns: tuple[str, ...], lines: list[tuple[object, ...]]) -> None:
    click.echo()
    click.secho(title if lines else f"{title}: none", bold=True)
    if lines:
        show(table(columns, lines))


def _contact(one: "Contact") -> tuple[object, ...]:
    state = f"verified {moment(one.verified_at)}" if one.verified_at else "not verified"
    if one.left_at is not None:
        state = f"left {moment(one.left_at)}: {one.left_because}"
    quiet = f"quiet {one.quiet_from:%H:%M} to {one.quiet_to:%H:%M}" if one.quiet_from and one.quiet_to else None
    return one.channel, one.address, state, ", ".join(filter(None, (one.label, one.locale, one.zone, quiet)))


def _choice(one: "Choice") -> tuple[object, ...]:
    said = one.frequency if one.allowed else "nothing"
    return one.category or "(all)", one.channel or "(all)", said, moment(one.updated_at)


def _entry(one: "Entry") -> tuple[object, ...]:
    what = f"{one.reason}{f' from {one.category}' if one.category else ''}{'' if one.tenant_id else ', of all tenants'}"
    state = "in force" if one.in_force else f"lifted {_when(one.lifted_at)}" if one.lifted_at else "expired"
    return one.suppression_id, f"{one.channel} {one.address or '[erased]'}", what, state


def _message(one: "Sent") -> tuple[object, ...]:
    return one.notification_id, moment(one.created_at), one.channel, one.recipient, one.status, one.reason


def _when(at: datetime | None) -> str:
    return "" if at is None else moment(at)


@user.command("export")
@_of_one
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Into this new file, for you alone.")
@click.pass_obj
def export_user(place: Place, user_ref: str, tenant: str | None, output: Path | None) -> None:
    """Give everything held about a person as JSON: contacts, choices, messages with tries and content, log lines."""
    from noti_worker.store.people import person_export, persons

    with place.connection() as connection:
        who = persons.person(connection, user_ref, tenant)
        found = person_export.export(connection, who)
    _known(who, any(found.tables.values()))
    all_of_it = {
        "user": who.user_ref,
        "tenant_id": who.tenant_id,
        **found.tables,
        "not_readable_by_this_role": found.unreadable,
    }
    if output is None:
        show_json(all_of_it)
        return
    try:
        made = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError(f"{output} is there already: name another file") from None
    with os.fdopen(made, "w", encoding="utf-8") as file:
        json.dump(all_of_it, file, indent=2, default=str)
        file.write("\n")
    counts = counted(sum(map(len, found.tables.values())), "row", "rows")
    click.echo(f"{counts} about user {plain(who.user_ref)} of tenant {plain(who.tenant_id)} are in {output}")
    if found.unreadable:
        click.echo(
            "this role may not read contents, and they are left out: an application's or the owner's may", err=True
        )


@user.command("erase")
@_of_one
@click.option("--dry-run", is_flag=True, help="Only tell how many; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: nothing brings the content back.")
@click.option(
    "--wait", type=click.IntRange(0), default=60, show_default=True, metavar="SECONDS", help="For what is in flight."
)
@click.option("--json", "as_json", is_flag=True, help="JSON: the counts, and the ids that are still in flight.")
@click.pass_obj
def erase_user(
    place: Place, user_ref: str, tenant: str | None, dry_run: bool, yes: bool, wait: int, as_json: bool
) -> None:
    """Erase a person: contacts and choices, and the content of all that went to user:USER or to their addresses."""
    from noti_worker.store.people import persons
    from noti_worker.store.upkeep import erasure

    left = wait

    def again() -> bool:
        nonlocal left
        left -= 1
        if left >= 0:
            rest(1.0)
        return left >= 0

    with place.connection() as connection:
        who = persons.person(connection, user_ref, tenant)
        scope = _scope(connection, who, tenant)
        names = persons.spelled(connection, who)
        if not (dry_run or yes):
            found = erasure.erase_person(connection, who.name, names, scope, dry_run=True)
            if found:
                theirs = counted(len(who.contacts), "address", "addresses")
                confirm(
                    f"{counted(found.erased, 'notification', 'notifications')} to user {plain(who.user_ref)} of tenant"
                    f" {plain(who.tenant_id)} and {theirs} go for good"
                )
        done = erasure.erase_person(connection, who.name, names, scope, dry_run=dry_run, rest=again, progress=told)
    if as_json:
        show_json({"dry_run": dry_run, "user": who.user_ref, "tenant_id": who.tenant_id, **asdict(done)})
    else:
        tell(done, dry_run=dry_run)
    if done.in_flight and not dry_run:
        raise SystemExit(1)


def _scope(connection: "Connection", who: "Person", tenant: str | None) -> str | None:
    """Their tenant; or all of them where there is no other: then lines that outlived their notification go, too."""
    from noti_worker.store.people import persons

    return None if tenant is None and persons.alone(connection, who.tenant_id) else who.tenant_id
