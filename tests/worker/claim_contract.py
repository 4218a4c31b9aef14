"""What a claim promises, as tests that the fake queue and the real one inherit.

Their test classes give a `desk`.
"""

from datetime import timedelta

import pytest

from noti_worker.domain.closures import Skip
from noti_worker.domain.lanes import Floor, Lane, Share, just
from noti_worker.domain.notification import Channel, Priority, Status
from tests.worker.queue_desk import AT_ONCE, LEASE, NORMAL, OTHER, SMS, URGENT, Desk, Standing, claim, ids, lanes, tried


class ClaimContract:
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

    def test_single_rows_are_passed_over(self, desk: Desk) -> None:
        aside, other = desk.add(), desk.add()
        assert ids(claim(desk, skip=Skip(rows=frozenset({aside, 4711})))) == [other]
        assert ids(claim(desk)) == [aside]

    def test_a_look_names_the_rows_that_a_claim_would_take_and_takes_none(self, desk: Desk) -> None:
        late, first = desk.add(seconds=-5), desk.add(seconds=-30)
        other, urgent = desk.add(OTHER, seconds=-90), desk.add(URGENT, seconds=-1)
        suspect = desk.add(SMS)
        for _ in range(2):
            claim(desk, SMS, lease=AT_ONCE)
        claim(desk, URGENT)
        ahead = desk.add(URGENT, seconds=-0.5)
        shares = [Share(lane, 10) for lane in (URGENT, NORMAL, OTHER, SMS)]
        spots = desk.queue.peek(2, shares, 3, LEASE, ())
        assert [spot.notification_id for spot in spots] == [ahead, first, late]
        assert [spot.lane for spot in spots] == [URGENT, NORMAL, NORMAL]
        assert [spot.notification_id for spot in desk.queue.peek(2, shares, 10, LEASE, (), solo=True)] == [suspect]
        assert ids(desk.queue.claim(2, just(spots), 3, LEASE, ())) == [ahead, first, late]
        assert ids(desk.queue.claim(2, shares, 10, LEASE, ())) == [other]
        assert desk.row(urgent).claimed_by == 1

    # What was lost is claimed again

    def test_a_lease_that_ran_out_is_taken_over_and_the_loss_written_down(self, desk: Desk) -> None:
        number = desk.add()
        claim(desk, lease=AT_ONCE)
        [row] = claim(desk, worker_id=2)
        assert (row.claim_count, row.lost_count, row.attempt_count) == (2, 1, 1)
        assert desk.row(number) == Standing(Status.SENDING, 2, 2, 0, 1, 1, ("lost",))

    def test_a_loss_is_told_by_the_claim_that_found_it_and_by_no_later_one(self, desk: Desk) -> None:
        lost, other = desk.add(seconds=-20), desk.add()
        [row] = claim(desk, limit=1, lease=AT_ONCE)
        assert not row.rescued
        rows = claim(desk, worker_id=2)
        assert {row.notification_id: row.rescued for row in rows} == {lost: True, other: False}
        desk.queue.release(2, rows)
        assert [(row.lost_count, row.rescued) for row in claim(desk)] == [(1, False), (0, False)]

    def test_the_lease_of_a_worker_whose_heart_beats_is_taken_once_it_is_over_for_another(self, desk: Desk) -> None:
        number = desk.add()
        claim(desk, lease=AT_ONCE)
        assert claim(desk, worker_id=2, living=[1, 3]) == []
        assert ids(claim(desk, worker_id=2, living=[1], lease=AT_ONCE)) == [number]

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
