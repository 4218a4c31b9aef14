"""The claimed rows that are not recorded yet, and whether one of them may be begun."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from noti_worker.domain.facts import LeaseLost, Result
from noti_worker.domain.lifecycle import LONGEST_SEND
from noti_worker.domain.notification import Briefing, Notification
from noti_worker.domain.ports import Clock, Observer
from noti_worker.worker.plans import Serve

FENCE_AFTER = 10.0
"""Seconds without a heartbeat after which no send is started; others take us for dead after 15."""

_NO_BRIEFING = Briefing()
_NONE: frozenset[int] = frozenset()


@dataclass(slots=True)
class Claim:
    """One claimed row in hand. `lease_ends` and `started` are monotonic seconds."""

    notification: Notification
    lease_ends: float
    briefing: Briefing = _NO_BRIEFING
    serve: Serve | None = None  # how it is being sent
    started: float | None = None
    lost: bool = False
    reported: bool = False  # its result is with the recorder, or it was given back

    @property
    def token(self) -> tuple[int, int]:
        """(notification_id, claim_count)."""
        return self.notification.notification_id, self.notification.claim_count


class InFlight:
    """The claimed rows that are not recorded yet. Thread-safe."""

    def __init__(self, clock: Clock, lease: timedelta, observer: Observer) -> None:
        """Begin empty; `lease` is how long a claim or an extension holds."""
        self._clock = clock
        self._lease = lease.total_seconds()
        self._observer = observer
        self._lock = threading.Lock()
        # By token, not by id: a worker that was paused may claim a row again that is still in flight here.
        self._rows: dict[tuple[int, int], Claim] = {}
        self._open = 0
        self._ends = float("-inf")  # no lease in hand does before
        self._heard = clock.monotonic()

    def take(self, notifications: Iterable[Notification], since: float) -> list[Claim]:
        """Take in rows whose claim was asked for at `since`: the lease cannot end earlier than counted from there."""
        lease_ends = since + self._lease
        rows = [Claim(notification, lease_ends) for notification in notifications]
        with self._lock:
            self._ends = min(self._ends, lease_ends)
            self._rows.update((claim.token, claim) for claim in rows)
            self._open += len(rows)
        return rows

    def heard(self, asked: float) -> None:
        """Note a heartbeat, asked for at `asked`, after which the rows in hand are known to be ours."""
        self._heard = asked

    @property
    def fenced(self) -> bool:
        """No heartbeat for so long that no send is begun.

        Told by the clock alone: the thread that beats may hang in its call, or have been stopped with the process.
        """
        return self._clock.monotonic() - self._heard >= FENCE_AFTER

    def start(self, claim: Claim, margin: float) -> bool:
        """May this send begin now? Not when fenced, given up, or with less than `margin` seconds of lease left."""
        now = self._clock.monotonic()
        with self._lock:
            fenced = now - self._heard >= FENCE_AFTER
            if fenced or claim.lost or claim.reported or claim.lease_ends - now < margin:
                return False
            claim.started = now
            return True

    def report(self, claim: Claim) -> bool:
        """Claim the right to say what became of the row; True for the first who asks."""
        with self._lock:
            if claim.reported:
                return False
            claim.reported = True
            self._open -= 1
            return True

    def drop(self, claims: Iterable[Claim]) -> None:
        """Let go of rows: released, or left to their lease."""
        with self._lock:
            for claim in claims:
                if self._rows.pop(claim.token, None) is not None and not claim.reported:
                    claim.reported = True
                    self._open -= 1

    def recorded(self, results: Iterable[Result]) -> None:
        """Let go of the rows whose results are written."""
        with self._lock:
            for result in results:
                self._rows.pop((result.notification.notification_id, result.notification.claim_count), None)

    def rows(self) -> list[Claim]:
        """All rows in hand."""
        with self._lock:
            return list(self._rows.values())

    def lapsed(self) -> frozenset[int]:
        """Ids of the rows in hand whose lease is over, as when an application keeps them locked: ours all the same."""
        now = self._clock.monotonic()
        if now < self._ends:
            return _NONE
        rows = [claim for claim in self.rows() if not claim.lost]
        self._ends = min((claim.lease_ends for claim in rows if claim.lease_ends > now), default=now + self._lease)
        lapsed = frozenset(claim.notification.notification_id for claim in rows if claim.lease_ends <= now)
        if lapsed:
            self._ends = now
        return lapsed

    @property
    def open(self) -> int:
        """How many rows have no result yet."""
        return self._open

    def __len__(self) -> int:
        return len(self._rows)

    def extendable(self) -> list[Claim]:
        """Rows whose lease is to be prolonged: all but those whose send outlived every limit."""
        latest = self._clock.monotonic() - LONGEST_SEND.total_seconds()
        return [claim for claim in self.rows() if not claim.lost and (claim.started is None or claim.started > latest)]

    def extended(self, rows: Sequence[Claim], fates: Mapping[tuple[int, int], str], since: float) -> None:
        """Note the answer to an extension that was asked for at `since`; a busy row keeps the lease that it has."""
        for claim in rows:
            fate = fates.get(claim.token)
            if fate == "gone":
                claim.lost = True
                if not claim.reported:
                    self._observer.on(LeaseLost(claim.notification.notification_id))
            elif fate is None:
                claim.lease_ends = since + self._lease
