from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from noti_worker.domain.account import RouteLine
from noti_worker.domain.facts import DatabaseHeldUp, Fenced, LeaseLost, Trouble
from noti_worker.domain.lanes import Lane, Share
from noti_worker.domain.lifecycle import LONGEST_SEND
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.ports import Beat
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import FENCE_AFTER, Claim, InFlight
from noti_worker.worker.routes import Routes
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import PACE, FakeClock, Witness, context

LEASE = PACE.lease
EMAIL = Share(Lane(Channel.EMAIL, Priority.NORMAL, "default"), 1)


class House:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.witness = Witness()
        self.in_flight = InFlight(self.clock, LEASE, self.witness)
        shared = context(self.clock, self.witness)
        self.outage = shared.outage
        self.routes = (RouteLine(Channel.EMAIL, "relay", "smtp", Mode.LIVE),)
        routes = Routes(self.store, lambda: self.routes, self.witness)
        self.heartbeat = Heartbeat(shared, self.store, self.store, self.in_flight, dict, routes)

    def claim(self) -> Claim:
        self.store.add()
        [claim] = self.in_flight.take(self.store.claim(7, [EMAIL], 1, LEASE, ()), self.clock.monotonic())
        return claim

    def go(self, seconds: float) -> None:
        """Let time pass in steps, beating as the heartbeat's thread would."""
        ends = self.clock.monotonic() + seconds
        while self.clock.monotonic() < ends:
            self.clock.tick(self.heartbeat.step())


def test_leases_in_flight_are_prolonged_each_third_of_their_length() -> None:
    house = House()
    claim = house.claim()
    house.go(125)
    assert 3 <= len(house.store.asked("extend")) <= 4
    assert claim.lease_ends - house.clock.monotonic() > 70


def test_a_row_that_was_taken_by_another_is_not_started() -> None:
    house = House()
    claim, kept = house.claim(), house.claim()
    house.store.snatch(claim.notification.notification_id)
    house.go(45)
    assert not house.in_flight.start(claim, 1.0)
    assert house.in_flight.start(kept, 1.0)
    assert [fact.notification_id for fact in house.witness.of(LeaseLost)] == [claim.notification.notification_id]


def test_a_send_is_not_started_with_too_little_lease_left() -> None:
    house = House()
    claim = house.claim()
    house.store.refuse_extend = True
    house.go(95)
    assert not house.in_flight.start(claim, 30.0)
    assert house.in_flight.start(claim, 20.0)


def test_a_worker_that_cannot_beat_fences_itself_before_others_take_its_rows() -> None:
    house = House()
    claim = house.claim()
    house.go(4)
    house.store.away = True
    house.go(FENCE_AFTER + 1)
    assert not house.in_flight.start(claim, 1.0)
    assert [fact.on for fact in house.witness.of(Fenced)] == [True]
    house.store.away = False
    house.go(3)
    assert house.in_flight.start(claim, 1.0)
    assert [fact.on for fact in house.witness.of(Fenced)] == [True, False]


def test_a_process_that_was_stopped_begins_nothing_before_it_knows_what_is_still_its_own() -> None:
    house = House()
    taken, kept = house.claim(), house.claim()
    house.go(4)
    house.clock.tick(16)  # stopped: others take us for dead, and our thread did not even notice
    assert not house.in_flight.start(kept, 1.0)
    house.store.snatch(taken.notification.notification_id)
    house.store.refuse_extend = True
    house.heartbeat.step()
    assert not house.in_flight.start(kept, 1.0)
    house.store.refuse_extend = False
    house.heartbeat.step()
    assert not house.in_flight.start(taken, 1.0)
    assert house.in_flight.start(kept, 1.0)


def test_a_heartbeat_whose_answer_took_long_counts_from_when_it_was_asked_for() -> None:
    house = House()
    claim = house.claim()
    house.go(4)
    beat = house.store.beat

    def slow(worker_id: int, state: Mapping[str, object]) -> Beat:
        answer = beat(worker_id, state)
        house.clock.tick(FENCE_AFTER + 1)
        return answer

    house.store.beat = slow  # type: ignore[method-assign]
    house.heartbeat.step()
    assert not house.in_flight.start(claim, 1.0)


