"""One worker process: register, run the loop, drain. The composition root gives it its parts."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from noti_worker.domain.errors import ConfigurationError, DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import (
    LeaseLost,
    Reloaded,
    ReloadRefused,
    Result,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Channel, Notification, OnUncertain
from noti_worker.domain.ports import Leases, Observer, Queue, Wake, Workers
from noti_worker.worker.bell import Bell
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.leases import Hand, Held, Keeper
from noti_worker.worker.loop import Loop, Pace
from noti_worker.worker.outage import Outage
from noti_worker.worker.plans import Plan, Plans
from noti_worker.worker.pools import Pool
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.routes import Routes
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import ANSWER_WITHIN, Stop

FLUSH_WITHIN = 5.0
"""Seconds for the last results after the drain deadline."""

FLUSH_QUICKLY = 2.0

TICK_EVERY = 5.0
"""Seconds; a long pause is spent in steps, so that the watchdog sees a loop that waits, not one that hangs."""


class Worker:
    """Runs until it is asked to stop; `run` gives the exit code."""

    def __init__(
        self,
        version: str,
        queue: Queue,
        leases: Leases,
        workers: Workers,
        wake: Wake,
        plan: Plan,
        reread: Callable[[], tuple[Plan, tuple[str, ...]]],
        pace: Pace,
        drain_deadline: float,
        clock: DatabaseClock,
        observer: Observer,
        dice: Callable[[], float],
        tick: Callable[[str], None],
        begun: Callable[[int], None],
        steering: Steering,
        shorten: Callable[[float], None],
    ) -> None:
        """Prepare; nothing happens before `run`.

        `reread` gives the plan of the configuration as it stands now and the settings that wait for a restart.
        `begun` is called with the worker_id once it is registered, `shorten` with the seconds that a call of the
        database may take from then on.
        """
        self._version = version
        self._queue = queue
        self._leases = leases
        self._workers = workers
        self._wake = wake
        self._plans = Plans(plan)
        self._reread = reread
        self._pools: dict[Channel, Pool] = {}
        self._pace = pace
        self._drain_deadline = drain_deadline
        self._clock = clock
        self._observer = observer
        self._dice = dice
        self._tick = tick
        self._begun = begun
        self._steering = steering
        self._bell = Bell()
        self._hand = Hand(clock, pace.lease, observer)
        self._outage = Outage(clock, observer, dice, lambda: self.unrecorded)
        self._routes = Routes(workers, lambda: self._plans.current.routes, observer)
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
        self._routes.tell(worker_id)
        recorder = self._recorder = Recorder(
            worker_id, self._queue, self._hand, self._clock, self._outage, self._observer, self._flushed, self._tick
        )
        keeper = self._keeper = Keeper(
            worker_id,
            self._hand,
            self._workers,
            self._leases,
            self._pace.lease,
            self._state,
            self._routes,
            self._clock,
            self._outage,
            self._observer,
            self._tick,
        )
        self._serve()
        self._loop = Loop(
            worker_id,
            self._queue,
            self._hand,
            self._pools,
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
        self._observer.on(WorkerStarted(worker_id, self._version, tuple(self._pools)))
        keeper.start()
        recorder.start()
        self._begun(worker_id)
        threading.Thread(target=self._listen, name="wake", daemon=True).start()
        while self.stop.asked is None:
            self._tick("loop")
            if self.stop.reload:
                self._reload()
            if self._hinted:
                self._hinted = False
                self._loop.hint()
            if not (keeper.alive and recorder.alive):
                # Nothing that it sends would be kept or written: better the others take over.
                raise RuntimeError("a thread of the worker has died; its last words are in the log")
            self._rest(self._loop.poll())
        self._drain(worker_id, recorder, keeper)
        return 0

    def close(self) -> None:
        """Give back the connections to the providers."""
        self._plans.close()

    def _rest(self, seconds: float) -> None:
        """Wait for a ring."""
        ends = self._clock.monotonic() + seconds
        while not self._bell.wait(min(ends - self._clock.monotonic(), TICK_EVERY)):
            if self._clock.monotonic() >= ends:
                return
            self._tick("loop")

    def _reload(self) -> None:
        """Read the configuration anew and work by it; a wrong one is refused as a whole."""
        self.stop.reload = False
        try:
            plan, restart = self._reread()
        except ConfigurationError as error:
            self._observer.on(ReloadRefused(str(error)))
        except Exception as error:  # noqa: BLE001 - a provider's own code is built there, and this worker works
            self._observer.on(ReloadRefused(f"unexpected: {type(error).__name__}"))
        else:
            self._plans.replace(plan)
            self._serve()
            sizes = [name for name, serve in plan.channels.items() if self._pools[name].size != serve.concurrency]
            restart += tuple(f"channels.{channel}.concurrency" for channel in sizes)
            self._observer.on(Reloaded(tuple(self._pools), restart))

    def _serve(self) -> None:
        """Have a pool for each channel of the plan, and for no other."""
        channels = self._plans.current.channels
        for channel, serve in channels.items():
            if channel not in self._pools:
                self._pools[channel] = Pool(
                    channel,
                    serve.concurrency,
                    self._pace.batch_size,
                    self._work,
                    self._bell.ring,
                    self._clock,
                    self._observer,
                )
        for channel in [channel for channel in self._pools if channel not in channels]:
            self._loop.abandon_suspect()
            self._dismiss(self._pools.pop(channel))

    def _dismiss(self, pool: Pool) -> None:
        """Give back what the pool has not begun; what it has begun ends."""
        for held in pool.take_back():
            self._loop.give_back(held)
        pool.close()

    def _register(self) -> int | None:
        """Enter the register, however long the database is away; None when asked to stop meanwhile."""
        while self.stop.asked is None:
            self._tick("loop")
            try:
                worker_id = self._workers.register(self._version)
                asked = self._clock.monotonic()
                self._clock.hear(self._workers.beat(worker_id, self._state()).now, asked)
            except DatabaseAway as error:
                self._rest(self._outage.lost(error))
            else:
                self._outage.over()
                return worker_id
        return None

    def _state(self) -> dict[str, object]:
        return {
            "channels": sorted(self._plans.current.channels),
            "in_flight": len(self._hand),
            "stopping": self.stop.asked is not None,
        }

    def _listen(self) -> None:
        while self.stop.asked is None:
            if self._wake.wait(1.0, self._loop.hints_apart):
                self._hinted = True
                self._bell.ring()

    def _work(self, held: Held) -> None:
        """One row on a sender thread: still ours, mark it where it must not go out twice, deliver, report."""
        plan = held.plan = self._plans.enter()
        try:
            serve = plan.channels.get(held.notification.channel)  # gone when a reload took the channel away
            paused = self._steering.closes(held.notification)  # since the claim
            if serve is None or paused or not self._may_start(held, serve.policy):
                self._loop.give_back(held)
                return
            try:
                result = plan.delivery.deliver(held.notification, held.briefing)
            except BaseException:
                # A bug, or the interpreter ends: nobody knows whether it was sent. The lease tells the others.
                self._hand.drop([held])
                raise
            self._report(held, result)
        finally:
            self._plans.leave(plan)

    def _may_start(self, held: Held, policy: Policy) -> bool:
        margin = min(policy.send_timeout, self._pace.lease.total_seconds() / 2)
        return self._hand.start(held, margin) and self._marked(held.notification, policy)

    def _marked(self, notification: Notification, policy: Policy) -> bool:
        """Write the dispatch mark where the row asks for it; True when the send may begin."""
        if policy.when_uncertain(notification) is OnUncertain.RETRY:
            return True
        try:
            ours = self._leases.dispatch(self.worker_id or 0, notification)
        except (DatabaseAway, DatabaseRefused):
            return False
        if not ours:
            self._observer.on(LeaseLost(notification.notification_id))
        return ours

    def _flushed(self, results: Iterable[Result]) -> None:
        self._loop.recorded(results)
        self._bell.ring()

    def _report(self, held: Held, result: Result) -> None:
        if self._recorder is not None and self._hand.report(held):
            self._recorder.put(result)

    def _drain(self, worker_id: int, recorder: Recorder, keeper: Keeper) -> None:
        """Release what was not started, wait for what is in flight, record the rest as uncertain."""
        began = self.stop.asked_at
        self._observer.on(WorkerStopping(self.stop.asked or "asked", len(self._hand)))
        self._loop.abandon_suspect()
        for pool in self._pools.values():
            self._dismiss(pool)
        released = self._release()
        while (left := self._drain_deadline - (self._clock.monotonic() - began)) > 0 and not self.stop.quickly:
            self._tick("loop")
            if not self._hand.open and not recorder.waiting:
                break
            self._bell.wait(min(left, 0.1))
            released += self._release()
        for held in self._hand.rows():
            if held.started is not None and held.plan is not None and not held.reported:
                seconds = self._clock.monotonic() - held.started
                self._report(held, held.plan.delivery.give_up(held.notification, seconds))
        left_over = recorder.stop(FLUSH_QUICKLY if self.stop.quickly else FLUSH_WITHIN)
        self.stop.part()
        released += self._release()
        if self._outage.on or self.in_flight:
            keeper.stop(0)  # our heart stops beating, and the others take what we leave after 15 s, not after a lease
        else:
            keeper.stop(ANSWER_WITHIN)  # a later beat would enter the register again
            with suppress(DatabaseAway, DatabaseRefused):
                self._workers.leave(worker_id)
        self._wake.close()
        self._observer.on(WorkerStopped(released, left_over))

    def _release(self) -> int:
        if self._outage.on:  # only keeper and recorder knock
            return 0
        try:
            return self._loop.release()
        except (DatabaseAway, DatabaseRefused):
            return 0
