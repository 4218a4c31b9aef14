"""What the doors of the queue promise, as tests that the fake and the real one inherit.

Their test classes give a `desk`: the queue, and what happens around it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import pytest

from noti_worker.domain.closures import NOTHING, Skip
from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import END, Floor, Lane, LaneHead, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Claims, Lanes, Leases, Records

LEASE = timedelta(minutes=2)
AT_ONCE = timedelta(0)
"""A lease that has run out once a moment has passed."""

NORMAL = Lane(Channel.EMAIL, Priority.NORMAL, "default")
URGENT = Lane(Channel.EMAIL, Priority.URGENT, "default")
OTHER = Lane(Channel.EMAIL, Priority.NORMAL, "other")
SMS = Lane(Channel.SMS, Priority.NORMAL, "default")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a row stands in the table; `tries` are the statuses of its attempts, in order."""

    status: Status
    claimed_by: int | None
    claim_count: int
    retry_count: int
    attempt_count: int
    lost_count: int
    tries: tuple[str, ...]


class Doors(Lanes, Claims, Records, Leases, Protocol):
    """All that the queue is asked for."""


class Desk(Protocol):
    """A queue, and what happens around it."""

    @property
    def queue(self) -> Doors:
        """What is tested."""
        ...

    def add(self, lane: Lane = NORMAL, seconds: float = -10.0, **columns: Any) -> int:
        """Put a row in that is due in so many seconds from when the test began; gives its id."""
        ...

    def row(self, number: int) -> Standing:
        """Look at a row."""
        ...

    def locked(self, number: int) -> AbstractContextManager[None]:
        """An application has the row locked meanwhile."""
        ...

    def ask(self, number: int, wish: Status) -> None:
        """Somebody cancels or holds a row in flight."""
        ...


