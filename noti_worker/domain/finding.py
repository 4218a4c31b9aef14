"""What a look at the installation found: how bad it is, what it is, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, but not well, or not for long
    PROBLEM = "problem"  # something is not delivered, or will not be


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `todo` is empty only where there is nothing to do."""

    level: Level
    area: str
    what: str
    todo: str = ""


def ok(area: str, what: str, todo: str = "") -> Finding:
    """All is well; `todo` is what could still be done."""
    return Finding(Level.OK, area, what, todo)


def warning(area: str, what: str, todo: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(Level.WARNING, area, what, todo)


def problem(area: str, what: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(Level.PROBLEM, area, what, todo)
