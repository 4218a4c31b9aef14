"""Environment variables over the TOML table: `NOTI_CHANNELS__EMAIL__CONCURRENCY=8`."""

from collections.abc import Mapping
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
