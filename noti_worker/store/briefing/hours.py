"""Whether the hour suits the recipients, and how many messages they got; asked where anybody has such wishes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, time
from types import MappingProxyType

from noti_worker.domain.contact import Contact
from noti_worker.domain.hours import Full, Quiet, Shut
from noti_worker.domain.notification import Channel, Notification, Priority
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("hours")

_NOBODY = Contact("", "")

_SILENT = frozenset({Channel.WEBHOOK, Channel.IN_APP})
"""Nobody is woken by these."""


def needs(
    notifications: Sequence[Notification], reached: Mapping[int, Contact] = MappingProxyType({})
) -> Mapping[str, object] | None:
    """The rows that may have to wait. A copy is part of a message that went out.

    Those that name a person have the hours of the contact that they go to, by notification_id.
    """
    asked = [
        n for n in notifications if n.channel not in _SILENT and n.copy_of is None and (n.category or not _urgent(n))
    ]
    if not asked:
        return None
    known = [reached.get(n.notification_id, _NOBODY) for n in asked]
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "channels": texts(n.channel.value for n in asked),
        "recipients": texts(n.recipient for n in asked),
        "categories": texts(n.category or "" for n in asked),
        "urgent": array(_urgent(n) for n in asked),
        "zones": texts(one.zone or "" for one in known),
        "starts": texts(_written(one.quiet_from) for one in known),
        "ends": texts(_written(one.quiet_to) for one in known),
    }


def _written(at: time | None) -> str:
    return "" if at is None else at.isoformat()


def _urgent(n: Notification) -> bool:
    return n.priority is Priority.URGENT


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """What keeps each row back; nothing for those that may go."""
    for row in rows:
        if row["ends_at"] is not None:
            hours = f"{_clock(row['quiet_from'])}-{_clock(row['quiet_to'])}"
            yield row["id"], {"quiet": Quiet(row["zone"], hours, row["ends_at"].astimezone(UTC))}
        elif row["opens_at"] is not None:
            opens_at = row["opens_at"].astimezone(UTC)
            yield row["id"], {"shut": Shut(row["category"], row["send_window"], row["zone"], opens_at)}
        else:
            again_at = row["again_at"].astimezone(UTC)
            full = Full(row["category"], row["cap_amount"], row["cap_every"], again_at, row["drops"])
            yield row["id"], {"full": full}


def _clock(at: str) -> str:
    return at[:5]
