from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import Result, Trouble
from noti_worker.domain.lanes import START
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.worker.circuits import Circuits
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import FENCE_AFTER, Claim, InFlight
from noti_worker.worker.pools import PATIENCE
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.rounds import HINTS_APART, SECOND_LOOK, VAIN_APART, VAIN_HINTS, Rounds
from noti_worker.worker.routes import Routes
from noti_worker.worker.steering import LEARN_EVERY, Steering
from noti_worker.worker.suspects import ALONE_PAUSE, ALONE_WITHIN
from tests.domain.rows import NOW
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import FakeClock, NoWake, Witness, context, doors, sent


class Slots:
    """A pool without threads: rows lie in `begun` until the test lets them finish."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun: list[Claim] = []
        self.patient = False  # little room waits a moment for more
        self.limits: dict[str, int] = {}  # rows in hand by tenant

    @property
    def free(self) -> int:
        return self.size - len(self.begun)

    @property
    def want(self) -> int:
        return 0 if self.patient else self.free

    def room(self, waiting: set[str]) -> dict[str, int]:
        in_hand = Counter(claim.notification.tenant_id for claim in self.begun)
        return {tenant: most - in_hand[tenant] for tenant, most in self.limits.items() if tenant in waiting}

    def submit(self, rows: list[Claim]) -> None:
        for claim in rows:
            claim.started = 0.0
        self.begun += rows


class House:
    def __init__(self, *channels: Channel, size: int = 4) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.witness = Witness()
        self.in_flight = InFlight(self.clock, timedelta(minutes=2), self.witness)
        shared = replace(context(self.clock, self.witness), dice=lambda: self.dice)
        self.outage = shared.outage
        self.recorder = Recorder(shared, self.store, self.in_flight, lambda results: None)
        routes = Routes(self.store, tuple, self.witness)
        self.heartbeat = Heartbeat(shared, self.store, self.store, self.in_flight, dict, routes)
        self.pools = {channel: Slots(size) for channel in channels or (Channel.EMAIL,)}
        pools: Any = self.pools
        self.wake = NoWake()
        self.wake.listening = True
        self.steering = Steering({channel: {"relay": "smtp", "spare": "ses"} for channel in self.pools})
        self.circuits = Circuits(shared, self.store, self.steering)
        self.rounds = Rounds(
            shared,
            doors(self.store, self.wake),
            pools,
            self.in_flight,
            self.heartbeat,
            self.steering,
            self.circuits,
        )
        self.dice = 0.5

    @property
    def pool(self) -> Slots:
        return self.pools[Channel.EMAIL]

    def begun(self) -> list[int]:
        return [claim.notification.notification_id for claim in self.pool.begun]

    def finish(self) -> None:
        """Let everything in work end well and be recorded."""
        for pool in self.pools.values():
            for claim in pool.begun:
                self.in_flight.report(claim)
                self.recorder.put(sent(claim.notification))
            pool.begun = []
        self.recorder.flush(self.recorder.gather())


def test_only_what_can_start_soon_is_claimed() -> None:
    house = House(size=3)
    for _ in range(10):
        house.store.add()
    house.rounds.poll()
    assert house.begun() == [1, 2, 3]
    house.rounds.poll()
    assert house.begun() == [1, 2, 3]


def test_a_pool_that_waits_for_more_room_is_asked_again_in_a_moment_and_others_make_no_haste() -> None:
    house = House(Channel.EMAIL, Channel.SMS)
    for _ in range(10):
        house.store.add()
    house.pool.patient = True
    assert house.rounds.poll() == PATIENCE
    assert house.begun() == []
    house.pool.patient = False
    house.rounds.poll()
    assert house.begun() == [1, 2, 3, 4]


def test_a_tenant_that_has_enough_in_hand_leaves_room_to_the_others_and_the_loop_rests() -> None:
    house = House(size=20)
    house.pool.limits = {"slow": 2}
    for _ in range(10):
        house.store.add(tenant_id="slow", priority=Priority.URGENT)
    for _ in range(3):
        house.store.add()
    house.rounds.poll()
    assert house.begun() == [1, 2, 11, 12, 13]
    while house.rounds.poll() == 0.0:
        pass
    calls = len(house.store.asked("claim"))
    assert house.rounds.poll() > 0.5
    assert len(house.store.asked("claim")) == calls
    looks = len(house.store.asked("heads"))
    house.finish()
    house.rounds.poll()
    assert house.begun() == [3, 4]  # the lane was not taken for empty
    assert len(house.store.asked("heads")) == looks


def test_what_lies_behind_the_floor_of_a_tenant_that_has_enough_is_found_once_it_has_not() -> None:
    house = House(size=20)
    house.store.add(tenant_id="slow")
    house.store.add(tenant_id="slow")
    house.pool.limits = {"slow": 1}
    house.rounds.poll()
    assert house.begun() == [1]
    late = house.store.add(tenant_id="slow", due_at=NOW - timedelta(minutes=5))
    house.clock.tick(1.2)
    house.rounds.poll()  # sweeps in vain
    house.finish()
    house.rounds.poll()
    assert house.begun() == [late]


def test_urgent_rows_go_first_whatever_their_age() -> None:
    house = House(size=2)
    house.store.add(priority=Priority.NORMAL, due_at=NOW - timedelta(seconds=50))
    house.store.add(priority=Priority.URGENT)
    house.rounds.poll()
    assert house.begun() == [2, 1]


def test_a_quiet_tenant_is_served_beside_a_noisy_one() -> None:
    house = House(size=4)
    for _ in range(50):
        house.store.add(tenant_id="noisy", due_at=NOW - timedelta(seconds=30))
    quiet = house.store.add(tenant_id="quiet")
    house.rounds.poll()
    assert quiet in house.begun()


def test_what_a_lane_leaves_unused_is_handed_on_at_once() -> None:
    house = House(size=10)
    for _ in range(20):
        house.store.add(tenant_id="noisy")
    house.store.add(tenant_id="quiet")
    assert house.rounds.poll() == 0.0
    house.rounds.poll()
    assert len(house.begun()) == 10


def test_a_lane_is_claimed_from_its_floor_and_swept_from_the_start_each_second() -> None:
    house = House(size=1)
    for number in range(3):
        house.store.add(due_at=NOW - timedelta(seconds=30 - number))
    house.rounds.poll()
    house.finish()
    house.clock.tick(0.5)
    house.rounds.poll()
    house.finish()
    house.clock.tick(0.6)
    house.rounds.poll()
    floors = [claim["shares"][0].floor.due_at for claim in house.store.asked("claim") if not claim["solo"]]
    assert floors == [START, NOW - timedelta(seconds=30), START]


def test_a_row_behind_the_floor_is_found_by_the_next_sweep() -> None:
    house = House(size=1)
    house.store.add()
    house.rounds.poll()
    house.finish()
    late = house.store.add(due_at=NOW - timedelta(minutes=5))
    house.clock.tick(0.2)
    house.rounds.poll()
    assert house.begun() == []
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.begun() == [late]


def test_a_hint_looks_at_once_and_once_more_a_moment_later() -> None:
    house = House()
    assert house.rounds.poll() == pytest.approx(1.0)
    house.store.add()
    house.rounds.hint()
    assert house.rounds.poll() == SECOND_LOOK
    assert house.begun() == [1]
    house.store.add()
    assert house.rounds.poll() == LEARN_EVERY
    assert len(house.store.asked("heads")) == 3


def test_the_next_poll_comes_when_the_next_row_is_due() -> None:
    house = House()
    house.store.add(due_at=NOW + timedelta(milliseconds=300))
    assert house.rounds.poll() == pytest.approx(0.3)
    house.clock.tick(0.3)
    house.rounds.poll()
    assert house.begun() == [1]


def test_a_retry_that_is_due_before_the_next_poll_is_not_late() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()
    [claim] = house.pool.begun
    house.pool.begun = []
    verdict = Verdict(Status.RETRYING, "a passing fault", wait=timedelta(milliseconds=200), charge=True)
    results = [Result(claim.notification, verdict, Outcome(Kind.TRANSIENT))]
    house.store.record(7, results)
    house.rounds.recorded(results)
    assert house.rounds.poll() == pytest.approx(0.2)


def test_a_row_in_flight_does_not_hide_the_next_one_of_its_lane() -> None:
    house = House()
    house.store.add()
    house.store.add(due_at=NOW + timedelta(milliseconds=400))
    assert house.rounds.poll() == pytest.approx(0.4)
    assert house.begun() == [1]
    house.clock.tick(0.4)
    house.rounds.poll()
    assert house.begun() == [1, 2]


def test_each_poll_finds_what_came_in_without_a_hint() -> None:
    house = House()
    house.dice = 0.0
    pause = house.rounds.poll()
    house.store.add()
    house.clock.tick(pause)
    house.rounds.poll()
    assert house.begun() == [1]


def test_a_long_idle_worker_polls_less_often_as_long_as_hints_arrive() -> None:
    house = House()
    assert house.rounds.poll() == pytest.approx(1.0)
    house.clock.tick(61)
    house.heartbeat.step()
    assert house.rounds.poll() == pytest.approx(5.0)
    house.wake.listening = False
    assert house.rounds.poll() == pytest.approx(1.0)
    house.wake.listening = True
    house.store.add(due_at=NOW + timedelta(hours=1))
    house.rounds.hint()
    house.rounds.poll()
    assert house.rounds.poll() == pytest.approx(1.0)


def test_while_the_database_is_away_nothing_is_asked_by_the_loop() -> None:
    house = House()
    house.store.add()
    house.store.away = True
    assert house.rounds.poll() > 0
    asked = len(house.store.calls)
    house.rounds.poll()
    assert len(house.store.calls) == asked


def test_after_an_outage_results_in_hand_go_before_new_claims() -> None:
    house = House(size=2)
    house.store.add()
    house.store.add()
    house.store.add()
    house.pool.size = 1
    house.rounds.poll()
    house.store.away = True
    house.pool.size = 3
    house.rounds.poll()
    [claim] = house.pool.begun
    house.in_flight.report(claim)
    house.recorder.put(sent(claim.notification))
    house.store.away = False
    house.outage.answered()
    house.rounds.poll()
    assert len(house.begun()) == 1
    house.recorder.flush(house.recorder.gather())
    house.rounds.poll()
    assert len(house.begun()) == 3
    assert house.store.asked("claim")[-1]["dead"] is None


def test_rows_whose_claim_was_not_answered_are_taken_again_and_those_in_hand_are_not() -> None:
    house = House(size=4)
    first = house.store.add()
    house.rounds.poll()
    unanswered = [house.store.add(), house.store.add()]
    house.clock.tick(2)
    house.store.lose_claims = 1
    house.rounds.poll()
    assert house.begun() == [first]
    house.outage.answered()
    for _ in range(2):
        house.clock.tick(2)
        house.rounds.poll()
    assert house.begun() == [first, *unanswered]


def test_a_claim_tells_a_clock_that_lags_what_has_expired_by_then() -> None:
    house = House()
    house.store.add()
    claim, later = house.store.claim, NOW + timedelta(milliseconds=300)

    def ahead(*args: Any, **options: Any) -> list[Notification]:
        return [replace(row, claimed_at=later) for row in claim(*args, **options)]

    house.store.claim = ahead  # type: ignore[method-assign]
    house.rounds.poll()
    assert house.begun() == [1]
    assert house.clock.now() == later


def test_a_row_lost_twice_is_sent_alone() -> None:
    house = House(size=4)
    house.store.add()
    poison = house.store.add(lost_count=2)
    house.rounds.poll()
    assert house.begun() == [1]
    later = house.store.add()
    assert house.rounds.poll() > 0
    assert house.begun() == [1]
    house.finish()
    house.rounds.poll()
    assert house.begun() == [poison]
    house.rounds.poll()
    assert house.begun() == [poison]
    house.finish()
    house.clock.tick(1.1)
    house.rounds.poll()
    house.rounds.poll()
    assert house.begun() == [later]


def test_a_suspect_is_given_back_when_its_company_does_not_end() -> None:
    house = House(size=4)
    house.store.add()
    poison = house.store.add(lost_count=2)
    house.rounds.poll()
    house.clock.tick(ALONE_WITHIN + 1)
    house.heartbeat.step()
    house.rounds.poll()
    house.rounds.poll()
    assert house.store.asked("release") == [[poison]]


def test_rows_given_back_are_released_uncharged_with_the_next_round() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()
    [claim] = house.pool.begun
    house.rounds.returns.give_back([claim])
    house.rounds.poll()
    assert house.store.asked("release") == [[1]]
    results: list[Result] = house.store.recorded
    assert results == []


def test_a_row_whose_release_is_refused_is_left_to_its_lease() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()
    house.rounds.returns.give_back(house.pool.begun)
    house.pool.begun = []
    house.store.refuse_release = True
    assert house.rounds.poll() > 0
    assert len(house.witness.of(Trouble)) == 1
    assert len(house.in_flight) == 0  # its lease is kept up no more
    house.rounds.poll()
    assert len(house.witness.of(Trouble)) == 1


def test_a_row_that_an_earlier_claim_may_have_sent_is_left_to_its_lease_with_its_mark() -> None:
    house = House()
    house.store.add(dispatched=True)
    house.rounds.poll()
    [claim] = house.pool.begun
    house.rounds.returns.give_back([claim])
    house.rounds.poll()
    assert house.store.asked("release") == []
    assert len(house.in_flight) == 0
    assert house.store.recorded == []


def test_a_row_that_an_application_locks_is_given_back_once_it_may_be() -> None:
    house = House()
    locked, free = house.store.add(), house.store.add()
    house.rounds.poll()
    house.store.locked = {locked}
    for claim in house.pool.begun:
        house.rounds.returns.give_back([claim])
    house.pool.begun = []
    house.rounds.poll()
    assert house.store.rows[locked].owner == 7
    assert locked in {claim.notification.notification_id for claim in house.in_flight.rows()}  # its lease is kept up
    for _ in range(10):
        house.rounds.poll()
        house.clock.tick(0.01)
    assert len(house.store.asked("release")) == 1  # nobody is hammered
    house.store.locked = set()
    house.clock.tick(0.2)
    house.rounds.poll()
    assert house.store.asked("release") == [[locked, free], [locked]]
    assert house.store.rows[locked].owner is None or house.begun() == [locked]


def test_more_lanes_than_a_window_are_looked_at_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noti_worker.worker.scanner.WINDOW", 4)
    house = House(size=100)
    for number in range(10):
        house.store.add(tenant_id=f"t{number}")
    for _ in range(4):
        house.rounds.poll()
        house.clock.tick(1.1)
    assert len(house.begun()) == 10


def test_the_rows_of_a_worker_that_died_are_looked_for_at_once() -> None:
    house = House(size=1)
    house.store.add()
    house.store.add()
    house.heartbeat.step()
    house.heartbeat.step()
    house.rounds.poll()
    house.finish()
    house.store.dead = (3,)
    house.clock.tick(0.1)
    house.heartbeat.step()
    house.rounds.poll()
    last = [claim for claim in house.store.asked("claim") if not claim["solo"]][-1]
    assert last["dead"] == (3,)
    assert last["shares"][0].floor.due_at == START


def test_what_a_sweep_finds_behind_the_floor_is_worked_off_without_waiting_for_the_next() -> None:
    house = House(size=2)
    house.store.add()
    house.rounds.poll()
    house.finish()
    late = [house.store.add(due_at=NOW - timedelta(minutes=5, seconds=-number)) for number in range(6)]
    house.clock.tick(1.2)
    for _ in range(3):
        house.rounds.poll()
        assert len(house.begun()) == 2
        house.finish()
    assert [result.notification.notification_id for result in house.store.recorded[1:]] == late


def test_a_fenced_worker_claims_nothing() -> None:
    house = House()
    house.store.add()
    house.clock.tick(FENCE_AFTER)
    assert house.rounds.poll() > 0
    assert house.store.asked("claim") == []
    house.heartbeat.step()
    house.rounds.poll()
    assert house.begun() == [1]


def test_rows_whose_templates_may_not_be_read_are_given_back() -> None:
    house = House()
    house.store.add()
    house.store.refuse_brief = True
    assert house.rounds.poll() > 0
    assert len(house.witness.of(Trouble)) == 1
    house.store.refuse_brief = False
    house.clock.tick(1.1)
    house.rounds.poll()
    assert house.store.asked("release") == [[1]]
    assert house.begun() == [1]


def test_a_suspect_that_waited_in_vain_leaves_the_worker_to_the_others_for_long() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()  # a send that hangs
    house.store.add(lost_count=2)
    stopped = 0
    for _ in range(600):
        house.clock.tick(1.0)
        house.heartbeat.step()
        pause = house.rounds.poll()
        stopped += pause == ALONE_PAUSE
    assert stopped < 60


def test_many_suspects_follow_each_other_without_long_pauses() -> None:
    house = House()
    for _ in range(20):
        house.store.add(lost_count=2)
    while len(house.store.recorded) < 20:
        house.rounds.poll()
        house.clock.tick(0.05)  # a flush wakes the loop
        house.heartbeat.step()
        if house.pool.begun:
            house.finish()
    assert house.clock.monotonic() - 1000 < 20


def test_hints_without_rows_are_heard_more_seldom_until_there_is_one_to_claim() -> None:
    house = House()
    for _ in range(VAIN_HINTS):
        house.rounds.hint()
        assert house.rounds.poll() == SECOND_LOOK
        assert house.rounds.hints_apart == HINTS_APART
    house.rounds.hint()
    assert house.rounds.hints_apart == VAIN_APART
    assert house.rounds.poll() > SECOND_LOOK
    house.store.add()
    house.rounds.hint()
    house.rounds.poll()
    assert house.rounds.hints_apart == HINTS_APART
