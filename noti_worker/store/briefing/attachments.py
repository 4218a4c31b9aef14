"""The attachments of one row, loaded when its send begins: their sizes are looked at before their content."""

from collections.abc import Sequence
from uuid import UUID

from noti_worker.domain.notification import Attachment, Notification
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("attachments")

MOST = 25
MOST_BYTES = 25 * 1024 * 1024
"""Of all attachments of a message together, each as often as it is named."""


def alone(notification: Notification) -> dict[str, object]:
    """The parameters for one row."""
    return {"id": notification.notification_id, "most": MOST, "most_bytes": MOST_BYTES}


def read(rows: Sequence[Row]) -> Fields:
    """The attachments, those that are missing, or why they are too many."""
    if not rows:
        return {}
    files, size = rows[0]["files"], rows[0]["bytes_in_all"] or 0
    if files > MOST:
        return {"unreadable": f"options.attachments names {files} files: {MOST} at most go with one message"}
    if size > MOST_BYTES:
        megabytes = f"{size / 1_048_576:.1f} MB in all: at most {MOST_BYTES // 1_048_576} MB go with one message"
        return {"unreadable": f"the files that options.attachments names have {megabytes}"}
    loaded: dict[UUID, Attachment] = {}
    for row in rows:
        if row["content"] is not None:
            loaded[row["attachment_id"]] = Attachment(row["filename"], row["content_type"], row["content"])
    return {
        "attachments": tuple(loaded[row["attachment_id"]] for row in rows if row["attachment_id"] in loaded),
        "missing": tuple(row["shown"] for row in rows if row["attachment_id"] not in loaded),
    }
