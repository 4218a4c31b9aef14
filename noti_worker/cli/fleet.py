"""`fleet`: a database and a worker for each of several tenants, looked after from one file."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from noti_worker.cli.asking import confirm
from noti_worker.cli.rest import rest
from noti_worker.cli.show import plain, show, show_json, table
from noti_worker.domain.errors import NotFound, NotiError

if TYPE_CHECKING:
    from noti_worker.settings.fleet import Member

_AT_ONCE = 8
"""Databases that are asked at a time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One database: its revision (None: no schema of ours) and what it lacks, who works, what waits and what failed.

    With an `error` it could not be asked, and the rest is not known.
    """

    name: str
    revision: str | None = None
    pending: int = 0
    workers: int = 0
    due: int = 0
    oldest_due_seconds: float | None = None
    failed_last_hour: int = 0
    bounded: bool = False
    error: str | None = None


@click.group()
@click.option(
    "--file",
    "file_",
    type=click.Path(path_type=Path),
    default=Path("/etc/noti-worker/fleet.toml"),
    show_default=True,
    help="The file that names the databases.",
)
@click.pass_context
def fleet(ctx: click.Context, file_: Path) -> None:
    """Look after several databases, each with a worker of its own on this host, by one file."""
    ctx.obj = file_


@fleet.command()
@click.pass_obj
def check(file_: Path) -> None:
    """Read the file, and ask each database whether it answers and at which revision it is; exit 1 when one does not."""
    from noti_worker.cli import fleet_files
    from noti_worker.settings.fleet import read_fleet

    members = read_fleet(file_)
    for member in members:
        fleet_files.files(member)
    lines = _ask_all(members)
    for line in lines:
        state = line.error or (f"{line.pending} migrations are pending" if line.pending else "up to date")
        click.echo(plain(f"{line.name}: {f'revision {line.revision}: ' if line.revision else ''}{state}"))
    sys.exit(1 if any(line.error or line.pending for line in lines) else 0)


@fleet.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def status(file_: Path, as_json: bool) -> None:
    """Show one line for each database: revision, workers, what is due and failed; exit 1 when one cannot be asked."""
    from noti_worker.settings.fleet import read_fleet

    lines = _ask_all(read_fleet(file_))
    if as_json:
        show_json([asdict(line) for line in lines])
    else:
        columns = ("database", "revision", "workers", "due", "oldest", "failed 1h", "")
        show(table(columns, [_row(line) for line in lines]))
    sys.exit(1 if any(line.error for line in lines) else 0)


@fleet.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dry-run", is_flag=True, help="Change nothing; list the migrations that would run.")
@click.option("--keep-going", is_flag=True, help="After a failure, go on with the next database.")
@click.pass_obj
def migrate(file_: Path, names: tuple[str, ...], dry_run: bool, keep_going: bool) -> None:
    """Migrate the databases one after the other, all or those named; stop at the first that fails, and report."""
    from noti_worker.settings.fleet import read_fleet

    members = _chosen(read_fleet(file_), names)
    report: list[tuple[str, str]] = []
    failed = False
    for member in members:
        if failed and not keep_going:
            report.append((member.name, "not tried"))
            continue
        try:
            report.append((member.name, _migrate(member, dry_run=dry_run)))
        except NotiError as error:
            failed = True
            report.append((member.name, f"failed: {error}"))
        click.echo(plain(f"{member.name}: {report[-1][1]}"), err=True)
    show(table(("database", "what was done" if not dry_run else "what would be done"), report))
    sys.exit(1 if failed else 0)


@fleet.command("apply")
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before workers are removed whose databases are no longer named.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    help="Write below this directory, and leave systemd alone.",
)
@click.pass_obj
def apply_(file_: Path, dry_run: bool, yes: bool, root: Path) -> None:
    """Write, start, restart and remove workers until this host is as the file says; only what differs is touched."""
    from noti_worker.cli import fleet_plan
    from noti_worker.settings.fleet import read_fleet

    ask = fleet_plan.systemctl if root == Path("/") else None
    changes = fleet_plan.plan(read_fleet(file_), root, ask)
    for change in changes:
        click.echo(f"{change.name}: {'no longer named' if change.leaving else 'to change'}")
        for words in change.words(root):
            click.echo(f"  {words}")
    if not changes:
        click.echo("everything is as the file says")
    if dry_run:
        return
    if (leaving := [change.name for change in changes if change.leaving]) and not yes:
        confirm(f"the workers of {', '.join(leaving)} are stopped and removed; their databases stay as they are")
    wrong = {change.name: said for change in changes if (said := fleet_plan.carry_out(change, root, ask))}
    for name, said in wrong.items():
        click.echo(plain(f"{name}: {said}"), err=True)
    if changes:
        click.echo(f"{len(changes) - len(wrong)} changed, {len(wrong)} failed")
    sys.exit(1 if wrong else 0)


def _chosen(members: "Sequence[Member]", names: Sequence[str]) -> "Sequence[Member]":
    known = {member.name for member in members}
    if strange := [name for name in names if name not in known]:
        raise NotFound(f"the fleet has no {strange[0]}: {', '.join(sorted(known))}")
    return [member for member in members if not names or member.name in names]


def _migrate(member: "Member", *, dry_run: bool) -> str:
    from noti_worker.store import migrate

    url = member.migrate_url.reveal()
    pending = migrate.pending(url)
    if not pending:
        return "up to date"
    if not dry_run:
        migrate.upgrade(url, rest=_behind_a_lock(member.name))
    return f"{'would run' if dry_run else 'migrated'}: {pending[0]} to {pending[-1]}"


def _behind_a_lock(name: str) -> Callable[[float], None]:
    def wait(seconds: float) -> None:
        click.echo(f"{name}: another transaction has a lock on our tables: once more in {seconds:g} s", err=True)
        rest(seconds)

    return wait


def _ask_all(members: "Sequence[Member]") -> list[Line]:
    """Ask several at a time: one that does not answer must not keep the others waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(_ask, members))


def _ask(member: "Member") -> Line:
    from noti_worker.store import migrate
    from noti_worker.store.people import gauges
    from noti_worker.store.people.source import for_people

    try:
        url = member.url.reveal()
        revision, pending = migrate.current(url), len(migrate.pending(url))
        if revision is None:
            return Line(member.name, pending=pending)
        with for_people(url, pgbouncer=member.settings.database.pgbouncer) as connection:
            now = gauges.status(connection)
    except NotiError as error:
        return Line(member.name, error=str(error))
    waits = [line.oldest_due_seconds for line in now.channels if line.oldest_due_seconds is not None]
    return Line(
        name=member.name,
        revision=revision,
        pending=pending,
        workers=sum(worker.alive for worker in now.workers),
        due=sum(line.due for line in now.channels),
        oldest_due_seconds=max(waits, default=None),
        failed_last_hour=sum(line.failed_last_hour for line in now.channels),
        bounded=any(line.bounded for line in now.channels),
    )


def _row(line: Line) -> tuple[object, ...]:
    if line.error is not None:
        return (line.name, "?", "?", "?", "?", "?", line.error)
    if line.revision is None:
        return (line.name, "none", "", "", "", "", "not migrated: fleet migrate")
    oldest = "" if line.oldest_due_seconds is None else f"{line.oldest_due_seconds:.0f} s"
    note = f"{line.pending} migrations are pending" if line.pending else "" if line.workers else "nobody works"
    due = f"{line.due}{'+' if line.bounded else ''}"
    return (line.name, line.revision, line.workers, due, oldest, line.failed_last_hour, note)
