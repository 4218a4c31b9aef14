"""Which database role sees which tenants, and the switch that isolates them."""

from collections.abc import Sequence
from dataclasses import dataclass

from noti_worker.domain.errors import BadNotification
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import statement


@dataclass(frozen=True, slots=True)
class Member:
    """A database role and the tenants that it is bound to.

    `all_by` says why it sees all of them whatever it is bound to, None: it does not. A role that was dropped does not
    exist any more, and its name is its number.
    """

    role: str
    tenants: tuple[str, ...]
    exists: bool = True
    all_by: str | None = None


def isolated(source: Source) -> bool:
    """Tell whether tenants are isolated."""
    return bool(rows(source, statement("isolated"), {})[0]["isolated"])


def members(source: Source) -> list[Member]:
    """The roles that are bound to tenants; a role that is bound itself is told of its own only."""
    return [
        Member(row["role"], tuple(row["tenants"]), exists=row["exists"])
        for row in rows(source, statement("tenant_members"), {})
    ]


def views(source: Source) -> list[Member]:
    """What each role that may do anything with notifications sees when tenants are isolated; no group of ours."""
    return [
        Member(row["role"], tuple(row["tenants"]), all_by=row["all_by"])
        for row in rows(source, statement("tenant_views"), {})
    ]


def unbound_tenants(source: Source, most: int) -> list[str]:
    """Tenants that have notifications, and that no role is bound to; `most` of them at most."""
    with by_index(source):
        return [row["tenant_id"] for row in rows(source, statement("tenants_unbound"), {"most": most})]


def isolate(connection: Connection, *, isolated: bool, dry_run: bool = False) -> bool:
    """Switch isolation on or off; True when that changes something.

    Raises BadNotification in the words of the database, DatabaseRefused for who does not own the schema.
    """
    with in_words(), connection.transaction(force_rollback=dry_run):
        (row,) = connection.execute(statement("isolate_tenants").sql, {"isolated": isolated}).fetchall()
    return bool(row["changed"])


def bind(connection: Connection, role: str, tenants: Sequence[str], *, dry_run: bool = False) -> list[str]:
    """Bind a role to tenants; gives those that are new to it. Raises BadNotification when there is no such role."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        _must_exist(connection, role)
        given = {"role": role, "tenants": list(tenants)}
        return sorted(row["tenant_id"] for row in connection.execute(statement("tenant_bind").sql, given).fetchall())


def unbind(connection: Connection, role: str, tenants: Sequence[str], *, dry_run: bool = False) -> list[str]:
    """Take tenants from a role, or from the number of one that was dropped; gives those that it was bound to."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        given = {"role": role, "tenants": list(tenants)}
        return sorted(row["tenant_id"] for row in connection.execute(statement("tenant_unbind").sql, given).fetchall())


def _must_exist(connection: Connection, role: str) -> None:
    (row,) = connection.execute(statement("role_exists").sql, {"role": role}).fetchall()
    if not row["known"]:
        raise BadNotification("there is no database role of that name: CREATE ROLE first")
