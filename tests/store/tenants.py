"""Two tenants in one database: whose rows stand in every table, and the roles that are bound to one of them."""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import OUTCOMES, claim, tried

Connection = psycopg.Connection[Any]

MINE, THEIRS = "acme", "rival"
MARK = "hidden-of-rival"
"""Stands in every text of the other tenant."""

ROLES = {"noti_acme_app": "noti_app", "noti_acme_operator": "noti_operator", "noti_acme_reader": "noti_readonly"}
"""Logins that are bound to MINE, and the group of each."""


def role(connection: Connection, name: str, group: str, *tenants: str, options: str = "LOGIN") -> None:
    """Make a role anew in this database's terms: a member of a group, bound to tenants."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
        connection.execute(f'CREATE ROLE "{name}" {options} IN ROLE {group}'.encode())
    for tenant in tenants:
        bind(connection, name, tenant)


def bind(connection: Connection, name: str, tenant: str) -> None:
    connection.execute(
        "INSERT INTO noti.tenant_members VALUES (quote_ident(%s)::regrole, %s) ON CONFLICT DO NOTHING", [name, tenant]
    )


def as_role(url: str, name: str) -> Connection:
    """A session of a login."""
    return psycopg.connect(make_conninfo(url, user=name), autocommit=True)


def furnish(connection: Connection, url: str, tenant: str, mark: str) -> list[int]:
    """Rows of a tenant in every table that may hold some; gives the ids of its notifications."""
    send = (
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, subject, body, template_id, template_data,"
        " idempotency_key, entity_type, entity_id, category, metadata, collapse_key) SELECT %(t)s, 'email',"
        " %(m)s || '@example.com', %(m)s, %(m)s, %(m)s, jsonb_build_object('x', %(m)s::text), %(m)s || n::text,"
        " %(m)s, %(m)s, %(m)s, jsonb_build_object('x', %(m)s::text), %(m)s FROM generate_series(1, 4) n"
        " RETURNING notification_id"
    )
    said = {"t": tenant, "m": mark}
    ids = [id_ for (id_,) in connection.execute(send, said)]
    with closing(PostgresQueue(Database(Secret(url)))) as queue:
        mine = claim(queue, 2, worker_id=7, lanes=(Lane(Channel.EMAIL, Priority.NORMAL, tenant),))
        failed = replace(OUTCOMES[Status.FAILED], error=mark)
        queue.record(7, [tried(mine[0]), tried(mine[1], Status.FAILED, outcome=failed)])
    for statement in (
        (
            "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status,"
            " error_message, response_data, claim_count)"
            f" VALUES ({ids[3]}, 9, 'stale', %(m)s, jsonb_build_object('x', %(m)s::text), 1)"
        ),
        (
            "INSERT INTO noti.inbox (notification_id, tenant_id, recipient, subject, body)"
            f" VALUES ({ids[0]}, %(t)s, 'user:' || %(m)s, %(m)s, %(m)s)"
        ),
        "INSERT INTO noti.templates (tenant_id, template_id, body) VALUES (%(t)s, %(m)s, %(m)s)",
        (
            "INSERT INTO noti.attachments (attachment_id, tenant_id, filename, content)"
            " VALUES (md5(%(t)s::text)::uuid, %(t)s, %(m)s, %(m)s::text::bytea)"
        ),
        "SELECT noti.suppress(%(t)s::text, 'email', %(m)s || '@example.com', 'manual', note => %(m)s)",
        "INSERT INTO noti.categories VALUES (%(t)s, %(m)s)",
        "INSERT INTO noti.contacts (tenant_id, user_ref, channel, address) VALUES (%(t)s, %(m)s, 'push', %(m)s)",
        "INSERT INTO noti.preferences (tenant_id, user_ref, category) VALUES (%(t)s, %(m)s, %(m)s)",
        (
            "INSERT INTO noti.cap_places (person, tenant_id, category, notification_id)"
            f" VALUES (sha256(%(m)s::text::bytea), %(t)s, %(m)s, {ids[0]})"
        ),
        (
            "INSERT INTO noti.kept_contents (notification_id, attempt_number, tenant_id, channel, recipient, subject,"
            f" body, kept_until) VALUES ({ids[0]}, 1, %(t)s, 'email', %(m)s, %(m)s, %(m)s, now() + interval '1 day')"
        ),
        "INSERT INTO noti.replies VALUES (%(t)s, %(m)s, 'whatsapp', sha256(%(m)s::text::bytea), now())",
        (
            "INSERT INTO noti.receipts (account, provider, event, kind, at, notification_id, tenant_id, recipient,"
            " words)"
            f" VALUES ('relay', 'smtp', %(m)s, 'bounced', now(), {ids[0]}, %(t)s, %(m)s, %(m)s)"
        ),
        (
            "INSERT INTO noti.receipts_raw (account, provider, body, query, read_at)"
            " VALUES ('relay', 'smtp', %(m)s::text::bytea, %(m)s, now())"
        ),
        f"INSERT INTO noti.provider_references (reference, account, notification_id) VALUES (%(m)s, 'relay', {ids[0]})",
        (
            "INSERT INTO noti.circuits (scope, tenant_id, name, reason, retry_at)"
            " VALUES ('tenant account', %(t)s, %(m)s, %(m)s, now() + interval '1 hour')"
        ),
        (
            "INSERT INTO noti.limits (scope, tenant_id, name, period, amount, when_spent)"
            " VALUES ('tenant channel', %(t)s, 'sms', 'day', 7, 'refuse')"
        ),
        "INSERT INTO noti.buckets VALUES ('tenant channel', %(t)s, %(m)s, 1, 1, 1, 1, now(), 1, NULL)",
        (
            "INSERT INTO noti.usage VALUES ('tenant channel', %(t)s, %(m)s, 'day', 1, current_date, now(), 7, 7,"
            " current_date, 0)"
        ),
        "INSERT INTO noti.spent VALUES ('tenant channel', %(t)s, %(m)s, 'day', 7, now(), now() + interval '1 hour')",
        "INSERT INTO noti.full_quotas VALUES (%(t)s, 'voice', 'day', 7, now() + interval '1 hour')",
        "INSERT INTO noti.tenants (tenant_id, reason) VALUES (%(t)s, %(m)s)",
        "INSERT INTO noti.settings (tenant_id, key, value) VALUES (%(t)s, 'flag.x', to_jsonb(%(m)s::text))",
        "INSERT INTO noti.endpoints (tenant_id, name, url) VALUES (%(t)s, %(m)s, 'https://' || %(m)s)",
        (
            "INSERT INTO noti.events (tenant_id, notification_id, channel, event, source, kind, place)"
            f" VALUES (%(t)s, {ids[0]}, 'email', 'sent', 'worker', %(m)s, 1)"
        ),
        (
            "INSERT INTO noti.envelopes (endpoint_id, notification_id, after_place, last_place)"
            f" SELECT endpoint_id, {ids[0]}, 0, 1 FROM noti.endpoints WHERE tenant_id = %(t)s"
        ),
        (
            "INSERT INTO noti.accounts (tenant_id, name, provider, channels, settings)"
            " VALUES (%(t)s, 'relay', 'smtp', '{email}', jsonb_build_object('host', %(m)s::text))"
        ),
        "INSERT INTO noti.routes (tenant_id, channel, position, account) VALUES (%(t)s, 'email', 1, 'relay')",
        (
            "INSERT INTO noti.secrets (tenant_id, account, purpose, key_id, sealed)"
            " VALUES (%(t)s, 'relay', 'password', '1', repeat(%(m)s::text, 5)::bytea)"
        ),
        (
            "INSERT INTO noti.circuits (scope, name, reason, retry_at)"
            " VALUES ('account', %(t)s || '/relay', %(m)s, now() + interval '1 hour')"
        ),
        "SELECT noti.pause('account', %(t)s || '/relay', %(m)s)",
        "SELECT noti.pause('template', %(m)s, %(m)s, tenant => %(t)s)",
        "SELECT noti.pause('tenant', %(t)s, %(m)s)",
    ):
        connection.execute(statement.encode(), said)
    return ids


def shared(connection: Connection) -> list[tuple[str, bool]]:
    """The tables that are shared between tenants, and whether each tells whose its rows are."""
    return connection.execute(
        "SELECT t.name, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = format('noti.%I', t.name)::regclass"
        " AND a.attname = 'tenant_id') FROM noti.tenant_tables t WHERE t.reads IS NOT NULL ORDER BY 1"
    ).fetchall()


_OLD_TRIES = (
    " AND NOT EXISTS (SELECT FROM noti.notifications_log n WHERE n.notification_id = t.notification_id"
    f" AND n.tenant_id = '{MINE}')"
)


_OF_THEIRS = f" WHERE t.endpoint_id IN (SELECT e.endpoint_id FROM noti.endpoints e WHERE e.tenant_id = '{THEIRS}')"


def digest_of_theirs(tables: Sequence[tuple[str, bool]]) -> str:
    """A query for everything of the other tenant, and of what belongs to nobody, as one text."""
    parts = [
        f"SELECT '{name}' AS place, t::text AS line FROM noti.{name} t"
        + (f" WHERE t.tenant_id IS DISTINCT FROM '{MINE}'" if told else "")
        + (_OLD_TRIES if name == "notification_attempts_log" else "")
        + (f" AND NOT (t.scope = 'tenant' AND t.name = '{MINE}')" if name == "pauses" else "")
        + (f" AND NOT starts_with(t.name, '{MINE}/')" if name in {"pauses", "circuits"} else "")
        + (_OF_THEIRS if name == "envelopes" else "")
        + (f" AND NOT (t.entity_id = '{MINE}' OR t.entity_type IN ('erasure', 'log'))" if name == "audit_log" else "")
        for name, told in tables
    ]
    return f"SELECT md5(string_agg(place || line, '|' ORDER BY place, line)) FROM ({' UNION ALL '.join(parts)}) AS x"


def purge(connection: Connection) -> None:
    """As if the other tenant had never been."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "DELETE FROM noti.notification_attempts_log t USING noti.notifications_log n"
            " WHERE n.notification_id = t.notification_id AND n.tenant_id = %s",
            [THEIRS],
        )
        connection.execute(f"DELETE FROM noti.envelopes t{_OF_THEIRS}".encode())
        for name, told in shared(connection):
            if told:
                connection.execute(f"DELETE FROM noti.{name} WHERE tenant_id = '{THEIRS}'".encode())
        connection.execute(
            f"DELETE FROM noti.pauses WHERE name = '{THEIRS}' OR starts_with(name, '{THEIRS}/');"
            f" DELETE FROM noti.circuits WHERE starts_with(name, '{THEIRS}/');"
            f" DELETE FROM noti.receipts_raw WHERE query = '{MARK}';"
            f" DELETE FROM noti.provider_references WHERE reference = '{MARK}'".encode()
        )


_PASSING = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d(:\d\d)?| UTC)?|[0-9a-f-]{36}")


def told(answer: str) -> str:
    """An answer without what differs from moment to moment: times and new uuids."""
    return _PASSING.sub("…", answer)
