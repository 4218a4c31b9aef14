"""What this worker knows of closures: the loop learns it, the claim, the sender threads and the routes obey it."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from noti_worker.domain.closures import CIRCUIT, NOTHING, Closure, Closures, Route, Scope, Skip
from noti_worker.domain.lanes import Lane, LaneHead
from noti_worker.domain.notification import Channel, Notification
from noti_worker.domain.own_accounts import Tenants

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
        """Begin with nothing closed, and no tenant with accounts of its own."""
        self.routes = routes
        self.tenants = Tenants()
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
        if not self.closures:
            return False
        # Where tenants have accounts of their own, the installation's close nothing but the lanes of the others.
        route = {} if channel in self.tenants.channels else self.routes.get(channel, {})
        return self.closures.closes_channel(channel, route)

    def closes_lane(self, lane: Lane) -> bool:
        """Tell whether nothing of the lane is sent now."""
        return bool(self.closures) and self.closures.closes_lane(lane, self.route(lane.tenant_id, lane.channel))

    def closes(self, notification: Notification) -> bool:
        """Tell whether this row is not to be sent now."""
        if not self.closures:
            return False
        lane = Lane(notification.channel, notification.priority, notification.tenant_id)
        return self.skip(notification.channel).hits(notification) or self.closes_lane(lane)

    def skip(self, channel: Channel) -> Skip:
        """The rows that the claim of an open channel passes over."""
        if not self.closures:
            return NOTHING
        skip = self.closures.skips(self.routes.get(channel, {}))
        if channel in self.tenants.channels and (own := self._own_skips(channel)):
            skip = replace(skip, providers=(*skip.providers, *own))
        return skip

    def route(self, tenant_id: str, channel: Channel) -> Route:
        """The accounts of a tenant's channel, with their providers: its own, or the installation's."""
        installations = self.routes.get(channel, {})
        own = self.tenants.route(tenant_id, channel) if self.tenants else None
        if own is None:
            return installations
        return {**own.accounts, **installations} if own.goes_on else own.accounts

    def most(self, channel: Channel) -> int | None:
        """How many rows of the channel may be claimed when only probes keep it open; None: as many as there is room."""
        route = self.routes.get(channel, {})
        probes = self._probes.intersection(route)
        if not probes or channel in self.tenants.channels or not self._known.closes_channel(channel, route):
            return None
        return len(probes - self._claimed)

    def sift(self, channel: Channel, heads: Sequence[LaneHead]) -> tuple[Sequence[LaneHead], Mapping[str, int]]:
        """The lanes that are open, and the tenants of those that only a probe keeps open, which may give one row.

        Only where tenants have accounts of their own: elsewhere `closes_channel` and `most` say it for all.
        """
        if channel not in self.tenants.channels or not self._known:
            return heads, {}
        free = set(self._probes - self._claimed)
        left, rooms = [], {}
        for head in sorted(heads, key=attrgetter("due_at")):  # a probe is for the lane that waits for longest
            if self.closes_lane(head.lane):
                continue
            route = self.route(head.lane.tenant_id, channel)
            if self._probes and self._known.closes_lane(head.lane, route):
                probes = free.intersection(route)
                if not probes:
                    continue
                free.discard(min(probes))
                rooms[head.lane.tenant_id] = 1
            left.append(head)
        return left, rooms

    def claimed(self, rows: Iterable[Notification]) -> None:
        """Rows of one channel were claimed, that the probes of their accounts let through."""
        routes = {(row.tenant_id, row.channel) for row in rows}
        with self._lock:
            for tenant_id, channel in routes:
                self._claimed |= self._probes.intersection(self.route(tenant_id, channel))

    def closed_accounts(self, tenant_id: str) -> frozenset[str]:
        """The accounts that leave the routes of this tenant for now."""
        return self.closures.accounts(tenant_id) if self.closures else frozenset()

    def _own_skips(self, channel: Channel) -> list[tuple[str, str]]:
        """By which words rows ask for accounts of their tenants' own that are closed."""
        found = []
        for name in self.closures.names(Scope.ACCOUNT):
            account = self.tenants.accounts.get(name)
            if account is None or channel not in account.channels:
                continue
            found += [(account.tenant_id, account.own_name), (account.tenant_id, name)]
            route = self.route(account.tenant_id, channel)
            others = (one for one, provider in route.items() if provider == account.provider)
            if self.closures.names(Scope.ACCOUNT).issuperset(others):
                found.append((account.tenant_id, account.provider))
        return found

    def _combine(self) -> None:
        self._known = Closures(self.read.all | self._opened) if self._opened else self.read
        self._troubles = self._known.circuits
        self.closures = self._known.without_circuits(self._probes)
