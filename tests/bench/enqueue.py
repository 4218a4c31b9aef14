"""Insert rates: the table as it is, without the wake-up, without triggers, and a bare table of the same columns."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue.wake import PostgresWake
from tests.bench.figures import Book
from tests.bench.limit import run_pgbench
from tests.bench.rows import BODY
from tests.bench.server import Bench

SECONDS = 2
_BARE = """
CREATE TABLE bare (LIKE noti.notifications_log INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY
                   INCLUDING STORAGE, PRIMARY KEY (notification_id))
"""
_COLUMNS = "(channel, recipient, subject, body)"
_EMPTY = """
SET session_replication_role = replica;
TRUNCATE bare, noti.notifications_log, noti.audit_log;
SET session_replication_role = origin
"""


@dataclass(frozen=True)
class Table:
    """A table to insert into, and the settings of the sessions that do."""

    name: str
    table: str
    settings: str = ""


@dataclass(frozen=True)
class Load:
    """How it is inserted."""

    name: str
    clients: int
    rows: int


TABLES = (
    Table("attached", "noti.notifications_log"),
    Table("bare", "bare"),
    Table("no_wake", "noti.notifications_log", "-c noti.wake=off"),
    Table("no_triggers", "noti.notifications_log", "-c session_replication_role=replica"),
)
LOADS = (Load("single", 1, 1), Load("single16", 16, 1), Load("bulk", 1, 1000), Load("bulk16", 16, 1000))


def run(bench: Bench, book: Book) -> None:
    """Each load on each table, interleaved; somebody listens all the time, as a sleeping worker does."""
    with bench.database() as url, psycopg.connect(url, autocommit=True) as connection, _listening(url):
        connection.execute(_BARE)
        for number in range(1, bench.rounds + 1):
            bench.say(f"enqueue, round {number} of {bench.rounds}")
            for load in LOADS:
                rates = {table.name: _rate(bench, url, connection, load, table) for table in TABLES}
                bench.say(f"  {load.name:9}" + "".join(f"   {name} {rate:9,.0f}/s" for name, rate in rates.items()))
                book.add_all(f"enqueue.{load.name}", {f"{name}_rate": rate for name, rate in rates.items()})
                book.add(f"enqueue.{load.name}.of_bare", rates["attached"] / rates["bare"])
                book.add(f"enqueue.{load.name}.of_no_triggers", rates["attached"] / rates["no_triggers"])
                book.add(f"enqueue.{load.name}.wake_cost", 1 - rates["attached"] / rates["no_wake"])


def _rate(
    bench: Bench, url: str, connection: psycopg.Connection[tuple[object, ...]], load: Load, table: Table
) -> float:
    script = bench.directory / "enqueue.pgbench"
    values = (
        f"SELECT 'email', 'user' || i || '@example.com', 'Subject', '{BODY}' FROM generate_series(1, {load.rows}) i"
    )
    script.write_text(f"INSERT INTO {table.table} {_COLUMNS} {values};\n")
    connection.execute(_EMPTY)
    seconds = bench.number(SECONDS)
    rate = run_pgbench(
        bench,
        url,
        script,
        ["--protocol=prepared", f"--client={load.clients}", f"--jobs={min(2, load.clients)}", f"--time={seconds}"],
        table.settings,
    ).rate
    return rate * load.rows


@contextmanager
def _listening(url: str) -> Iterator[None]:
    wake = PostgresWake(Database(Secret(url)))
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            wake.wait(0.2)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield
    finally:
        over.set()
        listener.join()
        wake.close()
