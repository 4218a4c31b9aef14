"""The migrated schema is the committed one, and the SQLAlchemy tables say the same."""

import os
import re
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import create_engine

from noti_worker.store.tables import metadata
from tests.migrations.describe import describe

GOLDEN = Path(__file__).with_name("schema.txt")


def test_the_committed_description_is_what_the_migrations_make(connection: psycopg.Connection[Any]) -> None:
    found = describe(connection)
    if os.environ.get("NOTI_TEST_GOLDEN") == "write":
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_sqlalchemy_tables_make_the_same_tables(
    connection: psycopg.Connection[Any], empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        other.execute("CREATE SCHEMA noti")
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(empty_database_url))
        metadata.create_all(engine)
        engine.dispose()
        assert describe(other, tables_only=True) == describe(connection, tables_only=True)


def test_no_index_names_what_a_claim_writes(connection: psycopg.Connection[Any]) -> None:
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'noti' AND tablename = 'notifications_log'"
    ).fetchall()
    assert len(indexes) == 9
    claimed = re.compile(
        r"\b(status|lease_until|claimed_by|claim_count|retry_count|attempt_count|lost_count|dispatched_at|requested)\b"
    )
    assert [name for name, definition in indexes if claimed.search(definition)] == []


def test_the_doorman_repeats_the_wall_word_for_word(connection: psycopg.Connection[Any]) -> None:
    """What the CHECK refuses, the trigger must have refused before, in words and without the row."""
    row = connection.execute(
        """
        SELECT pg_get_constraintdef((SELECT oid FROM pg_constraint WHERE conname = 'notifications_log_sane')),
               pg_get_triggerdef((SELECT oid FROM pg_trigger WHERE tgname = 'notifications_log_odd'))
        """
    ).fetchone()
    assert row is not None
    wall, doorman = row
    assert f"NOT {wall.removeprefix('CHECK (').removesuffix(')')}" in doorman.replace("new.", "")


def test_only_triggers_and_the_erasure_have_the_rights_of_their_owner(connection: psycopg.Connection[Any]) -> None:
    functions = connection.execute(
        """
        SELECT p.proname, p.prosecdef, p.prorettype = 'trigger'::regtype, p.proconfig, p.prosrc, l.lanname,
               has_function_privilege('public', p.oid, 'EXECUTE'), p.proowner = n.nspowner
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
         WHERE n.nspname = 'noti'
        """
    ).fetchall()
    triggers = {"on_insert", "on_update", "on_truncate", "on_pause"}
    erasing = {"erase", "erase_inbox", "erase_lines"}
    assert {name for name, definer, *_ in functions if definer} == triggers | erasing
    # No name is looked up where others may put something: pg_temp comes last, and there is nothing else.
    assert [name for name, _, _, settings, *_ in functions if "search_path=pg_catalog, pg_temp" not in settings] == []
    for name, definer, trigger, _, source, language, public, owned in functions:
        assert language in {"sql", "plpgsql"}
        assert owned
        if definer:
            assert trigger == (name in triggers)
            assert not public, name
            assert "EXECUTE" not in source, f"{name} makes statements from texts"
