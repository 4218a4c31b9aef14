"""What the categories say of their messages, as people see and set it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement


@dataclass(frozen=True, slots=True)
class CategoryLine:
    """What is said of one category; `tenant_id` is empty where it holds for all tenants that have no own line.

    `channels` None: those of the person; `expires_after_seconds` None: as long as the row says. `titles` are by
    language. At `quiet` hours its messages wait; `send_window`, such as weekdays 9-18, is when they go out at all; at
    most `cap_amount` in `cap_seconds` go to a person, and those over it wait or are dropped. `keep_seconds` is for how
    long what they say is kept. `chosen` counts the people who chose something of this very category.
    """

    tenant_id: str
    category: str
    mandatory: bool
    can_be_left: bool
    opt_in: bool
    channels: list[str] | None
    expires_after_seconds: float | None
    title: str | None
    titles: dict[str, str] | None
    quiet: bool
    send_window: str | None
    cap_amount: int | None
    cap_seconds: float | None
    cap_over: str
    keep_seconds: float | None
    refused_by: int
    chosen_by: int

    @property
    def expires_after(self) -> timedelta | None:
        """How long a message is worth sending where its row does not say."""
        return None if self.expires_after_seconds is None else timedelta(seconds=self.expires_after_seconds)


def categories(source: Source, tenants: Sequence[str] | None = None) -> list[CategoryLine]:
    """The categories of these tenants ('': of all), else of every one, by name."""
    asked = {"tenants": None if tenants is None else list(tenants)}
    return [CategoryLine(**row) for row in rows(source, statement("read_categories"), asked)]


def set_category(
    connection: Connection,
    tenant_id: str,
    name: str,
    said: Mapping[str, Any],
    *,
    by: str | None = None,
    dry_run: bool = False,
) -> CategoryLine:
    """Say something of a category; what is not in `said` stays as it is. Gives what holds then.

    Raises BadNotification in the words of the database.
    """
    values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in said.items()}
    columns = sql.SQL(", ").join(map(sql.Identifier, values))
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in (*values, "category")
    )
    insert = sql.SQL(
        "INSERT INTO noti.categories (tenant_id, category{}{}) VALUES (%s, %s{})"
        " ON CONFLICT ON CONSTRAINT categories_pkey DO UPDATE SET {}"
    ).format(sql.SQL(", ") if values else sql.SQL(""), columns, sql.SQL(", %s" * len(values)), changes)
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute("SELECT set_config('noti.person', %s, true)", [by or ""])
        connection.execute(insert, [tenant_id, name, *values.values()])
        [line] = [line for line in categories(connection, [tenant_id]) if line.category == name]
        return line


def remove_category(
    connection: Connection, tenant_id: str, name: str, *, by: str | None = None, dry_run: bool = False
) -> bool:
    """Say nothing of a category any more; False where nothing was said. What people chose of it stays."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        [row] = connection.execute(
            "SELECT noti.remove_category(%s, %s, %s) AS removed", [tenant_id, name, by]
        ).fetchall()
        return bool(row["removed"])
