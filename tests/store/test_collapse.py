"""Of rows with one collapse key the newest takes the place of the others."""

from typing import Any

import pytest

from noti_worker.domain.notification import Notification
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, insert

ANN: dict[str, Any] = {"recipient": "ann@example.com", "collapse_key": "order-17"}


def newer(queue: PostgresQueue, rows: list[Notification]) -> dict[int, int | None]:
    briefings = queue.brief(rows)
    return {n.notification_id: briefings[n.notification_id].newer for n in rows if n.notification_id in briefings}


def test_the_newest_takes_the_place_of_all_others(queue: PostgresQueue, connection: Connection) -> None:
    first, second, third = (insert(connection, **ANN)[0] for _ in range(3))
    assert newer(queue, claim(queue)) == {first: third, second: third}


def test_another_key_recipient_or_tenant_is_another_message(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, **ANN)
    insert(connection, **ANN | {"collapse_key": "order-18"})
    insert(connection, **ANN | {"recipient": "bea@example.com"})
    insert(connection, **ANN, tenant_id="acme")
    insert(connection, **ANN, channel="push")
    insert(connection)
    assert newer(queue, claim(queue)) == {}


@pytest.mark.parametrize("move", ["cancel", "hold"])
def test_what_will_not_go_out_takes_no_place(queue: PostgresQueue, connection: Connection, move: str) -> None:
    insert(connection, **ANN)
    connection.execute(f"SELECT noti.{move}(%s)".encode(), insert(connection, **ANN))
    assert newer(queue, claim(queue)) == {}


def test_what_is_scheduled_takes_the_place_from_its_time_on(queue: PostgresQueue, connection: Connection) -> None:
    [first] = insert(connection, **ANN)
    [second] = insert(connection, **ANN, send_at="2100-01-01 00:00+00")
    rows = claim(queue)
    assert newer(queue, rows) == {}
    connection.execute("UPDATE noti.notifications_log SET send_at = NULL WHERE notification_id = %s", [second])
    assert newer(queue, rows) == {first: second}


def test_a_key_of_many_cancelled_rows_is_not_walked(queue: PostgresQueue, connection: Connection) -> None:
    [first] = insert(connection, **ANN)
    [second] = insert(connection, **ANN)
    insert(connection, 60, **ANN)
    connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE notification_id > %s", [second])
    assert newer(queue, [row for row in claim(queue) if row.notification_id == first]) == {}
