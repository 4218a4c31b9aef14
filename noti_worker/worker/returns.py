"""Rows that were claimed and not started go back, uncharged."""

from collections import deque
from collections.abc import Iterable

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.ports import Records
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import Claim, InFlight

BUSY_PAUSE = 0.2
"""Seconds after which a row that an application had locked is tried again."""


class Returns:
    """What is on its way back. Put there by any thread; `release` is called by the loop's."""

    def __init__(self, context: Context, records: Records, in_flight: InFlight) -> None:
        """Begin with nothing to give back."""
        self._context = context
        self._records = records
        self._in_flight = in_flight
        self._waiting: deque[Claim] = deque()
        self._busy: list[Claim] = []  # locked when they were to go back
        self._busy_until = 0.0

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Have rows that were not started released with the next round."""
        self._waiting.extend(claims)

    def __len__(self) -> int:
        return len(self._waiting)

    def release(self) -> int:
        """Give back what was not started; gives how many rows were still ours.

        Rows with the dispatch mark of an earlier claim are left to their lease.
        """
        now = self._context.clock.monotonic()
        claims = self._due(now)
        if not claims:
            return 0
        try:
            fates = self._records.release(self._context.worker_id, [claim.notification for claim in claims])
        except DatabaseAway:
            self._waiting.extend(claims)
            raise
        except DatabaseRefused:
            self._in_flight.drop(claims)  # left to their leases, which nobody prolongs any more
            raise
        for claim in claims:
            if fates.get(claim.token) == "busy":  # locked by an application: left to its lease it would count as lost
                self._busy.append(claim)
                self._busy_until = now + BUSY_PAUSE
            else:
                self._in_flight.drop([claim])
        return sum(fate == "released" for fate in fates.values())

    def _due(self, now: float) -> list[Claim]:
        claims: list[Claim] = []
        if now >= self._busy_until:
            claims, self._busy = self._busy, []
        while self._waiting:
            claim = self._waiting.popleft()
            if claim.notification.dispatched:
                # An earlier claim may have sent it. Released it would lose that mark, and be sent again.
                self._in_flight.drop([claim])
            else:
                claims.append(claim)
        return claims
