"""The tables of schema `noti` for SQLAlchemy Core; a test compares them with what the migrations make.

Triggers, functions, views and the partitions of the logs are not here: the migrations own them. Nothing creates
tables from this file.
"""

from collections.abc import Iterable

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from noti_worker.domain.notification import Channel, OnUncertain, Priority, Status

metadata = MetaData(schema="noti")

_NOW = text("clock_timestamp()")
_ZERO = text("0")


def _time(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


def _stamp(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=_NOW)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=_ZERO)


def _lane(name: str, default: str | None = None) -> Column[str]:
    """A lane column: ordered by bytes, as the worker orders lanes."""
    return Column(
        name, Text(collation="C"), nullable=False, server_default=None if default is None else text(f"'{default}'")
    )


def _one_of(name: str, words: Iterable[str]) -> str:
    known = ", ".join(f"'{word}'" for word in words)
    return f"{name} IN ({known})"


def _any_of(name: str, words: Iterable[str]) -> str:
    """The same as one constant, of which PostgreSQL has a third to read."""
    return f"{name} = ANY ('{{{','.join(words)}}}')"


def _sane() -> str:
    """The one combined CHECK of the hot table; see the migration for its why."""
    missing = ("finished_at", "held_at", "sent_at", "failed_at", "claimed_by", "lease_until")
    stories = {"sending": "ttttff", "held": "tftttt", "sent": "ftfttt", "failed": "fttftt", "unknown": "tftttt"}
    stories |= dict.fromkeys(("cancelled", "suppressed", "expired"), "fttttt")
    times = (
        "created_at, updated_at, next_retry_at, send_at, expires_at, finished_at, held_at, sent_at, failed_at,"
        " lease_until, dispatched_at"
    )
    short = ("entity_id", "template_id", "idempotency_key", "category", "provider", "collapse_key", "traceparent")
    quick = " AND ".join(
        [
            _any_of("channel", Channel),
            _any_of("priority", reversed(Priority)),
            _any_of("on_uncertain", OnUncertain),
            "coalesce(body, template_id) IS NOT NULL",
            "(entity_type IS NULL) = (entity_id IS NULL)",
            _any_of(
                f"concat(status, {', '.join(f'{name} IS NULL' for name in missing)})",
                (f"{status}{stories.get(status, 'tttttt')}" for status in Status),
            ),
            "(claimed_by IS NOT NULL OR dispatched_at IS NULL)",
            "requested IS NULL",
            "'[0,511]'::int4range @> (claim_count | attempt_count | lost_count | retry_count | max_retries)",
            f"'[2000-01-01 00:00+00,2200-01-01 00:00+00]'::tstzrange @> ALL (ARRAY[{times}])",
            "tenant_id <> '' AND recipient <> ''",
            "octet_length(locale) <= 64",
            f"{_longest('tenant_id', 'entity_type')} <= 128",
            f"{_longest(*short)} <= 256",
            f"{_longest('recipient', 'subject', 'error_message')} <= 4096",
            "octet_length(body) <= 1048576",
            "greatest(pg_column_size(template_data), pg_column_size(options), pg_column_size(metadata)) <= 262144",
        ]
    )
    return f"({quick}) IS NOT FALSE OR noti.sound(notifications_log)"


def _longest(*names: str) -> str:
    return f"greatest({', '.join(f'octet_length({name})' for name in names)})"


