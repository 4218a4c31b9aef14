"""Everything of one tenant as one archive: a file of JSON lines for each table that has anything of it."""

import json
import zipfile
from collections.abc import Callable
from contextlib import closing
from typing import IO

from psycopg import sql

from noti_worker.store.connect import Connection
from noti_worker.store.errors import translated

_TABLES = (
    "SELECT t.of_table,"
    " noti.tenant_condition(t.of_table, bool_or(t.by_tenant), bool_or(t.by_notification)) AS condition"
    " FROM noti.tables_of_tenant() t GROUP BY t.of_table ORDER BY t.of_table"
)
_ROWS = sql.SQL("SELECT to_jsonb(t)::text AS line FROM noti.{table} t WHERE {condition}")
_AT_ONCE = 1000


def export(
    connection: Connection,
    tenant_id: str,
    to: IO[bytes],
    progress: Callable[[str, int], None] = lambda table, rows: None,
) -> dict[str, int]:
    """Write the archive, as it stands at one instant; gives how many rows of which table. For who may read all.

    `tenant.json` in it says of whom it is, of when, and how many lines each file has.
    """
    written: dict[str, int] = {}
    with (
        translated(),
        connection.transaction(),
        zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        (clock,) = connection.execute("SELECT to_jsonb(now()) #>> '{}' AS at").fetchall()
        for table in connection.execute(_TABLES).fetchall():
            name, condition = table["of_table"], table["condition"].replace("$1", "%(tenant)s")
            asked = _ROWS.format(table=sql.Identifier(name), condition=sql.SQL(condition))
            with closing(connection.cursor(name="export")) as cursor:
                cursor.itersize = _AT_ONCE
                cursor.execute(asked, {"tenant": tenant_id})
                first = cursor.fetchmany(_AT_ONCE)
                if not first:
                    continue
                rows = 0
                with archive.open(f"{name}.jsonl", "w", force_zip64=True) as file:
                    while first:
                        file.writelines(f"{row['line']}\n".encode() for row in first)
                        rows += len(first)
                        first = cursor.fetchmany(_AT_ONCE)
            written[name] = rows
            progress(name, rows)
        about = {"tenant_id": tenant_id, "at": clock["at"], "lines": written}
        archive.writestr("tenant.json", json.dumps(about, indent=2) + "\n")
    return written
