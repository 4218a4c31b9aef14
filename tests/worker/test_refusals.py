"""What the database refuses of one row is that row's; what it refuses of all is said, and nothing is sent blindly."""

from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import Able, RowGoesOn, RowSetAside, Unable
from noti_worker.domain.notification import Channel
from noti_worker.worker import refusals as limits
from noti_worker.worker.refusals import CLAIM, FIRST, LONGEST, LONGEST_PAUSE, PROLONG, RECORD, REHEARSE, SAID
from tests.domain.rows import NOW
from tests.worker.house import House, aside, pass_time, rounds, unable


def begin_now(house: House) -> None:
    for claim in house.pool.begun:
        claim.started = house.clock.monotonic()


# The claim


@pytest.mark.parametrize("bad", [{1}, {20}, {40}, {1, 2, 40}], ids=["first", "middle", "last", "three"])
def test_the_rows_that_a_claim_is_refused_for_are_set_aside_and_the_others_go_on(bad: set[int]) -> None:
    house = House(size=40)
    for number in range(40):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.refused["claim"] = bad
    rounds(house)
    assert sorted(house.begun()) == sorted(set(range(1, 41)) - bad)
    assert {fact.notification_id for fact in house.witness.of(RowSetAside)} == bad
    assert aside(house) == sorted(bad)
    assert unable(house) == {}


def test_another_lane_and_another_channel_go_on_beside_it() -> None:
    house = House(Channel.EMAIL, Channel.SMS)
    house.store.add(due_at=NOW - timedelta(hours=1))
    house.store.add(tenant_id="other")
    house.store.add(channel=Channel.SMS)
    house.store.refused["claim"] = {1}
    rounds(house)
    assert house.begun() == [2]
    assert [claim.notification.notification_id for claim in house.pools[Channel.SMS].begun] == [3]


def test_a_row_that_is_set_aside_is_tried_alone_ever_more_rarely_and_goes_on_when_it_may() -> None:
    house = House()
    house.store.add()
    house.store.refused["claim"] = {1}
    for seconds in (FIRST, 20.0, 40.0):
        rounds(house)
        assert house.witness.of(RowSetAside)[-1].seconds == seconds
        tried = len(house.witness.of(RowSetAside))
        pass_time(house, seconds / 2)
        rounds(house)
        assert len(house.witness.of(RowSetAside)) == tried
        pass_time(house, seconds / 2)
    house.store.refused.clear()
    rounds(house)
    assert house.begun() == [1]
    assert house.witness.of(RowGoesOn) == [RowGoesOn(1, 0)]
    assert house.refusals.state() == {}


def test_the_pause_of_a_row_has_an_end() -> None:
    house = House()
    house.store.add()
    house.store.refused["claim"] = {1}
    for _ in range(15):
        rounds(house, 2)
        pass_time(house, LONGEST)
    assert house.witness.of(RowSetAside)[-1].seconds == LONGEST


def test_when_one_row_goes_on_those_that_were_refused_alike_are_tried_at_once() -> None:
    house = House()
    for number in range(3):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.refused["claim"] = {1, 2}
    rounds(house)
    house.finish()
    for seconds in (FIRST, 20.0):
        pass_time(house, seconds)
        rounds(house)
    house.store.add()
    house.store.refused.clear()
    house.refusals.go_on([1])
    rounds(house)
    assert 2 in house.begun()


def test_a_row_that_is_gone_is_forgotten() -> None:
    house = House()
    house.store.add()
    house.store.refused["claim"] = {1}
    rounds(house)
    del house.store.rows[1]
    pass_time(house, FIRST)
    rounds(house)
    assert house.witness.of(RowGoesOn) == [RowGoesOn(1, 0)]


def test_a_suspect_that_cannot_be_claimed_is_set_aside_and_sent_alone_later() -> None:
    house = House()
    house.store.add(lost_count=2)
    house.store.refused["claim"] = {1}
    rounds(house)
    assert aside(house) == [1]
    house.store.refused.clear()
    pass_time(house, FIRST)
    rounds(house)
    assert house.begun() == [1]


