"""The limit: the worker's own claim and record statements without a worker, in a bare loop and under pgbench."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import tuple_row

from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import Floor, Lane, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.store.arrays import array
from noti_worker.store.connect import Database, connect
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.successes import SEPARATOR, Columns, columns
from noti_worker.store.settings import SETTINGS
from noti_worker.store.statements import Statement, places, statement
from tests.bench.ours import Drained
from tests.bench.rows import fill, settle, verify
from tests.bench.server import Bench

BATCH = 500
LANE = Lane(Channel.EMAIL, Priority.NORMAL, "default")
WORKERS = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
"""The settings of a worker's session, as PGOPTIONS."""

_LEASE = timedelta(minutes=2)


class _Asked:
    """Stands where the database would, and takes down what the queue asks of it."""

    def __init__(self) -> None:
        self.parameters: Mapping[str, Any] = {}

    def session(self, part: str, within: timedelta | None = None) -> "_Asked":
        return self

    def open(self) -> None:
        """Nothing is there to connect to."""

    def run(self, asked: Statement, parameters: Mapping[str, Any], within: timedelta | None = None) -> list[Any]:
        self.parameters = parameters
        return []

    tuples = run


def claim_parameters(shares: Sequence[Share], limit: int) -> Mapping[str, Any]:
    """What the worker's queue would give claim.sql to claim from these lanes."""
    asked = _Asked()
    PostgresQueue(asked).claim(1, shares, limit, _LEASE, ())  # type: ignore[arg-type]
    return asked.parameters


def sandbox_columns(url: str) -> Columns:
    """What record_sent.sql is told of a row that the sandbox took, of one real row; that row is given back."""
    queue = PostgresQueue(Database(Secret(url)))
    [notification] = queue.claim(1, [Share(LANE, 1)], 1, _LEASE, ())
    outcome = Outcome(
        Kind.OK, code="delivered", response={"sandbox": "delivered"}, provider_message_id=f"sandbox-{uuid4()}"
    )
    result = Result(
        notification,
        Verdict(Status.SENT, "the provider accepted it"),
        outcome=outcome,
        account="box",
        provider="sandbox",
        seconds=0.001,
    )
    told = columns([result], 0.0)
    queue.release(1, [notification])
    queue.close()
    return told


def of_many(told: Columns, tokens: Sequence[tuple[int, int]]) -> Columns:
    """The same for many rows; a token is (notification_id, claim_count)."""
    alike = {name: array([0] * len(tokens)) for name in ("ages_ms", "durations_ms")}
    words = {name: SEPARATOR.join([str(told[name])] * len(tokens)) for name in ("provider_message_ids", "responses")}
    own = {"ids": array(id_ for id_, _ in tokens), "claim_counts": array(count for _, count in tokens)}
    return told | alike | words | own


def bare_loop(bench: Bench, url: str, rows: int) -> Drained:
    """Claim a batch, record it, again: one connection, one thread, nothing rendered, nothing sent."""
    with psycopg.connect(url, autocommit=True) as administrator:
        fill(administrator, rows)
        told = sandbox_columns(url)
        settle(administrator)
        with connect(url) as connection:
            drained = _loop(bench, connection, told)
        verify(administrator, rows)
    return drained


def _loop(bench: Bench, connection: psycopg.Connection[Any], told: Columns) -> Drained:
    claim, record = statement("claim").sql.encode(), statement("record_sent").sql.encode()
    floor, done = Floor(), 0
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        began, client, server = time.monotonic(), time.process_time(), bench.server_cpu()
        while claimed := cursor.execute(claim, claim_parameters([Share(LANE, BATCH, floor)], BATCH)).fetchall():
            columns = [column.name for column in cursor.description or ()]
            due = columns.index("due_at")
            floor = Floor(*max((row[due], row[0]) for row in claimed))
            tokens = sorted((row[0], row[1]) for row in claimed)
            cursor.execute(record, {"worker_id": 1, **of_many(told, tokens)}).fetchall()
            done += len(claimed)
        seconds = time.monotonic() - began
    cpu, served = time.process_time() - client, bench.server_cpu() - server
    return Drained(done, seconds, cpu / done * 1e6, served / done * 1e6)


