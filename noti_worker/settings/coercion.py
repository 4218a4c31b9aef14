"""From the values of TOML and environment variables to typed dataclasses, with errors that name the key.

A settings dataclass may have fields of these types, each also `| None`: str, int, float, bool, timedelta,
tuple[str, ...], Secret, a StrEnum, a Literal of strings, a nested settings dataclass, Mapping[str, …] (a table of any
keys), str | Secret (a text, or a reference to a secret). The key is the field's name without a trailing underscore.
Metadata of a field (`domain.setting.about`): `help` (one sentence), `at_least` and `at_most` (bounds, both allowed),
`check` (a function that raises ValueError with words for a person), `plain` (a Secret that may stand in the file as
it is), `derived` (not a key), `shown` (the default in words), `unit` (of a duration: what a number without one
probably means, seconds if not said).
"""

import dataclasses
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.ports import Secrets
from noti_worker.domain.secret import Secret
from noti_worker.secrets import KINDS, WRITTEN

T = TypeVar("T")

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?")
_EXAMPLES = 'write a duration such as "250ms", "2s", "1m30s", "2h" or "1d"'

_LIST_ITEM = re.compile(r'(?:[^,"]|"[^"]*"?)+')
"""Commas separate, except within double quotes: '"Example, Inc" <a@example.com>' is one item."""

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


