"""When the recipients of WhatsApp messages last wrote to us."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from noti_worker.domain.notification import Channel, Notification
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("replies")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows of the one channel where it matters."""
    asked = [n for n in notifications if n.channel is Channel.WHATSAPP]
    if not asked:
        return None
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "recipients": texts(n.recipient for n in asked),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """For each row the accounts that hear replies, and when its recipient last wrote there."""
    found: dict[int, dict[str, datetime | None]] = {}
    for row in rows:
        replies = found.setdefault(row["id"], {})
        known, heard_at = replies.get(row["account"]), row["heard_at"]
        replies[row["account"]] = heard_at if known is None else max(known, heard_at or known)
    return [(id_, {"replies": replies}) for id_, replies in found.items()]
