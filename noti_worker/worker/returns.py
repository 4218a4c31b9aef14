"""Rows that were claimed and not started go back, uncharged."""

from collections import deque
from collections.abc import Iterable, Sequence

from noti_worker.domain.errors import DatabaseAway
from noti_worker.domain.narrowing import narrow
from noti_worker.domain.ports import Records
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.refusals import GIVE_BACK, spot_of

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
        fates: dict[tuple[int, int], str] = {}

        def release(some: Sequence[Claim]) -> None:
            rows = [claim.notification for claim in some]
            fates.update(self._records.release(self._context.worker_id, rows))

        try:
            found = narrow(claims, release)
        except DatabaseAway:
            self._waiting.extend(claim for claim in claims if claim.token not in fates)
            self._in_flight.drop(claim for claim in claims if claim.token in fates)
            raise
        for claim, error in found.refused:  # left to their leases, which nobody prolongs any more
            self._context.refusals.set_aside(spot_of(claim.notification), GIVE_BACK, error, among=bool(fates))
            self._in_flight.drop([claim])
        if found.untried:
            self._busy += found.untried
            self._busy_until = now + BUSY_PAUSE
        if found.whole is not None:
            self._busy_until = now + self._context.refusals.cannot(GIVE_BACK, str(found.whole))
        elif fates:
            self._context.refusals.can(GIVE_BACK)
        for claim in claims:
            fate = fates.get(claim.token)
            if fate == "busy":  # locked by an application: left to its lease it would count as lost
                self._busy.append(claim)
                self._busy_until = now + BUSY_PAUSE
            elif fate is not None:
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
