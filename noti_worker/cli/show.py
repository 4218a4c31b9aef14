"""How things look: tables for a terminal, aligned text for everything else, JSON for programs."""

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any
from unicodedata import category

import click

from noti_worker.domain.finding import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_WIDEST = 40
"""No column of aligned text is wider; a longer cell stays whole and moves the rest of its line only."""


def plain(value: object) -> str:
    """Give a value as text that cannot steer a terminal: control and invisible characters are replaced."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else _shown(c) for c in text)


def _shown(c: str) -> str:
    if c in "\n\t":
        return " "
    return c if category(c) == "Zs" else "\N{REPLACEMENT CHARACTER}"  # a space that does not break, or a wide one


def moment(at: datetime) -> str:
    """An instant in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str | Any:
    """A table to `show`: drawn by rich on a terminal, else aligned text without any frame."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))  # Text: square brackets in content are no markup
        return drawn
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(columns, *cells, strict=True)]
    lines = [columns, *cells]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def show(thing: Any) -> None:
    """Print what `table` gave."""
    if isinstance(thing, str):
        click.echo(thing)
    else:
        from rich.console import Console

        Console().print(thing)


def show_response(response: Mapping[str, Any], indent: str = "") -> None:
    """Print what a provider answered: the conversation as a table, and what else was kept of it."""
    rest = dict(response)
    steps: list[Mapping[str, Any]] = rest.pop("conversation", [])
    if steps:
        rows = [(step["stage"], step["code"], step["text"], f"{step['ms']:.0f} ms") for step in steps]
        show(table((indent + "stage", "code", "answer", "time"), [(indent + row[0], *row[1:]) for row in rows]))
    for name, value in sorted(rest.items(), key=lambda part: part[0] == "body"):  # the long one at the end
        click.echo(indent + plain(f"{name}: {value if isinstance(value, str) else json.dumps(value)}"))


def show_finding(finding: Finding) -> None:
    """Print what was found and what to do, within the terminal."""
    width = get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10_000
    mark = click.style(f"{finding.level.value:<8}", fg=_COLOURS[finding.level])
    for lead, text in ((f"{finding.area:<14}", finding.what), ("→ ", finding.todo)):
        if text:
            indent = " " * (22 if lead != "→ " else 24)
            lines = textwrap.wrap(plain(text), max(20, width - len(indent) - 1), break_on_hyphens=False)
            click.echo((mark + " " if lead != "→ " else " " * 22) + lead[:14] + f"\n{indent}".join(lines))


def show_json(value: Any, *, compact: bool = False) -> None:
    """Print a value as JSON; instants as ISO 8601, everything outside ASCII escaped."""
    click.echo(json.dumps(value, indent=None if compact else 2, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value)
