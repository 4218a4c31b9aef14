"""How rows are sent just now. A reload replaces it as a whole; sends that began under the old plan end under it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from noti_worker.domain.account import RouteLine
from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Channel, Notification


class Deliver(Protocol):
    """The whole attempt, made by the composition root from `delivery/`."""

    def deliver(self, notification: Notification, briefing: Briefing) -> Result:
        """Permit, render, check, route, attempt, decide."""
        ...

    def give_up(self, notification: Notification, seconds: float) -> Result:
        """Say what becomes of a row whose send we no longer wait for: it may have gone out."""
        ...


@dataclass(frozen=True, slots=True)
class Serve:
    """How one channel is served: by how many threads, under which policy."""

    concurrency: int
    policy: Policy


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What one reading of the configuration says: who delivers, which channels, and what to close afterwards.

    `routes` is what the register of workers tells of it.
    """

    delivery: Deliver
    channels: Mapping[Channel, Serve]
    close: Callable[[], None]
    routes: tuple[RouteLine, ...]


class Plans:
    """The plan of the day, and who still works under an older one. Thread-safe."""

    def __init__(self, first: Plan) -> None:
        """Begin with `first`."""
        self.current = first
        self._lock = threading.Lock()
        self._at_work = {first: 0}  # rows under each plan that is not closed

    def enter(self) -> Plan:
        """The plan for one row, from its first look at the policy to `leave`, whatever is reloaded meanwhile."""
        with self._lock:
            self._at_work[self.current] += 1
            return self.current

    def leave(self, plan: Plan) -> None:
        """A row that worked by `plan` is done with it."""
        with self._lock:
            self._at_work[plan] -= 1
            last = plan is not self.current and not self._at_work[plan]
            if last:
                del self._at_work[plan]
        if last:
            plan.close()

    def replace(self, plan: Plan) -> None:
        """Work by `plan` from here on; the old one is closed when nobody needs it any more."""
        with self._lock:
            old, self.current = self.current, plan
            self._at_work[plan] = 0
            idle = not self._at_work[old]
            if idle:
                del self._at_work[old]
        if idle:
            old.close()

    def close(self) -> None:
        """Close the current plan, at the end."""
        self.current.close()
