"""`requeue`, `retry`, `cancel`, `hold`, `release`: by ids or by the filter, with a preview and a question for many."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli import kinds
from noti_worker.cli.asking import confirm, someone_answers
from noti_worker.cli.filters import NOTIFICATION_ID, filter_options
from noti_worker.cli.place import Place
from noti_worker.cli.show import show, show_json

if TYPE_CHECKING:
    from noti_worker.store.people.filters import Filter
    from noti_worker.store.people.moves import Move, Moved

_ASK_ABOVE = 100

_REPEATS = ("requeue", "release")
"""Moves that may bring a second message to somebody whom an earlier try reached."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for on the command line."""

    name: str
    past: str
    wanted: "Filter"
    dry_run: bool
    yes: bool
    as_json: bool
    may_repeat: bool = False
    correction: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def move(self) -> "Move":
        from noti_worker.store.people.moves import Move

        return Move(self.name)


_MAY_REPEAT = click.option(
    "--may-repeat",
    is_flag=True,
    help="Also what an earlier try may have brought to its recipient; without it conditions leave that out.",
)
_CORRECTIONS = (
    click.option("--subject", metavar="TEXT", help="With an ID: its new subject."),
    click.option("--body", metavar="TEXT", help="With an ID: its new text."),
    click.option(
        "--body-file",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="With an ID: its new text from a file in UTF-8; - is standard input.",
    ),
    click.option(
        "--options", metavar=kinds.JSON, callback=kinds.json_object, help="With an ID: the new options of its channel."
    ),
)


def _command(name: str, past: str, help_: str) -> click.Command:
    @click.pass_obj
    def run(
        place: Place,
        /,
        ids: tuple[int, ...],
        chosen: "Callable[[tuple[int, ...]], Filter]",
        dry_run: bool,
        yes: bool,
        as_json: bool,
        may_repeat: bool = False,
        **corrections: Any,
    ) -> None:
        from noti_worker.store.people.filters import Filter

        wanted = chosen(ids)
        if not wanted:
            raise click.UsageError(f"say which: ids, or conditions such as --channel email (noti-worker {name} --help)")
        correction = _correction(corrections)
        if name == "requeue" and ids and wanted.recipient is not None:
            correction["recipient"], wanted = wanted.recipient, replace(wanted, recipient=None)
        if correction and len(ids) != 1:
            raise click.UsageError("correct one notification at a time, by its ID")
        if ids and wanted != Filter(ids=ids):
            raise click.UsageError("give either ids or conditions, not both")
        _move(place, _Asked(name, past, wanted, dry_run, yes, as_json, may_repeat, correction))

    decorated: Callable[..., Any] = run
    for option in reversed(
        (
            click.argument("ids", metavar="[ID]...", nargs=-1, type=NOTIFICATION_ID),
            filter_options,
            *(_CORRECTIONS if name == "requeue" else ()),
            *((_MAY_REPEAT,) if name in _REPEATS else ()),
            click.option("--dry-run", is_flag=True, help="Only tell how many and show some; change nothing."),
            click.option(
                "--yes",
                is_flag=True,
                help=f"Do not ask, also above {_ASK_ABOVE} notifications; needed there when nobody can be asked.",
            ),
            click.option("--json", "as_json", is_flag=True, help="JSON: done, noted, refused with reasons."),
        )
    ):
        decorated = option(decorated)
    return click.command(name, help=help_)(decorated)


def _correction(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("body") is not None and given.get("body_file") is not None:
        raise click.UsageError("give either --body or --body-file, not both")
    if given.get("body_file") is not None:
        given["body"] = kinds.text_of(given["body_file"])
    return {name: value for name, value in given.items() if value is not None and name != "body_file"}


def _move(place: Place, asked: _Asked) -> None:
    from noti_worker.store.people import moves

    with place.connection() as connection:
        if asked.dry_run:
            moved, sample = moves.preview(connection, asked.move, asked.wanted, may_repeat=asked.may_repeat)
            if asked.as_json:
                show_json({"dry_run": True, **asdict(moved), "sample": [asdict(line) for line in sample]})
            else:
                _tell(moved, f"would be {asked.past}")
                if sample:
                    from noti_worker.cli.reading import lines_table

                    show(lines_table(sample))
            return
        if not asked.yes:
            _ask(connection, asked)
        moved = _carry_out(connection, asked)
    if asked.as_json:
        show_json({"dry_run": False, **asdict(moved)})
    else:
        _tell(moved, asked.past)
    if not moved.done and not moved.noted:
        raise SystemExit(1)


def _ask(connection: Any, asked: _Asked) -> None:
    """Many are asked about; what may arrive twice, too, where somebody answers, and is told of otherwise."""
    from noti_worker.store.people import moves

    count = moves.preview(connection, asked.move, asked.wanted, sample=0, may_repeat=asked.may_repeat)[0]
    if count.done + count.noted > _ASK_ABOVE:
        confirm(f"{count.done + count.noted} notifications will be {asked.past}")
    elif count.perhaps and not asked.may_repeat and someone_answers():
        confirm(f"an earlier try of {_these(count.perhaps)} may have arrived, then this is a second message")


def _these(count: int) -> str:
    return "this notification" if count == 1 else f"{count} of these notifications"


def _carry_out(connection: Any, asked: _Asked) -> "Moved":
    from noti_worker.store.people import moves

    given: dict[str, Any] = {"may_repeat": asked.may_repeat, "correction": asked.correction}
    if not sys.stderr.isatty():
        return moves.carry_out(connection, asked.move, asked.wanted, **given)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(asked.name)
        return moves.carry_out(
            connection,
            asked.move,
            asked.wanted,
            lambda seen, total: bar.update(task, completed=seen, total=total),
            **given,
        )


def _tell(moved: "Moved", past: str) -> None:
    if not moved.total:
        click.echo("nothing fits", err=True)
        return
    click.echo(f"{moved.done} {past}")
    if moved.noted:
        click.echo(f"{moved.noted} noted: a try is in flight, and what becomes of it comes first")
    if moved.perhaps:
        click.echo(f"an earlier try of {_these(moved.perhaps)} may have arrived: that is a second message", err=True)
    for reason, count in sorted(moved.refused.items()):
        click.echo(f"{count} not: {reason}", err=True)


requeue = _command(
    "requeue",
    "requeued",
    "Send again what was not sent: by ids, or all that fit; failed ones, unless --status says otherwise. With an ID, "
    "--recipient, --subject, --body and --options correct it on the way; the audit log tells which of them changed.",
)
retry = _command(
    "retry",
    "due now",
    "Let what waits for its next try be due at once; nothing is charged. What is paused or in trouble still waits.",
)
cancel = _command(
    "cancel", "cancelled", "Do not send what is not finished. A try in flight ends first; if it succeeds, it was sent."
)
hold = _command("hold", "held", "Keep what waits where it is until it is released.")
release = _command(
    "release",
    "released",
    "Let held notifications wait for a worker again. What may have been sent must be named by id, or wants "
    "--may-repeat (with --status unknown for those whose answer was lost).",
)
