"""A cancel or hold that comes while a try is in flight wins over another try, and over nothing else."""

import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, attempts, audit, claim, decided, insert, row, tried

pytestmark = pytest.mark.usefixtures("either_way")


@pytest.mark.parametrize("wish", [Status.CANCELLED, Status.HELD])
@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (Status.SENT, Status.SENT),
        (Status.FAILED, Status.FAILED),
        (Status.EXPIRED, Status.EXPIRED),
        (Status.UNKNOWN, Status.UNKNOWN),
        (Status.RETRYING, None),
        (Status.HELD, None),
    ],
)
def test_what_a_row_becomes_whose_cancel_or_hold_came_in_flight(
    queue: PostgresQueue, connection: Connection, wish: Status, status: Status, becomes: Status | None
) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    connection.execute("UPDATE noti.notifications_log SET status = %s WHERE notification_id = %s", [wish.value, id_])
    assert row(connection, id_)["status"] == "sending"
    assert queue.record(1, [tried(n, status)]) == {id_: "applied"}
    stands = row(connection, id_)
    end = becomes or wish
    assert (stands["status"], stands["requested"]) == (end.value, None)
    assert (stands["finished_at"] is not None) == (end not in {Status.HELD, Status.UNKNOWN})
    assert (stands["held_at"] is not None) == (end in {Status.HELD, Status.UNKNOWN})
    assert stands["retry_count"] == (status is Status.RETRYING)
    [attempt] = attempts(connection, id_)
    assert attempt["status"] == ("failed" if status is Status.EXPIRED else status.value)
    [line] = audit(connection, id_)
    assert line["action"] == f"notification_{end}"
    assert line["metadata"].get("requested") == (wish.value if end is not status else None)


def test_a_suppression_wins_over_a_cancel(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE notification_id = %s", [id_])
    queue.record(1, [decided(n, Status.SUPPRESSED)])
    assert row(connection, id_)["status"] == "suppressed"


def test_a_held_row_still_knows_when_its_next_try_was_due(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    connection.execute("UPDATE noti.notifications_log SET status = 'held' WHERE notification_id = %s", [id_])
    queue.record(1, [tried(n, Status.RETRYING)])
    stands = row(connection, id_)
    assert stands["next_retry_at"] > stands["updated_at"]
    assert "wait_s" not in audit(connection, id_)[0]["metadata"]
