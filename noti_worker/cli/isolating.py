"""`tenant isolate`, `bind`, `unbind` and `members`: which database role sees which tenants."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show_json

if TYPE_CHECKING:
    from noti_worker.store.people.isolation import Member

_ROLE = click.argument("role", metavar="ROLE")
_TENANTS = click.argument("tenants", metavar="TENANT…", nargs=-1, required=True)
_SHOWN = 20


@click.command()
@click.option("--off", is_flag=True, help="Switch it off: every role sees all again.")
@click.option("--dry-run", is_flag=True, help="Only tell who would see what; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: whether it changed, and what each role sees.")
@click.pass_obj
def isolate(place: Place, off: bool, dry_run: bool, as_json: bool) -> None:
    """Let each database role see only the tenants that it is bound to, and none when it is bound to none."""
    from noti_worker.store.people import isolation

    with place.connection() as connection:
        seen = isolation.views(connection)
        strays = [] if off else isolation.unbound_tenants(connection, _SHOWN + 1)
        changed = isolation.isolate(connection, isolated=not off, dry_run=dry_run)
    if as_json:
        show_json(
            {
                "dry_run": dry_run,
                "isolated": not off,
                "changed": changed,
                "roles": [asdict(view) for view in seen],
                "unbound_tenants": strays,
            }
        )
        return
    if not changed:
        click.echo(f"tenants {'are not' if off else 'are'} isolated already", err=True)
    else:
        click.echo(f"tenants {'would be' if dry_run else 'are'} {'open to all again' if off else 'isolated'}")
    if off:
        return
    for view in seen:
        click.echo(f"  {plain(view.role)} {_sees(view)}")
    if strays:
        more = " and more" if len(strays) > _SHOWN else ""
        click.echo(f"no role is bound to: {plain(', '.join(strays[:_SHOWN]))}{more}", err=True)


def _sees(view: "Member") -> str:
    if view.all_by:
        return f"sees all tenants: {view.all_by}"
    if view.tenants:
        named = ", ".join(view.tenants[:_SHOWN]) + (", …" if len(view.tenants) > _SHOWN else "")
        return plain(f"sees {named}")
    return "sees nothing: bind it to tenants, or GRANT noti_all_tenants to it"


@click.command()
@_ROLE
@_TENANTS
@click.option("--dry-run", is_flag=True, help="Only see whether it may be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the tenants that are new to it.")
@click.pass_obj
def bind(place: Place, role: str, tenants: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Bind a database role to tenants: once tenants are isolated, it sees those and no others."""
    from noti_worker.store.people import isolation

    with place.connection() as connection:
        new = isolation.bind(connection, role, tenants, dry_run=dry_run)
    _tell(role, new, as_json=as_json, dry_run=dry_run, word="bound to", nothing="is bound to them already")


@click.command()
@_ROLE
@_TENANTS
@click.option("--dry-run", is_flag=True, help="Only tell what would be taken; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the tenants that it is not bound to any more.")
@click.pass_obj
def unbind(place: Place, role: str, tenants: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take tenants from a database role; of one that was dropped ROLE is its number, as `tenant members` shows it."""
    from noti_worker.store.people import isolation

    with place.connection() as connection:
        gone = isolation.unbind(connection, role, tenants, dry_run=dry_run)
    _tell(role, gone, as_json=as_json, dry_run=dry_run, word="no longer bound to", nothing="was bound to none of them")
    if not gone:
        raise SystemExit(1)


def _tell(role: str, tenants: list[str], *, as_json: bool, dry_run: bool, word: str, nothing: str) -> None:
    if as_json:
        show_json({"dry_run": dry_run, "role": role, "tenants": tenants})
    elif tenants:
        click.echo(plain(f"{'would be ' if dry_run else ''}{word}: {role}: {', '.join(tenants)}"))
    else:
        click.echo(plain(f"{role} {nothing}"), err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON: the roles and their tenants.")
@click.pass_obj
def members(place: Place, as_json: bool) -> None:
    """Tell which database roles are bound to which tenants, and whether tenants are isolated."""
    from noti_worker.store.people import isolation

    with place.connection() as connection:
        isolated = isolation.isolated(connection)
        bound = isolation.members(connection)
    if as_json:
        show_json({"isolated": isolated, "members": [asdict(member) for member in bound]})
        return
    for member in bound:
        click.echo(plain(f"{member.role}: {', '.join(member.tenants)}{'' if member.exists else ' (the role is gone)'}"))
    if not isolated:
        click.echo("tenants are not isolated: every role sees all (noti-worker tenant isolate)", err=True)
    elif not bound:
        click.echo("no role is bound to a tenant", err=True)
