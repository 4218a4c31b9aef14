"""How the last try of a row ended, of which account."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import array
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("last_try")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows that were tried before."""
    ids = [n.notification_id for n in notifications if n.attempt_count > 0]
    return {"ids": array(ids)} if ids else None


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """Account and kind; a row that was only lost had no try."""
    found = {row["id"]: {"last_account": row["account"], "last_kind": row["kind"]} for row in rows}
    for n in notifications:
        if n.attempt_count > 0:
            yield n.notification_id, found.get(n.notification_id, {})
