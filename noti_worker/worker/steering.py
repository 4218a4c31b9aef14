"""What this worker knows of pauses: the loop learns it, the claim, the sender threads and the routes obey it."""

from collections.abc import Mapping

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.pauses import NOTHING, Pauses, Route, Scope, Skip

LEARN_EVERY = 0.9
"""Seconds: with the look itself a pause is known within a second."""

LEARN_IDLE = 10.0
"""While nothing waits and nothing is paused. The first row that is found is asked for before it is claimed."""

LEARN_SOON = 0.1
"""After a hint; most hints tell of rows, and there may be many."""


class Steering:
    """The pauses in force as last read. Written by the loop, read by any thread: one reference, replaced whole."""

    def __init__(self, routes: Mapping[Channel, Route]) -> None:
        """Begin with nothing paused."""
        self.routes = routes
        self.pauses = Pauses()
        self._learned = float("-inf")
        self._due = self._due_idle = float("-inf")

    def due(self, now: float, *, idle: bool = False) -> bool:
        """Tell whether it is time to ask again; `idle` when there is nothing that a pause could hold back."""
        return now >= (self._due_idle if idle and not self.pauses else self._due)

    def hint(self) -> None:
        """Something changed somewhere: ask a little earlier."""
        self._due = self._due_idle = min(self._due, self._learned + LEARN_SOON)

    def learn(self, pauses: Pauses, now: float) -> bool:
        """Take over what was read; True when it is news."""
        self._learned, self._due, self._due_idle = now, now + LEARN_EVERY, now + LEARN_IDLE
        news = pauses != self.pauses
        self.pauses = pauses
        return news

    def closes_channel(self, channel: Channel) -> bool:
        """Tell whether nothing of the channel is sent now."""
        return bool(self.pauses) and self.pauses.closes_channel(channel, self.routes.get(channel, {}))

    def closes_lane(self, lane: Lane) -> bool:
        """Tell whether nothing of the lane is sent now."""
        return bool(self.pauses) and self.pauses.closes_lane(lane, self.routes.get(lane.channel, {}))

    def closes(self, notification: Notification) -> bool:
        """Tell whether this row is not to be sent now."""
        return bool(self.pauses) and self.pauses.closes(notification, self.routes.get(notification.channel, {}))

    def skip(self, channel: Channel) -> Skip:
        """The rows that the claim of an open channel passes over."""
        return self.pauses.skips(self.routes.get(channel, {})) if self.pauses else NOTHING

    def paused_accounts(self) -> frozenset[str]:
        """The accounts that leave their routes for now."""
        return self.pauses.names(Scope.ACCOUNT) if self.pauses else frozenset()
