"""What becomes of a notification after a try: pure and property-tested.

::

    pending ──claim──► sending ──ok──────────────────────► sent
       ▲                 │ │ │──permanent, dead, optout,
       │                 │ │ │  no tries left────────────► failed
       │                 │ │ │──next try too late────────► expired
       │                 │ │ └──uncertain + hold─────────► unknown ─┐
       │                 │ └────config of this row───────► held ────┤ release
       │                 └──────transient, throttled,               │
       │                        config of the account────► retrying │
       │                              │ claim when due ──► sending  │
       ├────────────────────────────────────────────────────────────┘
       └── requeue ── failed, cancelled, suppressed, expired

    pending, retrying, held, unknown ──cancel──► cancelled;  pending, retrying ──hold──► held
    pending with a digest_key ──insert──► gathering ──its digest goes out──► suppressed
    gathering ──release, or alone in its digest──► pending;  gathering ──cancel──► cancelled;  ──hold──► held
    sending + cancel or hold: `requested` is noted and wins over retrying only
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noti_worker.domain.notification import Notification, OnUncertain, Status
from noti_worker.domain.outcome import OF_THE_ACCOUNT, Kind, Outcome, Scope
from noti_worker.domain.spans import span
from noti_worker.domain.value import value

UNCHARGED_AT_MOST = timedelta(hours=24)
"""How long a message without `expires_at` is tried through no fault of its own before it fails."""

RETRIES = 3
"""Of a row that did not say how many, where its channel does not say either."""

LONGEST_WAIT = timedelta(hours=24)
"""No wait is longer, whatever a provider asks for: a hostile hint cannot park a row for a year."""

_LONGEST_TOLD = 1e9

LONGEST_SEND = timedelta(minutes=10)
"""No lease is prolonged longer for one send: a provider that ignores its limit loses the row."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits between tries: `initial`, times `multiplier` each time, at most `maximum`.

    `jitter` spreads a wait by ± that share, so that rows that failed together do not come back together.
    """

    initial: timedelta = timedelta(seconds=60)
    multiplier: float = 2.0
    maximum: timedelta = timedelta(minutes=30)
    jitter: float = 0.2

    def wait(self, failures: int, dice: float) -> timedelta:
        """The wait after `failures` charged failures (0 for the first); `dice` is in [0, 1)."""
        # The exponent is capped: 2.0 ** 1100 overflows, and a timedelta long before it.
        seconds = self.initial.total_seconds() * min(self.multiplier ** min(failures, 64), 1e12)
        bounded = min(seconds, self.maximum.total_seconds())
        return timedelta(seconds=bounded * (1 + self.jitter * (2 * dice - 1)))


@dataclass(frozen=True, slots=True)
class Policy:
    """How one channel sends and tries again.

    `max_retries` holds for rows that did not say theirs, and caps those that did (None: RETRIES, and no cap);
    `on_uncertain` holds for rows that name none, `send_timeout` is the limit of one try in seconds.
    """

    backoff: Backoff = Backoff()
    max_retries: int | None = None
    on_uncertain: OnUncertain = OnUncertain.RETRY
    send_timeout: float = 30.0

    def retries(self, row: Notification) -> int:
        """How many failures the row may be charged and still be tried again."""
        if row.max_retries is None:
            return RETRIES if self.max_retries is None else self.max_retries
        return row.max_retries if self.max_retries is None else min(row.max_retries, self.max_retries)

    def when_uncertain(self, row: Notification) -> OnUncertain:
        """What the row does when it may have been sent."""
        return row.on_uncertain or self.on_uncertain


@value
class Verdict:
    """What the row becomes: `wait` is set exactly for `retrying`, `gathers` (how often) for `gathering`.

    `charge` spends a retry.
    """

    status: Status
    reason: str
    wait: timedelta | None = None
    charge: bool = False
    gathers: str | None = None


def decide(
    notification: Notification,
    outcome: Outcome,
    now: datetime,
    policy: Policy,
    dice: float,
    failover: bool = False,
) -> Verdict:
    """Turn what a provider answered into what the row becomes.

    `now` is the database's clock, `policy` the channel's, `dice` in [0, 1) spreads the wait, `failover` tells that the
    route has a further account. A hint of the provider never shortens our wait, expiry wins over another try, and
    there are never more charged failures than retries. Only what was said about this message is charged.
    """
    match outcome.kind:
        case Kind.OK:
            return Verdict(Status.SENT, "the provider accepted it")
        case Kind.PERMANENT | Kind.DEAD | Kind.OPTOUT:
            return Verdict(Status.FAILED, _FINAL[outcome.kind])
        case Kind.CONFIG if failover:
            return _again(notification, now, timedelta(0), charge=False, why="the next account of the route is tried")
        case Kind.CONFIG if outcome.scope in OF_THE_ACCOUNT:
            return _uncharged(
                notification, outcome, now, notification.attempt_count, policy, dice, why=_refused(outcome)
            )
        case Kind.CONFIG:
            return Verdict(
                Status.HELD, f"{_refused(outcome)}: mend what the answer names, then release the notification"
            )
        case Kind.THROTTLED:
            return _uncharged(notification, outcome, now, notification.retry_count, policy, dice, why="throttled")
        case Kind.UNCERTAIN:
            on_uncertain = policy.when_uncertain(notification)
            if on_uncertain is OnUncertain.HOLD:
                return Verdict(Status.UNKNOWN, "it may have been sent: an operator decides (on_uncertain = hold)")
            if on_uncertain is OnUncertain.FAIL:
                return Verdict(Status.FAILED, "it may have been sent, and is not sent again (on_uncertain = fail)")
            return _retry(notification, outcome, now, policy, dice, why="it may have been sent: sent again")
        case Kind.TRANSIENT if not outcome.offered and outcome.scope in _SAYS_NOTHING:
            why = "it could not be offered"
            return _uncharged(notification, outcome, now, notification.attempt_count, policy, dice, why=why)
        case Kind.TRANSIENT:
            return _retry(notification, outcome, now, policy, dice, why="not accepted for now")


def decide_copy(
    notification: Notification, outcome: Outcome, now: datetime, policy: Policy, dice: float, crowded: bool = False
) -> Verdict:
    """Turn what was answered to a copy of a sent `notification` into what becomes of that copy alone.

    It is retried with tries of its own where what was said passes by itself; all else is an end. One of too many in a
    transaction (`crowded`) goes out at once and has spent no try: it has not been tried alone.
    """
    if outcome.kind not in {Kind.TRANSIENT, Kind.THROTTLED}:
        return Verdict(Status.FAILED, _FINAL.get(outcome.kind, "refused"))
    if crowded:
        why = "too many recipients at once, no try spent: it is sent alone"
        return _again(notification, now, timedelta(0), charge=False, why=why)
    return decide(replace(notification, retry_count=0, attempt_count=0), outcome, now, policy, dice)


# Before a message was offered these blame neither it nor whom it goes to or comes from.
_SAYS_NOTHING = OF_THE_ACCOUNT | {Scope.MESSAGE}

_FINAL = {
    Kind.PERMANENT: "refused for good",
    Kind.DEAD: "the address does not exist",
    Kind.OPTOUT: "the recipient does not want it",
}


def _retry(
    notification: Notification, outcome: Outcome, now: datetime, policy: Policy, dice: float, why: str
) -> Verdict:
    if notification.retry_count >= policy.retries(notification):
        return Verdict(Status.FAILED, f"no tries left after {notification.retry_count + 1}")
    wait = _wait(notification.retry_count, outcome, policy, dice)
    return _again(notification, now, wait, charge=True, why=why + _asked(outcome, wait))


def _uncharged(
    notification: Notification, outcome: Outcome, now: datetime, failures: int, policy: Policy, dice: float, why: str
) -> Verdict:
    """Another try, which is not charged: nothing was said about this message."""
    if notification.expires_at is None and now - notification.first_due_at >= UNCHARGED_AT_MOST:
        return Verdict(Status.FAILED, f"{why} for 24 hours")
    wait = _wait(failures, outcome, policy, dice)
    return _again(notification, now, wait, charge=False, why=f"{why}, no try spent{_asked(outcome, wait)}")


def _refused(outcome: Outcome) -> str:
    """Who of ours is refused: an account is mended elsewhere than a sender that the other side distrusts."""
    return {
        Scope.ACCOUNT: "our account is refused",
        Scope.PROVIDER: "our account is refused",
        Scope.SENDER: "our sender is refused",
        Scope.DOMAIN: "the recipient's side refuses us",
    }.get(outcome.scope, "what we configured is refused")


def _wait(failures: int, outcome: Outcome, policy: Policy, dice: float) -> timedelta:
    own = policy.backoff.wait(failures, dice)
    hint = timedelta(seconds=min(max(0.0, outcome.retry_after or 0.0), LONGEST_WAIT.total_seconds()))
    return max(own, hint)


def _asked(outcome: Outcome, wait: timedelta) -> str:
    """Whose wish the wait is, where it is not ours; and that it was cut."""
    asked = outcome.retry_after if outcome.asked and outcome.retry_after is not None else 0.0
    if not asked + 0.001 >= wait.total_seconds():  # not a number is no wish
        return ""
    cut = f", and we wait no longer than {span(wait.total_seconds())}" if asked > LONGEST_WAIT.total_seconds() else ""
    return f"; the provider asked for {span(min(asked, _LONGEST_TOLD))}{cut}"


def _again(notification: Notification, now: datetime, wait: timedelta, *, charge: bool, why: str) -> Verdict:
    if notification.expires_at is not None and now + wait >= notification.expires_at:
        return Verdict(Status.EXPIRED, f"{why}, but the next try would come after it expires")
    return Verdict(Status.RETRYING, why, wait=wait, charge=charge)
