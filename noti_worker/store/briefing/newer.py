"""Which rows are superseded by a later one with the same collapse key."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import array
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("newer")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows that have a key."""
    ids = [n.notification_id for n in notifications if n.collapses]
    return {"ids": array(ids)} if ids else None


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The newest of the later ones."""
    return [(row["id"], {"newer": row["newer"]}) for row in rows]
