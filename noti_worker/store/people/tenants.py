"""Tenants as people see them: who there is, what each may do, its settings and what it used; and what changes that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from psycopg.types.json import Jsonb

from noti_worker.domain.errors import BadNotification, NotFound
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.limits import LimitLine, limits
from noti_worker.store.people.obstacles import Obstacle, obstacles
from noti_worker.store.people.pausing import PauseLine, pauses
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import Statement, statement

BOUND = 10_000
"""Tenants that are looked for among the notifications, and rows that are counted of one."""

FLAG = "flag."
SETTINGS = ("retention_days", "zone", "locale")
"""The settings that something heeds; flags are the application's own."""

_BOUNDS = ("waiting_rows", "waiting_bytes", "highest_priority", "channels", "providers", "senders", "hosts")
_PERSON = "SELECT set_config('noti.person', coalesce(%(by)s, ''), true)"
_SET = (
    f"INSERT INTO noti.tenants AS t (tenant_id, {', '.join(_BOUNDS)}, set_by)"
    f" VALUES (%(tenant_id)s, {', '.join(f'%({name})s' for name in _BOUNDS)}, coalesce(%(by)s, current_user))"
    " ON CONFLICT ON CONSTRAINT tenants_pkey DO UPDATE SET "
    + ", ".join(
        f"{name} = CASE WHEN '{name}' = ANY (%(said)s) THEN EXCLUDED.{name} ELSE t.{name} END" for name in _BOUNDS
    )
    + ", set_by = EXCLUDED.set_by, set_at = clock_timestamp()"
)
_ADD = (
    "INSERT INTO noti.tenants (tenant_id, set_by) VALUES (%(tenant_id)s, coalesce(%(by)s, current_user))"
    " ON CONFLICT DO NOTHING RETURNING tenant_id"
)
_SUSPEND = (
    "INSERT INTO noti.tenants AS t (tenant_id, status, reason) VALUES (%(tenant_id)s, 'suspended', %(reason)s)"
    " ON CONFLICT ON CONSTRAINT tenants_pkey DO UPDATE SET status = 'suspended', reason = EXCLUDED.reason"
    " WHERE t.status <> 'removing'"
)
_RESUME = "UPDATE noti.tenants SET status = 'active' WHERE tenant_id = %(tenant_id)s AND status <> 'active'"
_SETTINGS = Statement(
    "settings",
    "SELECT key, value, set_by, set_at FROM noti.settings WHERE tenant_id = %(tenant_id)s ORDER BY key",
    frozenset({"tenant_id"}),
)
_SET_SETTING = (
    "INSERT INTO noti.settings (tenant_id, key, value, set_by) VALUES (%(tenant_id)s, %(key)s, %(value)s,"
    " coalesce(%(by)s, current_user)) ON CONFLICT ON CONSTRAINT settings_pkey DO UPDATE SET value = EXCLUDED.value,"
    " set_by = EXCLUDED.set_by, set_at = clock_timestamp()"
)
_UNSET_SETTING = "SELECT noti.unset(%(tenant_id)s::text, %(key)s::text) AS unset"
_USAGE = Statement(
    "usage_report", "SELECT * FROM noti.usage_report(%(tenant_id)s, %(month)s)", frozenset({"tenant_id", "month"})
)


