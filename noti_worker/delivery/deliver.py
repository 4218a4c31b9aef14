"""The whole way of one claimed notification: permit, render, check, route, make safe, attempt, decide."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from noti_worker.delivery.prepare import Renders, prepare
from noti_worker.delivery.render import RendererAway
from noti_worker.delivery.routes import AccountPaused, accounts_for, has_later
from noti_worker.delivery.safety import Safety
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lifecycle import Policy, Verdict, decide
from noti_worker.domain.notification import Briefing, Channel, Drop, Hold, Message, Notification, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.permits import permit
from noti_worker.domain.ports import Clock, Sender


class Delivery:
    """Delivers notifications through the configured accounts; used by many threads at once.

    `routes` names the accounts of each channel in failover order, `senders` and `providers` have one
    entry per account, `channels` holds the policy of channels that differ from the default, `safety`
    says how far a message may go, `dice` gives numbers in [0, 1). `traced` gives a message the trace
    context of its try, `paused` the accounts that leave their routes for now. Raises ConfigurationError
    when a route names an account that nobody built.
    """

    def __init__(
        self,
        routes: Mapping[Channel, Sequence[str]],
        senders: Mapping[str, Sender],
        providers: Mapping[str, str],
        channels: Mapping[Channel, Policy],
        safety: Safety,
        renderer: Renders,
        clock: Clock,
        dice: Callable[[], float],
        traced: Callable[[Notification, Message], Message] | None = None,
        paused: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        for channel, accounts in routes.items():
            for account in accounts:
                if account not in senders or account not in providers:
                    raise ConfigurationError(f"routes.{channel} names the account {account!r}, which is not configured")
        self._routes = routes
        self._senders = senders
        self._providers = providers
        self._channels = channels
        self._safety = safety
        self._renderer = renderer
        self._clock = clock
        self._dice = dice
        self._traced = traced
        self._paused = paused
        # What is being sent, or was given up before (None). Who enters a claim first decides: setdefault is atomic.
        self._sending: dict[_Claim, Message | None] = {}

    def deliver(self, notification: Notification, briefing: Briefing) -> Result:
        """Send it once if it may be sent, and decide what becomes of the row; never raises for one row's sake."""
        try:
            prepared = self.prepare(notification, briefing)
        except (RendererAway, AccountPaused) as away:
            # Not the row's fault and not a try: it waits as after a first failure, and is not charged.
            wait = self._policy(notification.channel).backoff.wait(0, self._dice())
            return Result(notification, Verdict(Status.RETRYING, str(away), wait=wait))
        if notification.expires_at is not None and isinstance(prepared, Message):  # it may have expired while rendered
            on_uncertain = self._policy(notification.channel).on_uncertain
            prepared = permit(notification, self._clock.now(), on_uncertain) or prepared
        if not isinstance(prepared, Message):
            return _not_sent(notification, prepared)
        return replace(self._try(notification, prepared), texts=briefing.texts)

    def prepare(self, notification: Notification, briefing: Briefing) -> Message | Hold | Drop:
        """Everything before the send: previews and dry runs stop here. Raises RendererAway, AccountPaused."""
        prepared = prepare(
            notification,
            briefing,
            self._clock.now(),
            on_uncertain=self._policy(notification.channel).on_uncertain,
            route=self._routes.get(notification.channel, ()),
            providers=self._providers,
            renderer=self._renderer,
            paused=self._paused(),
        )
        return self._safety.apply(prepared) if isinstance(prepared, Message) else prepared

    def give_up(self, notification: Notification, seconds: float) -> Result:
        """Say what becomes of a row whose `deliver`, begun `seconds` ago, is no longer waited for.

        In the middle of a send it may have gone out: uncertain. Before it, the send is not begun any more.
        """
        message = self._sending.setdefault(_claim(notification), None)
        if message is None:
            # What an earlier claim may have sent must not lose that mark by being put back.
            policy = self._policy(notification.channel)
            stop = permit(notification, self._clock.now(), policy.on_uncertain) if notification.dispatched else None
            return _not_begun(notification) if stop is None else _not_sent(notification, stop)
        outcome = Outcome(Kind.UNCERTAIN, error="the worker stopped before the answer came")
        return self._judge(notification, message, outcome, self._clock.monotonic() - seconds)

    def _try(self, notification: Notification, message: Message) -> Result:
        if self._traced is not None:
            message = self._traced(notification, message)
        claim = _claim(notification)
        if self._sending.setdefault(claim, message) is not message:
            return _not_begun(notification)
        since = self._clock.monotonic()
        outcome = attempt(message, self._senders[message.account], self._policy(message.channel).send_timeout)
        del self._sending[claim]
        return self._judge(notification, message, outcome, since)

    def _judge(self, notification: Notification, message: Message, outcome: Outcome, since: float) -> Result:
        policy = self._policy(message.channel)
        outcome = self._safety.judge(message, outcome)
        verdict = decide(
            _capped(notification, policy.max_retries),
            outcome,
            self._clock.now(),
            policy.backoff,
            self._dice(),
            on_uncertain=policy.on_uncertain,
            failover=outcome.kind is Kind.CONFIG and self._has_later(notification, message),
        )
        return Result(
            notification,
            verdict,
            outcome,
            account=message.account,
            provider=self._providers[message.account],
            since=since,
            seconds=self._clock.monotonic() - since,
            traceparent=message.traceparent,
            follows=_inbox(message) if verdict.status is Status.SENT else (),
        )

    def _has_later(self, notification: Notification, message: Message) -> bool:
        paused = self._paused()
        accounts = [
            account
            for account in accounts_for(notification, self._routes[message.channel], self._providers)
            if account == message.account or account not in paused
        ]
        return has_later(accounts, message.account)

    def _policy(self, channel: Channel) -> Policy:
        return self._channels.get(channel, _DEFAULT)


