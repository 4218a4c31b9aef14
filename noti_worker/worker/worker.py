"""One worker process: register, go from round to round, drain. The composition root gives it its parts."""

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace

from noti_worker.domain.errors import ConfigurationError, DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import (
    Reloaded,
    ReloadRefused,
    Result,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from noti_worker.domain.notification import Channel
from noti_worker.worker.circuits import Circuits
from noti_worker.worker.context import Context, Doors
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import InFlight
from noti_worker.worker.plans import Plans
from noti_worker.worker.pools import Pool
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.rounds import Rounds
from noti_worker.worker.routes import Routes
from noti_worker.worker.sends import Sends
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import ANSWER_WITHIN, Stop
from noti_worker.worker.wakeup import WakeUp

FLUSH_WITHIN = 5.0
"""Seconds for the last results after the drain deadline."""

FLUSH_QUICKLY = 2.0

TICK_EVERY = 5.0
"""Seconds; a long pause is spent in steps, so that the watchdog sees a loop that waits, not one that hangs."""


class Worker:
    """Runs until it is asked to stop; `run` gives the exit code."""

    _heartbeat: Heartbeat | None = None  # this and the next ones are made once the worker is registered
    _recorder: Recorder | None = None
    _circuits: Circuits
    _rounds: Rounds
    _sends: Sends

    def __init__(
        self,
        version: str,
        context: Context,
        doors: Doors,
        plans: Plans,
        steering: Steering,
        begun: Callable[[int], None],
        shorten: Callable[[float], None],
    ) -> None:
        """Prepare; nothing happens before `run`.

        `begun` is called with the worker_id once it is registered, `shorten` with the seconds that a call of the
        database may take from then on.
        """
        self._version = version
        self._context = context
        self._doors = doors
        self._plans = plans
        self._steering = steering
        self._begun = begun
        self._pools: dict[Channel, Pool] = {}
        self._wake_up = WakeUp()
        self._in_flight = InFlight(context.clock, context.pace.lease, context.observer)
        self._routes = Routes(doors.workers, lambda: self._plans.current.routes, context.observer)
        self._hinted = False
        self._refused: dict[str, object] | None = None
        self.stop = Stop(self._wake_up, shorten)

    @property
    def in_flight(self) -> int:
        """How many rows are claimed and not recorded yet."""
        return len(self._in_flight)

    @property
    def unrecorded(self) -> int:
        """Results that wait to be written."""
        return self._recorder.waiting if self._recorder else 0

    @property
    def silent(self) -> float:
        """Seconds since the last heartbeat that went through."""
        return self._heartbeat.silent if self._heartbeat else 0.0

    def run(self) -> int:
        """Register, deliver, drain; 0 after a clean stop. Raises DatabaseRefused when the schema is not there."""
        self.stop.listen()
        worker_id = self._register()
        if worker_id is None:
            return 0
        context = self._context = replace(self._context, worker_id=worker_id)
        doors, in_flight = self._doors, self._in_flight
        self._routes.tell(worker_id)
        recorder = self._recorder = Recorder(context, doors.records, in_flight, self._flushed)
        heartbeat = self._heartbeat = Heartbeat(
            context, doors.workers, doors.leases, in_flight, self._state, self._routes
        )
        steering = self._steering
        circuits = self._circuits = Circuits(context, doors.circuits, steering)
        self._rounds = Rounds(context, doors, self._pools, in_flight, heartbeat, steering, circuits)
        returns = self._rounds.returns
        self._sends = Sends(context, doors, in_flight, self._plans, steering, returns, self._ended)
        self._serve()
        context.observer.on(WorkerStarted(worker_id, self._version, tuple(self._pools)))
        heartbeat.start()
        recorder.start()
        self._begun(worker_id)
        threading.Thread(target=self._listen, name="wake", daemon=True).start()
        while self.stop.asked is None:
            context.tick("loop")
            if self.stop.reload:
                self._reload()
            if self._hinted:
                self._hinted = False
                self._rounds.hint()
            if not (heartbeat.alive and recorder.alive):
                # Nothing that it sends would be kept or written: better the others take over.
                raise RuntimeError("a thread of the worker has died; its last words are in the log")
            self._rest(self._rounds.poll())
        self._drain(recorder, heartbeat)
        return 0

    def close(self) -> None:
        """Give back the connections to the providers."""
        self._plans.close()

    def serve_also(self, channels: Collection[Channel]) -> None:
        """Serve these channels besides those that the configuration names; called by the loop itself."""
        plan = self._plans.current
        if plan.serve is not None and (more := [channel for channel in channels if channel not in plan.channels]):
            plan.channels.update((channel, plan.serve(channel)) for channel in more)
            self._serve()

    def _register(self) -> int | None:
        """Enter the register, however long the database is away; None when asked to stop meanwhile."""
        clock, outage, workers = self._context.clock, self._context.outage, self._doors.workers
        while self.stop.asked is None:
            self._context.tick("loop")
            try:
                worker_id = workers.register(self._version)
                asked = clock.monotonic()
                clock.hear(workers.beat(worker_id, self._state()).now, asked)
            except DatabaseAway as error:
                self._rest(outage.failed(error))
            else:
                outage.answered()
                return worker_id
        return None

    def _rest(self, seconds: float) -> None:
        """Wait for a call."""
        clock = self._context.clock
        ends = clock.monotonic() + seconds
        while not self._wake_up.wait(min(ends - clock.monotonic(), TICK_EVERY)):
            if clock.monotonic() >= ends:
                return
            self._context.tick("loop")

    def _reload(self) -> None:
        """Read the configuration anew and work by it; a wrong one is refused as a whole."""
        self.stop.reload = False
        observer = self._context.observer
        try:
            plan, restart = self._plans.reread()
        except ConfigurationError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 - a provider's own code is built there, and this worker works
            self._refuse(f"unexpected: {type(error).__name__}")
        else:
            self._refused = None
            self._plans.replace(plan)
            self._serve()
            self._circuits.hasten()
            sizes = [name for name, serve in plan.channels.items() if self._pools[name].size != serve.concurrency]
            restart += tuple(f"channels.{channel}.concurrency" for channel in sizes)
            observer.on(Reloaded(tuple(self._pools), restart))

    def _refuse(self, error: str) -> None:
        """Keep the configuration, and tell so also in the register until another is taken."""
        self._refused = {"at": self._context.clock.now().isoformat(timespec="seconds"), "error": error}
        self._context.observer.on(ReloadRefused(error))

    def _serve(self) -> None:
        """Have a pool for each channel of the plan, and for no other."""
        channels, context = self._plans.current.channels, self._context
        for channel, serve in channels.items():
            if channel not in self._pools:
                self._pools[channel] = Pool(
                    channel,
                    serve.concurrency,
                    context.pace.batch_size,
                    self._sends.work,
                    self._wake_up.call,
                    context.clock,
                    context.observer,
                )
        for channel in [channel for channel in self._pools if channel not in channels]:
            self._rounds.suspects.abandon()
            self._dismiss(self._pools.pop(channel))

    def _dismiss(self, pool: Pool) -> None:
        """Give back what the pool has not begun; what it has begun ends."""
        self._rounds.returns.give_back(pool.take_back())
        pool.close()

    def _state(self) -> dict[str, object]:
        return {
            "channels": sorted(self._plans.current.channels),
            "in_flight": len(self._in_flight),
            "stopping": self.stop.asked is not None,
            **({"reload_refused": self._refused} if self._refused else {}),
            **self._context.refusals.state(),
        }

    def _listen(self) -> None:
        while self.stop.asked is None:
            if self._doors.wake.wait(1.0, self._rounds.hints_apart):
                self._hinted = True
                self._wake_up.call()

    def _ended(self, result: Result) -> None:
        news = self._circuits.heard(result)
        if self._recorder is not None:
            self._recorder.put(result)
        if self._context.allowance.heard(result) or news:  # the loop has to write that down
            self._wake_up.call()

    def _flushed(self, results: Iterable[Result]) -> None:
        self._rounds.recorded(results)
        self._wake_up.call()

    def _drain(self, recorder: Recorder, heartbeat: Heartbeat) -> None:
        """Release what was not started, wait for what is in flight, record the rest as uncertain."""
        context, deadline = self._context, self._context.pace.drain_deadline
        context.observer.on(WorkerStopping(self.stop.asked or "asked", len(self._in_flight)))
        self._rounds.suspects.abandon()
        for pool in self._pools.values():
            self._dismiss(pool)
        released = self._release()
        while (left := deadline - (context.clock.monotonic() - self.stop.asked_at)) > 0 and not self.stop.quickly:
            context.tick("loop")
            if not self._in_flight.open and not recorder.waiting:
                break
            self._wake_up.wait(min(left, 0.1))
            released += self._release()
        self._sends.give_up()
        left_over = recorder.stop(FLUSH_QUICKLY if self.stop.quickly else FLUSH_WITHIN)
        self.stop.part()
        released += self._release()
        self._settle()
        if context.outage.on or self.in_flight:
            heartbeat.stop(0)  # no more beats: the others take what we leave after 15 s, not after a lease
        else:
            heartbeat.stop(ANSWER_WITHIN)  # a later beat would enter the register again
            with suppress(DatabaseAway, DatabaseRefused):
                self._doors.workers.leave(context.worker_id)
        self._doors.wake.close()
        context.observer.on(WorkerStopped(released, left_over))

    def _settle(self) -> None:
        """Give back what was taken of quotas and is not used any more."""
        if not self._context.outage.on:
            with suppress(DatabaseAway):
                self._context.allowance.settle(self._steering.routes, self._in_flight.rows)

    def _release(self) -> int:
        if self._context.outage.on:  # only heartbeat and recorder knock
            return 0
        try:
            return self._rounds.returns.release()
        except (DatabaseAway, DatabaseRefused):
            return 0
