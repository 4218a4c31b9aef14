"""The worker's loop: look for lanes, claim what can start soon, hand it to the threads. Read `poll` first."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import timedelta

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Result, Steered
from noti_worker.domain.notification import Channel
from noti_worker.worker.apart import Apart
from noti_worker.worker.circuits import Circuits
from noti_worker.worker.claimer import Claimer
from noti_worker.worker.context import Context, Doors
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import InFlight
from noti_worker.worker.pools import PATIENCE, Pool
from noti_worker.worker.refusals import CIRCUITS, CLAIM, LOOK, PROBE, RECORD, SEE, SLOW, STEER
from noti_worker.worker.retrials import Retrials
from noti_worker.worker.returns import Returns
from noti_worker.worker.scanner import EARLIEST, LaneScanner
from noti_worker.worker.steering import LEARN_EVERY, Steering
from noti_worker.worker.suspects import Suspects

SECOND_LOOK = 0.015
"""After a hint a commit may land just behind the first look."""

HINTS_APART = 0.005
VAIN_HINTS = 3
VAIN_APART = 0.05
"""Seconds between two hints: rows that come in by the hundred wait half of the first on the average. Whoever may
connect may NOTIFY: after so many hints without a row to claim it is the second, until there is one."""

IDLE_AFTER = 60.0
IDLE_FACTOR = 5
"""After a minute without any unfinished row the polls are this many times rarer, while hints arrive."""

FLUSH_PAUSE = 0.1


class Rounds:
    """Claims for the pools; runs on one thread. `poll` gives the pause, so a test needs no sleep."""

    def __init__(
        self,
        context: Context,
        doors: Doors,
        pools: Mapping[Channel, Pool],
        in_flight: InFlight,
        heartbeat: Heartbeat,
        steering: Steering,
        circuits: Circuits,
    ) -> None:
        """Prepare; nothing is claimed before the first `poll`."""
        self._context = context
        self._doors = doors
        self._pools = pools
        self._in_flight = in_flight
        self._heartbeat = heartbeat
        self._steering = steering
        self._circuits = circuits
        self._allowance = context.allowance
        self._clock = context.clock
        self._refusals = context.refusals
        self.returns = Returns(context, doors.records, in_flight)
        self._claimer = Claimer(context, doors.claims, in_flight, heartbeat, self.returns)
        self._apart = Apart(context)
        self._scanner = LaneScanner(context, doors.lanes, steering, self._apart)
        self._retrials = Retrials(context, doors.records, self._claimer, self.returns, pools)
        self.suspects = Suspects(context, in_flight, pools, self._scanner, self._claimer, self.returns)
        self._busy_at = context.clock.monotonic()
        self._known_dead: frozenset[int] = frozenset()
        self._vain_hints = 0
        self._look_again = False

    def hint(self) -> None:
        """A row came in, or something was paused: look at once, and once more a moment later."""
        self._steering.hint()
        self._scanner.hasten()
        self._vain_hints += 1
        self._look_again = self._vain_hints <= VAIN_HINTS

    @property
    def hints_apart(self) -> float:
        """Seconds that the next hint is to come after this one, at least. Asked for by any thread."""
        return HINTS_APART if self._vain_hints <= VAIN_HINTS else VAIN_APART

    def recorded(self, results: Iterable[Result]) -> None:
        """Rows were written that may be due again before the next look; called from any thread."""
        soon = timedelta(seconds=self._context.pace.poll_interval)
        if any(result.verdict.wait is not None and result.verdict.wait < soon for result in results):
            self._scanner.hasten()

    def poll(self) -> float:
        """One round; gives the seconds until the next one is due, called or not."""
        try:
            self.returns.release()
            outage = self._context.outage
            if self._in_flight.fenced or outage.results_first or outage.much:
                return FLUSH_PAUSE
            if self._refusals.stopped(SEE) is not None:
                return self._context.pace.poll_interval
            idle = not (self._scanner.heads or len(self._in_flight))
            news = self._circuits.pending or self._allowance.pending
            if news or self._steering.due(self._clock.monotonic(), idle=idle):
                self._steer()
            if self.suspects.present:
                return self.suspects.run_alone()
            return self._round()
        except DatabaseAway as error:
            return self._context.outage.failed(error)
        except DatabaseRefused:  # `whether` has said what
            return self._context.pace.poll_interval

    def _round(self) -> float:
        self._heed_deaths()
        self._look()
        if self._scanner.heads and self._steering.due(self._clock.monotonic()):
            self._steer()
            self._look()
        if not self._refusals.records:
            return self._rehearse()
        hungry: list[Pool] = []  # more may wait for them
        self._allowance.begin()
        self._apart.turn_away()
        for channel, pool in self._pools.items():
            want = self._refusals.most(channel, pool.want)
            if self._claim(channel, pool, want) if want > 0 else pool.want == 0 and pool.free > 0:
                hungry.append(pool)
        self._allowance.settle(self._steering.routes, self._in_flight.rows)
        self._retrials.run(self._steering, self._in_flight, self.suspects)
        self.suspects.search()
        if self._scanner.more and not hungry:
            self._scanner.pass_on()
            hungry = list(self._pools.values())
        return self._pause(hungry)

    def _steer(self) -> None:
        """Learn what is closed, after our own news of it; what is new counts from this round on."""
        known: Collection[str] = ()
        with suppress(DatabaseRefused), self._refusals.whether(CIRCUITS):
            known = self._circuits.write()
        with suppress(DatabaseRefused), self._refusals.whether(SLOW):
            self._allowance.write()
        now = self._clock.monotonic()
        with self._refusals.whether(STEER):
            closures = self._doors.closures.closures()
            if self._allowance.learn() and self._apart:
                self._apart.forget()
                self._scanner.forget_floors()  # what was passed over lies before them
        if self._steering.learn(closures, now):
            self._scanner.forget_floors()  # what was passed over while it was closed lies before them
            self._context.observer.on(Steered(closures.all))
        self._circuits.written(known)
        with suppress(DatabaseRefused), self._refusals.whether(PROBE):
            if self._circuits.take():
                self._scanner.forget_floors()

    def _heed_deaths(self) -> None:
        """Sweep at once when another worker died: its rows lie behind the floors."""
        dead = frozenset(self._heartbeat.dead or ())
        if dead - self._known_dead:
            self._scanner.sweep()
        self._known_dead = dead

    def _look(self) -> None:
        """See which lanes have rows, if it is time; what came in while nothing can start is seen when something can."""
        if not len(self._in_flight) or any(pool.want > 0 for pool in self._pools.values()):
            with self._refusals.whether(LOOK):
                self._scanner.look([channel for channel in self._pools if not self._steering.closes_channel(channel)])

    def _claim(self, channel: Channel, pool: Pool, want: int) -> bool:
        """Claim for one channel; True when more may wait. What is refused to one is not refused to the others."""
        hand, closed = self._in_flight.rows, self._steering.closed_accounts("")
        if self._allowance.limited and (self._apart or self._scanner.waits(channel)):
            want = self._allowance.most(channel, want, self._steering.routes, closed, hand)
            want -= self._claim_apart(channel, pool, want)

        def room(tenants: AbstractSet[str]) -> Mapping[str, int]:
            return self._allowance.room(channel, tenants, pool.room(tenants), want, hand)

        try:
            ask = self._scanner.ask(channel, want, room)
        except DatabaseRefused as error:
            self._refusals.cannot(CLAIM, str(error), channel)
            return False
        if ask is None:
            return False
        claims, walked = self._claimer.take(ask)
        rows = [claim.notification for claim in claims]
        if walked:
            more = self._scanner.claimed(ask, rows)
        else:  # the next claim passes over what is refused
            self._scanner.took(rows)
            more = self._refusals.stopped(CLAIM, channel) is None
        if claims:
            self._vain_hints = 0
            pool.submit(self._claimer.brief(claims))
        return more

    def _claim_apart(self, channel: Channel, pool: Pool, want: int) -> int:
        """Claim for destinations that had run out, as much as they may get; gives how many rows that were."""
        taken = 0
        for ask, to in self._scanner.ask_apart(channel, want, self._in_flight.rows) if self._apart and want > 0 else ():
            claims, walked = self._claimer.take(ask)
            if walked:
                self._apart.claimed(ask.shares[0], to, [claim.notification for claim in claims])
            taken += len(claims)
            if claims:
                pool.submit(self._claimer.brief(claims))
        return taken

    def _rehearse(self) -> float:
        """Nothing is sent before it is known that results can be written: see by rows that are not sent."""
        if self._retrials.rehearse(self._scanner):
            return 0.0
        return max(self._refusals.stopped(RECORD) or 0.0, FLUSH_PAUSE)

    def _pause(self, hungry: Sequence[Pool]) -> float:
        """Seconds to wait: none while more may wait for a pool with much room, few for one with little."""
        if self._look_again:
            self._look_again = False
            self._scanner.hasten()
            return SECOND_LOOK
        if any(pool.want > 0 for pool in hungry):
            return 0.0
        if any(pool.free > 0 for pool in hungry):
            return PATIENCE
        pause = self._context.pace.poll_interval * (EARLIEST + 0.2 * self._context.dice())
        if (allowed := self._allowance.pause) is not None:
            pause = min(pause, allowed)
        if self._steering.closures or len(self._in_flight):
            pause = min(pause, LEARN_EVERY)  # however long the polls: within a second a pause begins and ends
        if self._scanner.heads or self._steering.closures:
            self._busy_at = self._clock.monotonic()
        elif self._clock.monotonic() - self._busy_at >= IDLE_AFTER and self._doors.wake.listening:
            return pause * IDLE_FACTOR
        ahead = min((head.next_at for head in self._scanner.heads.values() if head.next_at is not None), default=None)
        if ahead is not None and (seconds := (ahead - self._clock.now()).total_seconds()) < pause:
            self._scanner.hasten()
            return max(seconds, 0.001)
        return pause
