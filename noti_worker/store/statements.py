r"""The store's named statements: one `.sql` file each in the `sql/` of a wing, which `psql -f` runs as it stands.

A file names its parameters `:name` and gives each a sample by a line `\set name value` at its top; the
samples are for psql and are dropped here. Write `cast(:name AS type)`: `:name::type` is read in two ways.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_SAMPLE = re.compile(r"^\\set (\w+) .*\n", re.MULTILINE)
# A comment, a literal and `::` hold no parameter. SQLAlchemy's text() reads it alike, and takes 0.3 s to be imported.
_TOKEN = re.compile(r"(?P<gap>(?:\s|--[^\n]*)+)|'[^']*'|::|:(?P<parameter>[a-z_]+)|%")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL for psycopg, with `%(name)s` placeholders for `parameters`."""

    name: str
    sql: str
    parameters: frozenset[str]


WINGS = ("queue", "briefing", "receipts", "people", "upkeep")


@cache
def places() -> Mapping[str, Traversable]:
    """The file of every statement by its name, which is no other's in any wing."""
    store = files("noti_worker.store")
    found: dict[str, Traversable] = {}
    for wing in WINGS:
        for file in (store / wing / "sql").iterdir():
            name = file.name.removesuffix(".sql")
            if name in found:
                raise ValueError(f"two wings have a statement {name}")
            found[name] = file
    return found


@cache
def statement(name: str, *, more: bool = False) -> Statement:
    """Read the statement of this name; raises ValueError when its samples and its parameters differ.

    With `more` its lines that begin with `--+` are not comments: what is rarely needed would cost all others.
    """
    source = places()[name].read_text(encoding="utf-8")
    return parse(name, source.replace("--+ ", "") if more else source)


def parse(name: str, source: str) -> Statement:
    """Turn the text of one file into a statement."""
    samples = frozenset(_SAMPLE.findall(source))
    sql = _SAMPLE.sub("", source)
    parameters = frozenset(match["parameter"] for match in _TOKEN.finditer(sql) if match["parameter"])
    if samples != parameters:
        odd = ", ".join(sorted(samples ^ parameters))
        raise ValueError(f"{name}.sql: samples (\\set) and parameters differ in: {odd}")
    return Statement(name, _TOKEN.sub(_for_psycopg, sql).strip(), parameters)


def _for_psycopg(token: re.Match[str]) -> str:
    # Without comments and indentation: psycopg reads a statement of more than 4096 characters anew at each call.
    if token["gap"]:
        return "\n" if "\n" in token["gap"] else " "
    return f"%({token['parameter']})s" if token["parameter"] else token[0].replace("%", "%%")