class QueueContract:
    """Inherited with a fixture `desk`."""

    # What is claimed

    def test_the_order_is_that_of_the_shares_then_of_the_due_times_then_of_the_ids(self, desk: Desk) -> None:
        late, second, first = desk.add(seconds=-5), desk.add(seconds=-20), desk.add(seconds=-30)
        twin = desk.add(seconds=-20)
        other, urgent = desk.add(OTHER, seconds=-90), desk.add(URGENT, seconds=-1)
        assert ids(claim(desk, URGENT, NORMAL, OTHER)) == [urgent, first, second, twin, late, other]

    def test_a_lane_gives_its_quota_at_most_and_all_together_the_limit(self, desk: Desk) -> None:
        numbers = [desk.add(seconds=-20 + number) for number in range(4)]
        others = [desk.add(OTHER) for _ in range(4)]
        shares = [Share(NORMAL, 2), Share(OTHER, 4)]
        assert ids(desk.queue.claim(1, shares, 3, LEASE, ())) == [*numbers[:2], others[0]]
        assert ids(desk.queue.claim(1, shares, 100, LEASE, ())) == [*numbers[2:], *others[1:]]

    def test_nothing_is_taken_without_a_share_or_a_slot(self, desk: Desk) -> None:
        desk.add()
        assert ids(desk.queue.claim(1, [], 10, LEASE, ())) == []
        assert ids(desk.queue.claim(1, [Share(NORMAL, 10)], 0, LEASE, ())) == []

    def test_only_rows_of_the_lane_that_are_due_and_open_are_taken(self, desk: Desk) -> None:
        desk.add(seconds=3600)
        desk.add(OTHER)
        desk.add(SMS)
        for status in (Status.SENT, Status.HELD, Status.UNKNOWN, Status.FAILED):
            desk.add()
            desk.queue.record(1, [tried(claim(desk)[0], status)])
        due = desk.add()
        assert ids(claim(desk)) == [due]

    def test_a_share_begins_at_its_floor_and_ends_before_its_stop_as_pairs(self, desk: Desk) -> None:
        numbers = [desk.add(seconds=-10) for _ in range(4)]
        rows = claim(desk)
        desk.queue.release(1, rows)
        begin, stop = (Floor(row.due_at, row.notification_id) for row in (rows[1], rows[3]))
        assert ids(desk.queue.claim(1, [Share(NORMAL, 10, begin, stop)], 10, LEASE, ())) == numbers[1:3]

    def test_a_claim_counts_itself_and_nobody_else_gets_the_row(self, desk: Desk) -> None:
        number = desk.add()
        [row] = claim(desk)
        assert (row.claim_count, row.lost_count, row.attempt_count, row.dispatched) == (1, 0, 0, False)
        assert desk.row(number) == Standing(Status.SENDING, 1, 1, 0, 0, 0, ())
        assert claim(desk, worker_id=2) == claim(desk) == []

    def test_a_row_that_an_application_locks_is_passed_over(self, desk: Desk) -> None:
        locked, free = desk.add(seconds=-20), desk.add()
        with desk.locked(locked):
            assert ids(claim(desk)) == [free]
        assert ids(claim(desk)) == [locked]

    def test_paused_rows_are_passed_over(self, desk: Desk) -> None:
        template, account, of_another = (
            desk.add(template_id="hi"),
            desk.add(provider="relay"),
            desk.add(template_id="x"),
        )
        plain = desk.add()
        skip = Skip(providers=(("", "relay"),), templates=(("default", "hi"), ("other", "x")))
        assert ids(claim(desk, skip=skip)) == [of_another, plain]
        assert ids(claim(desk)) == [template, account]

    # What was lost is claimed again

    def test_a_lease_that_ran_out_is_taken_over_and_the_loss_written_down(self, desk: Desk) -> None:
        number = desk.add()
        claim(desk, lease=AT_ONCE)
        [row] = claim(desk, worker_id=2)
        assert (row.claim_count, row.lost_count, row.attempt_count) == (2, 1, 1)
        assert desk.row(number) == Standing(Status.SENDING, 2, 2, 0, 1, 1, ("lost",))

    def test_a_living_lease_is_left_alone_unless_its_worker_is_dead(self, desk: Desk) -> None:
        number = desk.add()
        claim(desk)
        assert claim(desk, worker_id=2, dead=[3]) == []
        assert ids(claim(desk, worker_id=2, dead=[1])) == [number]
        assert desk.row(number).tries == ("lost",)

    def test_right_after_an_outage_no_claim_of_others_is_taken(self, desk: Desk) -> None:
        desk.add()
        claim(desk, lease=AT_ONCE)
        free = desk.add()
        assert ids(claim(desk, worker_id=2, dead=None)) == [free]

    def test_after_an_outage_a_worker_takes_its_own_claims_that_were_not_answered(self, desk: Desk) -> None:
        unanswered, marked, in_hand, of_another = (desk.add(seconds=-20 + number) for number in range(4))
        rows = claim(desk, limit=3)
        claim(desk, worker_id=2)
        desk.queue.dispatch(1, rows[1])  # it may have been sent: its lease decides
        assert ids(claim(desk, dead=None)) == []
        [row] = claim(desk, dead=None, in_hand=[in_hand])
        assert (row.notification_id, row.claim_count, row.lost_count) == (unanswered, 2, 1)
        assert [desk.row(number).claimed_by for number in (marked, in_hand, of_another)] == [1, 1, 2]

    def test_a_row_lost_twice_is_taken_alone_and_the_others_without_it(self, desk: Desk) -> None:
        suspect = desk.add()
        for _ in range(2):
            claim(desk, lease=AT_ONCE)
        fresh = desk.add()
        assert ids(claim(desk)) == [fresh]
        [row] = claim(desk, solo=True)
        assert (row.notification_id, row.lost_count) == (suspect, 2)
        assert claim(desk, solo=True) == []

    def test_the_mark_of_a_lost_claim_is_told_to_the_next_one(self, desk: Desk) -> None:
        desk.add()
        [row] = claim(desk, lease=AT_ONCE)
        assert desk.queue.dispatch(1, row)
        [row] = claim(desk, worker_id=2)
        assert row.dispatched

    @pytest.mark.parametrize("wish", [Status.CANCELLED, Status.HELD])
    def test_what_was_asked_for_in_flight_is_told_to_the_next_claim(self, desk: Desk, wish: Status) -> None:
        number = desk.add()
        claim(desk, lease=AT_ONCE)
        desk.ask(number, wish)
        [row] = claim(desk, worker_id=2)
        assert row.requested is wish

    # Which lanes there are

    def test_each_lane_is_named_once_with_its_first_row_and_the_first_that_is_ahead(self, desk: Desk) -> None:
        desk.add(seconds=-5)
        desk.add(seconds=-20)
        desk.add(seconds=3600)
        desk.add(seconds=1800)
        desk.add(SMS)
        finished, parked = desk.add(OTHER), desk.add(URGENT)
        for number, status in zip((parked, finished), (Status.HELD, Status.SENT), strict=True):
            [row] = claim(desk, OTHER, URGENT, limit=1) if status is Status.SENT else claim(desk, URGENT)
            assert row.notification_id == number
            desk.queue.record(1, [tried(row, status)])
        [head] = desk.queue.heads([Channel.EMAIL], None, 200)
        first = claim(desk, limit=1)[0].due_at
        assert (head.lane, head.due_at) == (NORMAL, first)
        assert head.next_at is not None
        assert (head.next_at - first).total_seconds() == pytest.approx(1820)
        assert lanes(desk.queue.heads([Channel.EMAIL, Channel.SMS], None, 200)) == [NORMAL, SMS]

    def test_a_lane_in_flight_is_one_unless_it_is_known(self, desk: Desk) -> None:
        desk.add()
        [row] = claim(desk)
        floor = Floor(row.due_at, row.notification_id)
        assert lanes(desk.queue.heads([Channel.EMAIL], None, 200)) == [NORMAL]
        assert lanes(desk.queue.heads([Channel.EMAIL], None, 200, {NORMAL: floor})) == []
        desk.add()
        assert lanes(desk.queue.heads([Channel.EMAIL], None, 200, {NORMAL: floor})) == [NORMAL]

    def test_a_known_lane_is_looked_at_from_its_floor_on(self, desk: Desk) -> None:
        desk.add(seconds=-20)
        [behind] = claim(desk)
        desk.queue.release(1, [behind])
        floor = Floor(behind.due_at + timedelta(seconds=1))
        assert lanes(desk.queue.heads([Channel.EMAIL], None, 200, {NORMAL: floor})) == []

    def test_windows_go_round_the_lanes_in_their_order(self, desk: Desk) -> None:
        expected = [Lane(Channel.EMAIL, Priority.NORMAL, f"t{number}") for number in range(5)]
        for lane in reversed(expected):
            desk.add(lane)
        found: list[Lane] = []
        while heads := desk.queue.heads([Channel.EMAIL], found[-1] if found else None, 2):
            assert len(heads) <= 2
            found += lanes(heads)
        assert found == expected

    def test_a_stride_ends_where_so_many_due_rows_are_passed(self, desk: Desk) -> None:
        numbers = [desk.add(seconds=-20 + number) for number in range(4)]
        desk.add(seconds=3600)
        desk.add(OTHER)
        shares = [Share(NORMAL, 1), Share(OTHER, 1)]
        stops = desk.queue.strides(shares, 2)
        assert {lane: stop.notification_id for lane, stop in stops.items()} == {NORMAL: numbers[2]}
        assert desk.queue.strides([Share(NORMAL, 1, stops[NORMAL])], 2) == {}

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


