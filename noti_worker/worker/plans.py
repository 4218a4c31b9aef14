"""How rows are sent just now. A reload replaces it as a whole; sends that began under the old plan end under it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Channel, Notification
from noti_worker.worker.leases import Held


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

    `about` is what the register of workers tells of it.
    """

    delivery: Deliver
    channels: Mapping[Channel, Serve]
    close: Callable[[], None]
    about: Mapping[str, object]


class Plans:
    """The plan of the day, and who still works under an older one. Thread-safe."""

    def __init__(self, first: Plan) -> None:
        """Begin with `first`."""
        self.current = first
        self._lock = threading.Lock()
        self._at_work: dict[tuple[int, int], Plan] = {}

    @contextmanager
    def for_row(self, held: Held) -> Iterator[Plan]:
        """The plan for this row, from its first look at the policy to its result, whatever is reloaded meanwhile."""
        with self._lock:
            plan = self._at_work[held.token] = self.current
        try:
            yield plan
        finally:
            with self._lock:
                del self._at_work[held.token]
                last = plan is not self.current and plan not in self._at_work.values()
            if last:
                plan.close()

    def of(self, held: Held) -> Plan:
        """The plan under which this row is being sent; the current one when it has not begun."""
        with self._lock:
            return self._at_work.get(held.token, self.current)

    def replace(self, plan: Plan) -> None:
        """Work by `plan` from here on; the old one is closed when nobody needs it any more."""
        with self._lock:
            old, self.current = self.current, plan
            idle = old not in self._at_work.values()
        if idle:
            old.close()

    def close(self) -> None:
        """Close the current plan, at the end."""
        self.current.close()
