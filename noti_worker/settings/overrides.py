"""Environment variables over the TOML table: `NOTI_CHANNELS__EMAIL__CONCURRENCY=8`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.settings.coercion import FromEnvironment

Table = dict[str, Any]
"""A TOML table as it was read: any values, to be coerced."""

PREFIX = "NOTI_"
SHORT = {"NOTI_DATABASE_URL": "NOTI_DATABASE__URL"}


def override(table: Table, environ: Mapping[str, str]) -> None:
    """Put the settings of `environ` into `table`. An empty variable counts as not set.

    Names are compared without case, and `-` in an account's name is written `_`. Raises
    ConfigurationError when a name leads into a value that is no table, or stands there twice.
    """
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX) and text}
    for short, full in SHORT.items():
        if short in given and full in given and given[short] != given[full]:
            raise ConfigurationError(f"{short} and {full} contradict each other; set one of them")
    for name, text in sorted(given.items()):
        path = SHORT.get(name, name).removeprefix(PREFIX).split("__")
        if len(path) > 1:
            _put(table, path, FromEnvironment(text, name))


def near_miss(table: Table, environ: Mapping[str, str], known: Callable[[], Iterable[str]]) -> str | None:
    """Words for a variable of `environ` that is nearly a setting's: `NOTI_WORKER_LEASE`. None when there is none.

    `known` gives the settings' keys, like `worker.lease`. Other `NOTI_` names are somebody's own, and so is what
    the configuration refers to as `env:NAME`.
    """
    own = {value.removeprefix("env:") for value in texts(table) if value.startswith("env:")}
    strange = [
        name
        for name, text in sorted(environ.items())
        if name.startswith(PREFIX) and text and "__" not in name and name not in {*SHORT, *own, "NOTI_CONFIG"}
    ]
    if not strange:
        return None
    names = [*SHORT, "NOTI_CONFIG", *(f"{PREFIX}{key.replace('.', '__').replace('-', '_').upper()}" for key in known())]
    for name in strange:
        for right in names:
            if abs(len(name) - len(right)) <= _NEAR and _edits(name.upper(), right) <= _NEAR:
                return f"{name} is no setting; did you mean {right}? Rename it if it is something of your own"
    return None


_NEAR = 2
"""So many letters more, less or other, and it is a slip of the pen."""


def _edits(one: str, other: str) -> int:
    """How many letters must be added, left out or changed to make the one of the other."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, wanted in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != wanted))
    return row[-1]


def texts(value: object) -> Iterator[str]:
    """All texts of a table, however deep they stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)


def _put(table: Table, path: list[str], value: FromEnvironment) -> None:
    if not all(path):
        raise ConfigurationError(f"{value.variable}: a part of the name is empty; write NOTI_SECTION__SETTING")
    *sections, last = path
    for part in sections:
        table = table.setdefault(_key(table, part), {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"{value.variable}: {part.lower()} is a setting and has none of its own")
    table[_key(table, last)] = value


def _key(table: Table, part: str) -> str:
    """The key of `table` that `part` of a variable's name means."""
    name = part.lower()
    return next((key for key in table if key.lower().replace("-", "_") == name), name)
