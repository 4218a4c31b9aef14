"""Rows that were not started go back."""

from noti_worker.domain.facts import Able, Result, RowSetAside, Unable
from noti_worker.worker.refusals import GIVE_BACK
from tests.worker.house import House


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
    house.store.refused["release"] = {1}
    assert house.rounds.poll() > 0
    assert [(fact.notification_id, fact.what) for fact in house.witness.of(RowSetAside)] == [(1, GIVE_BACK)]
    assert len(house.in_flight) == 0  # its lease is kept up no more
    house.rounds.poll()
    assert len(house.witness.of(RowSetAside)) == 1


def test_rows_that_cannot_be_given_back_for_want_of_a_right_are_kept_until_they_can() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()
    house.rounds.returns.give_back(house.pool.begun)
    house.pool.begun = []
    house.store.broken = {"release"}
    house.rounds.poll()
    house.rounds.poll()
    assert [fact.what for fact in house.witness.of(Unable)] == [GIVE_BACK]
    assert len(house.store.asked("release")) == 1  # nobody is hammered
    assert len(house.in_flight) == 1  # its lease is kept up
    house.store.broken = set()
    house.clock.tick(1.0)
    house.rounds.poll()
    assert [fact.what for fact in house.witness.of(Able)] == [GIVE_BACK]
    assert house.begun() == [1]


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


def test_rows_whose_templates_may_not_be_read_are_given_back() -> None:
    house = House()
    house.store.add()
    house.store.broken = {"brief"}
    assert house.rounds.poll() > 0
    assert [fact.what for fact in house.witness.of(Unable)] == ["look up content of email"]
    house.store.broken = set()
    house.clock.tick(1.1)
    house.rounds.poll()
    assert house.store.asked("release") == [[1]]
    assert house.begun() == [1]
