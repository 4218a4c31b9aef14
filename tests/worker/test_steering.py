"""Pauses as the loop obeys them: closed lanes, rows passed over, and what ends them."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.closures import Closure
from noti_worker.domain.facts import Result, Steered
from noti_worker.domain.lanes import END, START
from noti_worker.domain.notification import Briefing, Channel, Notification
from noti_worker.worker.scanner import WINDOW
from noti_worker.worker.steering import LEARN_EVERY, LEARN_SOON
from tests.domain.rows import NOW
from tests.worker import test_worker
from tests.worker.fakes import sent
from tests.worker.house import House


def test_nothing_of_a_paused_channel_is_asked_for() -> None:
    house = House(Channel.EMAIL, Channel.SMS)
    house.store.add(channel=Channel.EMAIL)
    sms = house.store.add(channel=Channel.SMS)
    house.store.paused = {("channel", "email")}
    house.rounds.poll()
    assert house.pools[Channel.EMAIL].begun == []
    assert [claim.notification.notification_id for claim in house.pools[Channel.SMS].begun] == [sms]
    asked = [share.lane.channel for claim in house.store.asked("claim") for share in claim["shares"]]
    assert set(asked) == {Channel.SMS}


def test_a_pause_counts_within_a_second_also_while_rows_keep_coming() -> None:
    house = House(size=1)
    for _ in range(50):
        house.store.add()
    house.rounds.poll()
    house.store.paused = {("everything", "")}
    began = house.clock.monotonic()
    while house.clock.monotonic() - began < LEARN_EVERY:
        house.finish()
        house.rounds.poll()
        house.clock.tick(0.05)
    house.finish()
    done = len(house.store.recorded)
    for _ in range(20):
        house.rounds.poll()
        house.clock.tick(1.0)
    assert house.pool.begun == []
    assert len(house.store.recorded) == done < 50


def test_pauses_are_read_about_once_a_second_however_often_the_loop_goes_round() -> None:
    house = House(size=1)
    for _ in range(40):
        house.store.add()
        house.rounds.poll()
        house.finish()
        house.rounds.hint()
        house.clock.tick(0.02)
    assert len(house.store.asked("closures")) <= 8  # hints hasten it, to ten times a second at most


def test_closed_lanes_do_not_spin_the_loop() -> None:
    house = House()
    house.store.add()
    house.store.paused = {("tenant", "default")}
    for _ in range(10):
        pause = house.rounds.poll()
        assert pause >= 0.5
        house.clock.tick(pause)
    assert house.store.asked("claim") == []
    assert len(house.store.asked("heads")) <= 10


def test_an_idle_worker_hardly_asks_for_pauses() -> None:
    house = House()
    for _ in range(20):
        house.clock.tick(house.rounds.poll())
        house.in_flight.heard(house.clock.monotonic())
    assert len(house.store.asked("heads")) == 20
    assert len(house.store.asked("closures")) == 2
    house.store.paused = {("channel", "sms")}
    house.clock.tick(2 * LEARN_SOON)
    house.rounds.hint()
    house.rounds.poll()
    assert house.witness.of(Steered) == [Steered(frozenset({Closure("channel", "sms")}))]


def test_what_was_paused_while_the_worker_was_idle_is_known_before_the_first_claim() -> None:
    house = House()
    house.rounds.poll()
    house.clock.tick(LEARN_EVERY + 0.1)
    house.store.paused = {("tenant", "default")}
    house.store.add()
    house.rounds.poll()
    assert house.store.asked("claim") == []
    house.store.paused = set()
    house.clock.tick(LEARN_EVERY + 0.1)
    house.rounds.poll()
    assert len(house.begun()) == 1


def test_a_scheduled_row_of_a_closed_lane_wakes_nobody() -> None:
    house = House()
    house.store.add(due_at=NOW + timedelta(milliseconds=20))
    house.store.paused = {("tenant", "default")}
    assert house.rounds.poll() == LEARN_EVERY


def test_many_closed_lanes_hide_no_open_one() -> None:
    house = House()
    tenants = [f"closed-{number:04}" for number in range(3 * WINDOW)]
    for tenant in tenants:
        house.store.add(tenant_id=tenant, due_at=NOW - timedelta(hours=1))
    last = house.store.add(tenant_id="open")
    house.store.paused = {("tenant", tenant) for tenant in tenants}
    house.rounds.poll()
    assert house.begun() == [last]


def test_rows_of_a_paused_template_are_passed_over_and_come_when_it_is_resumed() -> None:
    house = House()
    waits = house.store.add(template_id="welcome", due_at=NOW - timedelta(hours=1))
    goes = house.store.add()
    house.store.paused = {("template", "welcome")}
    house.rounds.poll()
    assert house.begun() == [goes]
    for _ in range(5):
        house.clock.tick(1.0)
        house.rounds.poll()
    house.store.paused = set()
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.begun() == [goes, waits]


def test_paused_rows_at_the_head_of_a_lane_are_walked_by_sweeps_only() -> None:
    house = House()
    house.store.add(template_id="welcome", due_at=NOW - timedelta(hours=1))
    house.store.paused = {("template", "welcome")}
    house.rounds.poll()
    house.rounds._scanner.spent(1000.0)  # a dear one: the next is long off
    before = len(house.store.asked("claim"))
    for _ in range(5):
        house.clock.tick(1.0)
        house.rounds.poll()
    claims = [claim for claim in house.store.asked("claim")[before:] if not claim["solo"]]
    assert all(share.floor.due_at > START for claim in claims for share in claim["shares"])


def test_a_million_paused_rows_are_passed_over_in_strides_and_what_is_behind_them_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("noti_worker.worker.scanner.STRIDE", 3)
    house = House()
    for _ in range(20):
        house.store.add(template_id="welcome", due_at=NOW - timedelta(hours=1))
    behind = house.store.add()
    house.store.paused = {("template", "welcome")}
    for _ in range(6):
        assert house.rounds.poll() == 0.0  # it goes on at once, and others have their turn in between
    house.rounds.poll()
    assert house.begun() == [behind]
    walks = [claim["shares"][0] for claim in house.store.asked("claim") if not claim["solo"]]
    assert all(share.until < END for share in walks[:6])
    # A sweep goes on where the last one stopped, and so finds what came in among the rows that it passes over.
    late = house.store.add(due_at=NOW - timedelta(minutes=59))
    house.finish()
    for _ in range(10):
        house.clock.tick(1.0)
        house.rounds.poll()
    assert house.begun() == [late]
    sweeps = [claim["shares"][0].floor for claim in house.store.asked("claim")[len(walks) :] if not claim["solo"]]
    assert len({floor for floor in sweeps if floor.due_at < NOW - timedelta(minutes=59)}) > 3
    house.store.paused = set()
    for _ in range(7):
        house.finish()
        house.clock.tick(1.0)
        house.heartbeat.step()
        house.rounds.poll()
    assert [row for row in house.store.rows.values() if not (row.finished or row.owner)] == []


def test_a_paused_row_at_the_head_does_not_make_its_lane_look_old() -> None:
    house = House(size=1)
    house.store.add(tenant_id="a", template_id="welcome", due_at=NOW - timedelta(hours=1))
    house.store.paused = {("template", "welcome")}
    for _ in range(6):
        house.rounds.poll()
        house.clock.tick(1.0)
    house.store.add(tenant_id="a", due_at=house.clock.now())
    older = house.store.add(tenant_id="b", due_at=house.clock.now() - timedelta(seconds=3))
    house.clock.tick(0.1)
    house.rounds.hint()
    house.rounds.poll()
    assert house.begun() == [older]


def test_an_account_leaves_and_the_channel_is_closed_when_it_was_the_last() -> None:
    house = House()
    asks = house.store.add(provider="relay")
    goes = house.store.add()
    house.store.paused = {("account", "relay")}
    house.rounds.poll()
    assert house.begun() == [goes]
    house.finish()
    house.store.add()
    house.store.paused = {("account", "relay"), ("account", "spare")}
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.begun() == []
    house.store.paused = set()
    house.clock.tick(1.0)
    house.rounds.poll()
    assert house.begun()[0] == asks


def test_a_suspect_of_a_paused_template_is_not_taken() -> None:
    house = House()
    house.store.add(template_id="welcome", lost_count=2)
    house.store.paused = {("template", "welcome")}
    house.rounds.poll()
    assert len(house.in_flight) == 0


def test_other_pauses_are_told_once() -> None:
    house = House()
    house.store.paused = {("channel", "sms")}
    for _ in range(3):
        house.rounds.poll()
        house.clock.tick(1.0)
    assert house.witness.of(Steered) == [Steered(frozenset({Closure("channel", "sms")}))]


def test_what_was_claimed_and_not_begun_goes_back_untouched(wait_for: Callable[..., Any]) -> None:
    house = test_worker.House()
    first = threading.Event()

    class OneAtATime:
        def deliver(self, notification: Notification, briefing: Briefing) -> Result:
            house.gate.begun.append(notification.notification_id)
            first.set()
            assert house.gate.open.wait(20)
            return sent(notification)

        give_up = house.gate.give_up

    plans = house.worker._plans
    one = OneAtATime()
    serve = replace(plans.current.channels[Channel.EMAIL], deliver=one.deliver, give_up=one.give_up)
    plans.replace(replace(plans.current, channels={Channel.EMAIL: serve}))
    numbers = [house.store.add() for _ in range(8)]
    house.thread.start()
    assert first.wait(20)
    house.store.paused = {("channel", "email")}
    wait_for(lambda: house.witness.of(Steered))
    house.gate.open.set()  # what is in flight ends as ever
    wait_for(lambda: all(row.owner is None for row in house.store.rows.values()))
    begun = len(house.gate.begun)
    assert 1 <= begun <= 4 < len(numbers)
    assert [row.finished for row in house.store.rows.values()].count(True) == begun
    house.store.paused = set()
    wait_for(lambda: len(house.store.recorded) == len(numbers))
    house.worker.stop.ask("asked")
    house.end()
