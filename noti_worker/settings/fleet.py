"""The file of a fleet: which databases have a worker of their own here, and what holds for all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.secrets import References
from noti_worker.settings import Settings, read_file, settings_of
from noti_worker.settings.overrides import Table

DEFAULT_FLEET = Path("/etc/noti-worker/fleet.toml")

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_LONGEST = 60

_PASSWORD = re.compile(r"password\s*=|://[^/@]*:[^/@]*@", re.IGNORECASE)
"""In a URL or DSN."""

_OWN = ("url", "migrate_url")
"""Keys of a database that are not settings of its worker."""


@dataclass(frozen=True, slots=True)
class Member:
    """One database of a fleet: where it is, as which role it is migrated, and what its worker's file says.

    `reference` is its URL as it was written: a reference to a secret, or a URL without a password.
    """

    name: str
    reference: str
    url: Secret
    migrate_url: Secret
    table: Table
    settings: Settings


def read_fleet(path: Path) -> tuple[Member, ...]:
    """The databases in the order of the file. Raises ConfigurationError that names the file and the key."""
    table = read_file(path)
    if strange := table.keys() - {"defaults", "databases"}:
        raise ConfigurationError(
            f"{path}: {min(strange)} is no section of a fleet: settings for all workers stand below [defaults], those"
            " of one below [databases.NAME]"
        )
    defaults, databases = _section(table, "defaults", path), _section(table, "databases", path)
    if not databases:
        raise ConfigurationError(f"{path}: no database is named: write [databases.NAME] with its url")
    members = tuple(_member(name, _section(databases, name, path), defaults, path) for name in databases)
    _check_places(members, path)
    return members


def _member(name: str, given: Table, defaults: Table, path: Path) -> Member:
    where = f"{path}: databases.{name}"
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST:
        raise ConfigurationError(
            f"{where}: a name becomes a unit of systemd and a file: a-z and digits, with single . _ or - between them,"
            f" at most {_LONGEST}"
        )
    if "url" not in given:
        raise ConfigurationError(f"{where}.url is missing: file:PATH of a secret, or a URL without a password")
    own = {key: value for key, value in given.items() if key not in _OWN}
    table = _merged(defaults, own)
    database, secrets = _section(table, "database", path), References({}, commands=False)
    if "url" in database:
        raise ConfigurationError(f"{where}: database.url is written as databases.{name}.url")
    if "listen_url" in database:
        _url(database["listen_url"], f"{where}.database.listen_url", secrets)
    urls = {key: _url(given[key], f"{where}.{key}", secrets) for key in _OWN if key in given}
    return Member(
        name=name,
        reference=str(given["url"]),
        url=urls["url"],
        migrate_url=urls.get("migrate_url", urls["url"]),
        table=table,
        settings=settings_of(table, f"{where}: ", secrets),
    )


def _url(written: object, where: str, secrets: References) -> Secret:
    if not isinstance(written, str) or not written:
        raise ConfigurationError(f"{where}: write file:PATH of a secret, or a URL without a password")
    if written.startswith(("env:", "exec:")):
        raise ConfigurationError(
            f"{where}: a unit of systemd is handed its secrets as files: write file:PATH, or a URL without a password"
        )
    if written.startswith("file:"):
        return secrets.resolve(written)
    if _PASSWORD.search(written):
        raise ConfigurationError(
            f"{where} holds a password, and everybody may read what a unit is told: write the URL into a file of"
            " root's, and file:PATH here"
        )
    return Secret(written)


def _check_places(members: tuple[Member, ...], path: Path) -> None:
    """Two workers of one host cannot listen at one place."""
    taken: dict[str, str] = {}
    for member in members:
        http = member.settings.http
        if not http.configured or http.listen.endswith(":0"):
            continue
        if other := taken.get(http.listen):
            raise ConfigurationError(
                f"{path}: {other} and {member.name} would both listen at {http.listen}: give each its own http.listen"
            )
        taken[http.listen] = member.name


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    """Both tables; where both have a setting, that of `over`."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _section(table: Mapping[str, Any], name: str, path: Path) -> Table:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: {name} is a section with settings of its own; write [{name}]")
    return value
