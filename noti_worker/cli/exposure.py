"""Whether strangers on this machine may write the configuration, or read a password in it."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.finding import Finding, warning


def exposed(source: Path) -> Iterator[Finding]:
    """What is wrong with the file of the configuration and those that it names; one that is gone says nothing."""
    from noti_worker.settings import given
    from noti_worker.settings.overrides import texts

    table: Mapping[str, object] = {}
    with suppress(ConfigurationError):
        _, table = given(source, {})
    named = [Path(text.removeprefix("file:")) for text in texts(table) if text.startswith("file:")]
    for path in dict.fromkeys((source, *named)):
        with suppress(OSError):
            if who := _writers(path.resolve()):
                yield warning("configuration", f"{who} may change {path}", f"chmod go-w {path} and its directory")
    with suppress(OSError):
        if _holds_password(table) and _everybody_reads(source.resolve()):
            yield warning(
                "configuration",
                f"everybody on this machine may read {source}, and the password of database.url in it",
                f"chmod o-r {source}, or write the URL as env:NAME or file:PATH",
            )


def _holds_password(table: Mapping[str, object]) -> bool:
    from noti_worker.store.connect import named_in

    database = table.get("database")
    for name in ("url", "listen_url"):
        url = database.get(name) if isinstance(database, Mapping) else None
        if isinstance(url, str) and not url.startswith(("env:", "file:")):
            with suppress(ConfigurationError):
                if named_in(url).get("password"):
                    return True
    return False


def _everybody_reads(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IROTH) and _everybody_comes_to(path)


def _everybody_comes_to(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def _writers(path: Path) -> str | None:
    """Who else may write the file, or put another in its place: everybody, or the members of a shared group."""
    found, folder = path.stat(), path.parent.stat()
    replaceable = bool(folder.st_mode & stat.S_IWOTH) and not folder.st_mode & stat.S_ISVTX
    if (found.st_mode & stat.S_IWOTH or replaceable) and _everybody_comes_to(path):
        return "everybody on this machine"
    if found.st_mode & stat.S_IWGRP and (group := _shared_group(found)):
        return f"whoever is in the group {group}"
    return None


def _shared_group(found: os.stat_result) -> str | None:
    """The name of the file's group, unless it is its owner's own, as most systems make one for each user."""
    import grp
    import pwd

    with suppress(KeyError):
        group, owner = grp.getgrgid(found.st_gid), pwd.getpwuid(found.st_uid)
        return None if group.gr_gid == owner.pw_gid and not set(group.gr_mem) - {owner.pw_name} else group.gr_name
    return None
