"""The limits as people see them: how many may be sent, what is left, and who waits; set and removed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from noti_worker.domain.limits import TENANT_CHANNEL
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import statement

BOUND = 10_000
"""Waiting messages are counted up to here."""

NEARLY = 0.8
"""The part of a quota from which on it is worth a word."""

_SET = (
    "INSERT INTO noti.limits AS l (scope, tenant_id, name, period, amount, every, burst, zone, when_spent,"
    " double_every, set_by) VALUES (%(scope)s, %(tenant_id)s, %(name)s, %(period)s, %(amount)s, %(every)s, %(burst)s,"
    " %(zone)s, %(when_spent)s, %(double_every)s, coalesce(%(by)s, current_user))"
    " ON CONFLICT ON CONSTRAINT limits_pkey DO UPDATE SET amount = EXCLUDED.amount, every = EXCLUDED.every,"
    " burst = EXCLUDED.burst, zone = EXCLUDED.zone, when_spent = EXCLUDED.when_spent,"
    " double_every = EXCLUDED.double_every, set_by = EXCLUDED.set_by, set_at = clock_timestamp()"
)
_REMOVE = (
    "SELECT period FROM noti.unlimit(%(scope)s::text, %(tenant_id)s::text, %(name)s::text, %(period)s::text,"
    " %(by)s::text) AS period"
)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit; `set_by` None: the workers' configuration says it.

    Of a rate: `rate` a second, `burst` at once, `tokens` left now or the next one `next_at`; while it is slowed, since
    `slowed_at`, only the part `pace` of it. Of a quota: `amount` in this `period` until `until`, of which `taken` are
    used; `when_spent` says what happens then. `waiting` messages are due while it is used up (10,000: or more).
    """

    scope: str
    tenant_id: str
    name: str
    period: str
    rate: float | None
    burst: int | None
    pace: float | None
    slowed_at: datetime | None
    tokens: float | None
    next_at: datetime | None
    amount: int | None
    taken: int | None
    until: datetime | None
    zone: str | None
    when_spent: str | None
    double_every_seconds: float | None
    set_by: str | None
    set_at: datetime | None
    waiting: int

    @property
    def felt(self) -> bool:
        """Whether it holds something back just now, or soon will."""
        if self.amount is not None and self.taken is not None:
            return self.taken >= NEARLY * self.amount
        return self.slowed_at is not None or self.waiting > 0


def limits(source: Source) -> list[LimitLine]:
    """All limits that are set, and those of the configuration that were asked for since the server started."""
    with by_index(source):
        return [LimitLine(**row) for row in rows(source, statement("read_limits"), {"bound": BOUND})]


@dataclass(frozen=True, slots=True)
class Given:
    """A limit to be set: `amount` in `every`, or in a `period` of the calendar by `zone`."""

    scope: str
    tenant_id: str
    name: str
    amount: int
    period: str = ""
    every: timedelta | None = None
    burst: int | None = None
    zone: str = "UTC"
    when_spent: str = "wait"
    double_every: timedelta | None = None


def set_limit(connection: Connection, given: Given, *, by: str | None = None, dry_run: bool = False) -> list[LimitLine]:
    """Set a limit, in place of the one of its kind; gives those that hold then for the same account or channel.

    Raises BadNotification in the words of the database.
    """
    with in_words(), connection.transaction(force_rollback=dry_run):
        connection.execute(
            _SET,
            {
                "scope": given.scope,
                "tenant_id": given.tenant_id,
                "name": given.name,
                "period": given.period,
                "amount": given.amount,
                "every": given.every,
                "burst": given.burst,
                "zone": given.zone,
                "when_spent": given.when_spent,
                "double_every": given.double_every,
                "by": by,
            },
        )
        whose = (given.scope, given.tenant_id, given.name)
        return [line for line in limits(connection) if (line.scope, line.tenant_id, line.name) == whose]


def remove_limits(
    connection: Connection,
    scope: str,
    tenant_id: str,
    name: str,
    period: str | None,
    *,
    by: str | None = None,
    dry_run: bool = False,
) -> list[str]:
    """Remove the limit of a period ("" is the rate), or with None all; gives the periods of those that there were."""
    asked = {
        "scope": scope,
        "tenant_id": tenant_id if scope == TENANT_CHANNEL else "",
        "name": name,
        "period": period,
        "by": by,
    }
    with in_words(), connection.transaction(force_rollback=dry_run):
        return sorted(row["period"] for row in connection.execute(_REMOVE, asked).fetchall())
