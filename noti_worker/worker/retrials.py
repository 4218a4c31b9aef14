"""What was refused is tried again: rows that were set aside one by one, and whether results can be written."""

from collections.abc import Mapping

from noti_worker.domain.errors import DatabaseRefused
from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import just
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Records
from noti_worker.worker.claimer import Claimer
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.pools import Pool
from noti_worker.worker.refusals import LOGS, MANY, RECORD, REHEARSE, spot_of
from noti_worker.worker.returns import Returns
from noti_worker.worker.scanner import Ask, LaneScanner
from noti_worker.worker.steering import Steering
from noti_worker.worker.suspects import Suspects

MOST = 20
"""Rows that are tried again in one round."""

ENOUGH = 1.0
"""Seconds after which the others wait for the next round: a slow row among them keeps the loop."""


class Retrials:
    """Used by the loop's thread."""

    def __init__(
        self, context: Context, records: Records, claimer: Claimer, returns: Returns, pools: Mapping[Channel, Pool]
    ) -> None:
        """Try nothing before something was refused."""
        self._context = context
        self._records = records
        self._claimer = claimer
        self._returns = returns
        self._pools = pools
        self._refusals = context.refusals

    def run(self, steering: Steering, in_flight: InFlight, suspects: Suspects) -> None:
        """Claim the rows whose pause is over, each alone, as far as there is room for them."""
        if not self._refusals.rows:
            return
        free = {channel for channel, pool in self._pools.items() if pool.free > 0}
        in_hand = {claim.notification.notification_id for claim in in_flight.rows()}
        clock = self._context.clock
        ends = clock.monotonic() + ENOUGH
        for _ in range(MOST):
            if clock.monotonic() >= ends or not (due := self._refusals.due(free, 1)):
                break
            spot, channel = due[0], due[0].lane.channel
            waits = spot.notification_id in in_hand or steering.closes_lane(spot.lane)
            if waits or (spot.solo and suspects.present):
                continue
            ask = Ask(just([spot]), 1, steering.skip(channel), clock.now(), clock.monotonic(), solo=spot.solo)
            claims = self._claimer.again(ask, spot)
            if claims and spot.solo:
                suspects.adopt(claims[0])
            elif claims:
                self._pools[channel].submit(self._claimer.brief(claims))

    def rehearse(self, scanner: LaneScanner) -> bool:
        """See whether results can be written again, by rows that are claimed and not sent; True when they can."""
        if self._refusals.stopped(LOGS) is not None or self._refusals.stopped(RECORD) != 0.0:
            return False
        try:
            self._records.rehearse(self._context.worker_id, None)
        except DatabaseRefused as error:
            self._refusals.cannot(RECORD, str(error))
            return False
        seen = False
        for channel, pool in self._pools.items():
            ask = scanner.ask(channel, self._refusals.most(channel, min(pool.want, MANY)), pool.room)
            claims = self._claimer.take(ask)[0] if ask is not None else []
            scanner.took([claim.notification for claim in claims])
            seen = seen or bool(claims)
            if any(self._goes_through(claim) for claim in claims):
                self._refusals.can(RECORD)
                pool.submit(self._claimer.brief(claims))
                return True
            self._returns.give_back(claims)
        if not seen and not self._context.outage.waiting:
            self._refusals.can(RECORD)  # the next row will tell
            return True
        return False

    def _goes_through(self, claim: Claim) -> bool:
        verdict, outcome = Verdict(Status.SENT, "rehearsed"), Outcome(Kind.OK)
        try:
            self._records.rehearse(self._context.worker_id, Result(claim.notification, verdict, outcome))
        except DatabaseRefused as error:
            self._refusals.set_aside(spot_of(claim.notification), REHEARSE, error, among=True)
            self._refusals.cannot(RECORD, str(error))
            return False
        return True
