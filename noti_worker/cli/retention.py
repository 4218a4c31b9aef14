"""`retention`: let old things go now, and make the months of the logs; or tell what would go."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Place, database_url
from noti_worker.cli.rest import rest
from noti_worker.cli.show import show, show_json, table
from noti_worker.domain.counts import counted

if TYPE_CHECKING:
    from noti_worker.store.upkeep.retention import Done


@click.command()
@click.option("--dry-run", is_flag=True, help="Change nothing; count what would go.")
@click.option("--json", "as_json", is_flag=True, help="JSON: what went, by status and kind, and the partitions.")
@click.pass_obj
def retention(place: Place, dry_run: bool, as_json: bool) -> None:
    """Delete what [retention] says is old, drop old months of the logs and make new ones, as workers do."""
    from noti_worker.domain.errors import DatabaseRefused
    from noti_worker.store.connect import Database
    from noti_worker.store.upkeep.retention import NOT_OURS, run

    with place.settings() as settings:
        session = Database(database_url(settings), settings.database.pgbouncer).session("retention")
        try:
            wait = _Progress(quiet=dry_run)
            done = run(session, settings.retention.ages, wait=wait, seconds=float("inf"), dry_run=dry_run)
        finally:
            session.close()
    if as_json:
        show_json({"dry_run": dry_run, **asdict(done)})
    else:
        _tell(done, dry_run=dry_run)
    refusal = done.refusal or (None if done.ours else NOT_OURS)
    if refusal is not None:
        raise DatabaseRefused(refusal)
    if done.postponed:
        raise SystemExit(1)


class _Progress:
    """The pause between two batches; on a terminal it says now and then that it goes on."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._told = time.monotonic()
        self._batches = 0

    def __call__(self, seconds: float) -> bool:
        self._batches += 1
        if not self._quiet and time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            click.echo(f"{self._batches} batches done, it goes on", err=True)
        rest(seconds)
        return False


def _tell(done: "Done", *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    lines: list[tuple[str, object]] = [
        (f"{what} {would}deleted", count) for what, count in sorted(done.deleted.items())
    ]
    lines += [(f"{name} {would}dropped", "") for name in done.dropped]
    lines += [(f"{name} made", "") for name in (*done.made, *done.settled)]
    if lines:
        show(table(("what", "rows"), lines))
    else:
        click.echo("nothing is old enough")
    if done.referenced:
        those = counted(done.referenced, "stays: its id is a foreign key", "stay: their ids are foreign keys")
        click.echo(f"{those} of other tables", err=True)
    for what in done.postponed:
        click.echo(f"not now: {what}; somebody uses the log, try again", err=True)
    for log, count in sorted(done.stray.items()):
        those = counted(count, f"line of {log} has no month of its", f"lines of {log} have no month of their")
        click.echo(f"{those} own (noti-worker docs retention)", err=True)
