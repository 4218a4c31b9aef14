"""The worker: look for lanes, claim what can start soon, hand it to the threads. Read `poll` first."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from noti_worker.domain.closures import Skip
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Claimed, Result, Steered, Trouble
from noti_worker.domain.lanes import BEHIND, END, Floor, Lane, Share, share_out
from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.ports import Observer, Queue
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.outage import Outage
from noti_worker.worker.pools import PATIENCE, Pool
from noti_worker.worker.recorder import Recorder
from noti_worker.worker.scanner import EARLIEST, LaneScanner
from noti_worker.worker.steering import LEARN_EVERY, Steering

STRIDE = 10_000
"""Rows that one claim walks through at most in a lane where it may have to pass over many."""

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

MOST_UNRECORDED = 5_000
FLUSH_PAUSE = 0.1
BUSY_PAUSE = 0.2
ALONE_PAUSE = 0.05
ALONE_WITHIN = 30.0
"""A suspect is given back when the rows before it did not end within these seconds."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the loop goes: seconds between polls, rows per claim, length of a lease."""

    poll_interval: float
    batch_size: int
    lease: timedelta


@dataclass(slots=True)
class Suspect:
    """A row that was lost twice, taken at `taken`: sent once nothing else is in flight, or given back."""

    claim: Claim
    taken: float
    submitted: bool = False


