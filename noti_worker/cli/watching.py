"""`status` and `top`: the overview once, again and again, or live on a terminal."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli import keys
from noti_worker.cli.picture import TextLine, picture, workers
from noti_worker.cli.place import Heading, Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import moment, show_json
from noti_worker.cli.tenants import show_status
from noti_worker.domain.errors import DatabaseAway

if TYPE_CHECKING:
    from rich.text import Text

    from noti_worker.store.connect import Connection
    from noti_worker.store.people.overview import Overview

_EVERY = 2.0
_COST = 5
"""Seconds between two looks, and at least so many times what a look costs."""

_SENTENCE = 2
"""Lines of a sentence in the live view."""


@click.command()
@click.option("--watch", is_flag=True, help="Look again every two seconds until Ctrl-C.")
@click.option("--tenant", metavar="TENANT", help="What one tenant is and may do, what of it waits and why.")
@click.option("--json", "as_json", is_flag=True, help="JSON; with --watch one line for each look.")
@click.pass_obj
def status(place: Place, watch: bool, tenant: str | None, as_json: bool) -> None:
    """Show what waits, since when and why, what failed by cause, what is paused, and who works."""
    if tenant is not None:
        if watch:
            raise click.UsageError("--watch looks at all tenants together")
        show_status(place, tenant, as_json=as_json)
        return
    if watch:
        _watch(place, as_json=as_json)
        return
    from noti_worker.store.people.overview import overview

    with place.headed() as (connection, heading):
        now = overview(connection)
    if as_json:
        show_json(_told(now, heading))
    else:
        _print(now, heading)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON: one line for each look.")
@click.pass_obj
def top(place: Place, as_json: bool) -> None:
    """Watch the status live, until q or Ctrl-C."""
    _watch(place, as_json=as_json)


def _watch(place: Place, *, as_json: bool) -> None:
    """Look again and again; Ctrl-C is the ordinary end."""
    with suppress(KeyboardInterrupt):
        if as_json:
            _each(place, lambda now, heading: show_json(_told(now, heading), compact=True))
        elif sys.stdout.isatty():
            _live(place)
        else:
            _each(place, _print)


def _told(now: "Overview", heading: Heading) -> dict[str, Any]:
    return asdict(now) | {"about": asdict(heading)}


def _print(now: "Overview", heading: Heading) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = picture(now, width, heading=f"{heading}; {moment(now.at)}")
    for line in (*lines, *workers(now, width)):
        click.secho(line.text, fg=line.colour)


def _each(place: Place, show: "Callable[[Overview, Heading], None]") -> None:
    with place.headed() as (connection, heading):
        for now in _looks(connection, rest):
            show(now, heading)


def _looks(connection: "Connection", wait: Callable[[float], None]) -> "Iterator[Overview]":
    """An overview every now and then, without end; `wait` is what passes between two."""
    from noti_worker.store.people.overview import overview

    while True:
        began = time.monotonic()
        yield overview(connection)
        wait(max(_EVERY, _COST * (time.monotonic() - began)))


def _live(place: Place) -> None:
    """The live view; a database that goes away is waited for."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    shown: list[TextLine] = []
    below: list[TextLine] = []
    with Live(console=console, screen=True, auto_refresh=False) as live, keys.listening() as wait:
        while True:
            try:
                with place.headed() as (connection, heading):
                    for now in _looks(connection, wait):
                        shown = picture(now, console.width, _SENTENCE, heading=str(heading))
                        shown.insert(0, TextLine(f"{moment(now.at)}  {keys.HELP}", "cyan"))
                        below = workers(now, console.width)
                        live.update(_text(shown, console.height, below), refresh=True)
            except DatabaseAway as error:
                live.update(_text([TextLine(str(error), "red"), *shown], console.height, below), refresh=True)
                wait(_EVERY)


def _text(lines: list[TextLine], height: int, below: Sequence[TextLine] = ()) -> "Text":
    """What fits: of the lines those at the top, and `below` them the workers, who get a third at most."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    if len(lines) + len(below) > height:
        most = max(height // 3, height - len(lines))
        if (more := len(below) - most) > 0:
            below = [*below[: most - 1], TextLine(f"… {more + 1} more workers", "yellow")]
        room = height - len(below)
        if (hidden := len(lines) - room) > 0:
            told = TextLine(f"… {hidden + 1} more lines: noti-worker status shows them", "yellow")
            lines = [*lines[: room - 1], told]
    for line in (*lines, *below):
        text.append(line.text + "\n", style=line.colour or "")
    text.rstrip()
    return text
