import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import DatabaseLost, Result, WorkerStarted, WorkerStopped
from noti_worker.domain.lifecycle import Policy, Verdict
from noti_worker.domain.notification import Briefing, Channel, Notification, OnUncertain, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.worker.bell import Bell
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.loop import Pace
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import ANSWER_QUICKLY, ANSWER_WITHIN, Stop
from noti_worker.worker.worker import Serve, Worker
from tests.worker.fakes import FakeClock, FakeStore, NoWake, Witness, sent


class Gate:
    """A delivery whose sends end when the test opens the gate."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun: list[int] = []

    def deliver(self, notification: Notification, briefing: Briefing) -> Result:
        self.begun.append(notification.notification_id)
        assert self.open.wait(20)
        return sent(notification)

    def give_up(self, notification: Notification, seconds: float) -> Result:
        return Result(notification, Verdict(Status.UNKNOWN, "it may have been sent"), Outcome(Kind.UNCERTAIN))


class House:
    """A whole worker on a thread, over the fake store and real time."""

    def __init__(self, drain_deadline: float = 20.0, on_uncertain: OnUncertain = OnUncertain.RETRY) -> None:
        self.gate = Gate()
        self.witness = Witness()
        self.store = FakeStore(FakeClock())
        self.worker = Worker(
            "1.0",
            self.store,
            self.store,
            self.store,
            NoWake(),
            self.gate,
            {Channel.EMAIL: Serve(2, Policy(on_uncertain=on_uncertain, send_timeout=5.0))},
            Pace(0.05, 500, timedelta(minutes=2)),
            drain_deadline,
            DatabaseClock(),
            self.witness,
            lambda: 0.5,
            lambda name: None,
            lambda worker_id: None,
            Steering({Channel.EMAIL: {"relay": "smtp"}}),
            lambda seconds: None,
            {"modes": {"relay": "dry"}},
        )
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.code = self.worker.run()

    def end(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.code == 0


def test_the_register_knows_what_the_worker_is_told_to_say(wait_for: Callable[..., Any]) -> None:
    house = House()
    house.thread.start()
    states = wait_for(lambda: house.store.asked("beat"))
    house.worker.stop.ask("asked")
    house.end()
    assert states[0]["modes"] == {"relay": "dry"}


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


def test_rows_that_were_not_started_are_released_uncharged(wait_for: Callable[..., Any]) -> None:
    house = House()
    for _ in range(3):
        house.store.add()
    house.thread.start()
    wait_for(lambda: len(house.gate.begun) == 2)
    # A fast moment makes the pool ask ahead; here the third row is queued behind two that hang.
    house.worker._loop._pools[Channel.EMAIL]._finished.extend([1e12] * 5)
    wait_for(lambda: house.store.rows[3].owner is not None)
    house.worker.stop.ask("asked")
    wait_for(lambda: house.store.asked("release") == [[3]])
    house.gate.open.set()
    house.end()
    assert house.store.rows[3].status is Status.PENDING
    assert [fact.released for fact in house.witness.of(WorkerStopped)] == [1]


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


def test_a_row_that_must_not_go_out_twice_is_marked_before_its_send(wait_for: Callable[..., Any]) -> None:
    house = House(on_uncertain=OnUncertain.HOLD)
    house.gate.open.set()
    house.store.add()
    house.store.add(on_uncertain=OnUncertain.RETRY)
    house.store.add()
    house.store.gone = {3}
    house.thread.start()
    wait_for(lambda: len(house.store.recorded) == 2)
    wait_for(lambda: [3] in house.store.asked("release"))
    house.worker.stop.ask("asked")
    house.end()
    assert sorted(set(house.store.asked("dispatch"))) == [1, 3]
    assert 3 not in house.gate.begun


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["record", "beat"])
def test_a_worker_whose_recorder_or_keeper_died_ends_instead_of_sending_on(part: str) -> None:
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


def test_signals_ask_for_a_clean_and_then_for_a_quick_stop() -> None:
    bell = Bell()
    patience: list[float] = []
    stop = Stop(bell, patience.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        assert bell.wait(10)
        assert (stop.asked, stop.quickly) == ("SIGTERM", False)
        os.kill(os.getpid(), signal.SIGINT)
        assert bell.wait(10)
        assert (stop.asked, stop.quickly) == ("SIGTERM", True)
        assert patience == [ANSWER_WITHIN, ANSWER_QUICKLY]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_many_rings_before_a_look_are_one() -> None:
    bell = Bell()
    for _ in range(100):
        bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)