def claim(
    desk: Desk,
    *of: Lane,
    worker_id: int = 1,
    limit: int = 100,
    lease: timedelta = LEASE,
    dead: Sequence[int] | None = (),
    in_hand: Sequence[int] | None = None,
    solo: bool = False,
    skip: Skip = NOTHING,
) -> Sequence[Notification]:
    """Claim from lanes of which each may use the whole limit."""
    shares = [Share(lane, limit, Floor(), END) for lane in of or (NORMAL,)]
    return desk.queue.claim(worker_id, shares, limit, lease, dead, in_hand=in_hand, solo=solo, skip=skip)


def tried(row: Notification, status: Status = Status.SENT, wait: timedelta = timedelta(minutes=1)) -> Result:
    """The result of a try."""
    retries = status is Status.RETRYING
    verdict = Verdict(status, f"reason of {status}", wait=wait if retries else None, charge=retries)
    return Result(row, verdict, Outcome(Kind.OK if status is Status.SENT else Kind.TRANSIENT), "relay", "smtp")


def decided(row: Notification) -> Result:
    """A decision not to send."""
    return Result(row, Verdict(Status.SUPPRESSED, "a reason"))


def ids(rows: Sequence[Notification]) -> list[int]:
    """Their ids, in order."""
    return [row.notification_id for row in rows]


def lanes(heads: Sequence[LaneHead]) -> list[Lane]:
    """Their lanes, in order."""
    return [head.lane for head in heads]
