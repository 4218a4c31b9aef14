"""What became of the notifications whose place rows take if those are not sent."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Elder, Notification
from noti_worker.store.arrays import array
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("elders")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows that wait for another."""
    ids = [n.notification_id for n in notifications if n.fallback_of is not None]
    return {"ids": array(ids)} if ids else None


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The one of them that decides."""
    found = {row["id"]: Elder(row["elder"], row["channel"], row["status"]) for row in rows}
    for n in notifications:
        if n.fallback_of is not None:
            yield n.notification_id, {"elder": found.get(n.notification_id, Elder(n.fallback_of, None, None))}
