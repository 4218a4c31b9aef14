"""The claim is the rescue: expired leases and the rows of dead workers are taken, and written down as lost."""

import pytest

from noti_worker.domain.lanes import Floor, Share
from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.workers import PostgresWorkers
from tests.store.rows import AT_ONCE, LEASE, NORMAL, Connection, attempts, claim, ids, insert, row, silence, tried


def test_an_expired_lease_is_taken_again_and_the_loss_is_written_down(
    queue: PostgresQueue, connection: Connection
) -> None:
    [id_] = insert(connection)
    claim(queue, worker_id=7, lease=AT_ONCE)
    [got] = claim(queue, worker_id=8)
    assert (got.claim_count, got.attempt_count, got.lost_count, got.retry_count) == (2, 1, 1, 0)
    [lost] = attempts(connection, id_)
    assert (lost["attempt_number"], lost["status"], lost["kind"], lost["worker"]) == (1, "lost", "uncertain", "7")
    assert lost["claim_count"] == 1
    assert "lost" in lost["error_message"]
    stands = row(connection, id_)
    assert (stands["claimed_by"], stands["attempt_count"], stands["lost_count"]) == (8, 1, 1)


def test_a_living_lease_is_left_alone(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    claim(queue, worker_id=7)
    assert claim(queue, worker_id=8) == []
    assert attempts(connection, id_) == []


def test_the_rows_of_a_dead_worker_are_claimable_at_once(
    queue: PostgresQueue, workers: PostgresWorkers, connection: Connection
) -> None:
    dead, alive = workers.register("1"), workers.register("1")
    everything = insert(connection, 5)
    claim(queue, 3, worker_id=dead)
    claim(queue, 1, worker_id=99)  # unknown is not dead: its lease decides
    silence(connection, dead, 16)
    heart = workers.beat(alive, {})
    assert heart.dead == (dead,)
    assert ids(claim(queue, worker_id=alive, dead=heart.dead)) == everything[:3] + everything[4:]
    assert [len(attempts(connection, id_)) for id_ in everything] == [1, 1, 1, 0, 0]


def test_right_after_an_outage_no_claim_of_anybody_is_taken(queue: PostgresQueue, connection: Connection) -> None:
    expired, of_the_dead, free = insert(connection, 3)
    claim(queue, 1, worker_id=7, lease=AT_ONCE)
    claim(queue, 1, worker_id=8, dead=None)
    assert ids(claim(queue, worker_id=9, dead=None)) == [free]
    assert ids(claim(queue, worker_id=9, dead=[8])) == [expired, of_the_dead]


def test_a_worker_takes_its_own_rows_whose_claim_was_not_answered(queue: PostgresQueue, connection: Connection) -> None:
    in_hand, marked, unanswered, of_another = insert(connection, 4)
    claimed = claim(queue, 3, worker_id=7)
    queue.dispatch(7, claimed[1])  # it may be on its way: left to its lease
    claim(queue, 1, worker_id=8)
    assert claim(queue, worker_id=7, dead=None) == []
    assert claim(queue, worker_id=7, dead=None, in_hand=[in_hand, unanswered]) == []
    [again] = claim(queue, worker_id=7, dead=None, in_hand=[in_hand])
    assert (again.notification_id, again.claim_count, again.lost_count, again.dispatched) == (unanswered, 2, 1, False)
    assert [len(attempts(connection, id_)) for id_ in (in_hand, marked, unanswered, of_another)] == [0, 0, 1, 0]


def test_a_row_that_was_lost_after_its_dispatch_mark_says_so(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection, on_uncertain="hold")
    [first] = claim(queue, lease=LEASE, worker_id=7)
    assert queue.dispatch(7, first)
    [rescued] = claim(queue, worker_id=8, dead=[7])
    assert rescued.dispatched
    assert "may have been sent" in attempts(connection, id_)[0]["error_message"]


def test_the_mark_of_a_lost_claim_outlives_a_second_loss(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, on_uncertain="hold")
    [first] = claim(queue, worker_id=7)
    queue.dispatch(7, first)
    claim(queue, worker_id=8, dead=[7])
    [third] = claim(queue, worker_id=9, dead=[8], solo=True)
    assert third.dispatched


@pytest.mark.parametrize("wish", ["cancelled", "held"])
def test_a_rescuer_sees_what_was_asked_for_in_flight(queue: PostgresQueue, connection: Connection, wish: str) -> None:
    [id_] = insert(connection)
    claim(queue, lease=AT_ONCE)
    connection.execute("UPDATE noti.notifications_log SET status = %s WHERE notification_id = %s", [wish, id_])
    [got] = claim(queue)
    assert got.requested is Status(wish)


def test_a_row_lost_twice_is_only_taken_alone(queue: PostgresQueue, connection: Connection) -> None:
    [suspect, *mates] = insert(connection, 3)
    claim(queue, 1, lease=AT_ONCE)
    claim(queue, 1, lease=AT_ONCE)
    # The second loss happens with this claim: it counts before it is written.
    assert ids(claim(queue)) == mates
    [alone] = claim(queue, solo=True)
    assert (alone.notification_id, alone.lost_count) == (suspect, 2)
    assert [lost["attempt_number"] for lost in attempts(connection, suspect)] == [1, 2]


def test_a_recorded_result_clears_the_losses(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    claim(queue, lease=AT_ONCE)
    [again] = claim(queue)
    queue.record(1, [tried(again, Status.RETRYING)])
    stands = row(connection, id_)
    assert (stands["lost_count"], stands["attempt_count"], stands["retry_count"]) == (0, 2, 1)


def test_released_rows_keep_their_losses(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    claim(queue, lease=AT_ONCE)
    queue.release(1, claim(queue))
    [got] = claim(queue)
    assert (got.lost_count, got.attempt_count, got.claim_count) == (1, 1, 3)


def test_a_floor_hides_lost_rows_and_a_sweep_finds_them(queue: PostgresQueue, connection: Connection) -> None:
    everything = insert(connection, 3)
    taken = claim(queue, lease=AT_ONCE)
    floor = Floor(taken[-1].due_at, taken[-1].notification_id + 1)
    assert queue.claim(2, [Share(NORMAL, 10, floor)], 10, LEASE, [], solo=False) == []
    assert ids(claim(queue, worker_id=2)) == everything
