"""What keeps claimed rows ours: a beat every 2 s, leases prolonged in time, no new send when neither gets through."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, TimedOut
from noti_worker.domain.facts import Fenced
from noti_worker.domain.narrowing import Narrowed, narrow
from noti_worker.domain.ports import Beat, Leases, Workers
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.refusals import BEAT, LOGS, PROLONG, SEE, spot_of
from noti_worker.worker.routes import Routes

BEAT_EVERY = 2.0


class Heartbeat:
    """A thread that beats every 2 s, prolongs the leases in time, and fences the worker when it cannot."""

    def __init__(
        self,
        context: Context,
        workers: Workers,
        leases: Leases,
        in_flight: InFlight,
        state: Callable[[], dict[str, object]],
        routes: Routes,
    ) -> None:
        """Prepare; `start` runs it. `state` and `routes` are what the register tells of us."""
        self._context = context
        self._workers = workers
        self._leases = leases
        self._in_flight = in_flight
        self._state = state
        self._routes = routes
        self._clock = context.clock
        self._outage = context.outage
        self._lease = context.pace.lease
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._last_beat = self._extended = context.clock.monotonic()
        self._beats = 0
        self._dead: tuple[int, ...] = ()
        self.living: tuple[int, ...] = ()  # the other workers whose hearts beat
        self._told_fenced = False
        in_flight.heard(self._last_beat)  # the register was entered just now

    @property
    def alive(self) -> bool:
        """False once the thread has died of an error."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Beat no more; a beat under way is waited for up to `seconds`."""
        self._stopped.set()
        self._thread.join(seconds)

    @property
    def silent(self) -> float:
        """Seconds since the last beat that went through."""
        return self._clock.monotonic() - self._last_beat

    @property
    def dead(self) -> tuple[int, ...] | None:
        """Whose rows may be taken at once; None: take no claim of anybody, an outage has just ended.

        After an outage everybody else looks dead, so nobody is until two of our own beats went through,
        and for 15 s the neighbours may first record what they have in hand.
        """
        if self._outage.on or self._outage.ended_within(15.0):
            return None
        return self._dead if self._beats >= 2 else ()

    def step(self) -> float:
        """One round: beat, prolong when a third of the lease has passed, fence. Gives the pause."""
        fenced, asked = self._in_flight.fenced, self._clock.monotonic()
        beaten, pause = self._beat()
        now = self._clock.monotonic()
        sure = not fenced
        if now - self._extended >= self._lease.total_seconds() / 3 or (fenced and beaten):
            # While we were silent others may have taken our rows: nothing is begun before we know which.
            sure = self._extend(now) or sure
        if beaten and sure:
            self._in_flight.heard(asked)
        self._tell()
        return min(pause, self._lease.total_seconds() / 6)

    def _tell(self) -> None:
        fenced = self._in_flight.fenced
        if fenced != self._told_fenced:
            self._told_fenced = fenced
            self._context.observer.on(Fenced(fenced, self.silent))

    def _beat(self) -> tuple[bool, float]:
        """Beat; gives whether that went through, and the pause."""
        asked = self._clock.monotonic()
        try:
            beat = self._workers.beat(self._context.worker_id, self._state())
        except DatabaseAway as error:
            self._beats = 0
            return False, min(self._outage.failed(error), BEAT_EVERY)
        self._outage.answered()
        self._context.refusals.can(BEAT)
        self._last_beat = self._clock.monotonic()
        self._clock.hear(beat.now, asked)
        self._beats = self._beats + 1 if beat.known else 0
        self._dead, self.living = beat.dead, beat.living
        self._see(beat)
        self._routes.tell(self._context.worker_id, known=beat.known)
        return True, BEAT_EVERY

    def _see(self, beat: Beat) -> None:
        """What no statement would report: rows that we may not see, lines of a log that would have no place."""
        refusals = self._context.refusals
        for what, names, why in (
            (SEE, beat.hidden, "row-level security shows this role no row of"),
            (LOGS, beat.closed, "there is no partition for today, and no default one, of"),
        ):
            if names:
                refusals.cannot(what, f"{why} {', '.join(names)}")
            else:
                refusals.can(what)

    def _extend(self, now: float) -> bool:
        """Prolong what is in hand; True when that went through."""
        refusals = self._context.refusals
        rows: list[Claim] = []
        refused: list[Claim] = []
        for claim in self._in_flight.extendable():
            known = refusals.refused(claim.notification.notification_id, PROLONG)
            (refused if known else rows).append(claim)
        fates: dict[tuple[int, int], str] = {}
        went: list[Claim] = []

        def extend(some: Sequence[Claim]) -> None:
            self._context.tick("leases")  # the call before may have taken all the time that one may
            known = [claim.notification for claim in some]
            fates.update(self._leases.extend(self._context.worker_id, known, self._lease))
            went.extend(some)

        try:
            found = _quickly(rows, extend)
            if not (found.refused or found.whole):  # else there was enough to wait for
                found = _quickly(
                    [claim for claim in refused if refusals.over(claim.notification.notification_id)], extend
                )
        except DatabaseAway as error:
            self._outage.failed(error)
            return False
        finally:
            self._in_flight.extended(went, fates, now)
        if found.whole is not None:
            refusals.cannot(PROLONG, str(found.whole))
            return False
        for claim, refusal in found.refused:  # ours until its lease ends
            refusals.set_aside(spot_of(claim.notification), PROLONG, refusal, among=bool(went))
        if went:
            refusals.can(PROLONG)
            refusals.go_on(claim.notification.notification_id for claim in went if claim in refused)
        if "busy" not in fates.values() and not found.untried:  # else once more with the next beat
            self._extended = now
        return True

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            self._context.tick("leases")
            try:
                pause = self.step()
            except DatabaseRefused as error:
                self._context.refusals.cannot(BEAT, str(error))
                pause = BEAT_EVERY


def _quickly(rows: Sequence[Claim], extend: Callable[[Sequence[Claim]], None]) -> Narrowed[Claim]:
    """Narrow what is refused; where it takes too long take each alone, until one does: the heart must beat."""
    with suppress(TimedOut):
        return narrow(rows, extend)
    ordered = sorted(rows, key=lambda claim: claim.lease_ends)
    for number, claim in enumerate(ordered, 1):
        try:
            extend([claim])
        except (DatabaseRefused, TimedOut) as error:
            return Narrowed(((claim, DatabaseRefused(str(error))),), tuple(ordered[number:]))
    return Narrowed()
