"""The real `noti-worker run`, as many processes as asked, and one drain of a filled table by it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from noti_worker.domain.closures import Scope
from noti_worker.store.connect import connect
from noti_worker.store.people import pausing
from tests.bench.processes import cpu_seconds, peak_resident_mb, resident_mb
from tests.bench.rows import fill, settle, verify
from tests.bench.server import Bench, scalar

SANDBOX = '[accounts.box]\nprovider = "sandbox"\n'
_tick = threading.Event()


def pause(seconds: float) -> None:
    """Let time go by."""
    _tick.wait(seconds)


def wait_for(fact: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until it is true; TimeoutError after `seconds`."""
    ends = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {seconds} s: {what}")
        pause(0.01)


@contextmanager
def workers(
    bench: Bench, url: str, accounts: str = SANDBOX, count: int = 1, environ: dict[str, str] | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Running workers with the default configuration besides database, accounts and a port; stopped afterwards."""
    stem = f"worker-{time.monotonic_ns()}"
    config = bench.directory / f"{stem}.toml"
    database = "" if "[database]" in accounts else f'[database]\nurl = "{url}"\n'
    config.write_text(f'{database}[http]\nlisten = "127.0.0.1:0"\n{accounts}')
    command = [sys.executable, "-m", "noti_worker", "--config", str(config), "run"]
    running = [bench.children.start(command, stem, environ) for _ in range(count)]

    def ready() -> bool:
        _alive(bench, running)
        return all("worker_started" in bench.children.said(child) for child in running)

    try:
        wait_for(ready, 60.0, "the workers are registered")
        yield running
    finally:
        for child in running:
            bench.children.end(child)


@dataclass
class Drained:
    """One drain: from the first recorded row to the last, what it cost per row, and how often we looked."""

    rows: int
    seconds: float
    worker_us: float
    server_us: float
    peak_mb: float = 0.0
    rss_mb: float = 0.0
    looks: int = 0
    course: list[tuple[float, int]] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def all_us(self) -> float:
        """CPU of worker and server per row: steadier than the rate when others use the machine."""
        return self.worker_us + self.server_us

    def rate_between(self, low: float, high: float) -> float:
        """Rows per second while the share of rows done went from `low` to `high`."""
        total = self.course[-1][1]
        first = next(point for point in self.course if point[1] >= low * total)
        last = next(point for point in self.course if point[1] >= high * total)
        return (last[1] - first[1]) / (last[0] - first[0])


def drain(
    bench: Bench,
    url: str,
    rows: int,
    accounts: str = SANDBOX,
    count: int = 1,
    filled: Callable[[psycopg.Connection[Any]], None] | None = None,
    channel: str = "email",
    environ: dict[str, str] | None = None,
) -> Drained:
    """Fill, start the workers behind a pause, let go, and wait until every row is finished and verified."""
    with psycopg.connect(url, autocommit=True) as connection:
        (filled or (lambda to: fill(to, rows)))(connection)
        resume = closed(url, channel)
        with workers(bench, url, accounts, count, environ) as running:
            settle(connection)
            resume()
            drained = watch(bench, connection, rows, running)
        verify(connection, rows)
    return drained


def closed(url: str, channel: str) -> Callable[[], None]:
    """Pause `channel`, so that workers can start before the clock does; gives what ends the pause."""
    with connect(url) as connection:
        pausing.pause(connection, Scope.CHANNEL, channel)

    def resume() -> None:
        with connect(url) as connection:
            pausing.resume(connection, Scope.CHANNEL, channel)

    return resume


def progress_query(connection: psycopg.Connection[Any]) -> str:
    """Tells the tries recorded so far at no cost: the sequence of the attempts log."""
    sequence = scalar(connection, "SELECT pg_get_serial_sequence('noti.notification_attempts_log', 'log_id')")
    return f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"


def watch(
    bench: Bench, connection: psycopg.Connection[Any], rows: int, running: list[subprocess.Popen[bytes]]
) -> Drained:
    """Wait for the first recorded row, then for the last; the clock runs in between."""
    query = progress_query(connection)
    pids = [child.pid for child in running]
    looks = 0

    def done() -> int:
        nonlocal looks
        looks += 1
        return int(scalar(connection, query))

    wait_for(done, 60.0, "the first row is recorded")
    began, first = time.monotonic(), done()
    worker, server = cpu_seconds(pids), bench.server_cpu()
    course, memory = [(began, first)], [(first, resident_mb(pids))]
    looked = began
    left = "SELECT EXISTS (SELECT FROM noti.notifications_log WHERE finished_at IS NULL)"
    while (number := done()) < rows or scalar(connection, left):
        now = time.monotonic()
        course.append((now, number))
        if now - looked > 1.0:
            looked = now
            memory.append((number, resident_mb(pids)))
            _alive(bench, running)
        pause(0.02)
    ended = time.monotonic()
    worker, server = cpu_seconds(pids) - worker, bench.server_cpu() - server
    course.append((ended, rows))
    memory.append((rows, resident_mb(pids)))
    measured = max(1, rows - first)
    return Drained(
        measured,
        ended - began,
        worker / measured * 1e6,
        server / measured * 1e6,
        max(mb for _, mb in memory),
        peak_resident_mb(pids),
        looks,
        course,
        memory,
    )


def _alive(bench: Bench, running: list[subprocess.Popen[bytes]]) -> None:
    for child in running:
        if child.poll() is not None:
            raise RuntimeError(f"a worker ended with {child.returncode}: {bench.children.said(child)[-1000:]}")
