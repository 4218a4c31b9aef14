"""Which rows to ask for next: lanes, their shares of the free slots, floors and ageing.

A lane is (channel, priority, tenant): an exact prefix of the one hot index.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from noti_worker.domain.notification import Channel, Priority

START = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every due_at that the table admits: a floor that hides nothing."""

AGEING = timedelta(minutes=1)
"""A waiting lane head gains one priority for each such span."""

SLACK = timedelta(seconds=1)
"""A young floor starts this much earlier: a commit may still land just behind it."""

BEHIND = timedelta(milliseconds=250)
"""Our idea of the database's clock may lag this much: whether a row is due, the claim itself decides."""

_RANK = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


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


@dataclass(frozen=True, slots=True)
class Share:
    """Ask this lane for at most `quota` rows from `floor` on."""

    lane: Lane
    quota: int
    floor: Floor = Floor()


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
) -> list[Share]:
    """Divide the free slots of one channel among its due lanes, the most urgent first.

    Each rank of lanes may use all slots (the claim stops at `slots` in all), so a lower rank gets what
    the higher ones leave; tenants of one rank share evenly. A head that waited long counts as more
    urgent. What a lane does not use is handed on by asking again without it.
    """
    shares: list[Share] = []
    for tenants in _ranks((head for head in heads if head.due_at <= now + BEHIND), now):
        each = max(1, -(-slots // len(tenants)))
        shares.extend(Share(head.lane, each, floor_for(floors.get(head.lane), now)) for head in tenants)
    return shares


def _ranks(heads: Iterable[LaneHead], now: datetime) -> list[list[LaneHead]]:
    """Lanes of one effective priority together, the most urgent first, the oldest head first in each."""
    by_rank: dict[int, list[LaneHead]] = {}
    for head in heads:
        waited = max(now - head.due_at, timedelta(0))
        rank = max(0, _RANK[head.lane.priority] - int(waited / AGEING))
        by_rank.setdefault(rank, []).append(head)
    return [sorted(by_rank[rank], key=lambda head: head.due_at) for rank in sorted(by_rank)]
