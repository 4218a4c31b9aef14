import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.account import RouteLine
from noti_worker.domain.errors import ConfigurationError, DatabaseAway
from noti_worker.domain.facts import (
    DatabaseLost,
    Reloaded,
    ReloadRefused,
    Result,
    RowSetAside,
    WorkerStarted,
    WorkerStopped,
)
from noti_worker.domain.lifecycle import Policy, Verdict
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Briefing, Channel, Notification, OnUncertain, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Beat
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.context import Pace
from noti_worker.worker.plans import Plan, Plans, Serve
from noti_worker.worker.pools import _Tenant
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import ANSWER_QUICKLY, ANSWER_WITHIN
from noti_worker.worker.worker import Worker
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import FakeClock, NoWake, Witness, context, doors, sent


class Gate:
    """A delivery whose sends end when the test opens the gate."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.closed = threading.Event()
        self.begun: list[int] = []

    def deliver(self, notification: Notification, briefing: Briefing) -> Result:
        self.begun.append(notification.notification_id)
        assert self.open.wait(20)
        return sent(notification)

    def give_up(self, notification: Notification, seconds: float) -> Result:
        return Result(notification, Verdict(Status.UNKNOWN, "it may have been sent"), Outcome(Kind.UNCERTAIN))


RELAY = RouteLine(Channel.EMAIL, "relay", "smtp", Mode.DRY)


def plan(gate: Gate, *channels: Channel, on_uncertain: OnUncertain = OnUncertain.RETRY, threads: int = 2) -> Plan:
    policy = Policy(on_uncertain=on_uncertain, send_timeout=5.0)
    serve = Serve(threads, policy, gate.deliver, gate.give_up)
    return Plan(dict.fromkeys(channels, serve), gate.closed.set, (RELAY,))


class House:
    """A whole worker on a thread, over the fake store and real time."""

    def __init__(self, drain_deadline: float = 20.0, on_uncertain: OnUncertain = OnUncertain.RETRY) -> None:
        self.gate = Gate()
        self.witness = Witness()
        self.store = FakeStore(FakeClock())
        self.patience: list[float] = []  # the seconds that a call may take, as it is told to the database
        self.worker = Worker(
            "1.0",
            context(DatabaseClock(), self.witness, Pace(0.05, 500, timedelta(minutes=2), drain_deadline)),
            doors(self.store, NoWake()),
            Plans(plan(self.gate, Channel.EMAIL, on_uncertain=on_uncertain), self._reread),
            Steering({Channel.EMAIL: {"relay": "smtp"}}),
            lambda worker_id: None,
            self.patience.append,
        )
        self.code: int | None = None
        self.on_disk: Plan | Exception = ConfigurationError("nothing on disk")
        self.thread = threading.Thread(target=self._run, daemon=True)  # a failed test must not hang the run

    def _run(self) -> None:
        self.code = self.worker.run()

    def _reread(self) -> tuple[Plan, tuple[str, ...]]:
        if isinstance(self.on_disk, Exception):
            raise self.on_disk
        return self.on_disk, ("worker.lease",)

    def end(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.code == 0


def test_the_register_is_told_the_routes_once_and_no_beat_carries_them(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.thread.start()
    wait_for(lambda: len(house.store.asked("beat")) > 1)
    house.worker.stop.ask("asked")
    house.end()
    assert house.store.asked("routes") == [[RELAY]]
    assert all(set(state) == {"channels", "in_flight", "stopping"} for state in house.store.asked("beat"))


def test_rows_are_delivered_and_the_worker_leaves_the_register(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.gate.open.set()
    for _ in range(25):
        house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.store.recorded) == 25)
    house.worker.stop.ask("asked")
    house.end()
    assert sorted(result.notification.notification_id for result in house.store.recorded) == list(range(1, 26))
    assert house.store.asked("leave") == [7]
    assert [fact.worker_id for fact in house.witness.of(WorkerStarted)] == [7]


def test_a_stop_finishes_what_is_in_flight_and_claims_no_more(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.store.add()
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 2)
    house.worker.stop.ask("asked")
    house.store.add()
    house.gate.open.set()
    house.end()
    assert len(house.store.recorded) == 2
    assert house.store.rows[3].status is Status.PENDING


def hang_with_one_waiting(house: House, wait_for: Callable[..., Any]) -> None:
    for _ in range(3):
        house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 2)
    # A fast moment makes the pool ask ahead; here the third row is queued behind two that hang.
    house.worker._pools[Channel.EMAIL]._finished.extend([(1e12, _Tenant("default"), 0.0)] * 5)
    wait_for(lambda: house.store.rows[3].owner is not None)


def test_rows_that_were_not_started_are_released_uncharged(wait_for: Callable[..., Any]) -> None:
    house = House()
    hang_with_one_waiting(house, wait_for)
    house.worker.stop.ask("asked")
    wait_for(lambda: house.store.asked("release") == [[3]])
    house.gate.open.set()
    house.end()
    assert house.store.rows[3].status is Status.PENDING
    assert [fact.released for fact in house.witness.of(WorkerStopped)] == [1]


def test_a_database_that_comes_back_for_the_last_results_gets_the_rest_back_too(wait_for: Callable[..., Any]) -> None:
    house = House(drain_deadline=0.3)
    hang_with_one_waiting(house, wait_for)
    house.store.away = True
    wait_for(lambda: house.witness.of(DatabaseLost))
    house.worker.stop.ask("asked")
    wait_for(lambda: len(house.worker._rounds.returns))
    house.gate.open.set()
    threading.Timer(1.0, lambda: setattr(house.store, "away", False)).start()
    house.end()
    assert len(house.store.recorded) == 2
    assert house.store.rows[3].status is Status.PENDING
    assert [(fact.released, fact.left) for fact in house.witness.of(WorkerStopped)] == [(1, 0)]
    assert house.store.asked("leave") == [7]


def test_a_worker_that_leaves_rows_behind_stays_in_the_register_until_it_counts_as_dead(
    wait_for: Callable[..., Any],
) -> None:
    house = House(drain_deadline=0.3)
    hang_with_one_waiting(house, wait_for)
    house.store.locked = {3}  # by an application
    house.worker.stop.ask("asked")
    wait_for(lambda: house.store.asked("release"))
    house.gate.open.set()
    house.end()
    assert house.store.rows[3].owner == 7
    assert house.store.asked("leave") == []


def test_a_send_that_hangs_past_the_drain_deadline_is_recorded_as_uncertain(wait_for: Callable[..., Any]) -> None:
    house = House(drain_deadline=0.3)
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 1)
    house.worker.stop.ask("asked")
    house.end()
    assert house.store.rows[1].status is Status.UNKNOWN
    house.gate.open.set()


def test_a_second_request_does_not_wait_for_the_deadline(wait_for: Callable[..., Any]) -> None:
    house = House(drain_deadline=300.0)
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 1)
    house.worker.stop.ask("SIGTERM")
    house.worker.stop.ask("SIGTERM")
    house.end()
    assert house.store.rows[1].status is Status.UNKNOWN
    house.gate.open.set()


def test_a_database_that_is_away_at_the_start_is_waited_for(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.gate.open.set()
    house.store.add()
    house.store.away = True
    house.thread.start()
    wait_for(lambda: len(house.store.asked("register")) >= 2)
    assert len(house.witness.of(DatabaseLost)) == 1
    house.store.away = False
    wait_for(lambda: len(house.store.recorded) == 1)
    house.worker.stop.ask("asked")
    house.end()


def test_a_stop_while_the_database_is_away_ends_and_says_what_is_unrecorded(wait_for: Callable[..., Any]) -> None:
    house = House(drain_deadline=0.3)
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 1)
    house.store.away = True
    house.gate.open.set()
    house.worker.stop.ask("asked")
    house.worker.stop.ask("asked")
    house.end()
    assert [fact.left for fact in house.witness.of(WorkerStopped)] == [1]


def test_a_heartbeat_that_hangs_does_not_hold_up_the_end(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.thread.start()
    wait_for(lambda: house.witness.of(WorkerStarted))
    hanging, ended = threading.Event(), threading.Event()

    def hangs(worker_id: int, state: object) -> Beat:
        hanging.set()
        wait_for(lambda: house.patience and house.patience[-1] == ANSWER_QUICKLY)
        ended.set()
        raise DatabaseAway("no answer")

    house.store.beat = hangs  # type: ignore[method-assign]
    assert hanging.wait(20)
    house.worker.stop.ask("asked")
    house.end()
    assert ended.is_set()
    assert house.patience == [ANSWER_WITHIN, ANSWER_QUICKLY]


def test_a_row_that_must_not_go_out_twice_is_marked_before_its_send(wait_for: Callable[..., Any]) -> None:
    house = House(on_uncertain=OnUncertain.HOLD)
    house.gate.open.set()
    house.store.add()
    house.store.add(on_uncertain=OnUncertain.RETRY)
    house.store.add()
    house.store.snatched = {3}
    house.thread.start()
    wait_for(lambda: len(house.store.recorded) == 2)
    wait_for(lambda: [3] in house.store.asked("release"))
    house.worker.stop.ask("asked")
    house.end()
    assert sorted(set(house.store.asked("dispatch"))) == [1, 3]
    assert 3 not in house.gate.begun


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["record", "beat"])
def test_a_worker_whose_recorder_or_heartbeat_died_ends_instead_of_sending_on(part: str) -> None:
    house = House()
    house.gate.open.set()
    for _ in range(3):
        house.store.add()
    real = getattr(house.store, part)
    calls = 0

    def broken(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 1 or part == "record":
            raise KeyError("a bug")
        return real(*arguments)

    setattr(house.store, part, broken)
    with pytest.raises(RuntimeError, match="died"):
        house.worker.run()


def test_a_reload_sends_what_comes_by_the_new_plan_and_ends_the_old_one_in_peace(wait_for: Callable[..., Any]) -> None:
    house, new = House(), Gate()
    new.open.set()
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 1)
    house.on_disk = plan(new, Channel.EMAIL)
    house.worker.stop.ask_to_reload()
    wait_for(lambda: house.witness.of(Reloaded))
    house.store.add()
    wait_for(lambda: new.begun == [2])
    assert not house.gate.closed.is_set()  # row 1 still goes through it
    house.gate.open.set()
    assert house.gate.closed.wait(10)
    assert not new.closed.is_set()
    wait_for(lambda: len(house.store.recorded) == 2)
    house.worker.stop.ask("asked")
    house.end()
    house.worker.close()
    assert new.closed.is_set()
    assert house.witness.of(Reloaded) == [Reloaded((Channel.EMAIL,), ("worker.lease",))]


def test_a_send_that_began_before_a_reload_is_given_up_by_its_own_plan(wait_for: Callable[..., Any]) -> None:
    house, new = House(drain_deadline=0.2), Gate()
    new.give_up = None  # type: ignore[method-assign,assignment]
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 1)
    house.on_disk = plan(new, Channel.EMAIL)
    house.worker.stop.ask_to_reload()
    wait_for(lambda: house.witness.of(Reloaded))
    house.worker.stop.ask("asked")
    house.end()
    assert house.store.rows[1].status is Status.UNKNOWN
    house.gate.open.set()


@pytest.mark.parametrize(
    ("error", "words"),
    [(ConfigurationError("worker.lease: no"), "worker.lease: no"), (OSError("s3cret"), "unexpected: OSError")],
)
def test_a_bad_configuration_is_refused_and_the_old_one_kept(
    wait_for: Callable[..., Any], error: Exception, words: str
) -> None:
    house = House()
    house.gate.open.set()
    house.thread.start()
    house.on_disk = error
    house.worker.stop.ask_to_reload()
    wait_for(lambda: house.witness.of(ReloadRefused))
    house.store.add()
    wait_for(lambda: house.gate.begun == [1])
    house.worker.stop.ask("asked")
    house.end()
    assert house.witness.of(ReloadRefused) == [ReloadRefused(words)]
    assert not house.gate.closed.is_set()


def test_a_reload_may_add_a_channel_and_take_one_away(wait_for: Callable[..., Any]) -> None:
    house, new = House(), Gate()
    house.store.add(channel=Channel.SMS)
    for _ in range(3):
        house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 2)
    house.worker._pools[Channel.EMAIL]._finished.extend([(1e12, _Tenant("default"), 0.0)] * 5)
    wait_for(lambda: house.store.rows[4].owner is not None)  # claimed, and not begun yet
    house.on_disk = plan(new, Channel.SMS)
    house.worker.stop.ask_to_reload()
    wait_for(lambda: new.begun == [1])
    wait_for(lambda: [4] in house.store.asked("release"))
    new.open.set()
    house.gate.open.set()
    wait_for(lambda: len(house.store.recorded) == 3)
    house.worker.stop.ask("asked")
    house.end()
    assert house.store.rows[4].status is Status.PENDING
    assert [fact.channels for fact in house.witness.of(Reloaded)] == [(Channel.SMS,)]


def test_another_concurrency_waits_for_a_restart_and_is_said(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.thread.start()
    house.on_disk = plan(house.gate, Channel.EMAIL, Channel.SMS, threads=3)
    house.worker.stop.ask_to_reload()
    wait_for(lambda: house.witness.of(Reloaded))
    house.worker.stop.ask("asked")
    house.end()
    [told] = house.witness.of(Reloaded)
    assert told.restart == ("worker.lease", "channels.email.concurrency")


def test_a_loop_that_waits_long_still_ticks(monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]) -> None:
    monkeypatch.setattr("noti_worker.worker.worker.TICK_EVERY", 0.01)
    house = House()
    ticks: list[str] = []
    shared = house.worker._context
    house.worker._context = replace(shared, tick=ticks.append, pace=replace(shared.pace, poll_interval=60.0))
    house.thread.start()
    wait_for(lambda: ticks.count("loop") > 20)
    assert len(house.store.asked("heads")) <= 2
    house.worker.stop.ask("asked")
    house.end()


def test_content_too_large_for_a_batch_is_looked_up_when_the_send_begins(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.gate.open.set()
    house.store.large = {house.store.add()}
    house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.store.recorded) == 2)
    house.worker.stop.ask("asked")
    house.end()
    assert house.store.asked("complete") == [1]


def test_content_that_cannot_be_looked_up_now_is_given_back_and_harms_no_other(
    wait_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    house.gate.open.set()
    house.store.large = {house.store.add()}
    house.store.refused["complete"] = {1}
    monkeypatch.setattr("noti_worker.worker.refusals.FIRST", 0.5)
    house.thread.start()
    wait_for(lambda: [1] in house.store.asked("release"))
    house.store.add()
    wait_for(lambda: len(house.store.recorded) == 1)
    assert house.witness.of(RowSetAside)[0].notification_id == 1
    house.store.refused.clear()
    wait_for(lambda: len(house.store.recorded) == 2)
    house.worker.stop.ask("asked")
    house.end()
