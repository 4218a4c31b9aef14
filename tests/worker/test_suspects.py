"""Rows that were lost twice are sent alone."""

from noti_worker.worker.suspects import ALONE_PAUSE, ALONE_WITHIN
from tests.worker.house import House


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
