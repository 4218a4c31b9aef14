"""Claimed rows for tests, with the fields that matter named by the test."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from noti_worker.domain.notification import Channel, Notification, Priority

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def claimed(**fields: Any) -> Notification:
    """A plain e-mail, due a second ago and claimed just now; `fields` override."""
    values: dict[str, Any] = {
        "notification_id": 1,
        "claim_count": 1,
        "channel": Channel.EMAIL,
        "priority": Priority.NORMAL,
        "tenant_id": "default",
        "recipient": "ada@example.com",
        "message_id": UUID("00000000-0000-4000-8000-000000000001"),
        "created_at": NOW - timedelta(seconds=1),
        "due_at": NOW - timedelta(seconds=1),
        "first_due_at": NOW - timedelta(seconds=1),
        "claimed_at": NOW,
        "subject": "Hello",
        "body": "Hello Ada",
    }
    return Notification(**(values | fields))
