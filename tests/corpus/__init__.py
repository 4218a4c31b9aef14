"""Bad inputs as files, one kind each, in many variants: what comes in, how it must end, and what a person is told.

See README.md beside this file for their form.
"""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One variant of one file. `value` is SQL: a literal, or an expression of the server."""

    id: str
    what: str
    sql: str
    ends: str
    wrong: str = ""
    remedy: str = ""
    setup: str = ""
    tries: int = 0
    code: str | None = None
    kind: str | None = None
    blocks: str = ""
    delivered: dict[str, str] = field(default_factory=dict)
    value: str = ""


def cases() -> list[Case]:
    """All variants of all files, in the order of their names."""
    return [case for path in sorted(HERE.glob("*/*.toml")) for case in _variants(path)]


def _variants(path: Path) -> list[Case]:
    told: dict[str, Any] = tomllib.loads(path.read_text())
    name = f"{path.parent.name}/{path.stem}"
    values = {key: _literal(text) for key, text in told.pop("values", {}).items()}
    values |= told.pop("expressions", {})
    each: dict[str, dict[str, Any]] = told.pop("each", {})
    unknown = {key for one in (told, *each.values()) for key in one} - {one.name for one in fields(Case)}
    assert not unknown, f"{path} has the unknown keys {unknown}"
    if not values:
        return [Case(id=name, **told)]
    assert each.keys() <= values.keys(), f"{path}: what is in [each] is not in [values]"
    return [Case(id=f"{name}:{key}", **(told | each.get(key, {})), value=value) for key, value in values.items()]


def _literal(text: str) -> str:
    # E'…' because standard strings cannot hold every character that a file of this form can name.
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'"
