"""The benchmark's limit still asks what the worker asks: nothing is measured here."""

import re
from typing import Any

import psycopg
from psycopg import sql

from noti_worker.domain.lanes import Share
from noti_worker.store.statements import statement
from tests.bench import limit
from tests.bench.rows import fill, verify


def test_the_bare_loop_gives_each_statement_the_parameters_that_it_has() -> None:
    assert limit.claim_parameters([Share(limit.LANE, 1)], 1).keys() == statement("claim").parameters
    assert statement("record").parameters == {"worker_id", "document"}


def test_the_script_of_pgbench_leaves_it_only_the_variables_that_it_sets() -> None:
    script = limit._script({"id": 1, "claim_count": 1, "status": "sent"})
    assert set(re.findall(r"(?<![:\w]):([A-Za-z_]\w*)", script)) == {"document", "floor_at"}
    assert script.count("\\gset") == 1


def test_the_script_of_pgbench_claims_and_records(database_url: str, connection: psycopg.Connection[Any]) -> None:
    fill(connection, 3)
    claim, record = limit._script(limit.sandbox_entry(database_url)).split("\\gset")
    claimed = connection.execute(claim.replace(":floor_at", "0").encode()).fetchone()
    assert claimed is not None
    recorded = connection.execute(record.replace(":document", sql.quote(claimed[0])).encode()).fetchall()
    assert sorted(recorded) == [(1, "applied"), (2, "applied"), (3, "applied")]
    verify(connection, 3)
