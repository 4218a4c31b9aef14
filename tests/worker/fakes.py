"""Tiny fakes of the ports: a clock that is set by hand, an observer that remembers, a wake-up that never comes."""

import threading
from datetime import timedelta
from typing import Any

from noti_worker.domain.facts import Fact, Result
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Notification, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Wake
from noti_worker.worker.allowance import Allowance
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.context import Context, Doors, Pace
from noti_worker.worker.outage import Outage
from noti_worker.worker.refusals import Refusals
from tests.domain.rows import NOW
from tests.worker.fake_store import FakeStore


class FakeClock(DatabaseClock):
    """Stands still until `tick` moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0
        self.hear(NOW, self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


class Witness:
    """An observer that keeps every fact."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def on(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def sent(notification: Notification) -> Result:
    """The result of a try that went well."""
    return Result(notification, Verdict(Status.SENT, "the provider accepted it"), Outcome(Kind.OK))


PACE = Pace(poll_interval=1.0, batch_size=500, lease=timedelta(minutes=2), drain_deadline=20.0)


def context(clock: DatabaseClock, observer: Witness, pace: Pace = PACE, worker_id: int = 7) -> Context:
    """What a part of a worker is given; its dice throw the middle."""
    outage = Outage(clock, observer, lambda: 0.5)
    refusals = Refusals(clock, observer)
    allowance = Allowance(clock, FakeStore(clock), refusals, observer)
    return Context(pace, clock, outage, observer, lambda: 0.5, lambda name: None, refusals, allowance, worker_id)


def doors(store: FakeStore, wake: Wake) -> Doors:
    """Every door leads to `store`, but for the wake-up."""
    return Doors(
        lanes=store, closures=store, circuits=store, claims=store, records=store, leases=store, workers=store, wake=wake
    )


class NoWake:
    """A wake-up that never comes."""

    listening = False

    def __init__(self) -> None:
        self.closed = threading.Event()

    def wait(self, timeout: float, apart: float = 0.0) -> bool:
        self.closed.wait(timeout)
        return False

    def close(self) -> None:
        self.closed.set()
