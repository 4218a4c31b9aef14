"""`requeue`, `cancel`, `hold` and `release`: by ids or by the filter, with a preview and a question for many."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.filters import NOTIFICATION_ID, filter_options
from noti_worker.cli.place import Place
from noti_worker.cli.show import show, show_json

if TYPE_CHECKING:
    from noti_worker.store.people.filters import Filter
    from noti_worker.store.people.moves import Move, Moved

_ASK_ABOVE = 100


def _command(name: str, past: str, help_: str) -> click.Command:
    @click.pass_obj
    def run(
        place: Place,
        ids: tuple[int, ...],
        chosen: "Callable[[tuple[int, ...]], Filter]",
        dry_run: bool,
        yes: bool,
        as_json: bool,
    ) -> None:
        from noti_worker.store.people.filters import Filter

        wanted = chosen(ids)
        if not wanted:
            raise click.UsageError(f"say which: ids, or conditions such as --channel email (noti-worker {name} --help)")
        if ids and wanted != Filter(ids=ids):
            raise click.UsageError("give either ids or conditions, not both")
        _move(place, name, past, wanted, dry_run=dry_run, yes=yes, as_json=as_json)

    decorated: Callable[..., Any] = run
    for option in reversed(
        (
            click.argument("ids", metavar="[ID]...", nargs=-1, type=NOTIFICATION_ID),
            filter_options,
            click.option("--dry-run", is_flag=True, help="Only tell how many and show some; change nothing."),
            click.option("--yes", is_flag=True, help=f"Do not ask, also above {_ASK_ABOVE} notifications."),
            click.option("--json", "as_json", is_flag=True, help="JSON: done, noted, refused with reasons."),
        )
    ):
        decorated = option(decorated)
    return click.command(name, help=help_)(decorated)


def _move(place: Place, name: str, past: str, wanted: "Filter", *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from noti_worker.store.people import moves

    move = moves.Move(name)
    with place.connection() as connection:
        if dry_run:
            moved, sample = moves.preview(connection, move, wanted)
            if as_json:
                show_json({"dry_run": True, **asdict(moved), "sample": [asdict(line) for line in sample]})
            else:
                _tell(moved, f"would be {past}")
                if sample:
                    from noti_worker.cli.reading import lines_table

                    show(lines_table(sample))
            return
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            count = moves.preview(connection, move, wanted, sample=0)[0]
            if count.done + count.noted > _ASK_ABOVE:
                click.confirm(f"{count.done + count.noted} notifications will be {past}. Go on?", abort=True, err=True)
        moved = _carry_out(connection, move, wanted)
    if as_json:
        show_json({"dry_run": False, **asdict(moved)})
    else:
        _tell(moved, past)
    if not moved.done and not moved.noted:
        raise SystemExit(1)


def _carry_out(connection: Any, move: "Move", wanted: "Filter") -> "Moved":
    from noti_worker.store.people import moves

    if not sys.stderr.isatty():
        return moves.carry_out(connection, move, wanted)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(move.value)
        return moves.carry_out(
            connection, move, wanted, lambda seen, total: bar.update(task, completed=seen, total=total)
        )


def _tell(moved: "Moved", past: str) -> None:
    if not moved.total:
        click.echo("nothing fits", err=True)
        return
    click.echo(f"{moved.done} {past}")
    if moved.noted:
        click.echo(f"{moved.noted} noted: a try is in flight, and what becomes of it comes first")
    for reason, count in sorted(moved.refused.items()):
        click.echo(f"{count} not: {reason}", err=True)


requeue = _command(
    "requeue",
    "requeued",
    "Send again what was not sent: by ids, or all that fit; failed ones, unless --status says otherwise.",
)
cancel = _command(
    "cancel", "cancelled", "Do not send what is not finished. A try in flight ends first; if it succeeds, it was sent."
)
hold = _command("hold", "held", "Keep what waits where it is until it is released.")
release = _command(
    "release",
    "released",
    "Let held notifications wait for a worker again. What may have been sent (status unknown) must be named: by id, "
    "or with --status unknown.",
)
