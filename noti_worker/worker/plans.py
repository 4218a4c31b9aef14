"""How rows are sent just now. A reload replaces it as a whole; sends that began under the old plan end under it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from noti_worker.domain.account import RouteLine
from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Channel, Notification


@dataclass(frozen=True, slots=True, eq=False)
class Serve:
    """How one channel is served: by how many threads, under which policy, and by what.

    `deliver` is the whole attempt: permit, render, check, route, attempt, decide; a row that it leaves `pending` is
    given back. `give_up` says what becomes of a row whose send we no longer wait for after so many seconds: it may
    have gone out.
    """

    concurrency: int
    policy: Policy
    deliver: Callable[[Notification, Briefing], Result]
    give_up: Callable[[Notification, float], Result]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What one reading of the configuration says: how each channel is served, and what to close afterwards.

    `routes` is what the register of workers tells of it. `serve` says how a channel is served that comes in later, for
    a tenant's own account.
    """

    channels: dict[Channel, Serve]
    close: Callable[[], None]
    routes: tuple[RouteLine, ...]
    serve: Callable[[Channel], Serve] | None = None


class Plans:
    """The plan of the day, and who still works under an older one. Thread-safe."""

    def __init__(self, first: Plan, reread: Callable[[], tuple[Plan, tuple[str, ...]]]) -> None:
        """Begin with `first`.

        `reread` gives the plan of the configuration as it stands now and the settings that wait for a restart.
        """
        self.current = first
        self.reread = reread
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
