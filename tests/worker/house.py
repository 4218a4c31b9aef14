"""A worker without threads: the loop over the queue in memory, step by step."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from noti_worker.domain.notification import Channel
from noti_worker.worker.allowance import Allowance
from noti_worker.worker.circuits import Circuits
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.rounds import Rounds
from noti_worker.worker.routes import Routes
from noti_worker.worker.steering import Steering
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import FakeClock, NoWake, Witness, context, doors, sent


class Slots:
    """A pool without threads: rows lie in `begun` until the test lets them finish."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun: list[Claim] = []
        self.patient = False  # little room waits a moment for more
        self.limits: dict[str, int] = {}  # rows in hand by tenant

    @property
    def free(self) -> int:
        return self.size - len(self.begun)

    @property
    def want(self) -> int:
        return 0 if self.patient else self.free

    def room(self, waiting: set[str]) -> dict[str, int]:
        in_hand = Counter(claim.notification.tenant_id for claim in self.begun)
        return {tenant: most - in_hand[tenant] for tenant, most in self.limits.items() if tenant in waiting}

    def submit(self, rows: list[Claim]) -> None:
        for claim in rows:
            claim.started = 0.0
        self.begun += rows


class House:
    def __init__(self, *channels: Channel, size: int = 4) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.store.pass_time = self.clock.tick
        self.witness = Witness()
        self.in_flight = InFlight(self.clock, timedelta(minutes=2), self.witness)
        shared = replace(context(self.clock, self.witness), dice=lambda: self.dice)
        self.outage, self.refusals = shared.outage, shared.refusals
        self.allowance = Allowance(self.clock, self.store, self.refusals, self.witness)
        shared = replace(shared, allowance=self.allowance)
        self.recorder = Recorder(shared, self.store, self.in_flight, lambda results: None)
        routes = Routes(self.store, tuple, self.witness)
        self.heartbeat = Heartbeat(shared, self.store, self.store, self.in_flight, dict, routes)
        self.pools = {channel: Slots(size) for channel in channels or (Channel.EMAIL,)}
        pools: Any = self.pools
        self.wake = NoWake()
        self.wake.listening = True
        self.steering = Steering({channel: {"relay": "smtp", "spare": "ses"} for channel in self.pools})
        self.circuits = Circuits(shared, self.store, self.steering)
        self.rounds = Rounds(
            shared,
            doors(self.store, self.wake),
            pools,
            self.in_flight,
            self.heartbeat,
            self.steering,
            self.circuits,
        )
        self.dice = 0.5

    @property
    def pool(self) -> Slots:
        return self.pools[Channel.EMAIL]

    def begun(self) -> list[int]:
        return [claim.notification.notification_id for claim in self.pool.begun]

    def finish(self) -> None:
        """Let everything in work end well and be recorded."""
        for pool in self.pools.values():
            for claim in pool.begun:
                self.in_flight.report(claim)
                self.recorder.put(sent(claim.notification))
            pool.begun = []
        self.recorder.flush(self.recorder.gather())


def rounds(house: House, times: int = 10) -> None:
    for _ in range(times):
        house.rounds.poll()


def pass_time(house: House, seconds: float) -> None:
    house.clock.tick(seconds)
    house.heartbeat.step()


def unable(house: House) -> Any:
    return house.refusals.state().get("unable", {})


def aside(house: House) -> list[int]:
    return sorted(house.refusals.rows)
