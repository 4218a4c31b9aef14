"""All of one tenant goes: what waits is cancelled, then each table that has anything of it is emptied, page by page.

Which tables those are the catalogue says (`noti.tables_of_tenant`), so that none of a later version is forgotten; and
that nothing is left is counted before the tenant itself goes. For the role that owns the tables.
"""

import time
from collections.abc import Callable, Mapping

from psycopg.types.json import Jsonb

from noti_worker.domain.bounds import ACTIVE, REMOVING
from noti_worker.domain.errors import BadNotification, DatabaseError
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words, translated
from noti_worker.store.people.tenants import tenant

OWN = "default"
"""The installation's own tenant: its audit lines stand there, those of what has no tenant, too."""

FEWEST, FIRST, MOST = 16, 256, 8192
"""Pages that one transaction looks at."""

TARGET = 0.2
"""Seconds that it should take; a longer one is followed by smaller ones."""

CANCELLED = 500
"""Unfinished rows that one transaction cancels."""

_COUNT = "SELECT of_table, rows FROM noti.count_tenant(%(tenant)s)"
_BEGIN = (
    "SELECT set_config('noti.person', coalesce(%(by)s, ''), true)",
    (
        "UPDATE noti.tenants SET status = 'removing', reason = 'it is being removed'"
        " WHERE tenant_id = %(tenant)s AND status = 'suspended'"
    ),
)
_CANCEL = (
    "UPDATE noti.notifications_log n SET status = 'cancelled' WHERE n.notification_id = ANY (ARRAY("
    "SELECT c.notification_id FROM noti.notifications_log c WHERE c.tenant_id = %(tenant)s AND c.finished_at IS NULL"
    " AND c.requested IS DISTINCT FROM 'cancelled' LIMIT %(most)s FOR UPDATE SKIP LOCKED))"
)
_UNFINISHED = (
    "SELECT count(*) AS rows FROM (SELECT FROM noti.notifications_log n WHERE n.tenant_id = %(tenant)s"
    " AND n.finished_at IS NULL LIMIT 1000) AS counted"
)
_TABLES = "SELECT name, of_table, pages FROM noti.tables_of_tenant() ORDER BY turn, of_table, name"
_DELETE = "SELECT noti.remove_pages(%(tenant)s, %(name)s, %(from_page)s, %(pages)s) AS gone"
_END = "SELECT noti.end_removal(%(tenant)s, %(removed)s, %(by)s)"


class Unfinished(DatabaseError):
    """Something of the tenant is still in flight; calling again goes on."""


def count(connection: Connection, tenant_id: str) -> dict[str, int]:
    """How many rows of a tenant each table has, those with none left out."""
    with translated():
        found = connection.execute(_COUNT, {"tenant": tenant_id}).fetchall()
    return {row["of_table"]: row["rows"] for row in found if row["rows"]}


def remove(
    connection: Connection,
    tenant_id: str,
    *,
    by: str | None = None,
    wait: Callable[[float], object],
    patience: int = 60,
    progress: Callable[[str, int], None] = lambda table, gone: None,
) -> Mapping[str, int]:
    """Remove a suspended tenant, or go on with that; gives how many rows went from which table.

    Waits up to `patience` seconds for what is in flight; `progress` hears of each table. Raises BadNotification for a
    tenant that is not suspended, Unfinished, and DatabaseRefused when something of it came in meanwhile.
    """
    _begin(connection, tenant_id, by)
    _cancel(connection, tenant_id, wait, patience)
    removed: dict[str, int] = {}
    with in_words():
        tables = connection.execute(_TABLES).fetchall()
    for table in tables:
        if table["of_table"] == "tenants":
            continue
        gone = _empty(connection, tenant_id, table["name"])
        if gone:
            removed[table["of_table"]] = removed.get(table["of_table"], 0) + gone
            progress(table["of_table"], removed[table["of_table"]])
    with in_words():
        connection.execute(_END, {"tenant": tenant_id, "removed": Jsonb(removed), "by": by})
    return removed


def _begin(connection: Connection, tenant_id: str, by: str | None) -> None:
    if tenant_id == OWN:
        raise BadNotification(f"the tenant {OWN} is the installation's own: erase and retention take what is old")
    line = tenant(connection, tenant_id)
    if line.status == ACTIVE:
        raise BadNotification(f"the tenant {tenant_id} is active: suspend it first (noti-worker tenant suspend)")
    if line.status != REMOVING:
        with in_words(), connection.transaction():
            for statement in _BEGIN:
                connection.execute(statement, {"tenant": tenant_id, "by": by})


def _cancel(connection: Connection, tenant_id: str, wait: Callable[[float], object], patience: int) -> None:
    """Cancel what is not finished, and wait for what is in flight."""
    with in_words():
        while connection.execute(_CANCEL, {"tenant": tenant_id, "most": CANCELLED}).rowcount:
            pass
        for second in range(patience + 1):
            (left,) = connection.execute(_UNFINISHED, {"tenant": tenant_id}).fetchall()
            if not left["rows"]:
                return
            if second < patience:
                wait(1.0)
                connection.execute(_CANCEL, {"tenant": tenant_id, "most": CANCELLED})
    raise Unfinished(f"{left['rows']} notifications of the tenant {tenant_id} are in flight or locked: call again")


def _empty(connection: Connection, tenant_id: str, name: str) -> int:
    """Go through the pages of one table; rows that come in behind stay, and are counted at the end."""
    gone, from_page, size = 0, 0, FIRST
    while True:
        began = time.monotonic()
        given = {"tenant": tenant_id, "name": name, "from_page": from_page, "pages": size}
        with in_words():
            (row,) = connection.execute(_DELETE, given).fetchall()
            (there,) = connection.execute(
                "SELECT coalesce(max(pages), 0) AS pages FROM noti.tables_of_tenant() WHERE name = %(name)s",
                {"name": name},
            ).fetchall()
        gone += int(row["gone"])
        from_page += size
        if from_page >= there["pages"]:
            return gone
        took = time.monotonic() - began
        if took > TARGET:
            size = max(FEWEST, size // 2)
        elif took < TARGET / 2:
            size = min(MOST, size * 2)
