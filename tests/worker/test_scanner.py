"""Looks: from the floors on, now and then from the start; many lanes window by window."""

from datetime import timedelta

import pytest

from noti_worker.domain.errors import DatabaseBusy
from noti_worker.domain.lanes import Floor, Lane, LaneHead
from noti_worker.domain.notification import Channel, Priority
from noti_worker.worker.scanner import LOOK_SHARE, STAY
from tests.domain.rows import NOW
from tests.worker.house import House

NORMAL = Lane(Channel.EMAIL, Priority.NORMAL, "default")


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noti_worker.worker.scanner.WINDOW", 4)


def test_between_sweeps_known_lanes_are_looked_at_from_their_floors() -> None:
    house = House(size=1)
    for number in range(3):
        house.store.add(due_at=NOW - timedelta(seconds=30 - number))
    house.rounds.poll()
    house.finish()
    house.rounds.hint()
    house.rounds.poll()
    house.finish()
    first, second = house.store.asked("heads")
    assert first["floors"] == {}
    assert second["floors"] == {NORMAL: Floor(NOW - timedelta(seconds=30), 1)}
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.store.asked("heads")[-1]["floors"] == {}


def test_a_dear_look_from_the_start_spaces_the_next_one_but_not_the_looks_from_the_floors() -> None:
    house = House(size=1)
    house.store.add()
    house.rounds.poll()
    house.finish()
    house.rounds._scanner.spent(0.3)
    for _ in range(5):
        house.clock.tick(1.0)
        house.rounds.poll()
    assert [bool(look["floors"]) for look in house.store.asked("heads")] == [False] + [True] * 5
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.store.asked("heads")[-1]["floors"] == {}


def test_a_lane_with_released_rows_only_is_found_although_another_row_of_it_went_out_later() -> None:
    house = House(size=2)
    released, later = house.store.add(due_at=NOW - timedelta(seconds=20)), house.store.add()
    house.rounds.poll()
    house.rounds.returns.give_back([house.pool.begun.pop(0)])
    house.finish()
    house.clock.tick(1.1)
    house.rounds.poll()
    assert house.store.rows[later].finished
    assert house.begun() == [released]


def test_a_round_goes_through_all_windows_without_waiting_for_a_poll() -> None:
    house = House(size=100)
    for number in range(18):
        house.store.add(tenant_id=f"t{number:02}")
    pauses = [house.rounds.poll() for _ in range(5)]
    assert len(house.begun()) == 18
    assert pauses[:4] == [0.0] * 4
    assert pauses[4] > 0.5


def test_a_window_with_much_to_do_keeps_the_next_one_waiting_for_a_moment_only() -> None:
    house = House(size=4)
    for _ in range(300):
        house.store.add(tenant_id="a", due_at=NOW - timedelta(hours=1))
    quiet = [house.store.add(tenant_id=f"b{number:02}") for number in range(18)]
    began = house.clock.monotonic()
    while not all(house.store.rows[number].finished for number in quiet):
        while house.rounds.poll() == 0.0:
            pass
        assert len(house.begun()) == 4  # the lane with rows left goes along: no slot stays empty
        house.finish()
        house.clock.tick(STAY / 4)
    assert house.clock.monotonic() - began < 2 * 5 * STAY


def test_who_comes_while_many_lanes_wait_goes_along_with_the_next_claims() -> None:
    house = House(size=2)
    for number in range(300):
        house.store.add(tenant_id=f"a{number:03}", due_at=NOW - timedelta(seconds=30))
    for _ in range(3):
        house.rounds.poll()
        house.finish()
        house.clock.tick(STAY)
    late = [house.store.add(tenant_id=tenant) for tenant in ("zoe", "zac")]
    for _ in range(6):
        house.rounds.poll()
        house.finish()
        house.clock.tick(STAY)
    assert all(house.store.rows[number].finished for number in late)
    assert sum(row.finished for row in house.store.rows.values()) > 10  # nor do the others wait for whoever comes


def test_a_search_for_newcomers_that_takes_too_long_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(size=2)
    for number in range(30):
        house.store.add(tenant_id=f"a{number:03}")

    def busy(*_: object) -> list[LaneHead]:
        raise DatabaseBusy("another transaction was in the way")

    monkeypatch.setattr(house.store, "newcomers", busy)
    for _ in range(5):
        house.rounds.poll()
        house.finish()
        house.clock.tick(STAY)
    assert sum(row.finished for row in house.store.rows.values()) > 5


def test_with_few_lanes_nobody_asks_who_came_last() -> None:
    house = House(size=2)
    for number in range(3):
        house.store.add(tenant_id=f"a{number}")
    for _ in range(5):
        house.rounds.poll()
        house.finish()
        house.clock.tick(1.0)
    assert house.store.asked("newcomers") == []


def test_each_window_of_a_round_from_the_start_is_swept() -> None:
    house = House(size=100)
    house.store.newcomers = lambda *_: []  # type: ignore[method-assign]
    lanes = [f"t{number}" for number in range(10)]
    for tenant in lanes:
        house.store.add(tenant_id=tenant)
    while len(house.begun()) < 10:
        house.rounds.poll()
    house.finish()
    late = [house.store.add(tenant_id=tenant, due_at=NOW - timedelta(hours=1)) for tenant in lanes]
    house.clock.tick(1.1)
    for _ in range(4):
        house.rounds.poll()
    assert house.begun() == late


def test_many_idle_lanes_do_not_keep_the_loop_busy() -> None:
    house = House()
    for number in range(40):
        house.store.add(tenant_id=f"t{number}", due_at=NOW + timedelta(hours=1))
    scanner = house.rounds._scanner
    look, took = house.store.heads, 0.01

    def dear(*arguments: object) -> object:
        house.clock.tick(took)
        return look(*arguments)  # type: ignore[arg-type]

    scanner._lanes.heads = dear  # type: ignore[assignment,method-assign]
    began = house.clock.monotonic()
    while house.clock.monotonic() - began < 20:
        house.clock.tick(house.rounds.poll() or 0.001)
        house.rounds.hint()
    looked = took * len(house.store.asked("heads"))
    assert looked < 20 / LOOK_SHARE + 0.5


def test_drained_lanes_keep_their_floors_while_looks_are_dear_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House(size=100)
    for number in range(12):
        house.store.add(tenant_id=f"t{number:02}")
    while len(house.begun()) < 12:
        house.rounds.poll()
    house.finish()
    monkeypatch.setattr("noti_worker.worker.scanner.DEAR", -1.0)
    for _ in range(3):
        house.clock.tick(1.1)
        house.rounds.poll()
    assert len(house.rounds._scanner.floors) == 4
    monkeypatch.setattr("noti_worker.worker.scanner.DEAR", 0.02)
    for _ in range(3):
        house.clock.tick(1.1)
        house.rounds.poll()
    assert house.rounds._scanner.floors == {}
