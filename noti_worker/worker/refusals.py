"""What the database refuses: single rows are set aside and tried again ever more rarely, what it refuses of all stops.

Nothing of it is forgotten: the heartbeat tells it, so that `doctor` and `status` can.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from noti_worker.domain.errors import DatabaseError, DatabaseRefused
from noti_worker.domain.facts import Able, RowGoesOn, RowSetAside, Unable
from noti_worker.domain.lanes import Floor, Lane, Spot
from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.ports import Clock, Observer

LOOK = "look for rows"
STEER = "read what is paused"
CIRCUITS = "write what became of accounts"
PROBE = "ask for probes of accounts"
ALLOW = "ask how many may be sent"
SLOW = "write how many may be sent"
SEE = "see rows"
BEAT = "keep its heartbeat"
PROLONG = "prolong leases"
GIVE_BACK = "give rows back"
RECORD = "record"
REHEARSE = "record a result of"
LOGS = "write to the logs"
CLAIM = "claim"
LOOK_UP = "look up content of"
MARK = "mark"
"""What a worker does with the database, so that "cannot" stands before it; the last three by channel."""

FIRST = 10.0
LONGEST = 600.0
"""Seconds that a row is left alone: after each refusal twice as long."""

PAUSE = 1.0
LONGEST_PAUSE = 5.0
"""The same for what is refused of all: once it is mended it goes on soon."""

MOST = 1_000
"""Rows set aside at a time; a lane where more are refused waits as a whole."""

MANY = 5
"""So many one after the other, of one kind: it is no single row's doing."""

SAID = 20
"""Rows that the heartbeat names."""

SAY_EVERY = 60.0


@dataclass(slots=True)
class _Aside:
    spot: Spot
    what: str
    error: str
    wait: float
    until: float


@dataclass(slots=True)
class _Stop:
    error: str
    since: float
    wait: float
    until: float
    said: float


def spot_of(row: Notification) -> Spot:
    """Where a claimed row stands."""
    lane = Lane(row.channel, row.priority, row.tenant_id)
    return Spot(lane, Floor(row.due_at, row.notification_id), row.lost_count >= 2)


