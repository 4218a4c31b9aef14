"""The body of one row, when it is too long to come with the claim."""

from collections.abc import Sequence

from noti_worker.domain.notification import Notification
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("body")


def alone(notification: Notification) -> dict[str, object]:
    """The parameters for one row."""
    return {"id": notification.notification_id}


def read(rows: Sequence[Row]) -> Fields:
    """The text."""
    return {"body": rows[0]["body"]} if rows else {}
