"""Every setting with its value and where it comes from; no secret is read for it."""

import dataclasses
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from noti_worker.domain.notification import Channel
from noti_worker.domain.rules import Rule
from noti_worker.domain.secret import Secret
from noti_worker.settings import OF_EVERY_ACCOUNT, AccountSettings, given, load, parse
from noti_worker.settings.answers import told
from noti_worker.settings.coercion import FromEnvironment, keys, written

DEFAULT = "default"

Where = dict[tuple[str, ...], str]
"""Where each key path of the configuration was set."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting: a secret's value is `***`, None means that it is not set."""

    key: str
    value: str | int | float | bool | list[str] | None
    origin: str


class Unread:
    """Port Secrets that opens nothing: it works where the worker's secrets cannot be read."""

    def resolve(self, reference: str) -> Secret:
        """Whatever is named: three stars."""
        return Secret("***")


def show(
    config: Path | None, environ: Mapping[str, str], keys_of: Callable[[AccountSettings], type[Any]]
) -> Iterator[Shown]:
    """All settings in the order of the documentation; `keys_of` gives the settings dataclass of an account's provider.

    Raises ConfigurationError as `load` does, except for secrets that cannot be read.
    """
    secrets = Unread()
    settings = load(config, environ, secrets)
    path, table = given(config, environ)
    where = {} if path is None else {key: f"{path}:{line}" for key, line in lines(path.read_text("utf-8")).items()}
    where |= dict(_from_environment(table, ()))
    where |= {key: f"{where[key]}, {text}" for key, text in _references(table, ()) if key in where}

    yield from _walk(settings.database, ("database",), where)
    for name, account in settings.accounts.items():
        for key in OF_EVERY_ACCOUNT:
            yield _shown(("accounts", name, key), None if getattr(account, key) == () else getattr(account, key), where)
        yield from _walk(account.limits, ("accounts", name), where)
        own = parse(keys_of(account), account.options, account.where, secrets)
        yield from _walk(own, ("accounts", name), where)
    for channel in Channel:
        route = settings.routes.get(channel)
        if isinstance(route, Mapping):
            yield from (_shown(("routes", channel.value, name), weight, where) for name, weight in route.items())
        else:
            yield _shown(("routes", channel.value), route, where)
    for channel, chosen in settings.channels.items():
        yield from _walk(chosen, ("channels", channel.value), where)
    for name, mailbox in settings.bounces.items():
        yield from _walk(mailbox, ("bounces", name), where)
    for section in ("contacts", "delivery", "secrets", "worker", "retention", "http", "web", "log", "metrics"):
        yield from _walk(getattr(settings, section), (section,), where)


def lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key path of a valid TOML document is set.

    A statement is as many lines as the parser needs to take them; it is read together with the header before it.
    """
    found: dict[tuple[str, ...], int] = {}
    header, waiting, begun = "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun if waiting else number
        waiting += f"{line}\n"
        try:
            read = tomllib.loads(header + waiting)
        except tomllib.TOMLDecodeError:
            continue
        if waiting.lstrip().startswith("["):
            header = waiting
        else:
            found |= {key: begun for key, _ in _leaves(read, ())}
        waiting = ""
    return found


def _leaves(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _from_environment(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in _leaves(table, above):
        if isinstance(value, FromEnvironment):
            yield key, value.variable


def _references(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What names a secret is none itself, and tells where to look."""
    for key, value in _leaves(table, above):
        if isinstance(value, str) and value.startswith(("env:", "file:")):
            yield key, str(value)


def _walk(instance: Any, above: tuple[str, ...], where: Where) -> Iterator[Shown]:
    for key, field in keys(type(instance)).items():
        value = getattr(instance, field.name)
        if dataclasses.is_dataclass(value):
            yield from _walk(value, (*above, key), where)
        elif isinstance(value, Mapping):
            yield from (_shown((*above, key, name), one, where) for name, one in value.items())
        else:
            yield _shown((*above, key), value, where)


def _shown(key: tuple[str, ...], value: object, where: Where) -> Shown:
    return Shown(".".join(key), _plain(value), where.get(key, DEFAULT))


def _plain(value: object) -> str | int | float | bool | list[str] | None:
    match value:
        case None | bool() | int() | float():
            return value
        case timedelta():
            return written(value)
        case tuple():
            return [told(item) if isinstance(item, Rule) else str(item) for item in value]
        case _:
            return str(value)  # of a Secret: ***