class Loop:
    """Claims for the pools; runs on one thread. `poll` gives the pause, so a test needs no sleep."""

    def __init__(
        self,
        worker_id: int,
        queue: Queue,
        in_flight: InFlight,
        pools: Mapping[Channel, Pool],
        heartbeat: Heartbeat,
        recorder: Recorder,
        pace: Pace,
        clock: DatabaseClock,
        outage: Outage,
        observer: Observer,
        dice: Callable[[], float],
        listening: Callable[[], bool],
        steering: Steering,
    ) -> None:
        """Prepare; nothing is claimed before the first `poll`. `listening` tells whether hints arrive."""
        self._worker_id = worker_id
        self._queue = queue
        self._in_flight = in_flight
        self._pools = pools
        self._heartbeat = heartbeat
        self._recorder = recorder
        self._pace = pace
        self._clock = clock
        self._outage = outage
        self._observer = observer
        self._dice = dice
        self._listening = listening
        self._steering = steering
        self._busy_at = clock.monotonic()
        self._scanner = LaneScanner(queue, steering, clock, pace.poll_interval)
        self._turns: Counter[Channel] = Counter()
        self._swept: dict[Lane, Floor] = {}  # how far a sweep came that passes over paused rows
        self._searched: dict[Lane, Floor] = {}
        self._search_from = 0.0
        self._known_dead: frozenset[int] = frozenset()
        self._vain_hints = 0
        self._look_again = False
        self._unsearched = False
        self._suspect: Suspect | None = None
        self._give_back: deque[Claim] = deque()
        self._busy: list[Claim] = []  # to be given back, but locked just now
        self._busy_until = 0.0
        self._flush_due = False
        self._outages = 0

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
        soon = timedelta(seconds=self._pace.poll_interval)
        if any(result.verdict.wait is not None and result.verdict.wait < soon for result in results):
            self._scanner.hasten()

    def give_back(self, claim: Claim) -> None:
        """Release a row that was not started, with the next poll. Called from any thread."""
        self._give_back.append(claim)

    def poll(self) -> float:
        """One round; gives the seconds until the next one is due, called or not."""
        try:
            self.release()
            if self._in_flight.fenced or self._must_flush():
                return FLUSH_PAUSE
            if self._steering.due(self._clock.monotonic(), idle=not (self._scanner.heads or len(self._in_flight))):
                self._steer()
            if self._suspect is not None:
                return self._run_alone(self._suspect)
            return self._round()
        except DatabaseAway as error:
            return self._outage.failed(error)
        except DatabaseRefused as error:
            self._observer.on(Trouble("loop", str(error)))
            return self._pace.poll_interval

    def release(self) -> int:
        """Give back what was not started, uncharged; gives how many rows were still ours.

        Rows with the dispatch mark of an earlier claim are left to their lease.
        """
        rows: list[Claim] = []
        now = self._clock.monotonic()
        if now >= self._busy_until:
            rows, self._busy = self._busy, []
        while self._give_back:
            claim = self._give_back.popleft()
            if claim.notification.dispatched:
                # An earlier claim may have sent it. Released it would lose that mark, and be sent again.
                self._in_flight.drop([claim])
            else:
                rows.append(claim)
        if not rows:
            return 0
        try:
            fates = self._queue.release(self._worker_id, [claim.notification for claim in rows])
        except DatabaseAway:
            self._give_back.extend(rows)
            raise
        for claim in rows:
            if fates.get(claim.token) == "busy":  # locked by an application: left to its lease it would count as lost
                self._busy.append(claim)
                self._busy_until = now + BUSY_PAUSE
            else:
                self._in_flight.drop([claim])
        return sum(fate == "released" for fate in fates.values())

    def abandon_suspect(self) -> None:
        """Put a waiting suspect among the rows to give back."""
        if self._suspect is not None and not self._suspect.submitted:
            self._give_back.append(self._suspect.claim)
        self._suspect = None

    def _must_flush(self) -> bool:
        """While the database is away only heartbeat and recorder knock; then results in hand go first."""
        if self._outages != self._outage.count:
            self._outages, self._flush_due = self._outage.count, True
        if self._recorder.waiting == 0 and not self._outage.on:
            self._flush_due = False
        return self._outage.on or self._flush_due or self._recorder.waiting > MOST_UNRECORDED

    def _round(self) -> float:
        self._sweep_if_a_worker_died()
        self._look()
        if self._scanner.heads and self._steering.due(self._clock.monotonic()):
            self._steer()
            self._look()
        hungry: list[Pool] = []  # more may wait for them
        for channel, pool in self._pools.items():
            want = pool.want
            if self._claim(channel, pool, want) if want > 0 else pool.free > 0:
                hungry.append(pool)
        if self._scanner.heads and self._unsearched and self._clock.monotonic() >= self._search_from:
            self._search_suspect()
        if self._scanner.more and not hungry:
            self._scanner.pass_on()
            hungry = list(self._pools.values())
        return self._pause(hungry)

    def _steer(self) -> None:
        """Learn what is paused; news count from this round on."""
        now = self._clock.monotonic()
        closures = self._queue.closures()
        if self._steering.learn(closures, now):
            self._swept.clear()
            self._scanner.forget_floors()  # what was passed over while it was paused lies before them
            self._observer.on(Steered(closures.all))

    def _sweep_if_a_worker_died(self) -> None:
        """Sweep at once when another worker died: its rows lie behind the floors."""
        dead = frozenset(self._heartbeat.dead or ())
        if dead - self._known_dead:
            self._scanner.sweep()
        self._known_dead = dead

    def _look(self) -> None:
        """See which lanes have rows, if it is time; what came in while nothing can start is seen when something can."""
        if len(self._in_flight) and not any(pool.want > 0 for pool in self._pools.values()):
            return
        seen = self._scanner.heads
        self._scanner.look([channel for channel in self._pools if not self._steering.closes_channel(channel)])
        if self._scanner.heads is not seen:
            self._unsearched = self._scanner.from_start

    def _claim(self, channel: Channel, pool: Pool, want: int) -> bool:
        """Claim for one channel; True when more may wait."""
        began, look = self._clock.monotonic(), self._scanner
        sweeping = look.sweeps(channel)
        skip, asked = self._steering.skip(channel), self._clock.now()
        shares = self._divide(channel, pool, want, asked, skip=bool(skip), sweeping=sweeping)
        if not shares:
            return False
        batch = self._take(shares, want, skip)
        taken = dict.fromkeys((share.lane for share in shares), 0)
        for of, rows in groupby(batch, key=attrgetter("channel", "priority", "tenant_id")):
            lane, of_lane = Lane(*of), list(rows)
            taken[lane] += len(of_lane)
            reached = Floor(of_lane[-1].due_at, of_lane[-1].notification_id)
            if sweeping and not skip:
                # A sweep may end below the floor; the next claim goes on from there, so that what lies between
                # does not wait for the next sweep.
                look.floors[lane] = reached
            else:
                look.reached(lane, reached)
        # Up to the last one that gave a row each was walked to the end of its share, or all were.
        last = len(shares) if len(batch) < want else max(n for n, share in enumerate(shares) if taken[share.lane])
        for share in shares[:last]:
            if taken[share.lane] < share.quota:
                self._walked(share, asked, skip=bool(skip), sweeping=sweeping)
        if sweeping:
            look.spent(self._clock.monotonic() - began, done=not self._swept)
        if batch:
            self._vain_hints = 0
            claims = self._in_flight.take(batch, began)
            self._observer.on(Claimed(tuple(batch), self._clock.monotonic() - began))
            pool.submit(self._briefed(claims))
        return len(batch) >= want or any(lane not in look.dry for lane in taken)

    def _take(self, shares: Sequence[Share], limit: int, skip: Skip, *, solo: bool = False) -> Sequence[Notification]:
        """Claim; after an outage also what is ours and not in flight: the answer to its claim may be lost."""
        dead = self._heartbeat.dead
        in_hand = [claim.notification.notification_id for claim in self._in_flight.rows()] if dead is None else None
        lease, asked = self._pace.lease, self._clock.monotonic()
        batch = self._queue.claim(self._worker_id, shares, limit, lease, dead, in_hand=in_hand, solo=solo, skip=skip)
        if batch:  # what had expired by then must be seen to have, however late the last heartbeat's answer was
            self._clock.hear(batch[0].claimed_at, asked)
        return batch

    def _divide(
        self, channel: Channel, pool: Pool, want: int, asked: datetime, *, skip: bool, sweeping: bool
    ) -> list[Share]:
        """What to ask each lane of a channel for."""
        look = self._scanner
        lanes = [head for lane, head in look.heads.items() if lane.channel is channel]
        due = {head.lane for head in lanes if head.due_at <= asked + BEHIND}
        room = pool.room({lane.tenant_id for lane in due})
        if not sweeping:
            lanes = [head for head in lanes if head.lane not in look.dry]
        if skip:  # a paused row at the head of its lane must not make the others look old
            lanes = [replace(head, due_at=max(head.due_at, look.floor(head.lane).due_at)) for head in lanes]
        self._turns[channel] += 1
        floors = {lane: look.floor(lane) for lane in look.carried} | self._swept if sweeping else look.floors
        shares = share_out(lanes, want, floors, asked, self._turns[channel], room)
        if sweeping and room:
            for lane in due - {share.lane for share in shares}:  # its tenant has enough in hand: swept when it has not
                look.floors.pop(lane, None)
        return self._in_strides(shares) if skip and shares else shares

    def _in_strides(self, shares: Sequence[Share]) -> list[Share]:
        """Bound how far each lane is walked: there may be a million rows to pass over."""
        stops = self._queue.strides(shares, STRIDE)
        return [replace(share, until=stops.get(share.lane, END)) for share in shares]

    def _walked(self, share: Share, asked: datetime, *, skip: bool, sweeping: bool) -> None:
        """Note that the lane has no more rows for us before the end of the share: they need not be walked again."""
        look, lane = self._scanner, share.lane
        self._swept.pop(lane, None)
        if share.until is END:
            look.dry.add(lane)
            if skip:
                look.reached(lane, Floor(asked - BEHIND))
        elif sweeping and share.until < look.floor(lane):
            self._swept[lane] = share.until
        else:
            look.reached(lane, share.until)

    def _briefed(self, rows: Sequence[Claim]) -> list[Claim]:
        """Add what the rows refer to; rows that cannot be looked up now are given back."""
        try:
            briefings = self._queue.brief([claim.notification for claim in rows])
        except (DatabaseAway, DatabaseRefused):
            self._give_back.extend(rows)
            raise
        for claim in rows:
            if (briefing := briefings.get(claim.notification.notification_id)) is not None:
                claim.briefing = briefing
        return list(rows)

    def _search_suspect(self) -> None:
        """Take one row that was lost twice; it is sent alone, so that a poison row has no company."""
        now = self._clock.monotonic()
        self._unsearched = False
        for channel in self._pools:
            lanes = [head for lane, head in self._scanner.heads.items() if lane.channel is channel]
            shares = share_out(lanes, 1, self._searched, self._clock.now())
            if not shares:
                continue
            shares = self._in_strides(shares)
            batch = self._take(shares, 1, self._steering.skip(channel), solo=True)
            if batch:
                [claim] = self._in_flight.take(batch, now)
                self._observer.on(Claimed(tuple(batch), self._clock.monotonic() - now))
                self._suspect = Suspect(claim, now)
                break
            self._searched = {lane: floor for lane, floor in self._searched.items() if lane.channel is not channel}
            self._searched |= {share.lane: share.until for share in shares if share.until is not END}
        self._scanner.spent(self._clock.monotonic() - now)

    def _run_alone(self, suspect: Suspect) -> float:
        """Wait until nothing else is in hand, then send the suspect; nothing is claimed meanwhile."""
        now = self._clock.monotonic()
        if suspect.claim.reported:
            self._suspect = None
            # After a storm there are many: the next one has its turn when the others had as long as this one.
            self._search_from = 2 * now - suspect.taken
            self._scanner.sweep()
            return 0.0
        if not suspect.submitted and len(self._in_flight) <= 1:
            suspect.submitted = True
            self._pools[suspect.claim.notification.channel].submit(self._briefed([suspect.claim]))
        elif not suspect.submitted and now - suspect.taken >= ALONE_WITHIN:
            self.abandon_suspect()
            self._search_from = now + 20 * (
                now - suspect.taken
            )  # in vain: it must not keep the others from being claimed
            return 0.0
        return ALONE_PAUSE

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
        pause = self._pace.poll_interval * (EARLIEST + 0.2 * self._dice())
        if self._steering.closures or len(self._in_flight):
            pause = min(pause, LEARN_EVERY)  # however long the polls: within a second a pause begins and ends
        if self._scanner.heads or self._steering.closures:
            self._busy_at = self._clock.monotonic()
        elif self._clock.monotonic() - self._busy_at >= IDLE_AFTER and self._listening():
            return pause * IDLE_FACTOR
        ahead = min((head.next_at for head in self._scanner.heads.values() if head.next_at is not None), default=None)
        if ahead is not None and (seconds := (ahead - self._clock.now()).total_seconds()) < pause:
            self._scanner.hasten()
            return max(seconds, 0.001)
        return pause
