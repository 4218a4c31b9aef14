"""The benchmark's own PostgreSQL: normal durability, a migrated template, a fresh database for each measurement."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.bench.processes import Children, cpu_seconds

SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB", "timezone": "UTC"}
"""All else is PostgreSQL's default: fsync, full_page_writes and synchronous_commit are on."""

_SMALL = 8 << 30  # bytes of memory below which the buffers are a quarter of it


@dataclass
class Bench:
    """What a part needs: the server, a place for files, the children, and how much of the full size to run."""

    server: Server
    children: Children
    directory: Path
    cache: Path
    scale: float
    rounds: int
    began: float = field(default_factory=time.monotonic)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def number(self, full: int, least: int = 1) -> int:
        """`full` rows or seconds, by the scale of this run."""
        return max(least, round(full * self.scale))

    def say(self, words: str) -> None:
        """Tell how far we are."""
        print(f"[{time.monotonic() - self.began:6.0f} s] {words}", flush=True)

    @contextlib.contextmanager
    def database(self, template: str = "noti_template") -> Iterator[str]:
        """The URL of a fresh database, dropped afterwards."""
        name = f"bench_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.server.url_of(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def server_cpu(self) -> float:
        """CPU seconds of the whole server so far."""
        assert self.server.pid is not None
        return cpu_seconds([self.server.pid])

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.server.url_of("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def make(cache: Path, scale: float, rounds: int) -> Iterator[Bench]:
    """Start the server and the children's keeper; everything is ended and removed afterwards."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    settings = SETTINGS | ({"shared_buffers": f"{memory // 4 >> 20}MB"} if memory < _SMALL else {})
    given = os.environ.get("NOTI_TEST_PG_BIN")
    with tempfile.TemporaryDirectory(prefix="noti-bench-", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        with Server(directory / "postgres", Path(given) if given else None, settings) as server:
            with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE noti_template TEMPLATE template0")
            migrate.upgrade(server.url_of("noti_template"))
            with Children(directory) as children:
                yield Bench(server, children, directory, cache, scale, rounds)


def scalar(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    """The one value that `query` gives."""
    [[value]] = connection.execute(query.encode(), values or None).fetchall()
    return value
