"""The documents of rows, `template_data` and `options`, as text: the small ones for a batch, large ones alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import array
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("documents")

AT_MOST = 4 * 1024 * 1024
"""Bytes of a document as text; a larger one is not read."""

_SMALL = {"stored": 16 * 1024, "opened": 32 * 1024, "glance": 2 * 1024, "at_most": 32 * 1024}
# What is opened may be larger than its text, which writes small numbers in one byte instead of sixteen.
_ALL = {"stored": 2**30, "opened": 6 * AT_MOST, "glance": 0, "at_most": AT_MOST}


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The rows that have one."""
    ids = [n.notification_id for n in notifications if n.has_data or n.has_options]
    return {"ids": array(ids), **_SMALL} if ids else None


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The texts; a row is incomplete when one of them is not small, or when its options name attachments."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        fields = found.setdefault(row["id"], {})
        fields[row["name"]] = row["text"]
        if row["text"] is None or row["attachments"]:
            fields["incomplete"] = True
    return found.items()


def refused(notifications: Sequence[Notification]) -> Iterable[tuple[int, Fields]]:
    """What the rows get when the statement failed for all of them: each of them is looked up alone."""
    for n in notifications:
        if n.has_data or n.has_options:
            yield n.notification_id, {"incomplete": True}


def alone(notification: Notification) -> Mapping[str, object]:
    """The parameters for one row, whose documents may be large."""
    return {"ids": array([notification.notification_id]), **_ALL}


def read(rows: Sequence[Row]) -> Fields:
    """What became of the documents of one row."""
    fields = {row["name"]: row["text"] for row in rows}
    too_large = [name for name, text in fields.items() if text is None]
    if too_large:
        fields["unreadable"] = (
            f"{' and '.join(sorted(too_large))} is too large as text (more than 4 MB):"
            " make it smaller, or put content elsewhere and send a link"
        )
    return fields
