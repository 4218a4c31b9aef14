"""The claim itself, and what is looked up for the rows that it took; both narrowed to the rows that are refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, TimedOut
from noti_worker.domain.facts import Claimed
from noti_worker.domain.lanes import Spot, just
from noti_worker.domain.narrowing import Narrowed, narrow
from noti_worker.domain.notification import Notification
from noti_worker.domain.ports import Claims
from noti_worker.worker.context import Context
from noti_worker.worker.heartbeat import Heartbeat
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.refusals import CLAIM, LOOK_UP, spot_of
from noti_worker.worker.returns import Returns
from noti_worker.worker.scanner import Ask

QUICKLY = timedelta(seconds=2)
"""For a claim beside which a slow row is known: it takes milliseconds, and no other channel claims meanwhile."""

HASTY = 60.0
"""Seconds that this is known."""

MOST_SLOW = 3
"""So many rows that take too long alone, and none that does not: others will, too. More are not waited for at a time,
and once that is known only one."""


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
        self._refusals = context.refusals
        self._hasty_until = float("-inf")

    def take(self, ask: Ask) -> tuple[list[Claim], bool]:
        """Claim; a claim that is refused is made of ever fewer rows, and those that are refused alone are set aside.

        So are those for which it takes too long. Gives also whether the lanes were walked as asked.
        """
        channel = ask.shares[0].lane.channel
        hasty = self._context.clock.monotonic() < self._hasty_until
        try:
            claims = self._take(ask, QUICKLY if hasty else None)
        except DatabaseRefused:
            return self._narrowed(ask), False
        except TimedOut:
            self._hasty_until = self._context.clock.monotonic() + HASTY
            return self._narrowed(ask, slow=True), False
        if claims or not ask.solo:  # to find no suspect proves nothing
            self._refusals.can(CLAIM, channel)
        return claims, True

    def again(self, ask: Ask, spot: Spot) -> list[Claim]:
        """Claim one row that was set aside; one that is not there any more is forgotten."""
        try:
            claims = self._take(ask, QUICKLY)
        except (DatabaseRefused, TimedOut) as error:
            self._refusals.set_aside(spot, CLAIM, error, among=True)
            return []
        if not claims:
            self._refusals.go_on([spot.notification_id])
        return claims

    def brief(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Add what the rows refer to; rows that cannot be looked up now are given back."""
        ready: list[Claim] = []

        def look_up(some: Sequence[Claim]) -> None:
            briefings = self._claims.brief([claim.notification for claim in some])
            for claim in some:
                if (briefing := briefings.get(claim.notification.notification_id)) is not None:
                    claim.briefing = briefing
            ready.extend(some)

        try:
            found = narrow(claims, look_up)
        except DatabaseAway:
            self._returns.give_back(claims)
            raise
        if claims:
            self._looked_up(claims[0].notification, found.whole, ready)
        for claim, error in found.refused:
            self._refusals.set_aside(spot_of(claim.notification), LOOK_UP, error, among=bool(ready))
        self._returns.give_back([claim for claim, _ in found.refused])
        self._returns.give_back(found.untried)
        return ready

    def _looked_up(self, row: Notification, whole: DatabaseRefused | None, ready: Sequence[Claim]) -> None:
        if whole is not None:
            self._refusals.cannot(LOOK_UP, str(whole), row.channel)
        elif any(_refers(claim.notification) for claim in ready):
            self._refusals.can(LOOK_UP, row.channel)

    def _take(self, ask: Ask, within: timedelta | None = None) -> list[Claim]:
        """Claim; after an outage also what is ours and not in flight: the answer to its claim may have been lost."""
        clock, asked = self._context.clock, self._context.clock.monotonic()
        batch = self._claims.claim(self._context.worker_id, ask.shares, ask.limit, **self._how(ask), within=within)
        if not batch:
            return []
        # What had expired by then must be seen to have, however late the last heartbeat's answer was.
        clock.hear(batch[0].claimed_at, asked)
        claims = self._in_flight.take(batch, ask.since)
        self._context.observer.on(Claimed(tuple(batch), clock.monotonic() - ask.since))
        if self._refusals.rows:
            self._refusals.claimed(row.notification_id for row in batch)
        return claims

    def _narrowed(self, ask: Ask, *, slow: bool = False) -> list[Claim]:
        channel = ask.shares[0].lane.channel
        claims: list[Claim] = []

        def take(spots: Sequence[Spot]) -> None:
            self._context.tick("loop")
            since = self._context.clock.monotonic()
            try:
                claims.extend(self._take(replace(ask, shares=just(spots), limit=len(spots), since=since), QUICKLY))
            except TimedOut as error:
                raise DatabaseRefused(str(error)) from None

        try:
            spots = self._claims.peek(self._context.worker_id, ask.shares, ask.limit, **self._how(ask))
            most = MOST_SLOW if self._refusals.stopped(CLAIM, channel) is None else 1
            found = _one_by_one(spots, take, most) if slow else narrow(spots, take)
        except DatabaseRefused as error:  # not even where the rows stand can be seen
            self._refusals.cannot(CLAIM, str(error), channel)
            return []
        except DatabaseAway:
            self._returns.give_back(claims)
            raise
        for spot, refusal in found.refused:
            self._refusals.set_aside(spot, CLAIM, refusal, among=True)
        if found.whole is not None:
            self._refusals.cannot(CLAIM, str(found.whole), channel)
        elif claims:
            self._refusals.can(CLAIM, channel)
        return claims

    def _how(self, ask: Ask) -> dict[str, Any]:
        dead = self._heartbeat.dead
        in_hand = [claim.notification.notification_id for claim in self._in_flight.rows()] if dead is None else None
        lapsed = self._in_flight.lapsed()
        return {
            "lease": self._context.pace.lease,
            "dead": dead,
            "in_hand": in_hand,
            "solo": ask.solo,
            "skip": replace(ask.skip, rows=ask.skip.rows | lapsed) if lapsed else ask.skip,
            "living": self._heartbeat.living,
        }


def _one_by_one(spots: Sequence[Spot], take: Callable[[Sequence[Spot]], None], most: int) -> Narrowed[Spot]:
    """Take each alone until `most` took too long: whatever part a slow row is in takes all the time that there is."""
    slow: list[tuple[Spot, DatabaseRefused]] = []
    went = False
    apart = dict.fromkeys((*spots[:1], *spots[-1:], spots[len(spots) // 2], *spots)) if spots else ()
    for spot in apart:
        try:
            take([spot])
        except DatabaseRefused as error:
            slow.append((spot, error))
            if len(slow) == most:
                break
        else:
            went = True
    return Narrowed(tuple(slow), whole=slow[-1][1] if len(slow) == most and not went else None)


def _refers(row: Notification) -> bool:
    """Whether anything is looked up for the row."""
    return bool(row.template_id or row.has_data or row.has_options or row.attempt_count)
