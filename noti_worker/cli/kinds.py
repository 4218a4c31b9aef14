"""Kinds of values on the command line, as callbacks of options: spans, instants, JSON objects."""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

SPAN = "SPAN"
MOMENT = "SPAN|INSTANT"
JSON = "JSON"
"""How the help calls them."""


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """Read a duration: 90s, 15m, 1h30m, 2d."""
    from noti_worker.settings.coercion import duration

    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no duration: {error}") from None


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | datetime | None:
    """Read a duration from or before now, or an instant with a zone: 1h, 2026-03-01T12:00:00Z."""
    from noti_worker.settings.coercion import duration

    if value is None:
        return None
    try:
        return duration(value)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a duration (90s, 1h30m) nor an instant (2026-03-01T12:00:00Z)"
        ) from None
    if at.utcoffset() is None:
        raise click.BadParameter(f"{value!r} has no time zone: add Z or an offset like +01:00")
    return at


def json_object(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read a JSON object: {"name": "Zoe"}."""
    if value is None:
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter('a JSON object is needed, like {"name": "Zoe"}')
    return found


def text_of(path: Path) -> str:
    """The text of a file in UTF-8 that --body-file names; - is standard input."""
    try:
        return (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode()
    except (OSError, UnicodeError) as error:
        raise click.BadParameter(f"cannot read {path}: {error}", param_hint="--body-file") from None
