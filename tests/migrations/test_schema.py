"""The migrated schema is the committed one, and the SQLAlchemy tables say the same."""

import json
import os
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.dialects import postgresql

from noti_worker.store.people.tables import metadata
from tests.migrations.describe import describe

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
GOLDEN = Path(__file__).with_name("schema.txt")


def test_the_committed_description_is_what_the_migrations_make(connection: psycopg.Connection[Any]) -> None:
    found = describe(connection)
    if os.environ.get("NOTI_TEST_GOLDEN") == "write":
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_columns_that_sqlalchemy_knows_are_those_of_the_database(connection: psycopg.Connection[Any]) -> None:
    known = {
        (table.name, column.name, column.type.compile(DIALECT).lower())
        for table in metadata.tables.values()
        for column in table.columns
    }
    found = connection.execute(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'noti'::regnamespace"
    ).fetchall()
    assert known <= set(found)


def test_no_index_names_what_a_claim_writes(connection: psycopg.Connection[Any]) -> None:
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'noti' AND tablename = 'notifications_log'"
    ).fetchall()
    assert len(indexes) == 13
    claimed = re.compile(
        r"\b(status|lease_until|claimed_by|claim_count|retry_count|attempt_count|lost_count|dispatched_at|requested)\b"
    )
    assert [name for name, definition in indexes if claimed.search(definition)] == []


