"""Commands of `tenant` that take everything of one: export and remove."""

import sys
from pathlib import Path

import click

from noti_worker.cli.asking import confirm
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import plain, show_json
from noti_worker.cli.tenants import NAME
from noti_worker.domain.counts import counted


@click.command("export")
@NAME
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="JSON: the rows by table.")
@click.pass_obj
def export(place: Place, name: str, file: Path, as_json: bool) -> None:
    """Write all of a tenant, contents too, into FILE, a zip of JSON lines by table; for a role that may read it."""
    from noti_worker.store.people.export import export as write

    with place.connection() as connection:
        try:
            with file.open("xb") as to:
                file.chmod(0o600)
                written = write(connection, name, to, progress=_told)
        except FileExistsError:
            raise click.UsageError(f"{file} is there already: name another file") from None
        except BaseException:
            file.unlink(missing_ok=True)
            raise
    if as_json:
        show_json(written)
    elif written:
        click.echo(f"{counted(sum(written.values()), 'row', 'rows')} of tenant {plain(name)} are in {file}")
    else:
        click.echo(f"there is nothing of tenant {plain(name)}", err=True)


@click.command("remove")
@NAME
@click.option("--dry-run", is_flag=True, help="Only tell how many rows of which tables; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: nothing brings them back.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the rows by table.")
@click.pass_obj
def remove(place: Place, name: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove a suspended tenant from all tables, what waits too; for the owner. Half way, call it again."""
    from noti_worker.store.upkeep import removal

    with place.connection() as connection:
        if dry_run or not yes:
            found = removal.count(connection, name)
            rows = sum(found.values())
        if dry_run:
            done = found
        else:
            if not yes:
                confirm(f"{counted(rows, 'row', 'rows')} of tenant {plain(name)} will be gone for good")
            done = dict(removal.remove(connection, name, by=person(), wait=rest, progress=_told))
    if as_json:
        show_json({"dry_run": dry_run, "rows": done})
        return
    for table, count in done.items():
        click.echo(f"{table}: {count} {'would go' if dry_run else 'gone'}")
    if not dry_run:
        click.echo(f"removed: tenant {plain(name)}; nothing of it is left in any table")
    elif not done:
        click.echo(f"there is nothing of tenant {plain(name)}", err=True)


def _told(table: str, rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"{table}: {rows}", err=True)
