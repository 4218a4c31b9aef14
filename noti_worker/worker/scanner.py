"""Which lanes there are just now, window by window, and where a claim begins in them.

Lanes are walked from their floors on, and now and then from their start.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from noti_worker.domain.closures import Skip
from noti_worker.domain.lanes import BEHIND, END, ENOUGH, NOWHERE, Floor, Lane, LaneHead, Share, floor_for, share_out
from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.ports import Lanes
from noti_worker.worker.allowance import Hand
from noti_worker.worker.apart import Apart, only
from noti_worker.worker.context import Context
from noti_worker.worker.newcomers import Newcomers
from noti_worker.worker.steering import Steering
from noti_worker.worker.sweep import Sweep

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

ALONG = 50
"""Lanes that go along with every window: so many of those with more rows, and of those that came just now."""

STRIDE = 10_000
"""Rows that one claim walks through at most in a lane where it may have to pass over many."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one claim asks for: at most `limit` rows of `shares`, all of one channel, but for those of `skip`.

    Asked for at `at` by the database's clock, `since` by the monotonic one. A `sweeping` one walks lanes from their
    start; a `solo` one takes suspects only.
    """

    shares: Sequence[Share]
    limit: int
    skip: Skip
    at: datetime
    since: float
    sweeping: bool = False
    solo: bool = False


class LaneScanner:
    """The lanes of the present window, and where to begin in them. Used by the loop's thread, hastened by any."""

    def __init__(self, context: Context, lanes: Lanes, steering: Steering, apart: Apart) -> None:
        """Know nothing; the first look is due at once and goes from the start of every lane."""
        self._apart = apart
        self._lanes = lanes
        self._newcomers = Newcomers(context.clock, lanes)
        self._steering = steering
        self._clock = context.clock
        self._poll_interval = context.pace.poll_interval
        self._refusals = context.refusals
        self.heads: dict[Lane, LaneHead] = {}
        self.floors: dict[Lane, Floor] = {}
        self._dry: set[Lane] = set()  # gave all they had since they were seen
        self._carried: frozenset[Lane] = frozenset()  # of earlier windows, with rows left
        self._turns: Counter[Channel] = Counter()
        self._swept: dict[Lane, Floor] = {}  # how far a sweep came that passes over paused rows
        self._searched: dict[Lane, Floor] = {}  # how far the search for suspects came
        self._from_start = False  # whether the present window was looked at from the start of its lanes
        self._unswept: set[Channel] = set()
        self._unsearched = False
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
        self._swept.clear()
        self.sweep()

    def look(self, channels: Sequence[Channel]) -> None:
        """Take the next window of lanes, if it is time."""
        now = self._clock.monotonic()
        if now < self._until:
            if self._several:
                self._add_newcomers(channels)
            return
        if not self.more:
            self._from_start = self._sweep.due(now)
            self._began, self._looked, self._again, self._spent = now, 0.0, False, 0.0
            self._met.clear()
        carried = self._left() if self._several else {}
        floors = {} if self._from_start else self._known(channels)
        for _ in range(MOST_WINDOWS):
            heads = self._lanes.heads(channels, self._cursor, WINDOW, floors or NOWHERE)
            self._cursor = heads[-1].lane if len(heads) >= WINDOW else None
            self._met.update(head.lane for head in heads)
            found = {head.lane: head for head in heads if not self._steering.closes_lane(head.lane)}
            if found or self._cursor is None:
                break
        self._several = self.more or now > self._began
        self._carried = frozenset(carried) - found.keys()
        self.heads = found | {lane: carried[lane] for lane in carried if lane in self._carried}
        if self._several:
            self._add_newcomers(channels)
        else:
            self._newcomers.forget()
        self._dry.clear()
        self._unswept = set(channels) if self._from_start else set()
        self._unsearched = self._from_start
        ended = self._clock.monotonic()
        self._looked += ended - now
        self._until = ended + STAY
        if self._from_start:
            self.spent(ended - now)
        if not self.more:
            self._end_round(now, ended)

    def ask(self, channel: Channel, limit: int, room: Callable[[AbstractSet[str]], Mapping[str, int]]) -> Ask | None:
        """What to claim for a channel, with `room` for its tenants; None when it has nothing. `claimed` hears of it."""
        most = self._steering.most(channel)
        if most is not None:
            limit = min(limit, most)
        if limit <= 0 or self._steering.closes_channel(channel):  # an account may have failed since the look
            return None
        since, at, skip = self._clock.monotonic(), self._clock.now(), self._skip(channel)
        sweeping = self._sweeps(channel)
        heads, probed = self._steering.sift(channel, self._of(channel))
        if not heads:
            return None
        due = {head.lane for head in heads if head.due_at <= at + BEHIND}
        rooms = room({lane.tenant_id for lane in due})
        if probed:
            rooms = {**rooms, **{tenant: min(most, rooms.get(tenant, most)) for tenant, most in probed.items()}}
        if not sweeping:
            heads = [head for head in heads if head.lane not in self._dry]
        if skip:  # a paused row at the head of its lane must not make the others look old
            heads = [replace(head, due_at=max(head.due_at, self._floor(head.lane).due_at)) for head in heads]
        self._turns[channel] += 1
        floors = {lane: self._floor(lane) for lane in self._carried} | self._swept if sweeping else self.floors
        most = None if sweeping else _enough(limit)
        shares = share_out(heads, limit, floors, at, self._turns[channel], rooms, self._newcomers.heads, most)
        if sweeping and rooms:
            for lane in due - {share.lane for share in shares}:  # its tenant has enough in hand: swept when it has not
                self.floors.pop(lane, None)
        if not shares:
            return None
        return Ask(self._in_strides(shares) if skip.many else shares, limit, skip, at, since, sweeping)

    def waits(self, channel: Channel) -> bool:
        """Whether `ask` would find a lane of the channel with due rows."""
        due, dry = self._clock.now() + BEHIND, () if channel in self._unswept else self._dry
        return any(head.due_at <= due and head.lane not in dry for head in self._of(channel))

    def claimed(self, ask: Ask, batch: Sequence[Notification]) -> bool:
        """Note what a claim gave, and so how far its lanes were walked; True when they may have more."""
        self.took(batch)
        taken = dict.fromkeys((share.lane for share in ask.shares), 0)
        for of, rows in groupby(batch, key=attrgetter("channel", "priority", "tenant_id")):
            lane, of_lane = Lane(*of), list(rows)
            taken[lane] += len(of_lane)
            reached = Floor(of_lane[-1].due_at, of_lane[-1].notification_id)
            if ask.sweeping and not ask.skip:
                # A sweep may end below the floor; the next claim goes on from there, so that what lies between
                # does not wait for the next sweep.
                self.floors[lane] = reached
            else:
                self._reached(lane, reached)
        # Up to the last one that gave a row each was walked to the end of its share, or all were.
        walked = ask.shares
        if len(batch) >= ask.limit:
            walked = walked[: max(n for n, share in enumerate(walked) if taken[share.lane])]
        for share in walked:
            if taken[share.lane] < share.quota:
                self._walked(share, ask)
        if ask.sweeping:
            self.spent(self._clock.monotonic() - ask.since, done=not self._swept)
        cut_off = not ask.sweeping and len(ask.shares) >= _enough(ask.limit)
        return len(batch) >= ask.limit or cut_off or any(lane not in self._dry for lane in taken)

    def took(self, batch: Sequence[Notification]) -> None:
        """Note what was taken without walking a lane to its end."""
        if batch and self._steering.probes:
            self._steering.claimed(batch)

    def searches(self) -> bool:
        """Tell once in each window of a round from the start that it is to be searched for suspects."""
        unsearched, self._unsearched = self._unsearched, False
        return unsearched

    def search(self, channel: Channel) -> Ask | None:
        """What to claim in search of one suspect of a channel; None when it has nothing."""
        since, at = self._clock.monotonic(), self._clock.now()
        shares = share_out(self._of(channel), 1, self._searched, at)
        if not shares:
            return None
        return Ask(self._in_strides(shares), 1, self._skip(channel), at, since, solo=True)

    def found_none(self, ask: Ask) -> None:
        """The next search of the channel goes on where this one ended."""
        channel = ask.shares[0].lane.channel
        self._searched = {lane: floor for lane, floor in self._searched.items() if lane.channel is not channel}
        self._searched |= {share.lane: share.until for share in ask.shares if share.until is not END}

    def spent(self, seconds: float, *, done: bool = True) -> None:
        """Count what was done in a round from the start; when not all was `done`, the next one comes earlier."""
        self._spent += seconds
        if not self.more:
            self._sweep.took(self._spent, self._clock.monotonic(), 1.0 if done else 0.0)

    def _skip(self, channel: Channel) -> Skip:
        """The rows that a claim passes over: closed, refused us by the database, or to where too much has gone."""
        skip, rows = self._steering.skip(channel), self._refusals.rows
        if self._apart:
            skip = replace(skip, destinations=self._apart.of(channel))
        return replace(skip, rows=rows) if rows else skip

    def ask_apart(self, channel: Channel, want: int, hand: Hand) -> Iterator[tuple[Ask, str]]:
        """What to claim of destinations that had run out, and of which; `Apart.claimed` hears of each."""
        since, at = self._clock.monotonic(), self._clock.now()
        for share, to in self._apart.shares(channel, want, hand):
            if not self._steering.closes_lane(share.lane):
                rest = only(self._steering.skip(channel), share.lane, to)
                yield (
                    Ask(self._in_strides([share]), share.quota, replace(rest, rows=self._refusals.rows), at, since),
                    to,
                )

    def _add_newcomers(self, channels: Sequence[Channel]) -> None:
        """Those who came just now go along with every window, with their floors like whoever is carried."""
        if self._newcomers.search(channels, ALONG):
            self._dry -= self._newcomers.heads.keys()
        added = {
            lane: head
            for lane, head in self._newcomers.heads.items()
            if lane not in self.heads and not self._steering.closes_lane(lane)
        }
        self._carried |= added.keys()
        self.heads |= added

    def _of(self, channel: Channel) -> list[LaneHead]:
        return [head for lane, head in self.heads.items() if lane.channel is channel]

    def _sweeps(self, channel: Channel) -> bool:
        """Tell once in each window of a round from the start that the floors of the channel do not count."""
        if channel not in self._unswept:
            return False
        self._unswept.discard(channel)
        return True

    def _in_strides(self, shares: Sequence[Share]) -> list[Share]:
        """Bound how far each lane is walked: there may be a million rows to pass over."""
        stops = self._lanes.strides(shares, STRIDE)
        return [replace(share, until=stops.get(share.lane, END)) for share in shares]

    def _walked(self, share: Share, ask: Ask) -> None:
        """Note that the lane has no more rows for us before the end of the share: they need not be walked again."""
        lane = share.lane
        self._swept.pop(lane, None)
        if share.until is END:
            self._dry.add(lane)
            if ask.skip:
                self._reached(lane, Floor(ask.at - BEHIND))
        elif ask.sweeping and share.until < self._floor(lane):
            self._swept[lane] = share.until
        else:
            self._reached(lane, share.until)

    def _reached(self, lane: Lane, floor: Floor) -> None:
        """Begin no earlier than there from now on."""
        self.floors[lane] = max(self.floors.get(lane, floor), floor)

    def _floor(self, lane: Lane) -> Floor:
        """Where the lane begins for us."""
        return self.floors.get(lane, Floor())

    def _left(self) -> dict[Lane, LaneHead]:
        """Lanes of the last window, and of those before, that may have more: few enough to go along."""
        now = self._clock.now()
        left = [
            replace(head, due_at=max(head.due_at, self._floor(lane).due_at))
            for lane, head in self.heads.items()
            if lane not in self._dry and head.due_at <= now and not self._steering.closes_lane(lane)
        ]
        return {head.lane: head for head in left[:ALONG]}

    def _known(self, channels: Iterable[Channel]) -> dict[Lane, Floor]:
        now, served = self._clock.now(), set(channels)
        return {lane: floor_for(floor, now) for lane, floor in self.floors.items() if lane.channel in served}

    def _end_round(self, began: float, ended: float) -> None:
        self._not_before = ended + LOOK_SHARE * self._looked if self._several else 0.0
        next_poll = began + self._poll_interval * EARLIEST
        self._until = self._not_before if self._again else max(next_poll, self._not_before)
        if self._from_start:
            # If there are so many dead entries that a look is dear, those of lanes without rows are to be avoided, too.
            keep = WINDOW if self._looked > DEAR else 0
            drained = [lane for lane in self.floors if lane not in self._met]
            for lane in drained[: max(len(drained) - keep, 0)]:
                del self.floors[lane]


def _enough(limit: int) -> int:
    """How many lanes a claim of so many rows names at most; whoever sweeps names all."""
    return max(ENOUGH, 2 * limit)