notifications_log = Table(
    "notifications_log",
    metadata,
    Column("notification_id", BigInteger, Identity(always=True)),
    Column("claimed_by", BigInteger),
    _stamp("created_at"),
    _stamp("updated_at"),
    _time("next_retry_at"),
    _time("send_at"),
    _time("expires_at"),
    Column("due_at", DateTime(timezone=True), Computed("coalesce(next_retry_at, send_at, created_at)", persisted=True)),
    _time("finished_at"),
    _time("held_at"),
    _time("sent_at"),
    _time("failed_at"),
    _time("lease_until"),
    _time("dispatched_at"),
    Column("message_id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    _count("claim_count"),
    _count("attempt_count"),
    _count("lost_count"),
    _count("retry_count"),
    Column("max_retries", Integer, nullable=False),
    _lane("tenant_id", "default"),
    _lane("channel"),
    _lane("priority", "normal"),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("requested", Text),
    Column("entity_type", Text),
    Column("entity_id", Text),
    Column("recipient", Text, nullable=False),
    Column("subject", Text),
    Column("body", Text),
    Column("template_id", Text),
    Column("template_data", JSONB),
    Column("locale", Text),
    Column("error_message", Text),
    Column("idempotency_key", Text),
    Column("category", Text),
    Column("provider", Text),
    Column("collapse_key", Text),
    Column("on_uncertain", Text),
    Column("options", JSONB),
    Column("metadata", JSONB),
    Column("traceparent", Text),
    Column("retries_said", Boolean, nullable=False, server_default=text("true")),
    PrimaryKeyConstraint("notification_id", name="notifications_log_pkey"),
    CheckConstraint(_sane(), name="notifications_log_sane"),
    postgresql_with={
        "fillfactor": 45,
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 5000,
        "autovacuum_vacuum_insert_scale_factor": 0.02,
        "autovacuum_analyze_scale_factor": 0.02,
        "autovacuum_vacuum_cost_delay": 0,
    },
)

_log = notifications_log.c
Index(
    "notifications_log_hot",
    _log.channel,
    _log.priority,
    _log.tenant_id,
    _log.due_at,
    _log.notification_id,
    postgresql_where=text("finished_at IS NULL AND held_at IS NULL"),
)
Index(
    "notifications_log_idempotency",
    _log.tenant_id,
    _log.idempotency_key,
    unique=True,
    postgresql_where=_log.idempotency_key.is_not(None),
)
Index("notifications_log_entity", _log.entity_type, _log.entity_id, postgresql_where=_log.entity_id.is_not(None))
Index("notifications_log_created", _log.tenant_id, _log.created_at)
Index("notifications_log_finished", _log.finished_at, postgresql_where=_log.finished_at.is_not(None))
Index("notifications_log_held", _log.held_at, postgresql_where=_log.held_at.is_not(None))
Index("notifications_log_failed", _log.failed_at, postgresql_where=_log.failed_at.is_not(None))
Index(
    "notifications_log_attachments",
    text("(options -> 'attachments')"),
    postgresql_using="gin",
    postgresql_where=text("options ? 'attachments'"),
    _table=notifications_log,
)

notification_attempts_log = Table(
    "notification_attempts_log",
    metadata,
    Column("log_id", BigInteger, Identity(always=True)),
    Column("notification_id", BigInteger, nullable=False),
    Column("attempt_number", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("provider", Text),
    Column("account", Text),
    Column("kind", Text),
    Column("code", Text),
    Column("error_message", Text),
    Column("response_data", JSONB),
    Column("provider_message_id", Text),
    _time("started_at"),
    Column("duration_ms", BigInteger),
    Column("worker", Text),
    Column("claim_count", Integer, nullable=False),
    _stamp("created_at"),
    Column("stage", Text),
    Column("scope", Text),
    Column("rule", Text),
    PrimaryKeyConstraint("created_at", "log_id", name="notification_attempts_log_pkey"),
    CheckConstraint(
        "status IN ('sent', 'retrying', 'failed', 'held', 'unknown', 'lost', 'stale')",
        name="notification_attempts_log_status",
    ),
    postgresql_partition_by="RANGE (created_at)",
)
Index("notification_attempts_log_notification", notification_attempts_log.c.notification_id)

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger, Identity(always=True)),
    Column("tenant_id", Text, nullable=False),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("action_by_type", Text, nullable=False),
    Column("action_by", Text, nullable=False),
    Column("metadata", JSONB),
    _stamp("created_at"),
    PrimaryKeyConstraint("created_at", "audit_id", name="audit_log_pkey"),
    postgresql_partition_by="RANGE (created_at)",
)
Index("audit_log_entity", audit_log.c.entity_id, audit_log.c.entity_type)

