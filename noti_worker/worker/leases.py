"""The rows in hand, and what keeps them ours: heartbeats, extensions, the self-fence."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Fenced, LeaseLost, Result, Trouble
from noti_worker.domain.lifecycle import LONGEST_SEND
from noti_worker.domain.notification import Briefing, Notification
from noti_worker.domain.ports import Clock, Leases, Observer, Workers
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.outage import Outage
from noti_worker.worker.plans import Plan
from noti_worker.worker.routes import Routes

BEAT_EVERY = 2.0
FENCE_AFTER = 10.0
"""Seconds without a heartbeat after which no send is started; others take us for dead after 15."""


_NO_BRIEFING = Briefing()


@dataclass(slots=True)
class Held:
    """One claimed row in hand. `lease_ends` and `started` are monotonic seconds."""

    notification: Notification
    lease_ends: float
    briefing: Briefing = _NO_BRIEFING
    plan: Plan | None = None  # by which it is being sent
    started: float | None = None
    lost: bool = False
    reported: bool = False  # its result is with the recorder, or it was given back

    @property
    def token(self) -> tuple[int, int]:
        """(notification_id, claim_count)."""
        return self.notification.notification_id, self.notification.claim_count


class Hand:
    """The claimed rows that are not recorded yet. Thread-safe."""

    def __init__(self, clock: Clock, lease: timedelta, observer: Observer) -> None:
        """Begin empty; `lease` is how long a claim or an extension holds."""
        self._clock = clock
        self._lease = lease.total_seconds()
        self._observer = observer
        self._lock = threading.Lock()
        # By token, not by id: a worker that was paused may claim a row again that it still holds.
        self._rows: dict[tuple[int, int], Held] = {}
        self._open = 0
        self._heard = clock.monotonic()

    def take(self, notifications: Iterable[Notification], since: float) -> list[Held]:
        """Hold rows whose claim was asked for at `since`: the lease cannot end earlier than counted from there."""
        lease_ends = since + self._lease
        rows = [Held(notification, lease_ends) for notification in notifications]
        with self._lock:
            self._rows.update((held.token, held) for held in rows)
            self._open += len(rows)
        return rows

    def heard(self, asked: float) -> None:
        """Note a heartbeat, asked for at `asked`, after which the rows in hand are known to be ours."""
        self._heard = asked

    @property
    def fenced(self) -> bool:
        """No heartbeat for so long that no send is begun.

        Told by the clock alone: the thread that beats may hang in its call, or have been stopped with the process.
        """
        return self._clock.monotonic() - self._heard >= FENCE_AFTER

    def start(self, held: Held, margin: float) -> bool:
        """May this send begin now? Not when fenced, given up, or with less than `margin` seconds of lease left."""
        now = self._clock.monotonic()
        with self._lock:
            fenced = now - self._heard >= FENCE_AFTER
            if fenced or held.lost or held.reported or held.lease_ends - now < margin:
                return False
            held.started = now
            return True

    def report(self, held: Held) -> bool:
        """Claim the right to say what became of the row; True for the first who asks."""
        with self._lock:
            if held.reported:
                return False
            held.reported = True
            self._open -= 1
            return True

    def drop(self, held: Iterable[Held]) -> None:
        """Let go of rows: released, or left to their lease."""
        with self._lock:
            for row in held:
                if self._rows.pop(row.token, None) is not None and not row.reported:
                    row.reported = True
                    self._open -= 1

    def recorded(self, results: Iterable[Result]) -> None:
        """Let go of the rows whose results are written."""
        with self._lock:
            for result in results:
                self._rows.pop((result.notification.notification_id, result.notification.claim_count), None)

    def rows(self) -> list[Held]:
        """All rows in hand."""
        with self._lock:
            return list(self._rows.values())

    @property
    def open(self) -> int:
        """How many rows have no result yet."""
        return self._open

    def __len__(self) -> int:
        return len(self._rows)

    def extendable(self) -> list[Held]:
        """Rows whose lease is to be prolonged: all but those whose send outlived every limit."""
        latest = self._clock.monotonic() - LONGEST_SEND.total_seconds()
        return [held for held in self.rows() if not held.lost and (held.started is None or held.started > latest)]

    def extended(self, rows: Sequence[Held], fates: Mapping[tuple[int, int], str], since: float) -> None:
        """Note the answer to an extension that was asked for at `since`; a busy row keeps the lease that it has."""
        for held in rows:
            fate = fates.get(held.token)
            if fate == "gone":
                held.lost = True
                if not held.reported:
                    self._observer.on(LeaseLost(held.notification.notification_id))
            elif fate is None:
                held.lease_ends = since + self._lease


class Keeper:
    """A thread that beats every 2 s, prolongs the leases in time, and fences the worker when it cannot."""

    def __init__(
        self,
        worker_id: int,
        hand: Hand,
        workers: Workers,
        leases: Leases,
        lease: timedelta,
        state: Callable[[], dict[str, object]],
        routes: Routes,
        clock: DatabaseClock,
        outage: Outage,
        observer: Observer,
        tick: Callable[[str], None],
    ) -> None:
        """Prepare; `start` runs it."""
        self._worker_id = worker_id
        self._hand = hand
        self._workers = workers
        self._leases = leases
        self._lease = lease
        self._state = state
        self._routes = routes
        self._clock = clock
        self._outage = outage
        self._observer = observer
        self._tick = tick
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._last_beat = clock.monotonic()
        self._extended = clock.monotonic()
        self._beats = 0
        self._dead: tuple[int, ...] = ()
        self._told_fenced = False
        hand.heard(self._last_beat)  # the register was entered just now

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
        fenced, asked = self._hand.fenced, self._clock.monotonic()
        beaten, pause = self._beat()
        now = self._clock.monotonic()
        sure = not fenced
        if now - self._extended >= self._lease.total_seconds() / 3 or (fenced and beaten):
            # While we were silent others may have taken our rows: nothing is begun before we know which.
            sure = self._extend(now) or sure
        if beaten and sure:
            self._hand.heard(asked)
        self._tell()
        return min(pause, self._lease.total_seconds() / 6)

    def _tell(self) -> None:
        fenced = self._hand.fenced
        if fenced != self._told_fenced:
            self._told_fenced = fenced
            self._observer.on(Fenced(fenced, self.silent))

    def _beat(self) -> tuple[bool, float]:
        """Beat; gives whether that went through, and the pause."""
        asked = self._clock.monotonic()
        try:
            beat = self._workers.beat(self._worker_id, self._state())
        except DatabaseAway as error:
            self._beats = 0
            return False, min(self._outage.lost(error), BEAT_EVERY)
        self._outage.over()
        self._last_beat = self._clock.monotonic()
        self._clock.hear(beat.now, asked)
        self._beats = self._beats + 1 if beat.known else 0
        self._dead = beat.dead
        self._routes.tell(self._worker_id, known=beat.known)
        return True, BEAT_EVERY

    def _extend(self, now: float) -> bool:
        """Prolong what is in hand; True when that went through."""
        rows = self._hand.extendable()
        fates: Mapping[tuple[int, int], str] = {}
        if rows:
            self._tick("leases")  # the beat before may have taken all the time that one call may
            try:
                fates = self._leases.extend(self._worker_id, [held.notification for held in rows], self._lease)
            except DatabaseAway as error:
                self._outage.lost(error)
                return False
            self._hand.extended(rows, fates, now)
        if "busy" not in fates.values():  # else once more with the next beat
            self._extended = now
        return True

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            self._tick("leases")
            try:
                pause = self.step()
            except DatabaseRefused as error:
                self._observer.on(Trouble("leases", str(error)))
                pause = BEAT_EVERY
