"""Notifications in every stage of life, made with the worker's own moves but without a worker."""

from typing import Any, LiteralString

import psycopg

Connection = psycopg.Connection[Any]


def queue(connection: Connection, **columns: Any) -> int:
    """Insert a notification, by default an e-mail that is due."""
    from noti_worker import enqueue

    fields: Any = {"channel": "email", "recipient": "ada@example.com", "body": "Hello", **columns}
    return enqueue(connection, **fields)


def claim(connection: Connection, *ids: int, worker: int = 1, lease: str = "2 minutes") -> None:
    """Take them as a worker does."""
    connection.execute(
        "UPDATE noti.notifications_log SET status = 'sending', claimed_by = %s, claim_count = claim_count + 1, "
        "lease_until = now() + %s::interval WHERE notification_id = ANY(%s)",
        (worker, lease, list(ids)),
    )


_RESULTS: dict[str, LiteralString] = {
    "sent": "finished_at = now(), sent_at = now()",
    "failed": "finished_at = now(), failed_at = now()",
    "expired": "finished_at = now()",
    "suppressed": "finished_at = now()",
    "unknown": "held_at = now()",
    "held": "held_at = now()",
    "retrying": "next_retry_at = now() + interval '1 hour', retry_count = retry_count + 1",
}


def end(
    connection: Connection,
    status: str,
    *ids: int,
    error: str | None = None,
    account: str | None = None,
    kind: str | None = None,
) -> None:
    """Record a try of claimed notifications as a worker does."""
    connection.execute(
        "WITH u AS (UPDATE noti.notifications_log SET claimed_by = NULL, lease_until = NULL, dispatched_at = NULL, "
        "attempt_count = attempt_count + 1, status = %(status)s, error_message = %(error)s, "
        + _RESULTS[status]
        + " WHERE notification_id = ANY(%(ids)s) RETURNING notification_id, attempt_count, claim_count), "
        "a AS (INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by) "
        "SELECT 'default', 'notification', notification_id::text, 'notification_' || %(status)s, 'worker', 'worker 1' "
        "FROM u) "
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, account, kind, "
        "error_message, claim_count, worker) "
        "SELECT notification_id, attempt_count, CASE WHEN %(status)s IN ('expired', 'suppressed') THEN 'failed' "
        "ELSE %(status)s END, %(account)s::text, %(kind)s::text, %(error)s::text, claim_count, '1' FROM u",
        {"status": status, "error": error, "ids": list(ids), "account": account, "kind": kind},
    )


def life(connection: Connection, status: str, **columns: Any) -> int:
    """Make one notification of this status."""
    if status == "gathering":
        return queue(connection, digest_key="news", **columns)
    made = queue(connection, **columns)
    if status == "pending":
        return made
    if status == "cancelled":
        connection.execute("SELECT noti.cancel(%s)", (made,))
        return made
    claim(connection, made)
    if status != "sending":
        end(connection, status, made)
    return made


def status_of(connection: Connection, notification_id: int) -> str:
    """Give the status, with the wish if there is one."""
    row = connection.execute(
        "SELECT concat_ws(' ', status, requested) AS status FROM noti.notifications_log WHERE notification_id = %s",
        (notification_id,),
    ).fetchone()
    assert row is not None
    return str(row["status"] if isinstance(row, dict) else row[0])