def test_a_claim_that_is_refused_whatever_it_asks_stops_its_channel_for_a_while_and_says_so() -> None:
    house = House(size=40)
    for _ in range(100):
        house.store.add()
    house.store.broken = {"claim"}
    rounds(house)
    assert unable(house) == {"claim email": "42501 claim"}
    assert aside(house) == []
    asked = len(house.store.asked("claim"))
    rounds(house)
    assert len(house.store.asked("claim")) == asked
    for _ in range(10):
        pass_time(house, LONGEST_PAUSE)
        rounds(house, 2)
    assert len(house.witness.of(Unable)) == 1  # once a minute
    house.store.broken = set()
    pass_time(house, LONGEST_PAUSE)
    rounds(house)
    assert len(house.begun()) == 40
    assert [fact.what for fact in house.witness.of(Able)] == ["claim email"]


def test_so_many_rows_are_set_aside_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 3)
    house = House(Channel.EMAIL, Channel.SMS, size=40)
    for number in range(40):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number))
    house.store.add(channel=Channel.SMS)
    house.store.refused["claim"] = set(range(1, 41, 4))
    rounds(house)
    assert len(aside(house)) == 3
    assert "claim email" in unable(house)
    assert len(house.pools[Channel.SMS].begun) == 1


def test_the_heartbeat_tells_of_the_first_rows_and_of_nothing_that_is_in_them() -> None:
    house = House(size=40)
    for number in range(40):
        house.store.add(due_at=NOW - timedelta(seconds=50 - number), subject="secret")
    house.store.refused["claim"] = set(range(1, 31))
    for _ in range(5):
        rounds(house)
        pass_time(house, 5.0)
    told: Any = house.refusals.state()
    assert told["refused"] == 30
    assert len(told["refused_rows"]) == SAID
    assert set(told["refused_rows"][0]) == {"id", "what", "why"}
    assert (told["refused_rows"][0]["what"], told["refused_rows"][0]["why"]) == (CLAIM, "23514 claim")


# What is looked up, prolonged


def test_the_row_whose_content_cannot_be_looked_up_is_given_back_and_the_others_are_sent() -> None:
    house = House(size=20)
    for _ in range(20):
        house.store.add(template_id="welcome")
    house.store.refused["brief"] = {7}
    rounds(house)
    assert sorted(house.begun()) == sorted(set(range(1, 21)) - {7})
    assert house.store.asked("release") == [[7]]
    assert aside(house) == [7]
    house.finish()
    house.store.refused.clear()
    pass_time(house, FIRST)
    rounds(house)
    assert house.begun() == [7]
    house.finish()
    assert len(house.store.recorded) == 20
    assert aside(house) == []


def test_one_row_whose_lease_cannot_be_prolonged_does_not_cost_the_others_theirs() -> None:
    house = House(size=20)
    for _ in range(20):
        house.store.add()
    rounds(house)
    begin_now(house)
    house.store.refused["extend"] = {5}
    until = house.store.rows[1].lease_until
    pass_time(house, 60.0)
    assert house.store.rows[1].lease_until != until
    assert house.store.rows[5].lease_until == until
    assert [(fact.notification_id, fact.what) for fact in house.witness.of(RowSetAside)] == [(5, PROLONG)]


def test_a_lease_that_cannot_be_prolonged_at_all_is_said() -> None:
    house = House()
    house.store.add()
    rounds(house)
    begin_now(house)
    house.store.broken = {"extend"}
    pass_time(house, 60.0)
    assert unable(house) == {"prolong leases": "42501 extend"}
    house.store.broken = set()
    pass_time(house, 2.0)
    assert unable(house) == {}


# Results


