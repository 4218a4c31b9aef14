"""Domains and hosts that ran out of what they may get: their rows are a lane within the lane, walked apart from it.

One is made where a claimed row had to be turned away, and is gone once the lane has no more rows for it. The lane
itself passes over these rows meanwhile, so that they hold up no other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from noti_worker.domain.closures import Skip
from noti_worker.domain.lanes import END, Floor, Lane, Share
from noti_worker.domain.limits import destination
from noti_worker.domain.notification import Channel, Notification
from noti_worker.worker.allowance import Hand
from noti_worker.worker.context import Context


class Apart:
    """The lanes within lanes, each with a floor of its own; used by the loop's thread."""

    def __init__(self, context: Context) -> None:
        """Nothing has run out yet."""
        self._allowance = context.allowance
        self._floors: dict[tuple[Lane, str], Floor] = {}

    def turn_away(self) -> None:
        """Take in the rows that found nothing left since the last round."""
        for row in self._allowance.turned_away():
            to = destination(row.channel, row.recipient)
            if to is not None:
                self._begin_at(_lane(row), to, Floor(row.due_at, row.notification_id))

    def forget(self) -> None:
        """Other limits hold: whatever still is one runs out again."""
        self._floors.clear()

    def __bool__(self) -> bool:
        return bool(self._floors)

    def of(self, channel: Channel) -> frozenset[tuple[Lane, str]]:
        """What the lanes of a channel pass over."""
        return frozenset(key for key in self._floors if key[0].channel is channel)

    def shares(self, channel: Channel, want: int, hand: Hand) -> Iterator[tuple[Share, str]]:
        """What to ask for, and of which destination: no more than it may get. `claimed` hears of each."""
        for lane, to in sorted(self.of(channel), key=lambda key: self._floors[key]):
            if want <= 0:
                return
            room = self._allowance.of_destination(to, want, hand)
            if room is None:  # it is not limited any more
                del self._floors[lane, to]
            elif room > 0:
                want -= room
                yield Share(lane, room, self._floors[lane, to]), to

    def claimed(self, share: Share, to: str, rows: Sequence[Notification]) -> None:
        """Note how far the walk came."""
        if len(rows) >= share.quota:
            self._floors[share.lane, to] = Floor(rows[-1].due_at, rows[-1].notification_id)
        elif share.until is END:
            self._floors.pop((share.lane, to), None)
        else:
            self._floors[share.lane, to] = share.until

    def _begin_at(self, lane: Lane, to: str, floor: Floor) -> None:
        self._floors[lane, to] = min(self._floors.get((lane, to), floor), floor)


def only(skip: Skip, lane: Lane, to: str) -> Skip:
    """Of what `skip` leaves, the rows of one destination alone."""
    return replace(skip, destinations=frozenset({(lane, to)}), only=True)


def _lane(row: Notification) -> Lane:
    return Lane(row.channel, row.priority, row.tenant_id)
