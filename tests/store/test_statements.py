"""The named statements: they run in psql as they stand, and are read without surprises."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import psycopg

from noti_worker.embedded import Server
from noti_worker.store.statements import parse, places, statement

NAMES = sorted(places())


def test_every_statement_runs_in_psql_as_it_stands(cluster: Server, database_url: str) -> None:
    psql = [str(cluster.bin / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", database_url]
    command = [*psql, *(part for name in NAMES for part in ("--file", str(places()[name])))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_can_be_loaded(name: str) -> None:
    loaded = statement(name)
    assert "\\set" not in loaded.sql
    assert all(f"%({parameter})s" in loaded.sql for parameter in loaded.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_says_what_it_is_for(name: str) -> None:
    assert places()[name].read_text().startswith("-- ")


def test_every_statement_file_lies_in_a_wing() -> None:
    store = Path(str(files("noti_worker.store")))
    assert sorted(path.stem for path in store.rglob("*.sql")) == NAMES


def test_a_statement_is_read_once() -> None:
    assert statement("claim") is statement("claim")


def test_a_parameter_without_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd\.sql.*second"):
        parse("odd", "\\set first 1\nSELECT cast(:first AS int), cast(:second AS int);")


def test_a_sample_without_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd\.sql.*first"):
        parse("odd", "\\set first 1\nSELECT 1;")


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_read_as_sqlalchemy_reads_it(name: str) -> None:
    source = re.sub(r"^\\set .*\n|--.*", "", places()[name].read_text(), flags=re.MULTILINE)
    dialect = psycopg.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
    compiled = text(source).compile(dialect=dialect)
    ours = statement(name)
    assert re.sub(r"--.*", "", ours.sql).split() == str(compiled).split()
    assert ours.parameters == frozenset(compiled.params)


def test_casts_and_percent_signs_are_left_alone() -> None:
    assert parse("x", "\\set a 1\nSELECT '5'::int, '50%', cast(:a AS int)").sql == (
        "SELECT '5'::int, '50%%', cast(%(a)s AS int)"
    )


def test_a_look_at_what_a_claim_would_take_has_the_conditions_of_the_claim() -> None:
    def conditions(name: str) -> str:
        text = statement(name).sql
        return " ".join(text[text.index("FROM noti.notifications_log n") : text.index("SKIP LOCKED")].split())

    assert conditions("peek") == conditions("claim")


def test_a_dry_run_reads_the_columns_that_a_claim_returns() -> None:
    claimed, _, rescued = statement("claim").sql.partition("RETURNING ")[2].rstrip(";").rpartition(",\n")
    read, _, never = statement("read_as_claimed").sql.partition("SELECT ")[2].partition("\nFROM ")[0].rpartition(",\n")
    assert read == claimed
    assert [column.rpartition(" AS ")[2] for column in (rescued, never)] == ["rescued", "rescued"]