def test_while_no_result_can_be_written_nothing_is_claimed_and_rows_in_hand_do_not_begin() -> None:
    house = House(size=4)
    for _ in range(20):
        house.store.add()
    rounds(house, 1)
    house.store.broken = {"record"}
    with pytest.raises(Exception, match="42501"):
        house.finish()
    house.refusals.cannot(RECORD, "42501 record")
    for _ in range(5):
        pass_time(house, 1.0)
        rounds(house)
    assert house.begun() == []
    assert house.store.asked("rehearse")[0] is None
    assert len(house.in_flight) == 4


def test_before_anything_is_sent_again_a_result_is_written_and_taken_back() -> None:
    house = House(size=4)
    for _ in range(20):
        house.store.add()
    house.store.refused["record"] = set(range(1, 21))  # a trigger that raises for all
    house.refusals.cannot(RECORD, "P0001 record")
    pass_time(house, 1.0)
    rounds(house)
    assert house.begun() == []
    rehearsed = [row for row in house.store.asked("rehearse") if row is not None]
    assert rehearsed == [1, 2, 3, 4]
    assert house.store.asked("release") == [[1, 2, 3, 4]]
    assert {fact.what for fact in house.witness.of(RowSetAside)} == {REHEARSE}
    pass_time(house, 2.0)
    rounds(house)
    assert [row for row in house.store.asked("rehearse") if row is not None][4:] == [5, 6, 7, 8]  # others
    house.store.refused.clear()
    pass_time(house, LONGEST_PAUSE)
    rounds(house)
    assert [fact.what for fact in house.witness.of(Able)] == [RECORD]
    assert len(house.begun()) == 4


def test_without_a_row_to_try_it_with_a_worker_takes_itself_for_able_again() -> None:
    house = House()
    house.refusals.cannot(RECORD, "P0001 record")
    pass_time(house, 1.0)
    rounds(house)
    assert unable(house) == {}


# What no statement reports


def test_nothing_is_claimed_while_rows_are_hidden_from_us() -> None:
    house = House()
    house.store.add(template_id="welcome")
    house.store.hidden = ("noti.templates",)
    pass_time(house, 2.0)
    rounds(house)
    assert house.begun() == []
    assert unable(house) == {"see rows": "row-level security shows this role no row of noti.templates"}
    house.store.hidden = ()
    pass_time(house, 2.0)
    rounds(house)
    assert house.begun() == [1]


def test_nothing_is_sent_while_a_log_has_no_place_for_its_line() -> None:
    house = House()
    house.store.add()
    house.store.closed = ("noti.audit_log",)
    pass_time(house, 2.0)
    rounds(house)
    assert house.begun() == []
    assert list(unable(house)) == ["write to the logs"]
    house.store.closed = ()
    pass_time(house, 2.0)
    rounds(house)
    assert house.begun() == [1]


@pytest.mark.parametrize("broken", ["heads", "closures"])
def test_what_the_loop_cannot_read_is_said_and_heals(broken: str) -> None:
    house = House()
    house.store.add()
    house.store.broken = {broken}
    rounds(house)
    assert len(unable(house)) == 1
    assert house.begun() == []
    house.store.broken = set()
    pass_time(house, 1.0)
    rounds(house)
    assert unable(house) == {}
    assert house.begun() == [1]


# Leases of the living


def test_the_lease_of_a_living_worker_is_taken_only_after_another_lease() -> None:
    house = House()
    house.store.add()
    house.store.snatch(1)
    row = house.store.rows[1]
    row.lease_until = house.clock.now()
    house.store.living = (99,)
    pass_time(house, 1.0)
    rounds(house)
    pass_time(house, 110.0)
    rounds(house)
    assert house.begun() == []
    pass_time(house, 20.0)
    rounds(house)
    assert house.begun() == [1]


def test_a_row_in_hand_whose_lease_ran_out_is_not_claimed_again() -> None:
    house = House()
    house.store.add()
    rounds(house)
    house.store.locked = {1}  # by an application: neither prolonged nor recorded
    pass_time(house, 130.0)
    house.store.locked = set()
    rounds(house)
    assert house.begun() == [1]
    assert house.store.rows[1].notification.claim_count == 1
    house.finish()
    assert len(house.store.recorded) == 1