LIMITS = {
    "tenant_id": 128, "entity_type": 128, "locale": 64, "recipient": 4096, "subject": 4096, "body": 1_048_576,
    "error_message": 8192, "entity_id": 256, "template_id": 256, "idempotency_key": 256, "category": 256,
    "provider": 256, "collapse_key": 256, "digest_key": 256, "traceparent": 256,
}  # fmt: skip
COUNTS = ("claim_count", "attempt_count", "lost_count", "retry_count", "max_retries")
TIMES = (
    "created_at", "updated_at", "send_at", "expires_at", "next_retry_at", "finished_at", "held_at", "sent_at",
    "failed_at", "lease_until", "dispatched_at",
)  # fmt: skip
DOCUMENT = json.dumps({"x": "".join(map(chr, range(0x4E00, 0x9000))) * 6})
WRONG: list[tuple[str, object]] = [
    *((name, "x" * (most + 1)) for name, most in LIMITS.items()),
    *((name, "ä" * (most // 2) + "x") for name, most in LIMITS.items()),
    *((name, DOCUMENT) for name in ("template_data", "options", "metadata")),
    *((name, word) for name in TIMES for word in ("infinity", "-infinity", "1999-12-31", "2200-01-02")),
    *((name, -1) for name in COUNTS),
    *((name, "planet") for name in ("channel", "priority", "status", "on_uncertain", "requested")),
    *((name, "") for name in ("tenant_id", "recipient")),
    *((name, None) for name in ("body", "channel", "recipient")),
    *((name, "2026-01-01") for name in ("held_at", "sent_at")),
    ("max_retries", 1001),
    ("entity_type", "x"),
    ("entity_id", "1"),
    ("claimed_by", 1),
    ("status", "sending"),
]


def test_the_doorman_refuses_in_words_whatever_the_wall_would_refuse(connection: psycopg.Connection[Any]) -> None:
    """The wall's error prints the whole row, to the client and into the server's log."""
    heard = []
    for name, wrong in WRONG:
        values = {"channel": "email", "recipient": "ann@example.com", "body": "Hi", name: wrong}
        if name.startswith("entity") and len(str(wrong)) > 1:
            values |= {"entity_type": "x", "entity_id": "x", name: wrong}
        insert = sql.SQL("INSERT INTO noti.notifications_log ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join([sql.Placeholder()] * len(values))
        )
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            connection.execute(insert, [*values.values()])
        heard.append((name, str(refused.value)[:6], refused.value.diag.message_detail))
    assert [one for one in heard if one[1:] != ("noti: ", None)] == []


WALL: list[dict[str, object]] = [
    *({name: wrong} for name, wrong in WRONG if wrong is not None or name == "body"),
    {"claim_count": 1_000_000_001},
    {"attempt_count": 1_000_000_001},
    {"lost_count": 1_000_001},
    {"retry_count": 1_000_001},
    {"lease_until": "2026-01-01"},
    {"dispatched_at": "2026-01-01"},
    {"requested": "held"},
    {"status": "sending", "claimed_by": 1},
    {"status": "sending", "claimed_by": 1, "lease_until": "infinity"},
    {"status": "sending", "claimed_by": 1, "lease_until": "2026-01-01", "dispatched_at": "infinity"},
    {"status": "sending", "claimed_by": 1, "lease_until": "2026-01-01", "requested": "sent"},
    {"status": "sending", "claimed_by": 1, "lease_until": "2026-01-01", "held_at": "2026-01-01"},
    {"status": "pending", "claimed_by": 1, "lease_until": "2026-01-01"},
    {"status": "sent", "finished_at": "2026-01-01"},
    {"status": "failed", "finished_at": "2026-01-01", "sent_at": "2026-01-01"},
    {"status": "unknown"},
]


def test_the_wall_stands_without_the_doorman_and_does_not_show_the_row(connection: psycopg.Connection[Any]) -> None:
    heard = []
    connection.execute("SET session_replication_role = replica")  # no triggers
    for wrong in WALL:
        values = {"channel": "email", "recipient": "ann@example.com", "body": "Hi", "max_retries": 3} | wrong
        if any(name.startswith("entity") and len(str(word)) > 1 for name, word in wrong.items()):
            values = {"entity_type": "x", "entity_id": "x"} | values
        insert = sql.SQL("INSERT INTO noti.notifications_log ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join([sql.Placeholder()] * len(values))
        )
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            connection.execute(insert, [*values.values()])
        heard.append((wrong, str(refused.value)[:6], refused.value.diag.message_detail))
    assert [one for one in heard if one[1:] != ("noti: ", None)] == []


def test_the_wall_lets_in_what_is_only_unusual(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET session_replication_role = replica")  # no triggers
    claim = "'sending', 1, now(), now()"
    for names, values in (
        ("claim_count, attempt_count", "1000000000, 1000000000"),
        ("lost_count, retry_count", "1000000, 1000000"),
        ("status, claimed_by, lease_until, dispatched_at, requested", f"{claim}, 'cancelled'"),
        ("status, claimed_by, lease_until, dispatched_at, requested, on_uncertain", f"{claim}, 'held', 'fail'"),
        ("error_message", "repeat('x', 8192)"),
    ):
        columns = f"channel, recipient, body, max_retries, {names}"
        statement = f"INSERT INTO noti.notifications_log ({columns}) VALUES ('sms', 'a', 'b', 1000, {values})"
        connection.execute(statement.encode())
    connection.execute("UPDATE noti.notifications_log SET updated_at = now()")
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (5,)


def test_what_is_as_long_as_may_be_gets_in(connection: psycopg.Connection[Any]) -> None:
    values = {"channel": "email", "max_retries": 1000, "send_at": "2200-01-01"} | {
        n: "x" * m for n, m in LIMITS.items()
    }
    insert = sql.SQL("INSERT INTO noti.notifications_log ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join([sql.Placeholder()] * len(values))
    )
    connection.execute(insert, [*values.values()])


def test_only_few_functions_have_the_rights_of_their_owner(connection: psycopg.Connection[Any]) -> None:
    functions = connection.execute(
        """
        SELECT p.proname, p.prosecdef, p.prorettype = 'trigger'::regtype, p.proconfig, p.prosrc, l.lanname,
               has_function_privilege('public', p.oid, 'EXECUTE'), p.proowner = n.nspowner
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
         WHERE n.nspname = 'noti' AND p.prosqlbody IS NULL  -- what was read when it was made, looks nothing up
        """
    ).fetchall()
    triggers = {"on_insert", "on_update", "on_truncate", "on_pause", "on_circuit", "on_limit", "on_suppression"}
    triggers |= {"on_inbox", "on_endpoint", "on_tenant", "on_setting", "on_tenant_member"}
    triggers |= {"on_account", "on_odd_account"}
    triggers |= {"on_template", "on_version", "on_digest"}
    triggers |= {"on_category", "on_preference"}
    others = {"erase", "erase_inbox", "erase_lines", "correct", "locked_by", "defer_copies"}
    others |= {"erase_suppressions", "erase_receipts", "pump_events", "test_endpoint", "recover_endpoint"}
    others |= {"pause", "resume", "heard", "unlimit", "unset", "remove_endpoint"}
    others |= {"remove_account", "remove_secret", "set_route", "erase_kept", "erase_contacts"}
    others |= {"remove_category", "choose", "reached", "close_digests"}
    assert {name for name, definer, *_ in functions if definer} == triggers | others
    # No name is looked up where others may put something: pg_temp comes last, and there is nothing else.
    assert [name for name, _, _, settings, *_ in functions if "search_path=pg_catalog, pg_temp" not in settings] == []
    for name, definer, trigger, _, source, language, public, owned in functions:
        assert language in {"sql", "plpgsql"}
        assert owned
        if definer:
            assert trigger == (name in triggers)
            assert not public, name
            assert "EXECUTE" not in source, f"{name} makes statements from texts"
