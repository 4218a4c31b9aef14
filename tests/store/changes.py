"""Changes as applications make them, and what the database says when it says no."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import claim, insert, tried

Connection = psycopg.Connection[Any]


def refusal(connection: Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> tuple[str, str]:
    """SQLSTATE and message of a statement that must fail, and must not show the row."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode(), values)
    assert caught.value.diag.message_detail is None
    return caught.value.sqlstate or "", caught.value.diag.message_primary or ""


def update(connection: Connection, assignments: str, number: int = 1) -> None:
    """Change one notification."""
    connection.execute(f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = {number}".encode())


def refused(connection: Connection, assignments: str, number: int = 1) -> tuple[str, str]:
    """SQLSTATE and message of a change that must fail."""
    return refusal(connection, f"UPDATE noti.notifications_log SET {assignments} WHERE notification_id = {number}")


def actions(connection: Connection) -> list[str]:
    """What the database itself wrote into the audit log after the insert, oldest first."""
    query = "SELECT action FROM noti.audit_log WHERE action_by_type = 'db' ORDER BY audit_id OFFSET 1"
    return [action.removeprefix("notification_") for (action,) in connection.execute(query.encode()).fetchall()]


def finish(connection: Connection, queue: PostgresQueue, status: Status = Status.FAILED) -> int:
    """Insert a notification, try it once, record the result; gives its id."""
    [number] = insert(connection)
    [claimed] = claim(queue)
    assert queue.record(1, [tried(claimed, status)]) == {number: "applied"}
    return number
