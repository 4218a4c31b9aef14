"""Kinds of values on the command line: spans and instants, JSON objects."""

import json
from datetime import datetime, timedelta
from typing import Any

import click


class Span(click.ParamType[timedelta]):
    """A duration: 90s, 15m, 1h30m, 2d."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text, or fail as wrong usage."""
        from noti_worker.settings.coercion import duration

        try:
            return value if isinstance(value, timedelta) else duration(value)
        except ValueError as error:
            self.fail(f"{value!r} is no duration: {error}", param, ctx)


class Moment(click.ParamType[timedelta | datetime]):
    """A duration from or before now, or an instant with a zone: 1h, 2026-03-01T12:00:00Z."""

    name = "span|instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | datetime:
        """Read the text, or fail as wrong usage."""
        from noti_worker.settings.coercion import duration

        try:
            return duration(value)
        except ValueError:
            pass
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a duration (90s, 1h30m) nor an instant (2026-03-01T12:00:00Z)", param, ctx)
        if at.utcoffset() is None:
            self.fail(f"{value!r} has no time zone: add Z or an offset like +01:00", param, ctx)
        return at


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object: {"name": "Zoe"}."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Read the text, or fail as wrong usage."""
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"this is not JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail('a JSON object is needed, like {"name": "Zoe"}', param, ctx)
        return found
