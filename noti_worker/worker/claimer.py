"""The claim itself, and what is looked up for the rows that it took."""

from collections.abc import Sequence

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Claimed
from noti_worker.domain.ports import Claims
from noti_worker.worker.context import Context
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.returns import Returns
from noti_worker.worker.scanner import Ask


class Claimer:
    """Takes rows and briefs them; used by the loop's thread."""

    def __init__(
        self, context: Context, claims: Claims, in_flight: InFlight, heartbeat: Heartbeat, returns: Returns
    ) -> None:
        """Claim by what `heartbeat` knows of the dead."""
        self._context = context
        self._claims = claims
        self._in_flight = in_flight
        self._heartbeat = heartbeat
        self._returns = returns

    def take(self, ask: Ask) -> list[Claim]:
        """Claim; after an outage also what is ours and not in flight: the answer to its claim may have been lost."""
        dead, clock = self._heartbeat.dead, self._context.clock
        in_hand = [claim.notification.notification_id for claim in self._in_flight.rows()] if dead is None else None
        asked = clock.monotonic()
        batch = self._claims.claim(
            self._context.worker_id,
            ask.shares,
            ask.limit,
            self._context.pace.lease,
            dead,
            in_hand=in_hand,
            solo=ask.solo,
            skip=ask.skip,
        )
        if not batch:
            return []
        # What had expired by then must be seen to have, however late the last heartbeat's answer was.
        clock.hear(batch[0].claimed_at, asked)
        claims = self._in_flight.take(batch, ask.since)
        self._context.observer.on(Claimed(tuple(batch), clock.monotonic() - ask.since))
        return claims

    def brief(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Add what the rows refer to; rows that cannot be looked up now are given back."""
        try:
            briefings = self._claims.brief([claim.notification for claim in claims])
        except (DatabaseAway, DatabaseRefused):
            self._returns.give_back(claims)
            raise
        for claim in claims:
            if (briefing := briefings.get(claim.notification.notification_id)) is not None:
                claim.briefing = briefing
        return claims
