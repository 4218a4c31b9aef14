"""The limit: the worker's own claim and record statements without a worker, in a bare loop and under pgbench."""

import json
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
from noti_worker.store.connect import Database, connect
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.record import entry
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

    def session(self, part: str) -> "_Asked":
        return self

    def open(self) -> None:
        """Nothing is there to connect to."""

    def run(self, asked: Statement, parameters: Mapping[str, Any]) -> list[Any]:
        self.parameters = parameters
        return []

    tuples = run


def claim_parameters(shares: Sequence[Share], limit: int) -> Mapping[str, Any]:
    """What the worker's queue would give claim.sql to claim from these lanes."""
    asked = _Asked()
    PostgresQueue(asked).claim(1, shares, limit, _LEASE, ())  # type: ignore[arg-type]
    return asked.parameters


def sandbox_entry(url: str) -> dict[str, Any]:
    """What record.sql is told of a row that the sandbox took, of one real row; that row is left claimed."""
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
    told = entry(result, 0.0)
    queue.release(1, [notification])
    queue.close()
    return told


def bare_loop(bench: Bench, url: str, rows: int) -> Drained:
    """Claim a batch, record it, again: one connection, one thread, nothing rendered, nothing sent."""
    with psycopg.connect(url, autocommit=True) as administrator:
        fill(administrator, rows)
        told = sandbox_entry(url)
        settle(administrator)
        with connect(url) as connection:
            drained = _loop(bench, connection, told)
        verify(administrator, rows)
    return drained


def _loop(bench: Bench, connection: psycopg.Connection[Any], told: dict[str, Any]) -> Drained:
    claim, record = statement("claim").sql.encode(), statement("record").sql.encode()
    rest = json.dumps({key: value for key, value in told.items() if key not in {"id", "claim_count"}})[1:]
    floor, done = Floor(), 0
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        began, client, server = time.monotonic(), time.process_time(), bench.server_cpu()
        while claimed := cursor.execute(claim, claim_parameters([Share(LANE, BATCH, floor)], BATCH)).fetchall():
            columns = [column.name for column in cursor.description or ()]
            due = columns.index("due_at")
            floor = Floor(*max((row[due], row[0]) for row in claimed))
            entries = ",".join(f'{{"id":{row[0]},"claim_count":{row[1]},{rest}' for row in sorted(claimed))
            cursor.execute(record, {"worker_id": 1, "document": f"[{entries}]"}).fetchall()
            done += len(claimed)
        seconds = time.monotonic() - began
    cpu, served = time.process_time() - client, bench.server_cpu() - server
    return Drained(done, seconds, cpu / done * 1e6, served / done * 1e6)


def pgbench(bench: Bench, url: str, rows: int) -> Drained:
    """The same statements in pgbench; the document is made in SQL, since pgbench has no other language."""
    with psycopg.connect(url, autocommit=True) as administrator:
        fill(administrator, rows)
        told = sandbox_entry(url)
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


def _script(told: dict[str, Any]) -> str:
    """claim.sql and record.sql as they stand, the one made to give a document, the other to take it."""
    rest = json.dumps({key: value for key, value in told.items() if key not in {"id", "claim_count"}})
    head, update, returning = _source("claim").partition("\nUPDATE noti.notifications_log n")
    claim = (
        f"{head},\nclaimed AS ({update}{returning.rstrip().rstrip(';')})\n"
        "SELECT jsonb_agg(jsonb_build_object('id', notification_id, 'claim_count', claim_count)"
        f" || cast('{rest}' AS jsonb) ORDER BY notification_id)::text AS document,"
        " floor(extract(epoch FROM max(due_at)))::bigint AS floor_at FROM claimed \\gset\n"
    )
    for name, value in claim_parameters([Share(LANE, BATCH)], BATCH).items():
        literal = "array[to_timestamp(:floor_at)]" if name == "floors_at" else _literal(value)
        claim = re.sub(rf"(?<!:):{name}\b", literal, claim)
    record = re.sub(r"(?<!:):worker_id\b", "1", _source("record"))
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
