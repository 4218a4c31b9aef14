"""What the suppression list says of the addresses of rows; asked where the list has entries at all."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.suppression import Suppression
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("suppressions")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The addresses, as the rows write them: the database brings them into one form."""
    asked = [n for n in notifications if n.listed]
    if not asked:
        return None
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "channels": texts(n.channel.value for n in asked),
        "recipients": texts(n.recipient for n in asked),
        "categories": texts(n.category or "" for n in asked),
        "copied": array(n.notification_id for n in asked if _may_have_copies(n)),
    }


def _may_have_copies(n: Notification) -> bool:
    return n.has_options and n.channel is Channel.EMAIL and n.copy_of is None


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The strongest entry of each row whose address is on the list, and the copies that are left out of its message."""
    found: dict[int, dict[str, Suppression]] = {}
    for row in rows:
        entry = Suppression(row["suppression_id"], row["reason"], row["created_at"], row["category"], row["mandatory"])
        known = found.setdefault(row["id"], {}).setdefault(row["place"], entry)
        if entry.stops and not known.stops:
            found[row["id"]][row["place"]] = entry
    for id_, entries in found.items():
        yield (
            id_,
            {
                "suppression": entries.pop("", None),
                "left_out": {place: entry.suppression_id for place, entry in entries.items() if entry.stops},
            },
        )
