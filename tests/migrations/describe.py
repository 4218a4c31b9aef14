"""The migrated schema as text that a reviewer can diff, the same on every server version.

Not pg_dump: its text changes from version to version. Without the partitions of the logs, whose names depend on the
day; a test compares each with its log. Written anew by `NOTI_TEST_GOLDEN=write pytest tests/migrations`.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import psycopg

COLUMNS = """
SELECT c.relname, c.relkind::text, c.relpersistence::text, c.reloptions, a.attname,
       pg_get_partkeydef(c.oid) AS partitioned,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN co.collname END AS collation,
       a.attnotnull, a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid) AS expression
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND c.relname <> 'alembic_version'
   AND NOT c.relispartition
 ORDER BY c.relkind = 'v', c.relname, a.attnum
"""
# NOT NULL is a constraint of its own since 18; the columns tell it already.
CONSTRAINTS = """
SELECT c.relname, o.conname, pg_get_constraintdef(o.oid) AS definition
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
 WHERE o.connamespace = 'noti'::regnamespace AND o.contype <> 'n' AND c.relname <> 'alembic_version'
   AND NOT c.relispartition
 ORDER BY 1, 2
"""
INDEXES = """
SELECT tablename AS relname, indexdef AS definition FROM pg_indexes
 WHERE schemaname = 'noti' AND tablename <> 'alembic_version' ORDER BY 1, indexname
"""
SEQUENCES = """
SELECT s.sequencename, s.data_type::text, s.start_value, s.increment_by, s.cache_size, s.cycle, c.relpersistence::text
  FROM pg_sequences s JOIN pg_class c ON c.relname = s.sequencename AND c.relnamespace = 'noti'::regnamespace
 WHERE s.schemaname = 'noti' ORDER BY 1
"""
TRIGGERS = """
SELECT c.relname, t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid) AS definition
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'noti'::regnamespace AND NOT t.tgisinternal AND NOT c.relispartition
 ORDER BY 1, 2
"""
FUNCTIONS = """
SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       l.lanname, p.provolatile::text, p.prosecdef, p.proconfig, p.prosrc,
       has_function_privilege('public', p.oid, 'EXECUTE') AS public
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'noti'::regnamespace ORDER BY 1, 2
"""
TYPES = """
SELECT c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS fields
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind = 'c' GROUP BY 1 ORDER BY 1
"""
VIEWS = """
SELECT c.relname, c.reloptions, pg_get_viewdef(c.oid) AS definition
  FROM pg_class c WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind = 'v' ORDER BY 1
"""
POLICIES = """
SELECT tablename, policyname, cmd, roles::text, qual, with_check FROM pg_policies
 WHERE schemaname = 'noti' ORDER BY 1, policyname
"""

Rows = list[dict[str, Any]]


def describe(connection: psycopg.Connection[Any]) -> str:
    """The schema `noti` as text."""
    connection.execute("SET timezone = 'UTC'; SET datestyle = 'ISO'; SET search_path = pg_catalog")
    lines = [*_tables(connection), *_sequences(connection)]
    lines += [*_triggers(connection), *_policies(connection), *_types(connection)]
    lines += [*_functions(connection), *_views(connection)]
    return "\n".join(lines) + "\n"


def _rows(connection: psycopg.Connection[Any], query: str) -> Rows:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def _tables(connection: psycopg.Connection[Any]) -> Iterator[str]:
    columns = _rows(connection, COLUMNS)
    constraints = _rows(connection, CONSTRAINTS)
    indexes = _rows(connection, INDEXES)
    for name in dict.fromkeys(row["relname"] for row in columns if row["relkind"] != "v"):
        mine = [row for row in columns if row["relname"] == name]
        yield f"{'unlogged ' if mine[0]['relpersistence'] == 'u' else ''}table {name}"
        if mine[0]["partitioned"]:
            yield f"  partitioned by {mine[0]['partitioned']}"
        yield from (f"  with {option}" for option in sorted(mine[0]["reloptions"] or []))
        yield from (_column(row) for row in mine)
        for row in constraints:
            if row["relname"] == name:
                yield f"  constraint {row['conname']}"
                yield from _clauses(row["definition"])
        for row in indexes:
            if row["relname"] == name:
                definition = row["definition"].removeprefix("CREATE ")
                yield "  " + re.sub(r"^(UNIQUE )?INDEX", lambda match: match[0].lower(), definition)
        yield ""


def _policies(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for row in _rows(connection, POLICIES):
        yield f"policy {row['policyname']} on {row['tablename']} for {row['cmd'].lower()} to {row['roles']}"
        for word, expression in (("using", row["qual"]), ("check", row["with_check"])):
            if expression:
                yield f"  {word} {' '.join(expression.split())}"
    yield ""


def _column(row: dict[str, Any]) -> str:
    words = [f"  {row['attname']} {row['type']}"]
    if row["collation"]:
        words.append(f'collate "{row["collation"]}"')
    if row["attnotnull"]:
        words.append("not null")
    if row["attidentity"]:
        words.append("identity always" if row["attidentity"] == "a" else "identity by default")
    elif row["attgenerated"]:
        words.append(f"generated as {row['expression']}")
    elif row["expression"]:
        words.append(f"default {row['expression']}")
    return " ".join(words)


def _clauses(definition: str) -> Iterator[str]:
    """A long condition, one clause a line, so that a change of one is a change of one line."""
    yield from (f"    {clause}" for clause in re.split(r" (?=AND )", definition))


def _sequences(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for row in _rows(connection, SEQUENCES):
        unlogged = "unlogged " if row["relpersistence"] == "u" else ""
        rest = (
            f"{row['data_type']} start {row['start_value']} increment {row['increment_by']} cache {row['cache_size']}"
        )
        yield f"{unlogged}sequence {row['sequencename']} {rest}{' cycle' if row['cycle'] else ''}"
    yield ""


def _triggers(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for row in _rows(connection, TRIGGERS):
        enabled = "enabled" if row["tgenabled"] == "O" else f"enabled: {row['tgenabled']}"
        yield f"trigger {row['tgname']} on {row['relname']} ({enabled})"
        yield from _clauses(re.sub(r" (?=OR )", "\n    ", row["definition"].removeprefix("CREATE TRIGGER ")))
        yield ""


def _types(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for row in _rows(connection, TYPES):
        yield f"type {row['relname']} ({row['fields']})"
        yield ""


def _functions(connection: psycopg.Connection[Any]) -> Iterator[str]:
    volatility = {"i": "immutable", "s": "stable", "v": "volatile"}
    for row in _rows(connection, FUNCTIONS):
        rights = "rights of the owner" if row["prosecdef"] else "rights of the caller"
        yield f"function {row['proname']}({row['arguments']})"
        yield f"  returns {row['result']}"
        yield f"  {row['lanname']}, {volatility[row['provolatile']]}, {rights}, {', '.join(row['proconfig'] or [])}"
        yield f"  granted to {'everybody' if row['public'] else 'the owner'}"
        yield textwrap.indent(textwrap.dedent(row["prosrc"]).strip("\n").rstrip(), "    ")
        yield ""


def _views(connection: psycopg.Connection[Any]) -> Iterator[str]:
    columns = _rows(connection, COLUMNS)
    for row in _rows(connection, VIEWS):
        yield f"view {row['relname']} ({', '.join(row['reloptions'] or [])})"
        yield from (_column(column) for column in columns if column["relname"] == row["relname"])
        # Before 16 the only table of a query stands before each of its columns.
        yield textwrap.indent(re.sub(r"\b(notifications_log|workers|registered)\.", "", row["definition"]), "    ")
        yield ""
