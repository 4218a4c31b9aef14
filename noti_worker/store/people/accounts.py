"""Tenants' own accounts as people see and change them. A secret is sealed before it comes here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from noti_worker.domain.errors import BadNotification, NotFound
from noti_worker.domain.own_accounts import Place, Sealed, of_tenant
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words, translated
from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement

_SET = (
    "INSERT INTO noti.accounts AS a (tenant_id, name, provider, channels, settings, mode, enabled, set_by)"
    " VALUES (%(tenant_id)s, %(name)s, %(provider)s, %(channels)s, %(settings)s, %(mode)s, %(enabled)s,"
    " coalesce(%(by)s, current_user)) ON CONFLICT ON CONSTRAINT accounts_pkey DO UPDATE"
    " SET provider = EXCLUDED.provider, channels = EXCLUDED.channels, settings = EXCLUDED.settings,"
    " mode = EXCLUDED.mode, enabled = EXCLUDED.enabled, set_by = EXCLUDED.set_by, set_at = clock_timestamp()"
)
_KEEP = (
    "INSERT INTO noti.secrets AS s (tenant_id, account, purpose, key_id, sealed, set_by)"
    " VALUES (%(tenant_id)s, %(account)s, %(purpose)s, %(key_id)s, %(sealed)s, coalesce(%(by)s, current_user))"
    " ON CONFLICT ON CONSTRAINT secrets_pkey DO UPDATE SET key_id = %(key_id)s, sealed = %(sealed)s,"
    " version = s.version + 1, set_by = EXCLUDED.set_by, set_at = clock_timestamp()"
)
# Without EXCLUDED.sealed, which would need the right to read it.
_PERSON = "SELECT set_config('noti.person', coalesce(%(by)s, ''), true)"
_OLDER = (
    "SELECT s.tenant_id, s.account, s.purpose, s.key_id, s.sealed, s.version FROM noti.secrets s"
    " WHERE s.key_id <> %(newest)s ORDER BY s.tenant_id, s.account, s.purpose"
)
_RESEAL = (
    "UPDATE noti.secrets s SET key_id = %(key_id)s, sealed = %(sealed)s WHERE s.tenant_id = %(tenant_id)s"
    " AND s.account = %(account)s AND s.purpose = %(purpose)s AND s.version = %(version)s AND s.key_id = %(was)s"
)


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account of a tenant's own.

    `secrets` are the ids of the keys under which they are sealed, by purpose; `routes` the channels whose own route
    names it; `trouble` says why its circuit is open.
    """

    tenant_id: str
    name: str
    provider: str
    channels: Sequence[str]
    settings: Mapping[str, object]
    mode: str
    enabled: bool
    set_by: str
    set_at: datetime
    routes: Sequence[str]
    secrets: Mapping[str, str]
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """An account as it is to be."""

    tenant_id: str
    name: str
    provider: str
    channels: Sequence[str]
    settings: Mapping[str, object]
    mode: str = "live"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One step of a tenant's own route; where `account` is None the installation's route goes on."""

    tenant_id: str
    channel: str
    account: str | None


def accounts(source: Source, tenant_id: str | None = None) -> list[AccountLine]:
    """The accounts of a tenant, or of all."""
    return [AccountLine(**row) for row in rows(source, statement("read_own_accounts"), {"tenant": tenant_id})]


def account(source: Source, tenant_id: str, name: str) -> AccountLine:
    """One account; raises NotFound."""
    for line in accounts(source, tenant_id):
        if line.name == name:
            return line
    raise NotFound(f"there is no account {of_tenant(tenant_id, name)} in the database (noti-worker account list)")


def set_account(
    connection: Connection, given: Given, *, new: bool, by: str | None = None, dry_run: bool = False
) -> AccountLine:
    """Add an account, or change one; raises BadNotification in words."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        if new and any(line.name == given.name for line in accounts(connection, given.tenant_id)):
            raise BadNotification(
                f"the account {of_tenant(given.tenant_id, given.name)} is there already: noti-worker account set"
            )
        connection.execute(
            _SET,
            {
                "tenant_id": given.tenant_id,
                "name": given.name,
                "provider": given.provider,
                "channels": list(given.channels),
                "settings": Jsonb(dict(given.settings)),
                "mode": given.mode,
                "enabled": given.enabled,
                "by": by,
            },
        )
        return account(connection, given.tenant_id, given.name)


