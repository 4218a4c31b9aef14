"""What a sender thread does with one row: see whether it may start, deliver it, report."""

from collections.abc import Callable

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, TimedOut
from noti_worker.domain.facts import LeaseLost, Result
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Notification, OnUncertain, Status
from noti_worker.worker.context import Context, Doors
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.plans import Plans
from noti_worker.worker.refusals import LOOK_UP, MARK, spot_of
from noti_worker.worker.returns import Returns
from noti_worker.worker.steering import Steering


class Sends:
    """The work of all sender threads; `give_up` ends it."""

    def __init__(
        self,
        context: Context,
        doors: Doors,
        in_flight: InFlight,
        plans: Plans,
        steering: Steering,
        returns: Returns,
        ended: Callable[[Result], None],
    ) -> None:
        """Send by the plan of the day; what may not start goes to `returns`, and `ended` hears of each result."""
        self._context = context
        self._doors = doors
        self._in_flight = in_flight
        self._plans = plans
        self._steering = steering
        self._returns = returns
        self._ended = ended

    def work(self, claim: Claim) -> None:
        """One row: still ours, mark it where it must not go out twice, deliver, report."""
        plan = self._plans.enter()
        try:
            # None when a reload took the channel away.
            serve = claim.serve = plan.channels.get(claim.notification.channel)
            # Since the claim; what was claimed with little in hand may have a lot to record.
            paused = self._steering.closes(claim.notification) or self._context.outage.much
            if serve is None or paused or not (self._complete(claim) and self._may_start(claim, serve.policy)):
                self._returns.give_back([claim])
                return
            try:
                result = serve.deliver(claim.notification, claim.briefing)
            except BaseException:
                # A bug, or the interpreter ends: nobody knows whether it was sent. The lease tells the others.
                self._in_flight.drop([claim])
                raise
            if result.verdict.status is Status.PENDING:
                self._returns.give_back([claim])
            else:
                self._report(claim, result)
        finally:
            self._plans.leave(plan)

    def give_up(self) -> None:
        """Wait no longer for what is being sent: it is recorded as what its own plan says of such a row."""
        for claim in self._in_flight.rows():
            if claim.started is not None and claim.serve is not None and not claim.reported:
                seconds = self._context.clock.monotonic() - claim.started
                self._report(claim, claim.serve.give_up(claim.notification, seconds))

    def _complete(self, claim: Claim) -> bool:
        """Look up content that was too large for the batch; False when it cannot be had now."""
        if not claim.briefing.incomplete:
            return True
        try:
            claim.briefing = self._doors.claims.complete(claim.notification, claim.briefing)
        except (DatabaseRefused, TimedOut) as error:
            self._context.refusals.set_aside(spot_of(claim.notification), LOOK_UP, error)
            return False
        except DatabaseAway:
            return False
        self._context.refusals.can(LOOK_UP, claim.notification.channel)
        return True

    def _may_start(self, claim: Claim, policy: Policy) -> bool:
        if not self._context.refusals.records:  # what came of it would only be known here
            return False
        margin = min(policy.send_timeout, self._context.pace.lease.total_seconds() / 2)
        return self._in_flight.start(claim, margin) and self._marked(claim.notification, policy)

    def _marked(self, notification: Notification, policy: Policy) -> bool:
        """Write the dispatch mark where the row asks for it; True when the send may begin."""
        if (notification.on_uncertain or policy.on_uncertain) is OnUncertain.RETRY:
            return True
        try:
            ours = self._doors.leases.dispatch(self._context.worker_id, notification)
        except (DatabaseRefused, TimedOut) as error:
            self._context.refusals.set_aside(spot_of(notification), MARK, error)
            return False
        except DatabaseAway:
            return False
        self._context.refusals.can(MARK, notification.channel)
        if not ours:
            self._context.observer.on(LeaseLost(notification.notification_id))
        return ours

    def _report(self, claim: Claim, result: Result) -> None:
        if self._in_flight.report(claim):
            self._ended(result)
