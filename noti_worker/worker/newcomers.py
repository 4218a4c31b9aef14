"""Who came just now, while there are more lanes than one look finds."""

from collections.abc import Mapping, Sequence

from noti_worker.domain.errors import DatabaseBusy
from noti_worker.domain.lanes import NO_HEADS, Lane, LaneHead
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Clock, Lanes

APART = 0.03
"""Seconds between two searches, at least."""

LOOK_SHARE = 10
"""The next search waits this many times as long as the last one took: it walks past whatever rows came last."""


class Newcomers:
    """The lanes of the newest rows, the newest first. Used by the loop's thread."""

    def __init__(self, clock: Clock, lanes: Lanes) -> None:
        """Know nobody."""
        self._clock = clock
        self._lanes = lanes
        self._not_before = float("-inf")
        self.heads: Mapping[Lane, LaneHead] = NO_HEADS

    def search(self, channels: Sequence[Channel], window: int) -> bool:
        """Find up to `window` of them, in vain when that takes too long; False when it is not time yet."""
        began = self._clock.monotonic()
        if began < self._not_before:
            return False
        try:
            self.heads = {head.lane: head for head in self._lanes.newcomers(channels, window)}
        except DatabaseBusy:
            self.heads = NO_HEADS
        ended = self._clock.monotonic()
        self._not_before = ended + max(APART, LOOK_SHARE * (ended - began))
        return True

    def forget(self) -> None:
        """One look finds every lane."""
        self.heads = NO_HEADS