@dataclass(frozen=True, slots=True)
class TenantLine:
    """One tenant. Not `known`: nobody has said anything of it, and it is active and has no bounds (None: none).

    `refuses` says which bound on what waits is reached: rows, or bytes. `newest_at` is when it last inserted.
    """

    tenant_id: str
    known: bool
    status: str
    reason: str | None
    status_at: datetime | None
    status_by: str | None
    waiting_rows: int | None
    waiting_bytes: int | None
    highest_priority: str | None
    channels: Sequence[str] | None
    providers: Sequence[str] | None
    senders: Sequence[str] | None
    hosts: Sequence[str] | None
    refuses: str | None
    set_by: str | None
    set_at: datetime | None
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Setting:
    """What is set for a tenant, by whom and when."""

    key: str
    value: str | int | float | bool
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class TenantChannel:
    """What a tenant has in one channel; with `bounded` at least so many. `why` the oldest due row still waits."""

    channel: str
    due: int
    in_flight: int
    scheduled: int
    held: int
    failed_last_hour: int
    bounded: bool
    oldest_due_seconds: float | None
    oldest_id: int | None
    why: str | None
    blocked_by: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """The picture of one tenant: what it is and may do, what it has, and what keeps that back."""

    tenant: TenantLine
    settings: tuple[Setting, ...]
    channels: tuple[TenantChannel, ...]
    limits: tuple[LimitLine, ...]
    pauses: tuple[PauseLine, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """What one account sent of a tenant's channel in a month, and in how many tries."""

    channel: str
    account: str | None
    provider: str | None
    sent: int
    tries: int
    first_at: datetime
    last_at: datetime


def tenants(source: Source) -> list[TenantLine]:
    """All that are written down, and those that have notifications."""
    with by_index(source):
        return [TenantLine(**row) for row in rows(source, statement("read_tenants"), {"tenant": None, "bound": BOUND})]


def tenant(source: Source, tenant_id: str) -> TenantLine:
    """One tenant, known or not."""
    with by_index(source):
        (row,) = rows(source, statement("read_tenants"), {"tenant": tenant_id, "bound": 1})
    return TenantLine(**row)


def tenant_status(source: Source, tenant_id: str) -> TenantStatus:
    """The picture of one tenant. Raises NotFound for one of whom nothing is known and nothing is there."""
    line = tenant(source, tenant_id)
    asked = {
        "tenant": tenant_id,
        "channels": [channel.value for channel in Channel],
        "priorities": [rank.value for rank in Priority],
        "bound": BOUND,
    }
    with by_index(source):
        found = rows(source, statement("read_tenant_channels"), asked)
    causes = obstacles(source, [row["oldest_id"] for row in found if row["oldest_id"] is not None])
    settings_ = tuple(settings(source, tenant_id))
    ours = tuple(one for one in limits(source) if one.tenant_id == tenant_id)
    if not (line.known or line.newest_at or settings_ or ours):
        raise NotFound(f"there is no tenant {tenant_id}: noti-worker tenant list shows all")
    return TenantStatus(
        line,
        settings_,
        tuple(TenantChannel(**row, blocked_by=causes.get(row["oldest_id"], ())) for row in found),
        ours,
        tuple(
            one
            for one in pauses(source)
            if one.tenant_id == tenant_id or (one.scope == "tenant" and one.name == tenant_id)
        ),
    )


def add(connection: Connection, tenant_id: str, *, by: str | None = None) -> bool:
    """Write a tenant down; False when it was already."""
    with in_words():
        return bool(connection.execute(_ADD, {"tenant_id": tenant_id, "by": by}).fetchall())


def set_bounds(
    connection: Connection,
    tenant_id: str,
    bounds: Mapping[str, Any],
    *,
    by: str | None = None,
    dry_run: bool = False,
) -> TenantLine:
    """Set some bounds of a tenant, None for none; the others stay. Raises BadNotification in the database's words."""
    given = dict.fromkeys(_BOUNDS) | dict(bounds) | {"tenant_id": tenant_id, "by": by, "said": list(bounds)}
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute(_SET, given)
        return tenant(connection, tenant_id)


def suspend(connection: Connection, tenant_id: str, reason: str | None, *, by: str | None = None) -> TenantLine:
    """Send nothing of a tenant until it is resumed. Raises BadNotification for one that is being removed."""
    with in_words(), connection.transaction():
        connection.execute(_PERSON, {"by": by})
        if not connection.execute(_SUSPEND, {"tenant_id": tenant_id, "reason": reason}).rowcount:
            raise BadNotification(f"the tenant {tenant_id} is being removed: nothing of it is sent any more")
        return tenant(connection, tenant_id)


def resume(connection: Connection, tenant_id: str, *, by: str | None = None) -> bool:
    """Send again; False when it was not suspended."""
    with in_words(), connection.transaction():
        connection.execute(_PERSON, {"by": by})
        return connection.execute(_RESUME, {"tenant_id": tenant_id}).rowcount > 0


def settings(source: Source, tenant_id: str) -> list[Setting]:
    """What is set for a tenant."""
    return [Setting(**row) for row in rows(source, _SETTINGS, {"tenant_id": tenant_id})]


def set_setting(connection: Connection, tenant_id: str, key: str, value: object, *, by: str | None = None) -> None:
    """Set one; raises BadNotification in words, for a key that nothing heeds with the nearest that something does."""
    if key not in SETTINGS and not key.startswith(FLAG):
        near = get_close_matches(key, (*SETTINGS, FLAG), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SETTINGS)}"
        raise BadNotification(f"there is no setting {key}: {hint} Those of the application are called {FLAG}NAME")
    given = {"tenant_id": tenant_id, "key": key, "value": Jsonb(value), "by": by}
    with in_words():
        connection.execute(_SET_SETTING, given)


def unset_setting(connection: Connection, tenant_id: str, key: str, *, by: str | None = None) -> bool:
    """Take one away; False when it was not set."""
    with in_words(), connection.transaction():
        connection.execute(_PERSON, {"by": by})
        found = connection.execute(_UNSET_SETTING, {"tenant_id": tenant_id, "key": key}).fetchone()
        return found is not None and bool(found["unset"])


def usage(source: Source, tenant_id: str, month: date) -> list[Used]:
    """What the tenant sent in the month of that day, by its own clock."""
    return [Used(**row) for row in rows(source, _USAGE, {"tenant_id": tenant_id, "month": month})]
