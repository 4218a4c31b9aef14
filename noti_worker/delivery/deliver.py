"""The whole way of one claimed notification, step by step.

::

    prepare   permits in a row, render, check, route, make safe   -> Message, or why it is not sent
    begin     the account lets it, it has not expired meanwhile, no limit is spent, nobody gave it up
    attempt   the only I/O besides the store                      -> Said
    judge     by the rules of the account                         -> Outcome
    decide    what the row becomes                                -> Verdict
    result    what the store writes, and what follows in the same statement
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from noti_worker.delivery.attempt import attempt
from noti_worker.delivery.prepare import Preparation
from noti_worker.delivery.results import dialled, follows, further, left_out, not_sent, refused_copies
from noti_worker.domain.facts import Result
from noti_worker.domain.kept import kept
from noti_worker.domain.lifecycle import Policy, decide, decide_copy
from noti_worker.domain.notification import Briefing, Channel, Leave, Message, Notification, Status, Stop, Wait
from noti_worker.domain.outcome import Kind
from noti_worker.domain.permits import permit
from noti_worker.domain.permits.expired import ends_at, expired
from noti_worker.domain.ports import Clock
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said


class Delivery:
    """Delivers what `preparation` makes of notifications; used by many threads at once.

    `policies` holds those of channels that differ from the default. `traced` gives a message the trace context of its
    try.
    """

    def __init__(
        self,
        preparation: Preparation,
        policies: Mapping[Channel, Policy],
        clock: Clock,
        traced: Callable[[Notification, Message], Message] | None = None,
    ) -> None:
        self.preparation = preparation
        self._policies = policies
        self._clock = clock
        self._traced = traced
        self._accounts = preparation.accounts
        self._routing = preparation.routing
        self._steering = preparation.routing.steering
        self._allowance = preparation.routing.allowance
        self._safety = preparation.safety
        self._dice = preparation.dice
        # What is being sent, or was given up before (None). Who enters a claim first decides: setdefault is atomic.
        self._sending: dict[_Claim, Message | None] = {}

    def deliver(self, row: Notification, briefing: Briefing) -> Result:
        """Send it once if it may be sent, and decide what becomes of the row; never raises for one row's sake."""
        policy = self._policy(row)
        ready = self.preparation.prepare(row, briefing, policy, self._clock.now())
        if briefing.expires_after is not None:
            row = replace(row, expires_at=ends_at(row, briefing))
        if isinstance(ready, Message):
            ready = self._begin(row, briefing, policy, ready)
        if not isinstance(ready, Message):
            return not_sent(row, ready)
        since = self._clock.monotonic()
        said = attempt(ready, self._accounts.sender(ready.account), policy.send_timeout)
        del self._sending[_claim(row)]
        return self._judged(row, policy, ready, said, since, briefing.texts)

    def give_up(self, row: Notification, seconds: float) -> Result:
        """Say what becomes of a row whose `deliver`, begun `seconds` ago, is no longer waited for.

        In the middle of a send it may have gone out: uncertain. Before it, the send is not begun any more.
        """
        policy = self._policy(row)
        message = self._sending.setdefault(_claim(row), None)
        if message is None:
            # What an earlier claim may have sent must not lose that mark by being put back.
            stop = permit(row, Briefing(), policy, self._clock.now()) if row.dispatched else None
            return not_sent(row, stop or _STOPPED)
        said = Said("answer", code="stopped", error="the worker stopped before the answer came")
        return self._judged(row, policy, message, said, self._clock.monotonic() - seconds)

    def _begin(self, row: Notification, briefing: Briefing, policy: Policy, message: Message) -> Message | Stop:
        """Make the message one that is being sent; or not, for what happened while it was made ready."""
        account = message.account
        probing = account in self._steering.troubled
        if not probing and not self._accounts.admit(account):
            return self._refused(row, policy, account)
        stop = expired(row, briefing, policy, self._clock.now()) if row.expires_at is not None else None
        if stop is None and not self._allowance.spend(row, account):
            stop = _SPENT
        if stop is None and probing and not self._steering.spend(account):
            return Wait(timedelta(0), f"the account {account} is in trouble: another message tries it")
        if stop is None:
            message = self._traced(row, message) if self._traced is not None else message
            if self._sending.setdefault(_claim(row), message) is message:
                return message
        self._accounts.heard(account, None)
        return stop or _STOPPED

    def _refused(self, row: Notification, policy: Policy, account: str) -> Wait:
        reason = f"the account {account} has just been refused"
        if self._routing.has_another(row, account):
            return Wait(timedelta(0), f"{reason}: the next account of the route is tried")
        return self.preparation.later(policy, f"{reason}: another message tries it first")

    def _judged(
        self, row: Notification, policy: Policy, message: Message, said: Said, since: float, texts: tuple[str, ...] = ()
    ) -> Result:
        account = self._accounts.account(message.account)
        outcome = dialled(row, message, judge(said, account.rules, message))
        self._accounts.heard(account.name, outcome)
        outcome = self._safety.judge(message, account.mode, outcome)
        failover = outcome.kind is Kind.CONFIG and self._routing.goes_on(row, account.name)
        now = self._clock.now()
        verdict = decide(row, outcome, now, policy, self._dice(), failover)
        rows = follows(message) if verdict.status is Status.SENT else ()
        told = left_out(message) if verdict.status is Status.SENT else ""
        if said.copies and verdict.status is Status.SENT:
            later, refused = refused_copies(
                said.copies,
                lambda words: judge(words, account.rules, message),
                lambda found, crowded: decide_copy(row, found, now, policy, self._dice(), crowded),
            )
            rows, told = rows + later, "; ".join(filter(None, (refused, told)))
        if told:
            outcome = replace(outcome, error=told)
        return Result(
            row,
            self._safety.decided(message, account.mode, verdict),
            outcome,
            account=account.name,
            provider=account.provider,
            since=since,
            seconds=self._clock.monotonic() - since,
            traceparent=message.traceparent,
            follows=rows + further(message),
            texts=texts,
            choice=message.choice,
            referenced=account.references,
            template=message.template,
            kept=kept(message, verdict.status, outcome) if message.keeps is not None else None,
        )

    def _policy(self, row: Notification) -> Policy:
        return self._policies.get(row.channel, _DEFAULT)


_DEFAULT = Policy()
_STOPPED = Wait(timedelta(0), "the worker stopped before the send")
_SPENT = Leave("a limit is used up just now")

_Claim = tuple[int, int]


def _claim(row: Notification) -> _Claim:
    # The id alone is not enough: after a lost lease this worker may hold the same row a second time.
    return row.notification_id, row.claim_count
