"""The database of the model test: what it is told and asked, and how time passes in it."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.workers import PostgresWorkers
from tests.store.model import FINISHED, PARKED, Row

CHANGE = "UPDATE noti.notifications_log SET {} WHERE notification_id = {}"
MEDDLING = {
    "stale": "status = 'pending', claimed_by = NULL, lease_until = NULL, claim_count = 0, metadata = '{}'",
    "forged": "claim_count = claim_count - 1, body = 'forged'",
    "counted": "lost_count = lost_count + 1",
    "sent": "status = 'sent'",
    "deleted": "",
}
SEND: LiteralString = (
    "SELECT noti.send(%s, 'ann@example.com', NULL, 'Hi', tenant_id => %s, priority => %s, template_id => %s,"
    " provider => %s, max_retries => %s, on_uncertain => %s, idempotency_key => %s,"
    " send_at => CASE WHEN %s THEN NULL ELSE now() + interval '1 hour' END,"
    " expires_at => CASE WHEN %s THEN now() + interval '10 hours' END)"
)
DUE = "SELECT notification_id AS id, due_at FROM noti.notifications_log"
TRIES = (
    "SELECT notification_id AS id, claim_count, attempt_number, status"
    " FROM noti.notification_attempts_log ORDER BY log_id"
)
AUDIT = (
    "SELECT entity_id::bigint AS id, replace(action, 'notification_', '') AS action FROM noti.audit_log"
    " WHERE entity_type = 'notification' ORDER BY audit_id"
)
ROWS = (
    "SELECT notification_id AS id, message_id::text, status, claimed_by, claim_count,"
    " lease_until < now() AS lease_over, lease_until > now() + interval '90 minutes' AS extended, requested,"
    " dispatched_at IS NOT NULL AS dispatched,"
    " retry_count, attempt_count, lost_count,"
    " next_retry_at IS NOT NULL AS waited, due_at <= now() AS due, finished_at IS NOT NULL AS finished,"
    " held_at IS NOT NULL AS parked FROM noti.notifications_log"
)


@dataclass
class World:
    """The database of all examples, and the ways to it."""

    queue: PostgresQueue
    workers: PostgresWorkers
    application: psycopg.Connection[Any]
    outside: psycopg.Connection[Any]  # a superuser whose changes no trigger sees

    def read(self, query: str) -> list[dict[str, Any]]:
        with self.application.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode()).fetchall()

    def shift(self, row: Row, assignment: str) -> None:
        """Let time pass for one row."""
        self.outside.execute(
            f"UPDATE noti.notifications_log SET {assignment} WHERE notification_id = {row.id}".encode()
        )


def shown(row: Row) -> dict[str, Any]:
    """A row of the model as ROWS tells one of the table."""
    return {
        "message_id": row.message_id,
        "status": row.status,
        "claimed_by": row.owner,
        "claim_count": row.claim_count,
        "lease_over": None if row.owner is None else row.lease_over,
        "extended": None if row.owner is None else row.extended,
        "requested": row.requested,
        "dispatched": row.dispatched,
        "retry_count": row.retry_count,
        "attempt_count": row.attempt_count,
        "lost_count": row.lost_count,
        "waited": row.waited,
        "due": row.due,
        "finished": row.status in FINISHED,
        "parked": row.status in PARKED,
    }
