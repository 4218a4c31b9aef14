"""What endpoints are told: events that wait become webhooks of the queue."""

from dataclasses import dataclass

from noti_worker.store.connect import Session
from noti_worker.store.statements import statement

_PUMP = statement("pump_events")
_COUNT = statement("count_endpoints")


@dataclass(frozen=True, slots=True)
class Pumped:
    """`told` events went on their way; with `more` others may go at once. `last` is where the next look begins.

    `failed` are the endpoints that were disabled: tenant, name and why.
    """

    told: int
    last: int
    more: bool
    failed: tuple[tuple[str, str, str], ...]


def pump_events(session: Session, after: int) -> Pumped:
    """Give events behind the event_id `after` their place, and tell each endpoint what it waits for."""
    [row] = session.run(_PUMP, {"after": after})
    failed = tuple((each["tenant_id"], each["name"], each["reason"]) for each in row["failed"])
    return Pumped(row["told"], row["last"], row["more"], failed)


def count_endpoints(session: Session) -> dict[str, float]:
    """How many endpoints are in each state, and how many events wait for them.

    `failing` are of those that are `enabled`; the others are `failed` and `disabled`. `oldest_seconds` is the age of
    the oldest event that is `waiting`.
    """
    [row] = session.run(_COUNT, {})
    return row
