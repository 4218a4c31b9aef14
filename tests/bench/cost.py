"""What a notification costs the server: WAL and commits from claim to record, and how many claims are HOT."""

from typing import Any

import psycopg

from tests.bench.figures import Book
from tests.bench.ours import closed, watch, workers
from tests.bench.rows import fill, verify
from tests.bench.server import Bench, scalar

_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_HOT = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'noti.notifications_log'::regclass"


def run(bench: Bench, book: Book) -> None:
    """One drain, whose pages were all written since the last checkpoint: no full page images besides."""
    rows = bench.number(100_000, 2_000)
    bench.say(f"cost of {rows:,} rows")
    with bench.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        fill(connection, rows)
        connection.execute("ANALYZE")
        resume = closed(url, "email")
        with workers(bench, url) as running:
            wal, commits, hot = _wal(connection), scalar(connection, _COMMITS), scalar(connection, _HOT)
            resume()
            looks = watch(bench, connection, rows, running).looks
            wal = _wal(connection) - wal
        # What a session has counted is certain only once it has ended.
        commits = scalar(connection, _COMMITS) - commits - looks
        hot = scalar(connection, _HOT) - hot
        verify(connection, rows)
    book.add_all("cost", {"wal": wal / rows / 1000, "commits": commits / rows, "hot": hot / rows})


def _wal(connection: psycopg.Connection[Any]) -> int:
    return int(scalar(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