_DEFAULT = Policy()

_Claim = tuple[int, int]


def _claim(notification: Notification) -> _Claim:
    # The id alone is not enough: after a lost lease this worker may hold the same row a second time.
    return notification.notification_id, notification.claim_count


def attempt(message: Message, sender: Sender, limit: float) -> Outcome:
    """One try within `limit` seconds: the only I/O besides the store."""
    answer: Any
    try:
        answer = sender.send(message, limit)
    except BadNotification as bad:
        return Outcome(Kind.PERMANENT, error=str(bad))
    except (Exception, SystemExit) as broken:  # noqa: BLE001 - the one broad except of the house: a bug harms one row
        # Whether the payload went out nobody knows. Only the class: its text may hold content and secrets. In a
        # sender's thread sys.exit would end the thread alone, and cost its channel a slot for good.
        return Outcome(Kind.UNCERTAIN, error=type(broken).__name__)
    if not isinstance(answer, Outcome):
        return Outcome(Kind.UNCERTAIN, error=f"the sender gave no Outcome but {type(answer).__name__}")
    return answer


def _inbox(message: Message) -> tuple[InboxLine, ...]:
    if message.channel is not Channel.IN_APP:
        return ()
    return (InboxLine(message.tenant_id, message.recipient, message.subject, message.text, message.html),)


def _not_sent(notification: Notification, stop: Hold | Drop) -> Result:
    kind = stop.kind if isinstance(stop, Drop) else None
    return Result(notification, Verdict(stop.status, stop.reason), kind=kind)


def _not_begun(notification: Notification) -> Result:
    return Result(notification, Verdict(Status.RETRYING, "the worker stopped before the send", wait=timedelta(0)))


def _capped(notification: Notification, cap: int | None) -> Notification:
    if cap is None or (notification.max_retries is not None and notification.max_retries <= cap):
        return notification
    return replace(notification, max_retries=cap)
