"""Pause and resume as operators do it, and the pauses in force."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from noti_worker.domain.pauses import Scope
from noti_worker.store.connect import Connection
from noti_worker.store.moves import in_words
from noti_worker.store.reading import Source, routes, rows
from noti_worker.store.statements import statement

_PAUSE = (
    "SELECT p.scope, p.name, p.reason, p.paused_by, p.created_at, p.until FROM noti.pause("
    "%(scope)s::text, %(name)s::text, %(reason)s::text, "
    "coalesce(%(until)s::timestamptz, clock_timestamp() + %(span)s::interval), %(by)s::text) AS p"
)
_RESUME = "SELECT noti.resume(%(scope)s::text, %(name)s::text, %(by)s::text) AS ended"


@dataclass(frozen=True, slots=True)
class PauseLine:
    """One pause: what, why, by whom, since and until when (None: until it is resumed)."""

    scope: str
    name: str
    reason: str | None
    paused_by: str
    created_at: datetime
    until: datetime | None


def pauses(source: Source) -> list[PauseLine]:
    """The pauses in force, the oldest first."""
    return [PauseLine(**row) for row in rows(source, statement("read_pauses"), {})]


def pause(
    connection: Connection,
    scope: Scope,
    name: str | None,
    *,
    reason: str | None = None,
    until: datetime | timedelta | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> PauseLine:
    """Pause, or change the reason and end of a pause; with `dry_run` the database checks it and takes it back.

    `until` may be a span from the database's now; `by` None is the database role. Raises BadNotification in the
    words of the database.
    """
    given = {
        "scope": scope.value,
        "name": name,
        "reason": reason,
        "until": until if isinstance(until, datetime) else None,
        "span": until if isinstance(until, timedelta) else None,
        "by": by,
    }
    with in_words(), connection.transaction(force_rollback=dry_run):
        (line,) = connection.execute(_PAUSE, given).fetchall()
        return PauseLine(**line)


def resume(
    connection: Connection, scope: Scope, name: str | None, *, by: str | None = None, dry_run: bool = False
) -> bool:
    """End a pause; True when there was one."""
    given = {"scope": scope.value, "name": name, "by": by}
    with in_words(), connection.transaction(force_rollback=dry_run):
        (answer,) = connection.execute(_RESUME, given).fetchall()
        return bool(answer["ended"])


def knows_account(source: Source, account: str) -> bool:
    """Tell whether a living worker has this account on a route."""
    return any(account in route for route in routes(source).values())
