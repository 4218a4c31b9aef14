"""The whole way of one claimed notification, step by step.

::

prepare   permits in a row, render, check, route, make safe      -> Message, or why it is not sent
begin     the account lets it, it has not expired meanwhile, nobody gave it up
attempt   the only I/O besides the store                         -> Said
judge     what the account's rules make of what was said         -> Outcome
decide    what the row becomes                                   -> Verdict
result    what the store writes, and what follows in the same statement
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from noti_worker.delivery.attempt import attempt
from noti_worker.delivery.prepare import Preparation, Renders
from noti_worker.delivery.routes import Routing
from noti_worker.delivery.safety import Safety
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import Follow, InboxLine
from noti_worker.domain.lifecycle import Policy, Verdict, decide
from noti_worker.domain.notification import Briefing, Channel, Drop, Message, Notification, Status, Stop, Wait
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.permits import permit
from noti_worker.domain.permits.expired import expired
from noti_worker.domain.ports import Accounts, Clock, Steers
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said


class Delivery:
    """Delivers notifications through the accounts; used by many threads at once.

    `policies` holds those of channels that differ from the default, `safety` says where messages go whose account is
    not live, `dice` gives numbers in [0, 1), `steering` says what is closed just now. `traced` gives a message the
    trace context of its try.
    """

    def __init__(
        self,
        accounts: Accounts,
        policies: Mapping[Channel, Policy],
        renderer: Renders,
        clock: Clock,
        dice: Callable[[], float],
        safety: Safety,
        steering: Steers,
        traced: Callable[[Notification, Message], Message] | None = None,
    ) -> None:
        self._accounts = accounts
        self._policies = policies
        self._steering = steering
        self._routing = Routing(accounts, steering)
        self.preparation = Preparation(accounts, self._routing, renderer, safety, dice)
        self._safety = safety
        self._clock = clock
        self._dice = dice
        self._traced = traced
        # What is being sent, or was given up before (None). Who enters a claim first decides: setdefault is atomic.
        self._sending: dict[_Claim, Message | None] = {}

    def deliver(self, row: Notification, briefing: Briefing) -> Result:
        """Send it once if it may be sent, and decide what becomes of the row; never raises for one row's sake."""
        policy = self._policy(row)
        ready = self.preparation.prepare(row, briefing, policy, self._clock.now())
        if isinstance(ready, Message):
            ready = self._begin(row, briefing, policy, ready)
        return self._send(row, briefing, policy, ready) if isinstance(ready, Message) else _not_sent(row, ready)

    def give_up(self, row: Notification, seconds: float) -> Result:
        """Say what becomes of a row whose `deliver`, begun `seconds` ago, is no longer waited for.

        In the middle of a send it may have gone out: uncertain. Before it, the send is not begun any more.
        """
        policy = self._policy(row)
        message = self._sending.setdefault(_claim(row), None)
        if message is None:
            # What an earlier claim may have sent must not lose that mark by being put back.
            stop = permit(row, Briefing(), policy, self._clock.now()) if row.dispatched else None
            return _not_sent(row, stop or _STOPPED)
        said = Said("answer", code="stopped", error="the worker stopped before the answer came")
        outcome = self._judged(message, said)
        return self._result(row, policy, message, outcome, self._clock.monotonic() - seconds)

    def _begin(self, row: Notification, briefing: Briefing, policy: Policy, message: Message) -> Message | Stop:
        """Make the message one that is being sent; or not, for what happened while it was made ready."""
        if message.account in self._steering.troubled:
            if not self._steering.spend(message.account):
                return Wait(timedelta(0), f"the account {message.account} is in trouble: another message tries it")
        elif not self._accounts.admit(message.account):
            return self._refused(row, policy, message.account)
        if (stop := expired(row, briefing, policy, self._clock.now())) is None:
            message = self._traced(row, message) if self._traced is not None else message
            if self._sending.setdefault(_claim(row), message) is message:
                return message
        self._accounts.heard(message.account, None)
        return stop or _STOPPED

    def _refused(self, row: Notification, policy: Policy, account: str) -> Wait:
        reason = f"the account {account} has just been refused"
        if self._routing.has_another(row, account):
            return Wait(timedelta(0), f"{reason}: the next account of the route is tried")
        return self.preparation.later(policy, f"{reason}: another message tries it first")

    def _send(self, row: Notification, briefing: Briefing, policy: Policy, message: Message) -> Result:
        since = self._clock.monotonic()
        said = attempt(message, self._accounts.sender(message.account), policy.send_timeout)
        del self._sending[_claim(row)]
        outcome = self._judged(message, said)
        self._accounts.heard(message.account, outcome)
        return replace(self._result(row, policy, message, outcome, since), texts=briefing.texts)

    def _judged(self, message: Message, said: Said) -> Outcome:
        account = self._accounts.account(message.account)
        return self._safety.judge(message, account.mode, judge(said, account.rules, message))

    def _result(self, row: Notification, policy: Policy, message: Message, outcome: Outcome, since: float) -> Result:
        account = self._accounts.account(message.account)
        failover = outcome.kind is Kind.CONFIG and self._routing.goes_on(row, account.name)
        verdict = decide(row, outcome, self._clock.now(), policy, self._dice(), failover)
        return Result(
            row,
            self._safety.decided(message, account.mode, verdict),
            outcome,
            account=account.name,
            provider=account.provider,
            since=since,
            seconds=self._clock.monotonic() - since,
            traceparent=message.traceparent,
            follows=_follows(message) if verdict.status is Status.SENT else (),
        )

    def _policy(self, row: Notification) -> Policy:
        return self._policies.get(row.channel, _DEFAULT)


_DEFAULT = Policy()
_STOPPED = Wait(timedelta(0), "the worker stopped before the send")

_Claim = tuple[int, int]


def _claim(row: Notification) -> _Claim:
    # The id alone is not enough: after a lost lease this worker may hold the same row a second time.
    return row.notification_id, row.claim_count


def _not_sent(row: Notification, stop: Stop) -> Result:
    if isinstance(stop, Wait):
        return Result(row, Verdict(Status.RETRYING, stop.reason, wait=stop.delay))
    return Result(row, Verdict(stop.status, stop.reason), kind=stop.kind if isinstance(stop, Drop) else None)


def _follows(message: Message) -> tuple[Follow, ...]:
    """What is written together with a message that went out."""
    if message.channel is not Channel.IN_APP:
        return ()
    return (InboxLine(message.tenant_id, message.recipient, message.subject, message.text, message.html),)
