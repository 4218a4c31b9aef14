"""Rows for the tests of the store: put in, claim, judge, look at."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import Lane, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.queue import PostgresQueue

Connection = psycopg.Connection[Any]

NORMAL = Lane(Channel.EMAIL, Priority.NORMAL, "default")
LEASE = timedelta(minutes=2)
AT_ONCE = timedelta(0)
"""A lease that has run out when the claim returns."""


def insert(connection: Connection, count: int = 1, **columns: object) -> list[int]:
    """Insert `count` equal e-mails, with further or other columns; gives their ids in order."""
    values = {"channel": "email", "recipient": "ann@example.com", "subject": "Hello", "body": "Hi"} | columns
    statement = sql.SQL(
        "INSERT INTO noti.notifications_log ({}) SELECT {} FROM generate_series(1, %s) RETURNING notification_id"
    ).format(sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join([sql.Placeholder()] * len(values)))
    return sorted(row[0] for row in connection.execute(statement, [*values.values(), count]).fetchall())


def plant(connection: Connection, column: str, items: str, recipient: str = "bomb@example.com") -> int:
    """Insert an e-mail whose document holds `items`, unasked how large it is, as rows of before may be."""
    trigger = b"ALTER TABLE noti.notifications_log %s TRIGGER notifications_log_new"
    with connection.transaction():
        connection.execute(trigger % b"DISABLE")
        found = connection.execute(
            f"INSERT INTO noti.notifications_log (channel, recipient, body, max_retries, {column}) VALUES"
            f" ('email', '{recipient}', 'x', 3, ('[' || {items} || '0]')::jsonb) RETURNING notification_id".encode()
        ).fetchone()
        connection.execute(trigger % b"ENABLE")
    assert found is not None
    return int(found[0])


def claim(
    queue: PostgresQueue,
    limit: int = 100,
    *,
    worker_id: int = 1,
    lanes: Sequence[Lane] = (NORMAL,),
    lease: timedelta = LEASE,
    dead: Sequence[int] | None = (),
    in_hand: Sequence[int] | None = None,
    solo: bool = False,
) -> list[Notification]:
    """Claim from the lanes, each of which may use the whole limit."""
    shares = [Share(lane, limit) for lane in lanes]
    return list(queue.claim(worker_id, shares, limit, lease, dead, in_hand=in_hand, solo=solo))


def silence(connection: Connection, worker_id: int, seconds: float) -> None:
    """Make the last heartbeat of a worker that many seconds old."""
    connection.execute(
        "UPDATE noti.workers SET heartbeat = clock_timestamp() - %s WHERE worker_id = %s",
        [timedelta(seconds=seconds), worker_id],
    )


def ids(notifications: Sequence[Notification]) -> list[int]:
    """The ids, in order."""
    return [notification.notification_id for notification in notifications]


def row(connection: Connection, notification_id: int) -> dict[str, Any]:
    """The row as it stands."""
    return _all(connection, "SELECT * FROM noti.notifications_log WHERE notification_id = %s", notification_id)[0]


def attempts(connection: Connection, notification_id: int) -> list[dict[str, Any]]:
    """Its recorded tries, in order."""
    query = "SELECT * FROM noti.notification_attempts_log WHERE notification_id = %s ORDER BY log_id"
    return _all(connection, query, notification_id)


def audit(connection: Connection, notification_id: int) -> list[dict[str, Any]]:
    """What workers wrote into its audit trail, in order."""
    query = "SELECT * FROM noti.audit_log WHERE entity_id = %s AND action_by_type = 'worker' ORDER BY audit_id"
    return _all(connection, query, str(notification_id))


def _all(connection: Connection, query: str, value: object) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), [value]).fetchall()


OUTCOMES = {
    Status.SENT: Outcome(Kind.OK, code="250"),
    Status.RETRYING: Outcome(Kind.TRANSIENT, code="451", error="try again later"),
    Status.HELD: Outcome(Kind.CONFIG, code="535", error="bad credentials"),
    Status.FAILED: Outcome(Kind.PERMANENT, code="550", error="no such user"),
    Status.EXPIRED: Outcome(Kind.TRANSIENT, code="451", error="try again later"),
    Status.UNKNOWN: Outcome(Kind.UNCERTAIN, error="the line broke"),
}


def tried(notification: Notification, status: Status = Status.SENT, **changes: Any) -> Result:
    """The result of a real try that ended as `status`."""
    wait = timedelta(minutes=1) if status is Status.RETRYING else None
    fields: dict[str, Any] = {
        "verdict": Verdict(status, f"reason of {status}", wait=wait, charge=status is Status.RETRYING),
        "outcome": OUTCOMES[status],
        "account": "relay",
        "provider": "smtp",
        "seconds": 0.25,
    }
    return Result(notification, **(fields | changes))


def decided(notification: Notification, status: Status, kind: str | None = None) -> Result:
    """A decision not to send."""
    return Result(notification, Verdict(status, f"reason of {status}"), kind=kind)