def test_a_beat_sets_the_clock_by_when_it_was_asked() -> None:
    house = House()
    house.go(4)

    def stopped_in_between(worker_id: int, state: Mapping[str, object]) -> Beat:
        told = house.clock.now()
        house.clock.tick(5)
        return Beat(True, (), told)

    house.store.beat = stopped_in_between  # type: ignore[method-assign]
    now = house.clock.now()
    house.heartbeat.step()
    assert house.clock.now() == now + timedelta(seconds=5)  # an expiry in between has passed


def test_nobody_is_dead_before_two_own_beats_went_through() -> None:
    house = House()
    house.store.dead = (3,)
    house.heartbeat.step()
    after_one = house.heartbeat.dead
    house.heartbeat.step()
    assert (after_one, house.heartbeat.dead) == ((), (3,))


def test_for_15_seconds_after_an_outage_no_claim_of_others_is_taken() -> None:
    house = House()
    house.store.dead = (3,)
    house.go(5)
    house.store.away = True
    house.go(5)
    assert house.heartbeat.dead is None
    house.store.away = False
    house.go(14)
    assert house.heartbeat.dead is None
    house.go(4)
    assert house.heartbeat.dead == (3,)


def test_a_send_that_outlives_every_limit_loses_its_lease() -> None:
    house = House()
    claim = house.claim()
    assert house.in_flight.start(claim, 1.0)
    house.go(LONGEST_SEND.total_seconds() + 60)
    house.store.calls.clear()
    house.go(60)
    assert house.store.asked("extend") == []


def test_only_the_first_report_of_a_row_counts() -> None:
    house = House()
    claim = house.claim()
    assert house.in_flight.report(claim)
    assert not house.in_flight.report(claim)
    assert house.in_flight.open == 0


def test_a_row_claimed_again_while_still_in_hand_is_kept_apart_from_its_old_claim() -> None:
    house = House()
    old = house.claim()
    again = replace(old.notification, claim_count=old.notification.claim_count + 1)
    house.in_flight.take([again], house.clock.monotonic())
    house.in_flight.drop([old])
    assert [claim.notification.claim_count for claim in house.in_flight.rows()] == [again.claim_count]


def test_a_row_that_an_application_locks_keeps_its_old_lease_and_is_prolonged_once_it_may_be() -> None:
    house = House()
    claim, free = house.claim(), house.claim()
    house.store.locked = {claim.notification.notification_id}
    house.go(110)
    assert not house.in_flight.start(claim, 30.0)  # in the database its lease ends in 10 s: others may take it then
    assert house.in_flight.start(free, 30.0)
    house.store.locked = set()
    house.go(3)
    assert house.in_flight.start(claim, 30.0)
    assert house.witness.of(LeaseLost) == []


def test_a_statement_that_another_transaction_was_in_the_way_of_makes_no_outage() -> None:
    house = House()
    house.claim()
    house.go(5)
    house.store.dead = (3,)
    house.store.refuse_extend = True
    house.go(60)
    assert house.outage.count == 0
    assert house.heartbeat.dead == (3,)  # claims of the dead are taken all the same
    assert house.witness.of(Trouble) == []
    assert [fact.error for fact in house.witness.of(DatabaseHeldUp)] == ["55P03 LockNotAvailable"]
    assert not house.in_flight.fenced


def test_routes_are_told_when_they_change_and_when_the_register_forgot_us() -> None:
    house = House()
    house.heartbeat.step()
    house.heartbeat.step()
    assert house.store.asked("routes") == [list(house.routes)]
    house.routes = (RouteLine(Channel.EMAIL, "spare", "smtp", Mode.DRY),)
    house.heartbeat.step()
    assert house.store.asked("routes")[1:] == [list(house.routes)]
    house.store.known = False
    house.heartbeat.step()
    house.store.known = True
    house.heartbeat.step()
    assert house.store.asked("routes")[2:] == [list(house.routes)]


def test_routes_that_could_not_be_told_are_told_with_the_next_beat_and_stop_nothing() -> None:
    house = House()
    house.store.refuse_routes = True
    house.heartbeat.step()
    assert [fact.where for fact in house.witness.of(Trouble)] == ["routes"]
    assert not house.in_flight.fenced
    house.store.refuse_routes = False
    house.heartbeat.step()
    house.heartbeat.step()
    assert len(house.store.asked("routes")) == 2
