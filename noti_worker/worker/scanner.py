"""Which lanes there are just now, window by window: from their floors on, and now and then from their start."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, floor_for
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Clock, Queue
from noti_worker.worker.steering import Steering

WINDOW = 200
"""Lanes looked at in one go; with more of them a round goes from window to window."""

STAY = 0.03
"""Seconds that a window with much to do keeps the next one waiting; its lanes with more rows go along."""

MOST_WINDOWS = 10
"""So many windows of nothing but paused lanes are passed over in one look."""

EARLIEST = 0.9
"""The pause between two polls is spread by a tenth of the interval, so that workers do not knock together."""

DEAR = 0.02
"""A round from the start whose looks took no more seconds met few dead entries."""

LOOK_SHARE = 10
"""With many windows the next round waits this many times as long as the looks of the last one took."""


class Sweep:
    """Tells when the floors are ignored: at most every second, and 20 times as long as it takes."""

    def __init__(self) -> None:
        """The first one is due at once."""
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Tell whether it is time again."""
        return now >= self._next

    def hasten(self) -> None:
        """Make the next one due at once."""
        self._next = 0.0

    def took(self, seconds: float, now: float, every: float = 1.0) -> None:
        """Space the next one by what this one cost."""
        self._next = now + max(every, 20 * seconds)


class LaneScanner:
    """The lanes of the present window, and where to begin in them. Used by the loop's thread, hastened by any."""

    def __init__(self, queue: Queue, steering: Steering, clock: Clock, poll_interval: float) -> None:
        """Know nothing; the first look is due at once and goes from the start of every lane."""
        self._queue = queue
        self._steering = steering
        self._clock = clock
        self._poll_interval = poll_interval
        self.heads: dict[Lane, LaneHead] = {}
        self.dry: set[Lane] = set()  # gave all they had since they were seen
        self.floors: dict[Lane, Floor] = {}
        self.from_start = False  # whether the present window was looked at from the start of its lanes
        self._unswept: set[Channel] = set()
        self.carried: frozenset[Lane] = frozenset()  # of earlier windows, with rows left
        self._sweep = Sweep()
        self._spent = 0.0  # by the round from the start
        self._began = 0.0
        self._looked = 0.0  # seconds of the round's looks
        self._met: set[Lane] = set()
        self._cursor: Lane | None = None
        self._several = False  # whether the round, or the last one, has several windows
        self._until = 0.0
        self._not_before = 0.0
        self._again = False

    @property
    def more(self) -> bool:
        """Whether the round has further windows."""
        return self._cursor is not None

    def hasten(self) -> None:
        """Something may have come in: look at once, or right after this round."""
        self._again = True
        self._until = self._until if self.more else self._not_before

    def sweep(self) -> None:
        """Look from the start of every lane as soon as may be."""
        self._sweep.hasten()
        self.hasten()

    def pass_on(self) -> None:
        """Go on to the next window: this one has nothing to do."""
        self._until = 0.0

    def forget_floors(self) -> None:
        """Begin at the start of every lane again."""
        self.floors.clear()
        self.sweep()

    def look(self, channels: Sequence[Channel]) -> None:
        """Take the next window of lanes, if it is time."""
        now = self._clock.monotonic()
        if now < self._until:
            return
        if not self.more:
            self.from_start = self._sweep.due(now)
            self._began, self._looked, self._again, self._spent = now, 0.0, False, 0.0
            self._met.clear()
        carried = self._left() if self._several else {}
        floors = {} if self.from_start else self._known(channels)
        for _ in range(MOST_WINDOWS):
            heads = self._queue.heads(channels, self._cursor, WINDOW, floors or NOWHERE)
            self._cursor = heads[-1].lane if len(heads) >= WINDOW else None
            self._met.update(head.lane for head in heads)
            found = {head.lane: head for head in heads if not self._steering.closes_lane(head.lane)}
            if found or self._cursor is None:
                break
        self._several = self.more or now > self._began
        self.carried = frozenset(carried) - found.keys()
        self.heads = found | {lane: carried[lane] for lane in carried if lane in self.carried}
        self.dry.clear()
        self._unswept = set(channels) if self.from_start else set()
        ended = self._clock.monotonic()
        self._looked += ended - now
        self._until = ended + STAY
        if self.from_start:
            self.spent(ended - now)
        if not self.more:
            self._end_round(now, ended)

    def sweeps(self, channel: Channel) -> bool:
        """Tell once in each window of a round from the start that the floors of the channel do not count."""
        if channel not in self._unswept:
            return False
        self._unswept.discard(channel)
        return True

    def spent(self, seconds: float, *, done: bool = True) -> None:
        """Count what was done in a round from the start; when not all was `done`, the next one comes earlier."""
        self._spent += seconds
        if not self.more:
            self._sweep.took(self._spent, self._clock.monotonic(), 1.0 if done else 0.0)

    def reached(self, lane: Lane, floor: Floor) -> None:
        """Begin no earlier than there from now on."""
        self.floors[lane] = max(self.floors.get(lane, floor), floor)

    def floor(self, lane: Lane) -> Floor:
        """Where the lane begins for us."""
        return self.floors.get(lane, Floor())

    def _left(self) -> dict[Lane, LaneHead]:
        """Lanes of the last window, and of those before, that may have more: few enough to go along."""
        now = self._clock.now()
        left = [
            replace(head, due_at=max(head.due_at, self.floor(lane).due_at))
            for lane, head in self.heads.items()
            if lane not in self.dry and head.due_at <= now and not self._steering.closes_lane(lane)
        ]
        return {head.lane: head for head in left[:WINDOW]}

    def _known(self, channels: Iterable[Channel]) -> dict[Lane, Floor]:
        now, served = self._clock.now(), set(channels)
        return {lane: floor_for(floor, now) for lane, floor in self.floors.items() if lane.channel in served}

    def _end_round(self, began: float, ended: float) -> None:
        self._not_before = ended + LOOK_SHARE * self._looked if self._several else 0.0
        next_poll = began + self._poll_interval * EARLIEST
        self._until = self._not_before if self._again else max(next_poll, self._not_before)
        if self.from_start:
            # If there are so many dead entries that a look is dear, those of lanes without rows are to be avoided, too.
            keep = WINDOW if self._looked > DEAR else 0
            drained = [lane for lane in self.floors if lane not in self._met]
            for lane in drained[: max(len(drained) - keep, 0)]:
                del self.floors[lane]
