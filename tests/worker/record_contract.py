"""What becomes of claims, as tests that the fake queue and the real one inherit.

Their test classes give a `desk`.
"""

from datetime import timedelta

import pytest

from noti_worker.domain.notification import Channel, Status
from tests.worker.queue_desk import AT_ONCE, LEASE, Desk, Standing, claim, decided, ids, tried


class RecordContract:
    """Inherited with a fixture `desk`."""

    # How claims end

    @pytest.mark.parametrize(
        "status", [Status.SENT, Status.FAILED, Status.HELD, Status.UNKNOWN, Status.RETRYING, Status.EXPIRED]
    )
    def test_a_result_is_written_with_its_try(self, desk: Desk, status: Status) -> None:
        number = desk.add()
        assert desk.queue.record(1, [tried(claim(desk)[0], status)]) == {number: "applied"}
        charged = int(status is Status.RETRYING)
        told = "failed" if status is Status.EXPIRED else str(status)
        assert desk.row(number) == Standing(status, None, 1, charged, 1, 0, (told,))

    def test_a_retry_is_due_after_its_wait(self, desk: Desk) -> None:
        desk.add()
        [row] = claim(desk)
        desk.queue.record(1, [tried(row, Status.RETRYING, wait=timedelta(hours=1))])
        assert claim(desk) == []
        [head] = desk.queue.heads([Channel.EMAIL], None, 200)
        assert (head.due_at - row.claimed_at).total_seconds() == pytest.approx(3600, abs=60)

    def test_a_decision_is_no_try(self, desk: Desk) -> None:
        number = desk.add()
        assert desk.queue.record(1, [decided(claim(desk)[0])]) == {number: "applied"}
        assert desk.row(number) == Standing(Status.SUPPRESSED, None, 1, 0, 0, 0, ())

    def test_a_result_for_a_row_that_another_took_is_stale_and_only_its_try_is_kept(self, desk: Desk) -> None:
        number = desk.add()
        [old] = claim(desk, lease=AT_ONCE)
        claim(desk, worker_id=2)
        assert desk.queue.record(1, [tried(old)]) == {number: "stale"}
        assert desk.row(number) == Standing(Status.SENDING, 2, 2, 0, 1, 1, ("lost", "stale"))
        assert desk.queue.record(1, [tried(old)]) == {number: "again"}
        assert desk.row(number).tries == ("lost", "stale")

    def test_a_worker_that_took_its_own_row_again_is_fenced_from_its_first_try(self, desk: Desk) -> None:
        number = desk.add()
        [old] = claim(desk, lease=AT_ONCE)
        [new] = claim(desk)
        assert desk.queue.record(1, [tried(old)]) == {number: "stale"}
        assert desk.row(number).status is Status.SENDING
        assert desk.queue.record(1, [tried(new)]) == {number: "applied"}
        assert desk.row(number) == Standing(Status.SENT, None, 2, 0, 2, 0, ("lost", "stale", "sent"))

    def test_a_stale_decision_leaves_no_trace(self, desk: Desk) -> None:
        number = desk.add()
        [old] = claim(desk, lease=AT_ONCE)
        claim(desk, worker_id=2)
        assert desk.queue.record(1, [decided(old)]) == {number: "stale"}
        assert desk.row(number) == Standing(Status.SENDING, 2, 2, 0, 1, 1, ("lost",))

    def test_a_late_result_counts_while_nobody_else_took_the_row(self, desk: Desk) -> None:
        number = desk.add()
        [row] = claim(desk, lease=AT_ONCE)
        assert desk.queue.record(1, [tried(row)]) == {number: "applied"}

    @pytest.mark.parametrize("is_try", [True, False])
    def test_what_is_recorded_already_is_again_and_writes_nothing(self, desk: Desk, is_try: bool) -> None:
        number = desk.add()
        [row] = claim(desk)
        result = tried(row) if is_try else decided(row)
        desk.queue.record(1, [result])
        before = desk.row(number)
        assert desk.queue.record(1, [result]) == {number: "again"}
        assert desk.row(number) == before

    def test_a_locked_row_is_busy_and_holds_up_nobody(self, desk: Desk) -> None:
        locked, free = desk.add(), desk.add()
        rows = claim(desk)
        with desk.locked(locked):
            assert desk.queue.record(1, [tried(row) for row in rows]) == {locked: "busy", free: "applied"}
            assert desk.row(locked).tries == ()
        assert desk.queue.record(1, [tried(rows[0])]) == {locked: "applied"}

    @pytest.mark.parametrize("wish", [Status.CANCELLED, Status.HELD])
    def test_what_was_asked_for_in_flight_wins_over_a_retry_and_not_over_an_end(self, desk: Desk, wish: Status) -> None:
        retried, sent = desk.add(seconds=-20), desk.add()
        rows = claim(desk)
        for number in (retried, sent):
            desk.ask(number, wish)
        desk.queue.record(1, [tried(rows[0], Status.RETRYING), tried(rows[1])])
        assert (desk.row(retried).status, desk.row(sent).status) == (wish, Status.SENT)

    def test_a_recorded_result_clears_losses_and_mark(self, desk: Desk) -> None:
        number = desk.add()
        claim(desk, lease=AT_ONCE)
        [row] = claim(desk)
        assert desk.queue.dispatch(1, row)
        desk.queue.record(1, [tried(row, Status.RETRYING, wait=AT_ONCE)])
        assert desk.row(number).lost_count == 0
        [row] = claim(desk)
        assert (row.lost_count, row.dispatched) == (0, False)

    def test_a_released_row_is_as_it_was_but_for_its_claim_count(self, desk: Desk) -> None:
        number = desk.add()
        [row] = claim(desk)
        assert desk.queue.dispatch(1, row)
        assert desk.queue.release(1, [row]) == {(number, 1): "released"}
        assert desk.row(number) == Standing(Status.PENDING, None, 1, 0, 0, 0, ())
        [row] = claim(desk, worker_id=2)
        assert (row.claim_count, row.dispatched) == (2, False)

    def test_a_released_row_keeps_its_losses_and_a_released_retry_is_one(self, desk: Desk) -> None:
        number = desk.add()
        desk.queue.record(1, [tried(claim(desk)[0], Status.RETRYING, wait=AT_ONCE)])
        claim(desk, lease=AT_ONCE)
        desk.queue.release(1, claim(desk))
        assert desk.row(number) == Standing(Status.RETRYING, None, 3, 1, 2, 1, ("retrying", "lost"))

    @pytest.mark.parametrize("wish", [Status.CANCELLED, Status.HELD])
    def test_a_release_carries_out_what_was_asked_for(self, desk: Desk, wish: Status) -> None:
        number = desk.add()
        rows = claim(desk)
        desk.ask(number, wish)
        assert desk.queue.release(1, rows) == {(number, 1): "released"}
        assert desk.row(number).status is wish
        assert claim(desk) == []

    def test_only_what_is_ours_is_released_and_a_locked_row_is_busy(self, desk: Desk) -> None:
        retaken, locked, free = (desk.add(seconds=-20 + number) for number in range(3))
        [old] = claim(desk, limit=1, lease=AT_ONCE)
        [new] = claim(desk, limit=1)
        rest = claim(desk)
        with desk.locked(locked):
            fates = desk.queue.release(1, [old, *rest])
        assert fates == {(retaken, 1): "stale", (locked, 1): "busy", (free, 1): "released"}
        assert desk.queue.release(2, [new]) == {(retaken, 2): "stale"}
        assert [desk.row(number).claimed_by for number in (retaken, locked, free)] == [1, 1, None]

    # What keeps them

    def test_an_extension_prolongs_what_is_ours_and_names_what_is_not(self, desk: Desk) -> None:
        retaken, kept, locked, lapses = (desk.add(seconds=-20 + number) for number in range(4))
        [old] = claim(desk, limit=1, lease=AT_ONCE)
        [new] = claim(desk, limit=1)
        rows = claim(desk, lease=AT_ONCE)
        with desk.locked(locked):
            fates = desk.queue.extend(1, [old, *rows[:2]], LEASE)
        assert fates == {(retaken, 1): "gone", (locked, 1): "busy"}
        assert desk.queue.extend(2, [new], LEASE) == {(retaken, 2): "gone"}
        assert ids(claim(desk, worker_id=3)) == [locked, lapses]
        assert desk.row(kept).claimed_by == 1

    def test_a_mark_is_given_once_and_again_to_the_one_claim_whose_row_it_is(self, desk: Desk) -> None:
        desk.add()
        [old] = claim(desk, lease=AT_ONCE)
        [new] = claim(desk)
        assert not desk.queue.dispatch(1, old)
        assert not desk.queue.dispatch(2, new)
        assert desk.queue.dispatch(1, new)
        assert desk.queue.dispatch(1, new)