templates = Table(
    "templates",
    metadata,
    Column("tenant_id", Text, nullable=False, server_default=text("'default'")),
    Column("template_id", Text, nullable=False),
    Column("subject", Text),
    Column("body", Text),
    Column("html", Text),
    _stamp("created_at"),
    _stamp("updated_at"),
    PrimaryKeyConstraint("tenant_id", "template_id", name="templates_pkey"),
    CheckConstraint("body IS NOT NULL OR html IS NOT NULL", name="templates_body_or_html"),
    CheckConstraint(
        "octet_length(template_id) >= 1 AND octet_length(template_id) <= 256 AND octet_length(subject) <= 4096"
        " AND octet_length(body) <= 1048576 AND octet_length(html) <= 1048576",
        name="templates_sizes",
    ),
)

attachments = Table(
    "attachments",
    metadata,
    Column("attachment_id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("tenant_id", Text, nullable=False, server_default=text("'default'")),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False, server_default=text("'application/octet-stream'")),
    Column("content", LargeBinary, nullable=False),
    _stamp("created_at"),
    PrimaryKeyConstraint("attachment_id", name="attachments_pkey"),
    CheckConstraint(
        "octet_length(filename) >= 1 AND octet_length(filename) <= 255 AND octet_length(content_type) <= 255"
        " AND octet_length(content) <= 10485760",
        name="attachments_sizes",
    ),
)
Index("attachments_created", attachments.c.created_at, attachments.c.attachment_id)

inbox = Table(
    "inbox",
    metadata,
    Column("inbox_id", BigInteger, Identity(always=True)),
    Column("notification_id", BigInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("subject", Text),
    Column("body", Text),
    Column("html", Text),
    _stamp("created_at"),
    _time("seen_at"),
    _time("read_at"),
    PrimaryKeyConstraint("inbox_id", name="inbox_pkey"),
    UniqueConstraint("notification_id", name="inbox_notification"),
)
Index("inbox_recipient", inbox.c.tenant_id, inbox.c.recipient, inbox.c.created_at)

worker_ids = Sequence("worker_ids", metadata=metadata)

workers = Table(
    "workers",
    metadata,
    Column("worker_id", BigInteger, nullable=False, server_default=worker_ids.next_value()),
    _stamp("heartbeat"),
    _stamp("started_at"),
    Column("host", Text),
    Column("pid", Integer),
    Column("version", Text),
    Column("state", JSONB),
    PrimaryKeyConstraint("worker_id", name="workers_pkey"),
    prefixes=["UNLOGGED"],
)

worker_routes = Table(
    "worker_routes",
    metadata,
    Column("worker_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("mode", Text, nullable=False),
    PrimaryKeyConstraint("worker_id", "channel", "position", name="worker_routes_pkey"),
    prefixes=["UNLOGGED"],
)

rights = Table(
    "rights",
    metadata,
    Column("role", Text, nullable=False),
    Column("privilege", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("columns", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("role", "privilege", "object", "columns", name="rights_pkey"),
)

duties = Table(
    "duties",
    metadata,
    Column("duty", Text, nullable=False),
    Column("held_by", BigInteger),
    _time("lease_until"),
    _time("last_run"),
    Column("state", JSONB),
    PrimaryKeyConstraint("duty", name="duties_pkey"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("reason", Text),
    Column("paused_by", Text, nullable=False, server_default=text("CURRENT_USER")),
    _stamp("created_at"),
    _time("until"),
    PrimaryKeyConstraint("scope", "name", name="pauses_pkey"),
    CheckConstraint(
        "scope IN ('everything', 'channel', 'account', 'tenant', 'template', 'tenant channel', 'tenant account',"
        " 'tenant template') AND (scope = 'everything') = (name = '') AND (scope LIKE 'tenant %') = (tenant_id <> '')"
        f" AND (scope NOT IN ('channel', 'tenant channel') OR {_one_of('name', Channel)})"
        " AND until >= '2000-01-01 00:00+00' AND until <= '2200-01-01 00:00+00'"
        " AND octet_length(name) <= 256 AND octet_length(reason) <= 4096"
        " AND octet_length(paused_by) >= 1 AND octet_length(paused_by) <= 256",
        name="pauses_sane",
    ),
)