class FromEnvironment(str):
    """Text that came from an environment variable: it may stand for any type, and errors name the variable."""

    __slots__ = ("variable",)
    variable: str

    def __new__(cls, text: str, variable: str) -> Self:
        """Remember where `text` came from."""
        value = super().__new__(cls, text)
        value.variable = variable
        return value


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One row of the table of settings: the key, its default as written in TOML, what it means."""

    key: str
    default: str
    help: str


def parse(cls: type[T], table: Mapping[str, object], where: str, secrets: Secrets) -> T:
    """Build the settings dataclass `cls` from `table`, whose key path (after a file's name, if any) is `where`.

    Raises ConfigurationError for an unknown, missing, mistyped or out-of-bounds value; it names the file or
    variable, the key, what was given (never for a secret) and what is allowed.
    """
    hints = get_type_hints(cls)
    known = keys(cls)
    for key, value in table.items():
        if key not in known:
            raise ConfigurationError(unknown(key, value, where, known))
    values: dict[str, object] = {}
    for key, field in known.items():
        if key in table:
            values[field.name] = coerce(hints[field.name], table[key], f"{where}.{key}", secrets, field.metadata)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigurationError(f"{where}.{key}: missing; this setting has no default")
    try:
        return cls(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def unknown(key: str, value: object, where: str, known: Iterable[str]) -> str:
    """The words for a key that nobody knows; they name the nearest one that exists."""
    place = f"{where}.{key}" if where and not where.endswith(": ") else f"{where}{key}"
    return f"{named(place, _leaf(value))}: no such setting; {nearest(key, known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for whoever wrote `name`: the nearest known one, else all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(names)}"


def named(where: str, value: object) -> str:
    """How to call the place of a value: its variable, if it came from the environment, else `where`."""
    return value.variable if isinstance(value, FromEnvironment) else where


def describe(cls: type[Any], prefix: str) -> list[SettingLine]:
    """All keys of a settings dataclass after `prefix`, nested ones with their dots, in order."""
    hints = get_type_hints(cls)
    lines: list[SettingLine] = []
    for key, field in keys(cls).items():
        kind = _inner(hints[field.name])
        if dataclasses.is_dataclass(kind):
            lines += describe(cast("type[Any]", kind), f"{prefix}{key}.")
        else:
            lines.append(SettingLine(f"{prefix}{key}", _default(field), str(field.metadata.get("help", ""))))
    return lines


def coerce(kind: Any, value: object, where: str, secrets: Secrets, metadata: Mapping[str, Any]) -> object:
    """Give `value` as `kind`; raises ConfigurationError that names `where`, or the variable it came from."""
    kind = _inner(kind)
    if get_origin(kind) is Mapping:
        return _table(get_args(kind)[1], value, where, secrets, metadata)
    if kind == str | Secret:
        kind = Secret if isinstance(value, str) and value.startswith(KINDS) else str
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "this is a table with settings of its own")
        return parse(cast("type[Any]", kind), value, where, secrets)
    if kind is Secret:
        return _secret(value, where, secrets, plain=bool(metadata.get("plain")))
    if kind == tuple[Secret, ...]:
        return tuple(
            _secret(one, f"{where}[{place}]", secrets, plain=False) for place, one in enumerate(_texts(value, where))
        )
    if kind is timedelta:
        given: object = _span(value, where, str(metadata.get("unit", "s")))
    else:
        given = _plain(kind, value, where)
    _check_bounds(given, value, where, metadata)
    if check := metadata.get("check"):
        try:
            check(given)
        except ValueError as error:
            raise _wrong(where, value, str(error)) from None
    return given


def duration(text: str, unit: str = "s") -> timedelta:
    """Read "250ms", "2s", "1m30s", "2h", "1d"; raises ValueError with words for a person, who may have meant `unit`."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        if re.fullmatch(r"[0-9.]+", text):
            raise ValueError(f'a number without a unit; {_EXAMPLES} (is it "{text}{unit}"?)')
        raise ValueError(_EXAMPLES)
    try:
        return sum(
            (int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count),
            timedelta(0),
        )
    except OverflowError:
        raise ValueError("longer than any clock can tell") from None


def written(span: timedelta) -> str:
    """Give a duration as `duration` reads it: "1m30s"; less than a millisecond is dropped."""
    left = span
    parts = []
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def keys(cls: type[Any]) -> dict[str, "Field[Any]"]:
    """The fields of a settings dataclass by their keys in TOML."""
    return {
        field.name.removesuffix("_"): field
        for field in dataclasses.fields(cls)
        if field.init and not field.metadata.get("derived")
    }


def _inner(kind: Any) -> Any:
    """The type without `| None`."""
    if get_origin(kind) in {UnionType, Union}:
        parts = [part for part in get_args(kind) if part is not NoneType]
        return parts[0] if len(parts) == 1 else kind
    return kind


def _table(kind: Any, value: object, where: str, secrets: Secrets, metadata: Mapping[str, Any]) -> dict[str, object]:
    """A table of any keys; what stands there instead is not shown, it may be a secret."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f'{named(where, value)}: this is a table; write {{ NAME = "value" }}')
    return {key: coerce(kind, one, f"{where}.{key}", secrets, metadata) for key, one in value.items()}


def _plain(kind: Any, value: object, where: str) -> object:
    if get_origin(kind) is Literal:
        return _choice({name: name for name in get_args(kind)}, value, where)
    if get_origin(kind) is tuple:
        return _texts(value, where)
    if issubclass(kind, StrEnum):
        return _choice({member.value: member for member in kind}, value, where)
    if kind is bool:
        return _bool(value, where)
    if kind is int or kind is float:
        return _number(kind, value, where)
    if kind is str:
        if not isinstance(value, str):
            raise _wrong(where, value, "write text in quotes")
        return str(value)
    raise TypeError(f"{where}: settings of type {kind} cannot be read")


def _choice(choices: Mapping[str, object], value: object, where: str) -> object:
    if isinstance(value, str) and value.lower() in choices:
        return choices[value.lower()]
    raise _wrong(where, value, f"allowed: {', '.join(choices)}")


def _texts(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, FromEnvironment):
        value = listed(value, where)
    elif isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _wrong(where, value, 'write a list of texts, such as ["one", "two"]')


def listed(text: FromEnvironment, where: str) -> object:
    """Items between commas, or an array as TOML writes it; raises ConfigurationError."""
    if not text.startswith("["):
        return [item.strip() for item in _LIST_ITEM.findall(text) if item.strip()]
    try:
        return tomllib.loads(f"list = {text}")["list"]
    except tomllib.TOMLDecodeError:
        raise _wrong(where, text, 'write one,two or ["one", "two"]') from None


def _span(value: object, where: str, unit: str) -> timedelta:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise _wrong(where, value, f'a number without a unit; {_EXAMPLES} (is it "{value}{unit}"?)')
    if not isinstance(value, str):
        raise _wrong(where, value, _EXAMPLES)
    try:
        return duration(value, unit)
    except ValueError as error:
        raise _wrong(where, value, str(error)) from None


def _bool(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, FromEnvironment) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise _wrong(where, value, "write true or false")


def _number(kind: type[int] | type[float], value: object, where: str) -> int | float:
    words = "write a whole number" if kind is int else "write a number"
    if isinstance(value, FromEnvironment):
        try:
            number: int | float = kind(value)
        except ValueError:
            raise _wrong(where, value, words) from None
    elif isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        raise _wrong(where, value, words)
    else:
        number = kind(value)
    if not math.isfinite(number):
        raise _wrong(where, value, words)
    return number


def _secret(value: object, where: str, secrets: Secrets, *, plain: bool) -> Secret:
    if isinstance(value, str) and value.startswith(KINDS):
        try:
            return secrets.resolve(str(value))
        except ConfigurationError as error:
            raise ConfigurationError(f"{named(where, value)}: {error}") from None
    if isinstance(value, str) and value and plain:
        return Secret(str(value))
    raise ConfigurationError(f"{named(where, value)}: a secret does not stand here itself; write it as {WRITTEN}")


def _check_bounds(given: object, value: object, where: str, metadata: Mapping[str, Any]) -> None:
    lowest, highest = metadata.get("at_least"), metadata.get("at_most")
    number = cast("float", given)
    if (lowest is not None and number < lowest) or (highest is not None and number > highest):
        if lowest is None:
            raise _wrong(where, value, f"allowed: at most {_shown_default(highest)}")
        if highest is None:
            raise _wrong(where, value, f"allowed: at least {_shown_default(lowest)}")
        raise _wrong(where, value, f"allowed: from {_shown_default(lowest)} to {_shown_default(highest)}")


def _wrong(where: str, value: object, allowed: str) -> ConfigurationError:
    shown = repr(str(value)) if isinstance(value, str) else str(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return ConfigurationError(f"{named(where, _leaf(value))} is {shown}: {allowed}")


def _leaf(value: object) -> object:
    """A value inside a table, so that the error can name the variable that made the table."""
    while isinstance(value, Mapping) and value:
        value = next(iter(value.values()))
    return value


def _default(field: "Field[Any]") -> str:
    if "shown" in field.metadata:
        return str(field.metadata["shown"])
    if field.default_factory is not MISSING:
        return _shown_default(field.default_factory())
    return "required" if field.default is MISSING else _shown_default(field.default)


def _shown_default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return written(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)
