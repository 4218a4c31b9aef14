"""The columns that composed statements name, for SQLAlchemy Core; the migrations own the tables.

A test compares each with the migrated database. Nothing creates tables from this file.
"""

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="noti")


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _times(*names: str) -> list[Column[object]]:
    return [Column(name, DateTime(timezone=True)) for name in names]


notifications_log = Table(
    "notifications_log",
    metadata,
    Column("notification_id", BigInteger),
    Column("message_id", Uuid),
    Column("copy_of", BigInteger),
    *_texts("tenant_id", "channel", "priority", "status", "requested", "recipient", "template_id"),
    *_texts("category", "entity_type", "entity_id", "provider", "error_message"),
    *_times("created_at", "due_at", "next_retry_at", "finished_at", "held_at", "failed_at"),
    Column("retry_count", Integer),
    Column("max_retries", Integer),
    Column("attempt_count", Integer),
)

notification_attempts_log = Table(
    "notification_attempts_log",
    metadata,
    Column("log_id", BigInteger),
    Column("notification_id", BigInteger),
    *_texts("status", "account", "kind"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger),
    *_texts("entity_type", "entity_id", "action"),
    Column("metadata", JSONB),
)
