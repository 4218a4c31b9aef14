"""The benchmark's limit still asks what the worker asks: nothing is measured here."""

import re
from typing import Any

import psycopg
from psycopg import sql

from noti_worker.domain.lanes import Share
from noti_worker.store.statements import statement
from tests.bench import limit
from tests.bench.rows import fill, verify


def test_the_bare_loop_gives_each_statement_the_parameters_that_it_has(
    database_url: str, connection: psycopg.Connection[Any]
) -> None:
    fill(connection, 1)
    told = limit.of_many(limit.sandbox_columns(database_url), [(1, 1)])
    assert {"worker_id", *told} == statement("record_sent", more=True).parameters
    assert statement("record_sent").parameters < {"worker_id", *told}
    assert limit.claim_parameters([Share(limit.LANE, 1)], 1).keys() == statement("claim").parameters


def test_the_script_of_pgbench_leaves_it_only_the_variables_that_it_sets(
    database_url: str, connection: psycopg.Connection[Any]
) -> None:
    fill(connection, 1)
    script = limit._script(limit.sandbox_columns(database_url))
    assert set(re.findall(r"(?<![:\w]):([A-Za-z_]\w*)", script)) == {*limit._COLUMNS, "floor_at"}
    assert script.count("\\gset") == 1


def test_the_script_of_pgbench_claims_and_records(database_url: str, connection: psycopg.Connection[Any]) -> None:
    fill(connection, 3)
    claim, record = limit._script(limit.sandbox_columns(database_url)).split("\\gset")
    cursor = connection.execute(claim.replace(":floor_at", "0").encode())
    claimed = cursor.fetchone()
    assert claimed is not None
    assert cursor.description is not None
    for column, value in zip(cursor.description, claimed, strict=True):
        record = record.replace(f"(:{column.name} AS", f"({sql.quote(value)} AS")
    recorded = connection.execute(record.encode()).fetchall()
    assert sorted(id_ for id_, _ in recorded) == [1, 2, 3]
    verify(connection, 3)
