"""A row that makes a claim or an extension take too long is found and set aside, and the others go on."""

from datetime import timedelta

import pytest

from noti_worker.domain.facts import RowSetAside
from noti_worker.domain.notification import Channel
from noti_worker.worker.refusals import FIRST, LONGEST, LONGEST_PAUSE, MANY, PROLONG
from tests.domain.rows import NOW
from tests.worker.house import House, aside, pass_time, rounds, unable


def begin(house: House) -> None:
    """Claim, and begin now."""
    rounds(house, 1)
    for claim in house.pool.begun:
        claim.started = house.clock.monotonic()


def beaten(house: House) -> None:
    """Rounds of a worker whose heart beats meanwhile."""
    for _ in range(10):
        rounds(house, 1)
        house.heartbeat.step()


@pytest.mark.parametrize("bad", [{1}, {20}, {40}, {1, 20, 40}, {1, 2, 40}], ids=str)
def test_the_rows_that_a_claim_takes_too_long_for_are_set_aside_and_the_others_go_on(bad: set[int]) -> None:
    house = House(Channel.EMAIL, Channel.SMS, size=40)
    for number in range(40):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.add(channel=Channel.SMS)
    house.store.slow["claim"] = bad
    began = house.clock.monotonic()
    beaten(house)
    assert sorted(house.begun()) == sorted(set(range(1, 41)) - bad)
    assert house.pools[Channel.SMS].begun
    assert aside(house) == sorted(bad)
    assert house.refusals.state()["refused_rows"][0]["why"] == "57014 claim"  # type: ignore[index]
    assert house.clock.monotonic() - began <= 10.0 + 2.0 * len(bad)


def test_a_slow_row_costs_two_seconds_when_it_is_tried_again_and_goes_on_when_it_may() -> None:
    house = House()
    house.store.add()
    house.store.slow["claim"] = {1}
    rounds(house, 3)
    began = house.clock.monotonic()
    pass_time(house, FIRST)
    rounds(house, 3)
    assert house.clock.monotonic() - began == FIRST + 2.0
    assert house.witness.of(RowSetAside)[-1].seconds == 2 * FIRST
    house.store.slow.clear()
    pass_time(house, 2 * FIRST)
    rounds(house)
    assert house.begun() == [1]
    assert house.refusals.state() == {}


def test_of_many_slow_rows_few_are_tried_again_in_one_round() -> None:
    house = House(size=40)
    for number in range(12):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.slow["claim"] = set(range(1, 11))
    beaten(house)
    assert sorted(house.begun()) == [11, 12]
    assert len(aside(house)) == 10
    pass_time(house, LONGEST)
    began = house.clock.monotonic()
    house.rounds.poll()
    assert house.clock.monotonic() - began <= 2.0


def test_when_every_claim_takes_too_long_it_is_said_and_one_is_tried_at_a_time() -> None:
    house = House(size=40)
    for number in range(40):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.slow["claim"] = set(range(1, 41))
    house.rounds.poll()
    assert unable(house) == {"claim email": "57014 claim"}
    assert len(aside(house)) == 3
    pass_time(house, LONGEST_PAUSE)
    began = house.clock.monotonic()
    house.rounds.poll()
    assert house.clock.monotonic() - began == 4.0
    house.store.slow.clear()
    pass_time(house, LONGEST_PAUSE)
    rounds(house)
    assert len(house.begun()) == 40
    assert house.refusals.state() == {}


@pytest.mark.parametrize("bad", [{1}, {9}, {20}, {3, 9}], ids=str)
def test_a_row_whose_lease_takes_too_long_to_prolong_costs_the_others_nothing_and_the_heart_no_beat(
    bad: set[int],
) -> None:
    house = House(size=20)
    for _ in range(20):
        house.store.add()
    begin(house)
    until = house.store.rows[1].lease_until
    house.store.slow["extend"] = bad
    house.clock.tick(50.0)
    for _ in range(1 + len(bad)):
        began = house.clock.monotonic()
        house.heartbeat.step()
        assert house.clock.monotonic() - began <= 6.0  # others take it for dead after 15
        house.clock.tick(2.0)
    assert {number for number, row in house.store.rows.items() if row.lease_until == until} == bad
    assert {(fact.notification_id, fact.what) for fact in house.witness.of(RowSetAside)} == {
        (number, PROLONG) for number in bad
    }
    house.store.slow.clear()
    pass_time(house, 60.0)
    assert all(row.lease_until != until for row in house.store.rows.values())


def test_leases_that_all_take_too_long_are_said() -> None:
    house = House(size=20)
    for _ in range(20):
        house.store.add()
    begin(house)
    house.store.slow["extend"] = set(range(1, 21))
    house.clock.tick(50.0)
    for _ in range(MANY):
        house.heartbeat.step()
    assert unable(house) == {"prolong leases": "57014 extend"}
