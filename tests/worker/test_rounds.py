from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import START
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.worker.inflight import FENCE_AFTER
from noti_worker.worker.pools import PATIENCE
from noti_worker.worker.rounds import HINTS_APART, SECOND_LOOK, VAIN_APART, VAIN_HINTS
from noti_worker.worker.steering import LEARN_EVERY
from tests.domain.rows import NOW
from tests.worker.fakes import sent
from tests.worker.house import House


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
