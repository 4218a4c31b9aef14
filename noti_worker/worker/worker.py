"""One worker process: register, run the loop, drain. The composition root gives it its parts."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Finished, LeaseLost, Result, WorkerStarted, WorkerStopped, WorkerStopping
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Channel, Notification, OnUncertain
from noti_worker.domain.ports import Leases, Observer, Queue, Wake, Workers
from noti_worker.worker.bell import Bell
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.leases import Hand, Held, Keeper
from noti_worker.worker.loop import Loop, Pace
from noti_worker.worker.outage import Outage
from noti_worker.worker.pools import Pool
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import Stop

FLUSH_WITHIN = 5.0
"""Seconds for the last results after the drain deadline."""

FLUSH_QUICKLY = 2.0


class Deliver(Protocol):
    """The whole attempt, made by the composition root from `delivery/`."""

    def deliver(self, notification: Notification, briefing: Briefing) -> Result:
        """Permit, render, check, route, attempt, decide."""
        ...

    def give_up(self, notification: Notification, seconds: float) -> Result:
        """Say what becomes of a row whose send we no longer wait for: it may have gone out."""
        ...


@dataclass(frozen=True, slots=True)
class Serve:
    """How one channel is served: by how many threads, under which policy."""

    concurrency: int
    policy: Policy


class Worker:
    """Runs until it is asked to stop; `run` gives the exit code."""

    def __init__(
        self,
        version: str,
        queue: Queue,
        leases: Leases,
        workers: Workers,
        wake: Wake,
        delivery: Deliver,
        channels: Mapping[Channel, Serve],
        pace: Pace,
        drain_deadline: float,
        clock: DatabaseClock,
        observer: Observer,
        dice: Callable[[], float],
        tick: Callable[[str], None],
        begun: Callable[[int], None],
        steering: Steering,
        shorten: Callable[[float], None],
        about: Mapping[str, object],
    ) -> None:
        """Prepare; nothing happens before `run`.

        `begun` is called with the worker_id once it is registered, `shorten` with the seconds that a call of
        the database may take from then on. `about` is what the register tells besides what changes.
        """
        self._version = version
        self._queue = queue
        self._leases = leases
        self._workers = workers
        self._wake = wake
        self._delivery = delivery
        self._channels = channels
        self._pace = pace
        self._drain_deadline = drain_deadline
        self._clock = clock
        self._observer = observer
        self._dice = dice
        self._tick = tick
        self._begun = begun
        self._steering = steering
        self._about = about
        self._bell = Bell()
        self._hand = Hand(clock, pace.lease, observer)
        self._outage = Outage(clock, observer, dice, lambda: self.unrecorded)
        self._recorder: Recorder | None = None
        self._keeper: Keeper | None = None
        self._hinted = False
        self.stop = Stop(self._bell, shorten)
        self.worker_id: int | None = None

    @property
    def in_flight(self) -> int:
        """Rows in hand: claimed and not recorded yet."""
        return len(self._hand)

    @property
    def unrecorded(self) -> int:
        """Results that wait to be written."""
        return self._recorder.waiting if self._recorder else 0

    @property
    def silent(self) -> float:
        """Seconds since the last heartbeat that went through."""
        return self._keeper.silent if self._keeper else 0.0

    def run(self) -> int:
        """Register, deliver, drain; 0 after a clean stop. Raises DatabaseRefused when the schema is not there."""
        self.stop.listen()
        worker_id = self._register()
        if worker_id is None:
            return 0
        self.worker_id = worker_id
        recorder = self._recorder = Recorder(
            worker_id, self._queue, self._hand, self._clock, self._outage, self._observer, self._bell.ring, self._tick
        )
        keeper = self._keeper = Keeper(
            worker_id,
            self._hand,
            self._workers,
            self._leases,
            self._pace.lease,
            self._state,
            self._clock,
            self._outage,
            self._observer,
            self._tick,
        )
        pools = {
            channel: Pool(channel, serve.concurrency, self._work, self._bell.ring, self._clock, self._observer)
            for channel, serve in self._channels.items()
        }
        self._loop = Loop(
            worker_id,
            self._queue,
            self._hand,
            pools,
            keeper,
            recorder,
            self._pace,
            self._clock,
            self._outage,
            self._observer,
            self._dice,
            lambda: self._wake.listening,
            self._steering,
        )
        self._observer.on(WorkerStarted(worker_id, self._version, tuple(self._channels)))
        keeper.start()
        recorder.start()
        self._begun(worker_id)
        threading.Thread(target=self._listen, name="wake", daemon=True).start()
        while self.stop.asked is None:
            self._tick("loop")
            if self._hinted:
                self._hinted = False
                self._loop.hint()
            if not (keeper.alive and recorder.alive):
                # Nothing that it sends would be kept or written: better the others take over.
                raise RuntimeError("a thread of the worker has died; its last words are in the log")
            self._bell.wait(self._loop.poll())
        self._drain(worker_id, pools, recorder, keeper)
        return 0

    def _register(self) -> int | None:
        """Enter the register, however long the database is away; None when asked to stop meanwhile."""
        while self.stop.asked is None:
            self._tick("loop")
            try:
                worker_id = self._workers.register(self._version)
                self._clock.set(self._workers.beat(worker_id, self._state()).now)
            except DatabaseAway as error:
                self._bell.wait(self._outage.lost(error))
            else:
                self._outage.over()
                return worker_id
        return None

    def _state(self) -> dict[str, object]:
        return {
            **self._about,
            "channels": sorted(self._channels),
            "routes": {channel: dict(route) for channel, route in self._steering.routes.items()},
            "in_flight": len(self._hand),
            "stopping": self.stop.asked is not None,
        }

    def _listen(self) -> None:
        while self.stop.asked is None:
            if self._wake.wait(1.0):
                self._hinted = True
                self._bell.ring()

    def _work(self, held: Held) -> None:
        """One row on a sender thread: still ours, mark it where it must not go out twice, deliver, report."""
        notification = held.notification
        serve = self._channels[notification.channel]
        margin = min(serve.policy.send_timeout, self._pace.lease.total_seconds() / 2)
        if (
            self._steering.closes(notification)  # paused since the claim: not begun
            or not self._hand.start(held, margin)
            or not self._marked(notification, serve)
        ):
            self._loop.give_back(held)
            return
        try:
            result = self._delivery.deliver(notification, held.briefing)
        except BaseException:
            # A bug, or the interpreter ends: nobody knows whether it was sent. The lease tells the others.
            self._hand.drop([held])
            raise
        self._report(held, result)

    def _marked(self, notification: Notification, serve: Serve) -> bool:
        """Write the dispatch mark where the row asks for it; True when the send may begin."""
        if (notification.on_uncertain or serve.policy.on_uncertain) is OnUncertain.RETRY:
            return True
        try:
            ours = self._leases.dispatch(self.worker_id or 0, notification)
        except (DatabaseAway, DatabaseRefused):
            return False
        if not ours:
            self._observer.on(LeaseLost(notification.notification_id))
        return ours

    def _report(self, held: Held, result: Result) -> None:
        if self._recorder is not None and self._hand.report(held):
            self._observer.on(Finished(result))
            self._recorder.put(result)

    def _drain(self, worker_id: int, pools: Mapping[Channel, Pool], recorder: Recorder, keeper: Keeper) -> None:
        """Release what was not started, wait for what is in flight, record the rest as uncertain."""
        began = self.stop.asked_at
        self._observer.on(WorkerStopping(self.stop.asked or "asked", len(self._hand)))
        self._loop.abandon_suspect()
        for pool in pools.values():
            for held in pool.take_back():
                self._loop.give_back(held)
            pool.close()
        released = self._release()
        while (left := self._drain_deadline - (self._clock.monotonic() - began)) > 0 and not self.stop.quickly:
            self._tick("loop")
            if not self._hand.open and not recorder.waiting:
                break
            self._bell.wait(min(left, 0.1))
            released += self._release()
        for held in self._hand.rows():
            if held.started is not None and not held.reported:
                self._report(held, self._delivery.give_up(held.notification, self._clock.monotonic() - held.started))
        left_over = recorder.stop(FLUSH_QUICKLY if self.stop.quickly else FLUSH_WITHIN)
        keeper.stop()
        if not self._outage.on:  # our heart stops beating: the others see it soon enough
            with suppress(DatabaseAway, DatabaseRefused):
                self._workers.leave(worker_id)
        self._wake.close()
        self._observer.on(WorkerStopped(released, left_over))

    def _release(self) -> int:
        try:
            return self._loop.release()
        except (DatabaseAway, DatabaseRefused):
            return 0
