"""`status` and `top`: the overview once, again and again, or live on a terminal."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.picture import TextLine, picture
from noti_worker.cli.place import Heading, Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import show_json
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
@click.option("--json", "as_json", is_flag=True, help="JSON; with --watch one line for each look.")
@click.pass_obj
def status(place: Place, watch: bool, as_json: bool) -> None:
    """Show what waits, since when and why, what failed by cause, what is paused, and who works."""
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
    """Watch the status live, until Ctrl-C."""
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
    for line in picture(now, width, heading=str(heading)):
        click.secho(line.text, fg=line.colour)


def _each(place: Place, show: "Callable[[Overview, Heading], None]") -> None:
    with place.headed() as (connection, heading):
        for now in _looks(connection):
            show(now, heading)


def _looks(connection: "Connection") -> "Iterator[Overview]":
    """An overview every now and then, without end."""
    from noti_worker.store.people.overview import overview

    while True:
        began = time.monotonic()
        yield overview(connection)
        rest(max(_EVERY, _COST * (time.monotonic() - began)))


def _live(place: Place) -> None:
    """The live view; a database that goes away is waited for."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    shown: list[TextLine] = []
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                with place.headed() as (connection, heading):
                    for now in _looks(connection):
                        shown = picture(now, console.width, _SENTENCE, heading=str(heading))
                        live.update(_text(shown, console.height), refresh=True)
            except DatabaseAway as error:
                live.update(_text([TextLine(str(error), "red"), *shown], console.height), refresh=True)
                rest(_EVERY)


def _text(lines: list[TextLine], height: int) -> "Text":
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    hidden = len(lines) - height
    if hidden > 0:
        lines = [*lines[: height - 1], TextLine(f"… {hidden + 1} more lines: noti-worker status shows them", "yellow")]
    for line in lines:
        text.append(line.text + "\n", style=line.colour or "")
    text.rstrip()
    return text
