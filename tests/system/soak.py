"""A soak: `python -m tests.system.soak` sends a million rows and shows what one worker takes meanwhile.

Sandbox provider, two channels, tenants, templates, retries and refusals. After each tenth: memory, file descriptors and
threads of the worker, and memory of its render child. They must be flat from the first tenth to the last. The worker
has the environment that its unit of systemd gives it, which bounds what glibc keeps of freed memory.
"""

import argparse
import os
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.memory import children
from tests.system.daemon import Daemon, Daemons

TENTHS = 10
CHUNK = 5_000
GROWTH = 0.10
"""Memory may grow by this share from the first tenth to the last."""
DRIFT = 3
"""File descriptors and threads may differ by so many: a connection that is just being made anew."""
STALL = 120.0

SETTINGS = """
[accounts.box]
provider = "sandbox"
[routes]
email = ["box"]
chat = ["box"]
[channels.email]
concurrency = 20
retry = { initial_delay = "200ms" }
[channels.chat]
concurrency = 20
retry = { initial_delay = "200ms" }
"""

ROWS = """
INSERT INTO noti.notifications_log (channel, tenant_id, recipient, body, template_id, template_data)
SELECT CASE WHEN n % 3 = 0 THEN 'chat' ELSE 'email' END, 'tenant-' || n % 7,
       CASE n % 100 WHEN 0 THEN 'refused-' WHEN 1 THEN 'greylisted-' ELSE 'user-' END || n || '@example.com',
       CASE WHEN n % 10 <> 5 THEN repeat('Hello ', 30) END,
       CASE WHEN n % 10 = 5 THEN 'hello' END, CASE WHEN n % 10 = 5 THEN jsonb_build_object('name', n) END
  FROM generate_series(%(from)s::int + 1, %(from)s::int + %(rows)s) n
""".replace("%", "%%").replace("%%(", "%(")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the worker and its render child take after `rows` finished rows; memory in MB."""

    rows: int
    seconds: float
    memory: float
    child_memory: float
    descriptors: int
    threads: int
    database: float

    def line(self) -> str:
        """For the table."""
        return (
            f"{self.rows:>9,} {self.seconds:>8.0f} {self.memory:>11.1f} {self.child_memory:>10.1f}"
            f" {self.descriptors:>11} {self.threads:>7} {self.database:>12.0f}"
        )


HEAD = "     rows  seconds  memory, MB  child, MB descriptors threads database, MB"


def faults(samples: Sequence[Sample]) -> list[str]:
    """What is not flat from the first sample to the last."""
    first, last = samples[0], samples[-1]
    found = []
    for name in ("memory", "child_memory"):
        before, after = getattr(first, name), max(getattr(sample, name) for sample in samples[-3:])
        if after > before * (1 + GROWTH):
            found.append(f"{name} grew from {before:.1f} to {after:.1f} MB")
    for name in ("descriptors", "threads"):
        before, after = getattr(first, name), getattr(last, name)
        if abs(after - before) > DRIFT:
            found.append(f"{name} went from {before} to {after}")
    return found


class Soak:
    """One worker, rows without end."""

    def __init__(self, rows: int, database_url: str, daemons: Daemons, say: Callable[[str], None]) -> None:
        self._rows = rows
        self._url = database_url
        self._daemons = daemons
        self._say = say

    def run(self) -> list[Sample]:
        """Send them all; a sample after each tenth. AssertionError when nothing moves any more."""
        self._daemons.configure(SETTINGS)
        samples: list[Sample] = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("INSERT INTO noti.templates (template_id, body) SELECT 'hello', 'Hello {{ name }}'")
            connection.execute(
                "INSERT INTO noti.templates (tenant_id, template_id, body)"
                " SELECT 'tenant-' || n, 'hello', 'Hello {{ name }}' FROM generate_series(0, 6) n"
            )
            daemon = self._daemons.start_ready()
            metrics = f"http://{daemon.said('http_listening')[0]['listen']}/metrics"
            began = moved = time.monotonic()
            inserted = finished = 0
            self._say(HEAD)
            while len(samples) < TENTHS:
                while inserted < self._rows and inserted - finished < 2 * CHUNK:
                    connection.execute(ROWS, {"from": inserted, "rows": min(CHUNK, self._rows - inserted)})
                    inserted += min(CHUNK, self._rows - inserted)
                if (now := _finished(metrics)) != finished:
                    finished, moved = now, time.monotonic()
                assert time.monotonic() - moved < STALL, f"nothing moves after {finished} rows"
                if finished >= self._rows * (len(samples) + 1) // TENTHS:
                    samples.append(_sample(daemon, connection, finished, time.monotonic() - began))
                    self._say(samples[-1].line())
                threading.Event().wait(0.05)
            left = connection.execute(
                "SELECT count(*) FROM noti.notifications_log WHERE finished_at IS NULL"
            ).fetchone()
            assert left == (0,)
            assert daemon.stop() == 0
        return samples


def _finished(metrics: str) -> int:
    """Rows that ended, as the worker counts them: asking the table a million times would be a load of its own."""
    with urllib.request.urlopen(metrics, timeout=10) as answer:
        text = answer.read().decode()
    counted = re.findall(r"^notifications_(?:sent|failed)_total\{.*\} ([0-9.e+]+)$", text, re.MULTILINE)
    return sum(int(float(number)) for number in counted)


def _sample(daemon: Daemon, connection: psycopg.Connection[Any], rows: int, seconds: float) -> Sample:
    proc = Path("/proc", str(daemon.process.pid))
    size = connection.execute("SELECT pg_database_size(current_database()) / 1e6").fetchone()
    assert size is not None
    return Sample(
        rows,
        seconds,
        _memory(proc),
        sum(_memory(Path("/proc", str(pid))) for pid in children(daemon.process.pid)),
        len(list((proc / "fd").iterdir())),
        len(list((proc / "task").iterdir())),
        float(size[0]),
    )


def _memory(proc: Path) -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", (proc / "status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def soak(rows: int, directory: Path, say: Callable[[str], None]) -> list[Sample]:
    """Send `rows` rows with a server of its own below `directory`."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    settings = {"fsync": "off", "max_wal_size": "1GB", "shared_buffers": "256MB"}
    with ExitStack() as stack:
        server = stack.enter_context(Server(directory / "postgres", Path(bin_) if bin_ else None, settings))
        migrate.upgrade(server.url)
        return Soak(rows, server.url, stack.enter_context(Daemons(directory, server.url)), say).run()


def main() -> int:
    """Run by hand; 0 when everything is flat."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.soak", description="A worker for a million rows.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, help="where the database goes (some 2 GB); else a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="noti-soak-", dir=given.directory) as directory:
        Path(directory).chmod(0o711)

        def say(line: str) -> None:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

        found = faults(soak(given.rows, Path(directory), say))
    say("\n".join(found) or "flat from the first tenth to the last")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
