"""A streaming replica of an embedded server."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from noti_worker.embedded import Server
from noti_worker.embedded.child import Child, User, environment


class Replica:
    """A standby of `server` below `directory`, which is open to the server's user; starts when entered."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._data = directory / "data"
        self.socket = directory
        self._child: Child | None = None

    def __enter__(self) -> Self:
        owner = self._server.data.stat()
        root = os.geteuid() == 0
        user = User(owner.st_uid, owner.st_gid) if root else User(None, None)
        os.chown(self.socket, owner.st_uid, owner.st_gid)
        copies = sorted((self._server.directory / "binaries").glob("postgresql-*"))
        bin_ = copies[-1] if copies else self._server.bin
        source = ["-d", self._server.url_of("postgres"), "-D", str(self._data), "-R", "-X", "stream", "-c", "fast"]
        subprocess.run(
            [str(bin_ / "pg_basebackup"), *source],
            check=True,
            env=environment(),
            cwd="/",
            user=user.uid,
            group=user.gid,
            extra_groups=[] if root else None,
        )
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.socket), "port": "5432"}
        settings |= {"fsync": "off", "hot_standby": "on"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = self.socket / "server.log"
        self._child = Child([str(bin_ / "postgres"), "-D", str(self._data), *options], user, log, self._data / "pid")
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop("immediate")

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def url(self, database: str = "noti") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket}&port=5432"

    def either(self) -> str:
        """A URL that leads to whichever of the two takes writes."""
        first = self._server.url.partition("host=")[2].partition("&")[0]
        return f"postgresql://postgres@/noti?host={first},{self.socket}&port=5432,5432&target_session_attrs=read-write"


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """All processes of a server stand still: connections stay open, nobody answers."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # first: from here on nobody is born
    everybody = family(pid)
    try:
        for one in everybody:
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in everybody:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)
