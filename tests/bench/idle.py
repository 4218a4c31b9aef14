"""A worker with nothing to do: statements per second, its CPU, and what it costs the server."""

import psycopg

from tests.bench.figures import Book
from tests.bench.ours import pause, workers
from tests.bench.processes import fine_cpu_seconds
from tests.bench.server import Bench, scalar

_SECONDS = 20
_SETTLED = 5.0
_LONG_IDLE = 65.0
_STATEMENTS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


def run(bench: Bench, book: Book) -> None:
    """Soon after its start and, in a full run, once it has been idle for a minute."""
    with bench.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")  # a session counts its commits late: this one ends before the clock
        with psycopg.connect(url, autocommit=True) as connection, workers(bench, url) as running:
            [worker] = running
            pause(_SETTLED)
            _measure(bench, book, connection, worker.pid, "idle")
            if bench.scale >= 1:
                pause(max(0.0, _LONG_IDLE - _SETTLED - _SECONDS))
                _measure(bench, book, connection, worker.pid, "idle.long")


def _measure(bench: Bench, book: Book, connection: psycopg.Connection[tuple[object, ...]], pid: int, what: str) -> None:
    seconds = bench.number(_SECONDS, 8)
    server = bench.server.pid
    assert server is not None
    statements = scalar(connection, _STATEMENTS)
    cpu, served = fine_cpu_seconds(pid), fine_cpu_seconds(server)
    pause(float(seconds))
    cpu, served = fine_cpu_seconds(pid) - cpu, fine_cpu_seconds(server) - served
    statements = scalar(connection, _STATEMENTS) - statements - 1
    book.add_all(
        what,
        {
            "statements": statements / seconds,
            "worker_percent": 100 * cpu / seconds,
            "server_percent": 100 * served / seconds,
        },
    )
    bench.say(
        f"  {what:9} {statements / seconds:.2f} statements/s, worker {100 * cpu / seconds:.2f} % of a core,"
        f" server {100 * served / seconds:.3f} %"
    )
