"""By whose clock the dates of a template are written."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("zones")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows with a template."""
    asked = [n for n in notifications if n.template_id]
    if not asked:
        return None
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "channels": texts(n.channel.value for n in asked),
        "recipients": texts(n.recipient for n in asked),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The time zone of the recipient, else of the tenant, where one of them said it."""
    return [(row["id"], {"zone": row["zone"]}) for row in rows]
