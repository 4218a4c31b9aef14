"""The columns of schema `noti` that statements put together by SQLAlchemy name, and no others.

The migrations make the tables; a test compares each column's type with theirs.
"""

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="noti")


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _times(*names: str) -> list[Column[object]]:
    return [Column(name, DateTime(timezone=True)) for name in names]


notifications_log = Table(
    "notifications_log",
    metadata,
    Column("notification_id", BigInteger, primary_key=True),
    *_texts("tenant_id", "channel", "priority", "status", "requested", "recipient", "template_id", "entity_type"),
    *_texts("entity_id", "category", "provider", "error_message"),
    *_times("created_at", "due_at", "finished_at", "held_at", "failed_at"),
    *(Column(name, Integer) for name in ("retry_count", "max_retries", "attempt_count")),
)

notification_attempts_log = Table(
    "notification_attempts_log",
    metadata,
    *(Column(name, BigInteger) for name in ("log_id", "notification_id")),
    *_texts("status", "account", "kind"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger),
    *_texts("entity_type", "entity_id", "action"),
    Column("metadata", JSONB),
)
