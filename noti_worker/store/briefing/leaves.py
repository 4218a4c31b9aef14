"""Which rows have a category that their recipient may leave."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Channel, Notification
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("leaves")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows with a category, where a link can stand: in the headers of a mail, or in a template."""
    asked = [n for n in notifications if n.category and (n.channel is Channel.EMAIL or n.template_id)]
    if not asked:
        return None
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "channels": texts(n.channel.value for n in asked),
        "recipients": texts(n.recipient for n in asked),
        "categories": texts(n.category or "" for n in asked),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """By what the address is known when its owner leaves."""
    return [(row["id"], {"leaves": row["address_hash"]}) for row in rows]
