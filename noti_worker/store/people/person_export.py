"""Everything held about a person as data, as somebody may ask for it: rows of every table that knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from noti_worker.store.connect import Connection
from noti_worker.store.errors import translated
from noti_worker.store.people.persons import Person, ids

_HELD: Mapping[str, str] = {
    "contacts": "t.tenant_id = %(tenant)s AND t.user_ref = %(user_ref)s",
    "preferences": "t.tenant_id = %(tenant)s AND t.user_ref = %(user_ref)s",
    "notifications_log": "t.notification_id = ANY (%(ids)s)",
    "notification_attempts_log": "t.notification_id = ANY (%(ids)s)",
    "kept_contents": "t.notification_id = ANY (%(ids)s)",
    "inbox": "t.notification_id = ANY (%(ids)s)",
    "receipts": "t.notification_id = ANY (%(ids)s)",
    "suppressions": "t.suppression_id = ANY (%(suppressions)s)",
    "replies": "t.tenant_id = %(tenant)s AND t.address_hash = ANY (%(hashes)s)",
    "audit_log": (
        "t.entity_type = 'notification' AND t.entity_id = ANY (%(id_texts)s)"
        " OR t.entity_type = 'suppression' AND t.entity_id = ANY (%(suppression_texts)s)"
    ),
}
_OUTLIVING = {
    "kept_contents": "t.tenant_id = %(tenant)s AND t.recipient = ANY (%(names)s)",
    "inbox": "t.tenant_id = %(tenant)s AND t.recipient = %(name)s",
}
"""What may be there without its notification, for who may read to whom it went."""
_COLUMNS = (
    "SELECT a.attname AS name, has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable FROM pg_attribute a"
    " WHERE a.attrelid = format('noti.%%I', %(table)s::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum"
)


@dataclass(frozen=True, slots=True)
class Export:
    """Everything held about a person: rows by table as JSON has them, and the columns that this role may not read."""

    tables: Mapping[str, Sequence[Any]]
    unreadable: Mapping[str, Sequence[str]]


def export(connection: Connection, who: Person) -> Export:
    """Gather it, as it stands at one instant."""
    tables: dict[str, Sequence[Any]] = {}
    unreadable: dict[str, Sequence[str]] = {}
    with translated(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        numbers = sorted(ids(connection, who))
        listed = [entry.suppression_id for entry in who.suppressions]
        asked = {
            "tenant": who.tenant_id,
            "user_ref": who.user_ref,
            "name": who.name,
            "names": [who.name, *who.addresses],
            "ids": numbers,
            "id_texts": list(map(str, numbers)),
            "suppressions": listed,
            "suppression_texts": list(map(str, listed)),
            "hashes": [bytes.fromhex(contact.address_hash) for contact in who.contacts if contact.address_hash],
        }
        for table, of_theirs in _HELD.items():
            condition = of_theirs
            columns = connection.execute(_COLUMNS, {"table": table}).fetchall()
            readable = [column["name"] for column in columns if column["readable"]]
            if hidden := [column["name"] for column in columns if not column["readable"]]:
                unreadable[table] = hidden
            elif table in _OUTLIVING:
                condition = f"{condition} OR {_OUTLIVING[table]}"
            question = sql.SQL("SELECT {} FROM noti.{} t WHERE {} ORDER BY 1").format(
                sql.SQL(", ").join(sql.Identifier("t", name) for name in readable),
                sql.Identifier(table),
                sql.SQL(condition),
            )
            wrapped = sql.SQL("SELECT to_jsonb(one) AS line FROM ({}) AS one").format(question)
            tables[table] = [row["line"] for row in connection.execute(wrapped, asked).fetchall()] if readable else []
    return Export(tables, unreadable)