def pgbench(bench: Bench, url: str, rows: int) -> Drained:
    """The same statements in pgbench; the columns are made in SQL, since pgbench has no other language."""
    with psycopg.connect(url, autocommit=True) as administrator:
        fill(administrator, rows)
        told = sandbox_columns(url)
        settle(administrator)
        script = bench.directory / "limit.pgbench"
        script.write_text(_script(told))
        server = bench.server_cpu()
        ran = run_pgbench(
            bench,
            url,
            script,
            ["--protocol=prepared", f"--transactions={-(-rows // BATCH)}", "--client=1", "-D", "floor_at=0"],
        )
        served = bench.server_cpu() - server
        verify(administrator, rows)
    return Drained(rows, ran.transactions / ran.rate, 0.0, served / rows * 1e6)


@dataclass(frozen=True)
class Run:
    """What pgbench says of itself: transactions and how many a second."""

    transactions: int
    rate: float


def run_pgbench(bench: Bench, url: str, script: Path, options: list[str], settings: str = WORKERS) -> Run:
    """Run pgbench in sessions with these settings."""
    done = subprocess.run(
        [str(bench.server.bin / "pgbench"), "--no-vacuum", f"--file={script}", *options, url],
        env={**os.environ, "PGOPTIONS": settings},
        capture_output=True,
        text=True,
        check=False,
    )
    rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    number = re.search(r"actually processed: (\d+)", done.stdout)
    if done.returncode != 0 or rate is None or number is None:
        raise RuntimeError(f"pgbench: {done.stderr[-1000:]}")
    return Run(int(number[1]), float(rate[1]))


_COLUMNS = {
    "ids": "array_agg(notification_id ORDER BY notification_id)::text",
    "claim_counts": "array_agg(claim_count ORDER BY notification_id)::text",
    "ages_ms": "array_agg(0)::text",
    "durations_ms": "array_agg(0)::text",
    "provider_message_ids": "string_agg({}, chr(31))",
    "responses": "string_agg({}, chr(31))",
}
"""The columns of record_sent.sql, made of the claimed rows."""


def _script(told: Columns) -> str:
    """claim.sql and record_sent.sql as they stand, the one made to give columns, the other to take them."""
    made = ", ".join(f"{how.format(_literal(told[name]))} AS {name}" for name, how in _COLUMNS.items())
    head, update, returning = _source("claim").partition("\nUPDATE noti.notifications_log n")
    claim = (
        f"{head},\nclaimed AS ({update}{returning.rstrip().rstrip(';')})\n"
        f"SELECT {made}, floor(extract(epoch FROM max(due_at)))::bigint AS floor_at FROM claimed \\gset\n"
    )
    for name, value in claim_parameters([Share(LANE, BATCH)], BATCH).items():
        literal = "array[to_timestamp(:floor_at)]" if name == "floors_at" else _literal(value)
        claim = re.sub(rf"(?<!:):{name}\b", literal, claim)
    record = _source("record_sent")
    for name, value in {"worker_id": 1, **told}.items():
        if name not in _COLUMNS:
            record = re.sub(rf"(?<!:):{name}\b", _literal(value), record)
    return claim + record


def _source(name: str) -> str:
    text = places()[name].read_text(encoding="utf-8")
    return re.sub(r"^(\\set|--).*\n", "", text, flags=re.MULTILINE)


def _literal(value: object) -> str:
    """As SQL in which pgbench sees no variable: it takes any colon for one."""
    match value:
        case list():
            return f"array[{', '.join(map(_literal, value))}]" if value else "'{}'"
        case datetime():
            return f"to_timestamp({value.timestamp():.0f})"
        case timedelta():
            return f"interval '{value.total_seconds():.0f} seconds'"
        case None:
            return "NULL"
        case bool() | int():
            return str(value).lower()
        case _:
            return f"'{value}'"