def remove_account(
    connection: Connection, tenant_id: str, name: str, *, by: str | None = None, dry_run: bool = False
) -> AccountLine:
    """Remove an account with its secrets and its places on routes; raises NotFound."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        line = account(connection, tenant_id, name)
        connection.execute(_PERSON, {"by": by})
        connection.execute("SELECT noti.remove_account(%s, %s)", [line.tenant_id, line.name])
        return line


def keep_secret(
    connection: Connection, place: Place, sealed: Sealed, *, by: str | None = None, dry_run: bool = False
) -> None:
    """Put a sealed secret beside its account, in place of the one that was there."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute(
            _KEEP,
            {
                "tenant_id": place.tenant_id,
                "account": place.account,
                "purpose": place.purpose,
                "key_id": sealed.key_id,
                "sealed": sealed.data,
                "by": by,
            },
        )


def remove_secret(connection: Connection, place: Place, *, by: str | None = None, dry_run: bool = False) -> bool:
    """Remove a secret; False when there is none."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute(_PERSON, {"by": by})
        removed = connection.execute(
            "SELECT noti.remove_secret(%s, %s, %s) AS removed", [place.tenant_id, place.account, place.purpose]
        ).fetchone()
        return removed is not None and bool(removed["removed"])


def set_route(
    connection: Connection,
    tenant_id: str,
    channel: str,
    order: Iterable[str | None],
    *,
    by: str | None = None,
    dry_run: bool = False,
) -> list[RouteStep]:
    """Let a tenant's channel go through these accounts of its own, in failover order; with none the route is removed.

    Gives the steps as they are then.
    """
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute(_PERSON, {"by": by})
        connection.execute("SELECT noti.set_route(%s, %s, %s::text[])", [tenant_id, channel, list(order)])
        return [step for step in routes(connection, tenant_id) if step.channel == channel]


def routes(connection: Connection, tenant_id: str | None = None) -> list[RouteStep]:
    """The steps of the routes of a tenant, or of all, in their order."""
    with translated():
        found = connection.execute(
            "SELECT r.tenant_id, r.channel, r.account FROM noti.routes r"
            " WHERE %(tenant)s::text IS NULL OR r.tenant_id = %(tenant)s ORDER BY r.tenant_id, r.channel, r.position",
            {"tenant": tenant_id},
        ).fetchall()
    return [RouteStep(row["tenant_id"], row["channel"], row["account"]) for row in found]


def sealed_otherwise(connection: Connection, newest: str) -> list[tuple[Place, Sealed, int]]:
    """The secrets under other keys than the newest, each with its version; only workers may read them."""
    with translated():
        found = connection.execute(_OLDER, {"newest": newest}).fetchall()
    return [
        (
            Place(row["tenant_id"], row["account"], row["purpose"]),
            Sealed(row["key_id"], bytes(row["sealed"])),
            row["version"],
        )
        for row in found
    ]


def reseal(connection: Connection, place: Place, was: Sealed, version: int, sealed: Sealed) -> bool:
    """Put the same secret there, sealed anew; False when it was set or removed meanwhile."""
    with translated():
        done = connection.execute(
            _RESEAL,
            {
                "tenant_id": place.tenant_id,
                "account": place.account,
                "purpose": place.purpose,
                "version": version,
                "was": was.key_id,
                "key_id": sealed.key_id,
                "sealed": sealed.data,
            },
        )
    return done.rowcount > 0
