"""Which rows to ask for next: lanes, their shares of the free slots, floors and ageing.

A lane is (channel, priority, tenant): an exact prefix of the one hot index.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from noti_worker.domain.notification import Channel, Priority

START = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every due_at that the table admits: a floor that hides nothing."""

AGEING = timedelta(minutes=1)
"""A lane whose head waited this long has a part in every tenth claim, whatever its priority."""

OLD_TURN = 10

ENOUGH = 50
"""A claim names no more lanes than these, or twice its rows: each is dear, and there may be hundreds."""

SLACK = timedelta(seconds=1)
"""A young floor starts this much earlier: a commit may still land just behind it."""

BEHIND = timedelta(milliseconds=250)
"""Our idea of the database's clock may lag this much: whether a row is due, the claim itself decides."""

_RANKS = (Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """(channel, priority, tenant), ordered as the hot index orders them (byte order)."""

    channel: Channel
    priority: Priority
    tenant_id: str


@dataclass(frozen=True, slots=True)
class LaneHead:
    """A lane with unfinished rows: the due_at of the oldest, which may be in flight, and of the first still ahead."""

    lane: Lane
    due_at: datetime
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Floor:
    """Where the next claim of a lane begins: dead index entries before it are not walked again."""

    due_at: datetime = START
    notification_id: int = 0


NOWHERE: Mapping[Lane, Floor] = MappingProxyType({})


NO_HEADS: Mapping[Lane, LaneHead] = MappingProxyType({})


NO_LIMITS: Mapping[str, int] = MappingProxyType({})


END = Floor(datetime(9999, 1, 1, tzinfo=UTC))
"""Behind every row."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one row stands; a `solo` one was lost twice or more and is claimed alone."""

    lane: Lane
    place: Floor
    solo: bool = False

    @property
    def notification_id(self) -> int:
        """Its id."""
        return self.place.notification_id


@dataclass(frozen=True, slots=True)
class Share:
    """Ask this lane for at most `quota` rows from `floor` on, all before `until`."""

    lane: Lane
    quota: int
    floor: Floor = Floor()
    until: Floor = END


def just(spots: Iterable[Spot]) -> list[Share]:
    """Ask for these rows, which stand in the order of a claim, and for what stands between them in their lanes."""
    by_lane: dict[Lane, list[Floor]] = {}
    for spot in spots:
        by_lane.setdefault(spot.lane, []).append(spot.place)
    return [
        Share(lane, len(places), places[0], Floor(places[-1].due_at, places[-1].notification_id + 1))
        for lane, places in by_lane.items()
    ]


def floor_for(last: Floor | None, now: datetime) -> Floor:
    """The floor after `last` was claimed: with slack while it is young, as it stands once it is not."""
    if last is None:
        return Floor()
    if now - last.due_at < SLACK:
        return Floor(last.due_at - SLACK, 0)
    return last


def share_out(
    heads: Iterable[LaneHead],
    slots: int,
    floors: Mapping[Lane, Floor],
    now: datetime,
    turn: int = 1,
    room: Mapping[str, int] = NO_LIMITS,
    newcomers: Iterable[Lane] = (),
    most: int | None = None,
) -> list[Share]:
    """Divide the free slots of one channel among its due lanes, the most urgent first.

    Each priority may use all slots (the claim stops at `slots` in all), so a lower one gets what the higher
    ones leave; the tenants of one share evenly, the oldest head first. What a lane does not use is handed on
    by asking again without it. Every tenth `turn` belongs to the lanes whose heads waited for a minute or
    more, whatever their priority: nothing starves, and the others lose no more than a tenth by an old backlog.
    In every second turn the `newcomers` go first among the tenants of a priority, in their order: where thousands
    of lanes wait, who comes now does not wait for all of them, nor do they for whoever comes. The first `most`
    lanes are enough.
    A tenant of `room` gets at most so many rows, all its lanes together.
    """
    left = dict(room)
    due = sorted(
        (head for head in heads if head.due_at <= now + BEHIND and left.get(head.lane.tenant_id, 1) > 0),
        key=lambda head: head.due_at,
    )
    if newcomers and turn % 2:
        places = {lane: place for place, lane in enumerate(newcomers)}
        due.sort(key=lambda head: places.get(head.lane, len(places)))
    old = [head for head in due if now - head.due_at >= AGEING] if turn % OLD_TURN == 0 else []
    ranks = [old, *([head for head in due if head.lane.priority is rank] for rank in _RANKS)]
    shares: dict[Lane, Share] = {}
    for tenants in ranks:
        for head in tenants:
            tenant, quota = head.lane.tenant_id, max(1, -(-slots // len(tenants)))
            quota = min(quota, left.get(tenant, quota))
            if quota > 0 and head.lane not in shares:
                shares[head.lane] = Share(head.lane, quota, floor_for(floors.get(head.lane), now))
                if tenant in left:
                    left[tenant] -= quota
                if len(shares) == most:
                    return list(shares.values())
    return list(shares.values())