class Refusals:
    """The rows set aside, and what this worker cannot do. Thread-safe."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        """Nothing is refused yet."""
        self._clock = clock
        self._observer = observer
        self._lock = threading.Lock()
        self._aside: dict[int, _Aside] = {}
        self._stops: dict[str, _Stop] = {}
        self._row: Counter[str] = Counter()  # refused one after the other
        self.rows: frozenset[int] = frozenset()

    # Single rows

    def set_aside(self, spot: Spot, what: str, error: DatabaseError, *, among: bool = False) -> float:
        """Leave a row alone for a while; gives the seconds. `among` others that went through it is surely its own."""
        now, id_ = self._clock.monotonic(), spot.notification_id
        kind = _named(what, spot.lane.channel)
        with self._lock:
            known = self._aside.get(id_)
            if known is None and len(self._aside) >= MOST:
                full, wait, count = True, FIRST, MOST
            else:
                wait = FIRST if known is None else min(2 * known.wait, LONGEST)
                self._aside[id_] = _Aside(spot, what, str(error), wait, now + wait)
                self.rows = frozenset(self._aside)
                full, count = False, len(self._aside)
            self._row[kind] = 0 if among else self._row[kind] + 1
            many = self._row[kind] >= MANY
        if not full:
            self._observer.on(RowSetAside(id_, what, str(error), wait, count))
        if full and what != RECORD:  # its results wait: nothing more is sent
            what = CLAIM
        if full or many:
            self.cannot(what, str(error), spot.lane.channel)
        return wait

    def claimed(self, ids: Iterable[int]) -> None:
        """These rows were claimed: those that could not be are refused no more."""
        self.go_on([id_ for id_ in ids if (row := self._aside.get(id_)) is not None and row.what == CLAIM])

    def go_on(self, ids: Iterable[int]) -> None:
        """These rows are refused no more; others that were refused for the same reason are tried at once."""
        if not self.rows:
            return
        for id_ in ids:
            with self._lock:
                gone = self._aside.pop(id_, None)
                if gone is None:
                    continue
                self.rows = frozenset(self._aside)
                for other in self._aside.values():
                    if (other.what, other.error) == (gone.what, gone.error):
                        other.until = 0.0
                count = len(self._aside)
            self._observer.on(RowGoesOn(id_, count))

    def due(self, channels: Collection[Channel], most: int) -> list[Spot]:
        """Rows of these channels whose pause is over, `most` at most; each is named once in a pause.

        Refused results are not among them: they are in hand.
        """
        if not self.rows:
            return []
        now = self._clock.monotonic()
        with self._lock:
            found = [
                row
                for row in self._aside.values()
                if row.until <= now and row.what != RECORD and row.spot.lane.channel in channels
            ][:most]
            for row in found:
                row.until = now + row.wait
        return [row.spot for row in found]

    def over(self, notification_id: int) -> bool:
        """Whether the pause of a row is over, or there is none."""
        row = self._aside.get(notification_id)
        return row is None or row.until <= self._clock.monotonic()

    def refused(self, notification_id: int, what: str) -> bool:
        """Whether this was refused of the row when it was tried last."""
        row = self._aside.get(notification_id)
        return row is not None and row.what == what

    # What is refused of all

    def cannot(self, what: str, error: str, channel: Channel | None = None) -> float:
        """Note that all of it is refused; gives the seconds until it may be tried again."""
        what, now = _named(what, channel), self._clock.monotonic()
        with self._lock:
            stop = self._stops.get(what)
            if stop is None:
                stop = self._stops[what] = _Stop(error, now, PAUSE, now + PAUSE, float("-inf"))
            elif now >= stop.until:
                stop.wait = min(2 * stop.wait, LONGEST_PAUSE)
                stop.until = now + stop.wait
            stop.error = error
            say = now - stop.said >= SAY_EVERY
            if say:
                stop.said = now
            since, left = stop.since, stop.until - now
        if say:
            self._observer.on(Unable(what, error, now - since))
        return left

    def can(self, what: str, channel: Channel | None = None) -> None:
        """Note that it went through."""
        if not (self._stops or self._row):
            return
        what = _named(what, channel)
        with self._lock:
            self._row.pop(what, None)
            stop = self._stops.pop(what, None)
            for row in self._aside.values() if stop is not None else ():
                if _named(row.what, row.spot.lane.channel) == what or (what, row.what) == (RECORD, REHEARSE):
                    row.until = 0.0
        if stop is not None:
            self._observer.on(Able(what, self._clock.monotonic() - stop.since))

    @contextmanager
    def whether(self, what: str) -> Iterator[None]:
        """Note whether what is done inside is refused."""
        try:
            yield
        except DatabaseRefused as error:
            self.cannot(what, str(error))
            raise
        self.can(what)

    def stopped(self, what: str, channel: Channel | None = None) -> float | None:
        """Seconds until it may be tried again, which may be over; None when it is not refused."""
        if not self._stops:
            return None
        stop = self._stops.get(_named(what, channel))
        return None if stop is None else max(stop.until - self._clock.monotonic(), 0.0)

    def most(self, channel: Channel, limit: int) -> int:
        """How many rows of a channel to claim: few while it is not known whether it works again, none in a pause."""
        for what in (CLAIM, LOOK_UP, MARK) if self._stops else ():
            left = self.stopped(what, channel)
            if left is not None:
                limit = 0 if left > 0 else min(limit, MANY)
        return limit

    @property
    def records(self) -> bool:
        """Whether results can be written, as far as is known: if not, nothing is sent."""
        return not self._stops or not (RECORD in self._stops or LOGS in self._stops)

    def state(self) -> dict[str, object]:
        """What the heartbeat says of it; no row's content is in it."""
        told: dict[str, object] = {}
        with self._lock:
            if self._stops:
                told["unable"] = {what: stop.error for what, stop in self._stops.items()}
            if self._aside:
                told["refused"] = len(self._aside)
                told["refused_rows"] = [
                    {"id": id_, "what": row.what, "why": row.error} for id_, row in list(self._aside.items())[:SAID]
                ]
        return told


def _named(what: str, channel: Channel | None) -> str:
    return what if channel is None or what not in (CLAIM, LOOK_UP, MARK) else f"{what} {channel}"
