"""What this worker knows of closures: the loop learns it, the claim, the sender threads and the routes obey it."""

import threading
from collections.abc import Mapping

from noti_worker.domain.closures import CIRCUIT, NOTHING, Closure, Closures, Route, Scope, Skip
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification

LEARN_EVERY = 0.9
"""Seconds: with the look itself a closure is known within a second."""

LEARN_IDLE = 10.0
"""While nothing waits and nothing is closed. The first row that is found is asked for before it is claimed."""

LEARN_SOON = 0.1
"""After a hint; most hints tell of rows, and there may be many."""


class Steering:
    """The closures in force as last read, and the accounts whose circuits this worker may probe.

    Read by any thread: `closures` is one reference, replaced whole. It leaves out the circuits of accounts for which
    a probe is at hand, so that one message finds its way.
    """

    def __init__(self, routes: Mapping[Channel, Route]) -> None:
        """Begin with nothing closed."""
        self.routes = routes
        self.closures = Closures()
        self.read = Closures()
        self._opened: frozenset[Closure] = frozenset()
        self._known = self.read  # with what we opened ourselves and nobody has read yet
        self._troubles: frozenset[str] = frozenset()
        self._probes: frozenset[str] = frozenset()
        self._claimed: frozenset[str] = frozenset()  # probes for which a row is in hand
        self._lock = threading.Lock()
        self._learned = float("-inf")
        self._due = self._due_idle = float("-inf")

    def due(self, now: float, *, idle: bool = False) -> bool:
        """Tell whether it is time to ask again; `idle` when there is nothing that a closure could hold back."""
        return now >= (self._due_idle if idle and not self.read and not self._opened else self._due)

    def hint(self) -> None:
        """Something changed somewhere: ask a little earlier."""
        self._due = self._due_idle = min(self._due, self._learned + LEARN_SOON)

    def learn(self, closures: Closures, now: float) -> bool:
        """Take over what was read; True when it is news."""
        with self._lock:
            self._learned, self._due, self._due_idle = now, now + LEARN_EVERY, now + LEARN_IDLE
            news = closures != self.read
            self.read = closures
            self._probes &= closures.circuits
            self._combine()
            return news

    def open(self, account: str) -> None:
        """Close an account here at once; `opened` says when the database knows it. Called from any thread."""
        with self._lock:
            self._opened |= {Closure(Scope.ACCOUNT, account, cause=CIRCUIT)}
            self._probes -= {account}
            self._combine()

    def opened(self, account: str) -> None:
        """The database knows the circuit, or has ended it meanwhile."""
        with self._lock:
            self._opened = frozenset(closure for closure in self._opened if closure.name != account)
            self._due = self._due_idle = float("-inf")
            self._combine()

    def probe(self, account: str) -> None:
        """Let one message through an account whose circuit is open."""
        with self._lock:
            self._probes |= {account}
            self._claimed -= {account}
            self._combine()

    def spend(self, account: str) -> bool:
        """Take the one message that may go through the account; False when none may. Called from any thread."""
        with self._lock:
            if account not in self._probes:
                return False
            self._probes -= {account}
            self._combine()
            return True

    @property
    def troubled(self) -> frozenset[str]:
        """The accounts whose circuits are open."""
        return self._troubles

    @property
    def probes(self) -> frozenset[str]:
        """The accounts through which one message may go although their circuits are open."""
        return self._probes

    def closes_channel(self, channel: Channel) -> bool:
        """Tell whether nothing of the channel is sent now."""
        return bool(self.closures) and self.closures.closes_channel(channel, self.routes.get(channel, {}))

    def closes_lane(self, lane: Lane) -> bool:
        """Tell whether nothing of the lane is sent now."""
        return bool(self.closures) and self.closures.closes_lane(lane, self.routes.get(lane.channel, {}))

    def closes(self, notification: Notification) -> bool:
        """Tell whether this row is not to be sent now."""
        return bool(self.closures) and self.closures.closes(notification, self.routes.get(notification.channel, {}))

    def skip(self, channel: Channel) -> Skip:
        """The rows that the claim of an open channel passes over."""
        return self.closures.skips(self.routes.get(channel, {})) if self.closures else NOTHING

    def most(self, channel: Channel) -> int | None:
        """How many rows of the channel may be claimed when only probes keep it open; None: as many as there is room."""
        route = self.routes.get(channel, {})
        probes = self._probes.intersection(route)
        if not probes or not self._known.closes_channel(channel, route):
            return None
        return len(probes - self._claimed)

    def claimed(self, channel: Channel) -> None:
        """Rows were claimed that the probes of the channel let through."""
        with self._lock:
            self._claimed |= self._probes.intersection(self.routes.get(channel, {}))

    def closed_accounts(self, tenant_id: str) -> frozenset[str]:
        """The accounts that leave the routes of this tenant for now."""
        return self.closures.accounts(tenant_id) if self.closures else frozenset()

    def _combine(self) -> None:
        self._known = Closures(self.read.all | self._opened) if self._opened else self.read
        self._troubles = self._known.circuits
        self.closures = self._known.without_circuits(self._probes)
