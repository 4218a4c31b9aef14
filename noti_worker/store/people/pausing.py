"""What is not sent now, and what operators do about it: pause and resume, open and close circuits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString, TypeVar

from noti_worker.domain.closures import CIRCUIT, PAUSE, SUSPENDED, Scope
from noti_worker.domain.own_accounts import is_own
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.accounts import accounts
from noti_worker.store.people.gauges import BOUND, depth, kept_back, routes
from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement

_PAUSE = (
    "SELECT p.scope, p.name, p.reason, p.paused_by, p.created_at, p.until, p.tenant_id FROM noti.pause("
    "%(scope)s::text, %(name)s::text, %(reason)s::text, coalesce(%(until)s::timestamptz,"
    " clock_timestamp() + %(span)s::interval), %(by)s::text, %(tenant_id)s::text) AS p"
)
_RESUME = "SELECT noti.resume(%(scope)s::text, %(name)s::text, %(by)s::text, %(tenant_id)s::text) AS ended"
_OPEN = (
    "SELECT noti.open_circuit(%(account)s::text, %(reason)s::text, %(by)s::text, coalesce(%(span)s::interval,"
    " %(until)s::timestamptz - clock_timestamp(), interval '10 minutes')) AS changed"
)
_CLOSE = "SELECT noti.close_circuit(%(account)s::text, %(by)s::text) AS changed"

Changed = TypeVar("Changed")


@dataclass(frozen=True, slots=True)
class PauseLine:
    """One pause: what, why, by whom, since and until when (None: until it is resumed).

    `tenant_id` is empty unless it holds for one tenant alone.
    """

    scope: str
    name: str
    reason: str | None
    paused_by: str
    created_at: datetime
    until: datetime | None
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class CircuitLine:
    """One account that is not tried now: why, since when, opened by whom, and when it is tried again."""

    account: str
    reason: str | None
    opened_by: str
    opened_at: datetime
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class Suspension:
    """One tenant of whom nothing is sent: why, by whom and since when."""

    tenant_id: str
    reason: str | None
    suspended_by: str
    suspended_at: datetime


@dataclass(frozen=True, slots=True)
class Reach:
    """Rows that a pause stops or a resume sets free: `due` now, or due `later`. With `bounded` at least so many."""

    due: int
    later: int
    bounded: bool


def closed(source: Source) -> tuple[list[PauseLine], list[CircuitLine], list[Suspension]]:
    """The pauses in force, the open circuits and the suspended tenants, the oldest first."""
    pauses: list[PauseLine] = []
    circuits: list[CircuitLine] = []
    suspended: list[Suspension] = []
    for row in rows(source, statement("read_closures"), {}):
        if row["cause"] == PAUSE:
            line = PauseLine(
                row["scope"], row["name"], row["reason"], row["by"], row["since"], row["until"], row["tenant_id"]
            )
            pauses.append(line)
        elif row["cause"] == CIRCUIT:
            circuits.append(CircuitLine(row["name"], row["reason"], row["by"], row["since"], row["until"]))
        elif row["cause"] == SUSPENDED:
            suspended.append(Suspension(row["name"], row["reason"], row["by"], row["since"]))
    return pauses, circuits, suspended


def pauses(source: Source) -> list[PauseLine]:
    """The pauses in force, the oldest first."""
    return closed(source)[0]


def pause(
    connection: Connection,
    scope: Scope,
    name: str | None,
    *,
    reason: str | None = None,
    until: datetime | timedelta | None = None,
    by: str | None = None,
    tenant_id: str | None = None,
) -> PauseLine:
    """Pause, or change the reason and end of a pause.

    `until` may be a span from the database's now; `by` None is the database role. A channel, account or template may
    be paused for one tenant alone. Raises BadNotification in the words of the database.
    """
    given = {
        "scope": scope.value,
        "name": name,
        "reason": reason,
        "until": until if isinstance(until, datetime) else None,
        "span": until if isinstance(until, timedelta) else None,
        "by": by,
        "tenant_id": tenant_id,
    }
    with in_words():
        (line,) = connection.execute(_PAUSE, given).fetchall()
        return PauseLine(**line)


def resume(
    connection: Connection, scope: Scope, name: str | None, *, by: str | None = None, tenant_id: str | None = None
) -> bool:
    """End a pause; True when there was one."""
    given = {"scope": scope.value, "name": name, "by": by, "tenant_id": tenant_id}
    with in_words():
        (answer,) = connection.execute(_RESUME, given).fetchall()
        return bool(answer["ended"])


def open_circuit(
    connection: Connection,
    account: str,
    *,
    reason: str | None = None,
    until: datetime | timedelta | None = None,
    by: str | None = None,
) -> bool:
    """Have an account not tried before `until` (None: for ten minutes); False when its circuit was open already."""
    given = {
        "account": account,
        "reason": reason,
        "until": until if isinstance(until, datetime) else None,
        "span": until if isinstance(until, timedelta) else None,
        "by": by,
    }
    return _changed(connection, _OPEN, given)


def close_circuit(connection: Connection, account: str, *, by: str | None = None) -> bool:
    """Have an account tried again from now on; False when its circuit was not open."""
    return _changed(connection, _CLOSE, {"account": account, "by": by})


def _changed(connection: Connection, question: LiteralString, given: Mapping[str, object]) -> bool:
    with in_words():
        (answer,) = connection.execute(question, given).fetchall()
        return bool(answer["changed"])


def tried(connection: Connection, change: Callable[[], Changed]) -> tuple[Changed, Reach]:
    """Pause or resume, count what that stops or sets free, and take it back."""
    with in_words(), connection.transaction(force_rollback=True):
        # Both counts are of one instant.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = _kept(connection)
        changed = change()
        after = _kept(connection)
    return changed, Reach(abs(after.due - before.due), abs(after.later - before.later), before.bounded or after.bounded)


def _kept(connection: Connection) -> Reach:
    """What all pauses in force keep back."""
    counted = depth(connection, kept_back(connection))
    closed = [row for row in counted if row["closed"]]
    per_lane: dict[tuple[str, str], int] = {}
    for row in counted:
        if row["state"] not in {"held", "gathering"}:
            per_lane[row["channel"], row["priority"]] = per_lane.get((row["channel"], row["priority"]), 0) + row["rows"]
    return Reach(
        due=sum(row["rows"] for row in closed if row["state"] == "due"),
        later=sum(row["rows"] for row in closed if row["state"] in {"waiting", "scheduled"}),
        bounded=max(per_lane.values(), default=0) >= BOUND,
    )


def knows_account(source: Source, account: str) -> bool:
    """Tell whether a living worker has this account on a route, or it is a tenant's own."""
    if is_own(account):
        tenant_id, _, name = account.rpartition("/")
        return any(line.name == name for line in accounts(source, tenant_id))
    return any(account in route for route in routes(source).values())
