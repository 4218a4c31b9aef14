"""A worker with nothing to do: statements per second, its CPU, and what it costs the server."""

import re

import psycopg

from tests.bench.figures import Book
from tests.bench.ours import pause, workers
from tests.bench.processes import fine_cpu_seconds
from tests.bench.server import Bench, scalar

_SECONDS = 20
_SETTLED = 5.0
_LONG_IDLE = 65.0
_STATEMENT = re.compile(rb"LOG:  (?:execute [^:]*|statement): ")


def run(bench: Bench, book: Book) -> None:
    """Soon after its start and, in a full run, once it has been idle for a minute."""
    with bench.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            name = scalar(connection, "SELECT current_database()")
            connection.execute(f"ALTER DATABASE {name} SET log_statement = 'all'".encode())
        pause(_SETTLED)
        alone = _server_percent(bench, bench.number(_SECONDS, 8))
        with workers(bench, url) as running:
            [worker] = running
            pause(_SETTLED)
            _measure(bench, book, worker.pid, "idle", alone)
            if bench.scale >= 1:
                pause(max(0.0, _LONG_IDLE - _SETTLED - _SECONDS))
                _measure(bench, book, worker.pid, "idle.long", alone)


def _server_percent(bench: Bench, seconds: int) -> float:
    """CPU of the server over these seconds, in percent of a core."""
    assert bench.server.pid is not None
    served = fine_cpu_seconds(bench.server.pid)
    pause(float(seconds))
    return 100 * (fine_cpu_seconds(bench.server.pid) - served) / seconds


def _measure(bench: Bench, book: Book, pid: int, what: str, alone: float) -> None:
    """Statements are counted in the server's log: its counters come late, and count its own upkeep too.

    `alone` is the CPU of the server without a worker, in percent.
    """
    seconds = bench.number(_SECONDS, 8)
    log = bench.server.directory / "server.log"
    written = log.stat().st_size
    cpu = fine_cpu_seconds(pid)
    server = _server_percent(bench, seconds) - alone
    worker = 100 * (fine_cpu_seconds(pid) - cpu) / seconds
    with log.open("rb") as lines:
        lines.seek(written)
        statements = len(_STATEMENT.findall(lines.read()))
    figures = {"statements": statements / seconds, "worker_percent": worker, "server_percent": server}
    book.add_all(what, figures)
    bench.say(
        f"  {what:9} {statements / seconds:.2f} statements/s, worker {worker:.2f} % of a core,"
        f" server {server:.3f} % more than alone"
    )
