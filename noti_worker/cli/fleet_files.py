"""What a worker of a fleet reads: its configuration, and the drop-in by which systemd hands it its secrets.

Neither holds a secret: every `file:PATH` becomes a credential of the unit.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.settings.fleet import Member

MARK = "# Written by noti-worker fleet apply, which writes it anew: change the file of the fleet instead.\n"

CONFIGURATIONS = "etc/noti-worker"
UNITS = "etc/systemd/system"

# It goes after what the host's administrator gave all units of ours (secrets.conf): there the database is another.
_DROP_IN = "zz-fleet.conf"

_PATH = re.compile(r"/[A-Za-z0-9/._@+-]+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def unit(name: str) -> str:
    """The instance of systemd for a database."""
    return f"noti-worker@fleet-{name}.service"


def files(member: Member) -> dict[str, str]:
    """What its worker needs, as text by path below the root; raises ConfigurationError."""
    where = f"databases.{member.name}"
    credentials: dict[str, str] = {}  # by path
    table = _handed_over(member.table, member.name, credentials, where)
    if member.reference.startswith("file:"):
        url = f"file:%d/{_credential(member.reference, credentials, where)}"
    else:
        url = member.reference.replace("%", "%%")
        if not url.isprintable() or re.search(r"[\"'\\\s]", url):
            raise ConfigurationError(f"{where}.url: write a URL without blanks, quotes and backslashes")
    lines = ["[Service]", *(f"LoadCredential={name}:{path}" for path, name in credentials.items())]
    lines.append(f'Environment="NOTI_DATABASE_URL={url}"')
    return {
        f"{CONFIGURATIONS}/fleet-{member.name}.toml": MARK + "".join(_toml(table)),
        f"{UNITS}/{unit(member.name)}.d/{_DROP_IN}": MARK + "\n".join(lines) + "\n",
    }


def written(root: Path) -> dict[str, dict[str, str]]:
    """What stands there of ours, by the name of the database and then as `files` gives it."""
    found: dict[str, dict[str, str]] = {}
    for pattern, name in (
        (f"{CONFIGURATIONS}/fleet-*.toml", re.compile(r"fleet-(.+)\.toml$")),
        (f"{UNITS}/noti-worker@fleet-*.service.d/{_DROP_IN}", re.compile(r"@fleet-(.+)\.service\.d/")),
    ):
        for path in root.glob(pattern):
            text, of = path.read_text(encoding="utf-8", errors="replace"), name.search(str(path))
            if of is not None and text.startswith(MARK):
                found.setdefault(of[1], {})[str(path.relative_to(root))] = text
    return found


def write(root: Path, path: str, text: str) -> None:
    """Write a file whole or not at all. Everybody may read it: a unit is a user that systemd makes up."""
    place = root / path
    if place.exists() and not place.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigurationError(
            f"{place} was not written by fleet apply: name the database otherwise, or move the file"
        )
    for directory in (place.parent, *place.parent.parents):
        if not directory.exists():
            directory.mkdir(mode=0o755, parents=True)
    fresh = place.with_name(place.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(place)


def remove(root: Path, path: str) -> None:
    """Remove a file, and its directory when that is a drop-in's and empty."""
    place = root / path
    place.unlink(missing_ok=True)
    if place.parent.name.endswith(".d") and not any(place.parent.iterdir()):
        place.parent.rmdir()


def _handed_over(value: Any, name: str, credentials: dict[str, str], where: str) -> Any:
    """The same settings with every reference to a file as the worker will see it."""
    if isinstance(value, Mapping):
        return {key: _handed_over(part, name, credentials, f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list):
        return [_handed_over(part, name, credentials, where) for part in value]
    if isinstance(value, str) and value.startswith("file:"):
        return f"file:/run/credentials/{unit(name)}/{_credential(value, credentials, where)}"
    return value


def _credential(reference: str, credentials: dict[str, str], where: str) -> str:
    """The name under which the unit is handed a file."""
    path = reference.removeprefix("file:")
    if _PATH.fullmatch(path) is None:
        raise ConfigurationError(f"{where}: {reference}: a unit is handed files whose absolute path has no odd letters")
    return credentials.setdefault(path, f"fleet-{len(credentials) + 1}-{Path(path).name}")


def _toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """A table as TOML: its values, then the tables below it."""
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (values or not table):
        yield f"\n[{'.'.join(map(_key, path))}]\n"
    for key, value in values.items():
        yield f"{_key(key)} = {_value(value)}\n"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    match value:
        case str():
            return _text(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            return f"{{ {', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())} }}"
        case bool():
            return "true" if value else "false"
        case _:  # a number; what else TOML has, no setting takes
            return str(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
