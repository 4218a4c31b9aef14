"""Leases and the dispatch mark: what is ours stays ours, and what is not is said."""

from datetime import timedelta

import psycopg
import pytest

from noti_worker.domain.errors import DatabaseAway, TimedOut
from noti_worker.domain.notification import Status
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, LEASE, Connection, attempts, audit, claim, ids, insert, row, tried


def test_an_extension_prolongs_what_is_ours(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 3)
    rows = claim(queue)
    before = row(connection, rows[0].notification_id)["lease_until"]
    assert queue.extend(1, rows, LEASE) == {}
    stands = [row(connection, id_) for id_ in ids(rows)]
    assert all(before < one["lease_until"] <= before + timedelta(minutes=1) for one in stands)
    assert all((one["claim_count"], one["status"]) == (1, "sending") for one in stands)


def test_an_extension_never_shortens_a_lease(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    rows = claim(queue)
    before = row(connection, rows[0].notification_id)
    assert queue.extend(1, rows, timedelta(seconds=1)) == {}
    assert row(connection, rows[0].notification_id) == before


def test_an_extension_names_the_rows_that_are_no_longer_ours(queue: PostgresQueue, connection: Connection) -> None:
    first, _, third = insert(connection, 3)
    rows = claim(queue, worker_id=7, lease=AT_ONCE)
    [taken] = claim(queue, 1, worker_id=8)
    queue.record(7, [tried(rows[2])])
    before = row(connection, taken.notification_id)
    assert queue.extend(7, rows, LEASE) == {(first, 1): "gone", (third, 1): "gone"}
    assert row(connection, taken.notification_id) == before
    assert claim(queue, worker_id=9) == []  # the one that was still ours is kept, though its lease had run out


def test_a_locked_row_still_is_ours_but_its_lease_is_not_prolonged(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    first, second = insert(connection, 2)
    rows = claim(queue, lease=timedelta(minutes=1))
    before = row(connection, first)["lease_until"]
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [first])
        assert queue.extend(1, rows, LEASE) == {(first, 1): "busy"}
    assert row(connection, first)["lease_until"] == before
    assert row(connection, second)["lease_until"] > before


def test_nothing_in_hand_asks_nobody(queue: PostgresQueue) -> None:
    assert queue.extend(1, [], LEASE) == {}
    assert queue.release(1, []) == {}


def test_the_dispatch_mark_is_written_once_and_cleared_by_the_result(
    queue: PostgresQueue, connection: Connection
) -> None:
    [id_] = insert(connection, on_uncertain="hold")
    [n] = claim(queue)
    assert not n.dispatched
    assert queue.dispatch(1, n)
    marked = row(connection, id_)["dispatched_at"]
    assert marked is not None
    assert queue.dispatch(1, n)
    assert row(connection, id_)["dispatched_at"] == marked
    queue.record(1, [tried(n, Status.RETRYING)])
    assert row(connection, id_)["dispatched_at"] is None


def test_a_row_that_was_rescued_gets_no_mark_of_ours(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    [zombie] = claim(queue, worker_id=7, lease=AT_ONCE)
    [owner] = claim(queue, worker_id=8)
    assert not queue.dispatch(7, zombie)
    assert row(connection, id_)["dispatched_at"] is None
    assert queue.dispatch(8, owner)
    assert not queue.dispatch(7, zombie)


def test_a_mark_belongs_to_one_claim_even_of_the_same_worker(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [first] = claim(queue, lease=AT_ONCE)
    [second] = claim(queue)
    assert queue.dispatch(1, second)
    assert not queue.dispatch(1, first)


def test_without_its_mark_nothing_is_sent_while_an_application_locks_the_row(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [id_])
        with pytest.raises(DatabaseAway, match="55P03"):
            queue.dispatch(1, n)
    assert queue.dispatch(1, n)


def test_a_released_row_is_as_it_was_before(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    rows = claim(queue)
    queue.dispatch(1, rows[0])
    assert queue.release(1, rows) == {(id_, rows[0].claim_count): "released"}
    stands = row(connection, id_)
    assert (stands["status"], stands["claimed_by"], stands["lease_until"]) == ("pending", None, None)
    assert (stands["retry_count"], stands["attempt_count"], stands["claim_count"]) == (0, 0, 1)
    assert stands["dispatched_at"] is None
    assert attempts(connection, id_) == audit(connection, id_) == []
    [again] = claim(queue, worker_id=2)
    assert (again.claim_count, again.lost_count) == (2, 0)


def test_a_released_retry_is_retrying_again(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    queue.record(1, [tried(claim(queue)[0], Status.RETRYING)])
    connection.execute("UPDATE noti.notifications_log SET next_retry_at = created_at")
    queue.release(1, claim(queue))
    stands = row(connection, id_)
    assert (stands["status"], stands["retry_count"]) == ("retrying", 1)


@pytest.mark.parametrize("wish", ["cancelled", "held"])
def test_a_release_carries_out_what_was_asked_for_and_says_so(
    queue: PostgresQueue, connection: Connection, wish: str
) -> None:
    [id_] = insert(connection)
    rows = claim(queue)
    connection.execute("UPDATE noti.notifications_log SET status = %s WHERE notification_id = %s", [wish, id_])
    assert queue.release(1, rows) == {(id_, rows[0].claim_count): "released"}
    stands = row(connection, id_)
    assert (stands["status"], stands["requested"]) == (wish, None)
    assert (stands["finished_at"] is not None, stands["held_at"] is not None) == (wish == "cancelled", wish == "held")
    [line] = audit(connection, id_)
    assert (line["action"], line["action_by"]) == (f"notification_{wish}", "worker 1")
    assert "not started" in line["metadata"]["reason"]


def test_only_what_is_still_ours_is_released_and_a_locked_row_is_named(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    first, second, third = insert(connection, 3)
    rows = claim(queue, worker_id=7, lease=AT_ONCE)
    claim(queue, 1, worker_id=8)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [second])
        assert queue.release(7, rows) == {
            (first, 1): "stale",
            (second, 1): "busy",
            (third, 1): "released",
        }
    assert [row(connection, id_)["claimed_by"] for id_ in (first, second, third)] == [8, 7, None]


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_an_extension_takes_a_moment_at_most_whatever_a_trigger_does(
    database_url: str, connection: Connection, pgbouncer: bool
) -> None:
    queue = PostgresQueue(Database(Secret(database_url), pgbouncer=pgbouncer))
    insert(connection)
    rows = claim(queue)
    connection.execute(
        "CREATE FUNCTION public.sleeps() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN PERFORM pg_sleep(8); RETURN new; END $$;"
        "CREATE TRIGGER slow BEFORE UPDATE ON noti.notifications_log FOR EACH ROW EXECUTE FUNCTION public.sleeps()"
    )
    with pytest.raises(TimedOut):
        queue.extend(1, rows, LEASE)
    connection.execute("DROP TRIGGER slow ON noti.notifications_log")
    assert queue.extend(1, rows, LEASE) == {}
    queue.close()
