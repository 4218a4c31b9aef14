"""How many this worker may send now: tokens are taken for a claim, spent as its sends begin, and given back unused."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from noti_worker.domain.bounds import Bounds
from noti_worker.domain.closures import Route
from noti_worker.domain.errors import DatabaseAway, DatabaseError, DatabaseRefused
from noti_worker.domain.facts import QuotaUsed, Result, Slowed
from noti_worker.domain.limits import DESTINATION, Limit, Limits, destination
from noti_worker.domain.notification import Channel, Notification, Status
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Clock, Grant, LimitStore, Observer
from noti_worker.worker.inflight import Claim
from noti_worker.worker.purse import Purse
from noti_worker.worker.refusals import ALLOW, Refusals

AGAIN = 1.0
"""Seconds after which a database that gave no answer is asked again."""

KNOWN_WITHIN = 2.0
"""Seconds after which a closure of ours has been read again, and counts alone."""

LONGEST = 300.0
"""Seconds that nothing goes out for at most because a provider asked for it."""

MANY = 1_000
"""So many rows that have begun are looked through for those that are not in hand any more."""

Hand = Callable[[], Sequence[Claim]]
"""Tells which rows are in hand."""


class Allowance:
    """What is left to this worker of all limits. The loop takes and gives back; the sender threads spend."""

    def __init__(self, clock: Clock, store: LimitStore, refusals: Refusals, observer: Observer) -> None:
        """Nothing is limited yet."""
        self._clock = clock
        self._store = store
        self._refusals = refusals
        self._observer = observer
        self._lock = threading.Lock()
        self._configured: tuple[Limit, ...] = ()
        self._rows: Sequence[Limit] = ()
        self._limits = Limits()
        self.bounds: Mapping[str, Bounds] = {}  # of tenants; replaced whole
        self._purses: dict[Limit, Purse] = {}
        self._begun: set[tuple[int, int]] = set()  # rows in hand that have spent what they need
        self._next = float("inf")  # when a claim that was cut short may go on
        self._slow: dict[Limit, float] = {}  # to be written: seconds in which nothing is to be sent
        self._closing: dict[str, float] = {}  # to be written: accounts without a rate, and for how many seconds
        self._held: dict[str, float] = {}  # until when nothing goes through them here
        self._back: Counter[Limit] = Counter()  # to be given back
        self._reopen: set[str] = set()  # accounts whose quotas may be others than before
        self._turned_away: list[Notification] = []  # for want of what their destination may get

    def configure(self, limits: Iterable[Limit]) -> None:
        """Take over what the configuration says; limits of the same in the database go before it."""
        before, self._configured = set(self._configured), tuple(limits)
        self._combine()
        self._reopen = {limit.name for limit in before ^ set(self._configured) if not limit.is_rate}

    def learn(self) -> bool:
        """Read what the database says; True when that is news. Raises DatabaseAway, DatabaseRefused."""
        news = self._store.news()
        if news is None:
            return False
        self._rows, bounds = news
        self.bounds = {one.tenant_id: one for one in bounds}
        self._combine()
        return True

    def heard(self, result: Result) -> bool:
        """Take note of an account that found us too fast; True when there is something to write at once.

        A message that comes again counts once by its quotas.
        """
        outcome, account = result.outcome, result.account
        if outcome is None or account is None or not (self._limits or outcome.kind is Kind.THROTTLED):
            return False
        if self._limits and result.verdict.status is Status.RETRYING:
            quotas = [one for one in self._limits.of(result.notification, account) if not one.is_rate]
            with self._lock:
                self._back.update(quotas)
        limit = slowed_by(result, self._limits)
        if limit is None:
            return (
                outcome.kind is Kind.THROTTLED and outcome.scope in _OURS and self._hold(account, outcome.retry_after)
            )
        with self._lock:
            self._slow[limit] = max(self._slow.get(limit, 0.0), outcome.retry_after or 0.0)
        return True

    def _hold(self, account: str, retry_after: float | None) -> bool:
        """Have an account without a rate closed for as long as it asked; here at once, until the closure is known."""
        seconds = min(retry_after or AGAIN, LONGEST)
        with self._lock:
            self._closing[account] = max(self._closing.get(account, 0.0), seconds)
            self._held[account] = self._clock.monotonic() + min(seconds, KNOWN_WITHIN)
        return True

    def _holds(self, account: str) -> bool:
        return bool(self._held) and self._clock.monotonic() < self._held.get(account, 0.0)

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._slow or self._reopen or self._closing)

    @property
    def limited(self) -> bool:
        """Whether anything is."""
        return bool(self._limits)

    @property
    def refuses(self) -> bool:
        """Whether some quota or bound has refused what is inserted too much."""
        return any(limit.refuses for limit in self._limits.by_key.values()) or any(
            bounds.waiting for bounds in self.bounds.values()
        )

    def write(self) -> None:
        """Slow or close what was found too fast. Raises DatabaseAway, DatabaseRefused; what is not written stays."""
        if self._reopen:
            self._store.reopen(sorted(self._reopen))
            self._reopen = set()
        for account, seconds in list(self._closing.items()):
            self._store.close_account(account, seconds)
            with self._lock:
                self._closing.pop(account, None)
        for limit, seconds in list(self._slow.items()):
            pace = self._store.slow_down(limit, seconds)
            with self._lock:
                self._slow.pop(limit, None)
                self._purse(limit).lose()
            if pace is not None:
                self._observer.on(Slowed(limit.scope, limit.name, pace, seconds))

    def begin(self) -> None:
        """A round begins: so far nothing in it was cut short."""
        self._next = float("inf")

    @property
    def pause(self) -> float | None:
        """Seconds until claims that were cut short may go on; None when none was."""
        return None if self._next == float("inf") else max(self._next - self._clock.monotonic(), 0.001)

    def most(
        self,
        channel: Channel,
        want: int,
        routes: Mapping[Channel, Route],
        closed: AbstractSet[str],
        hand: Hand,
    ) -> int:
        """How many of `want` rows of a channel its accounts may send; takes what is missing. Raises DatabaseAway."""
        accounts = [account for account in routes.get(channel, ()) if account not in closed]
        limits = [self._limits.of_account(account) for account in accounts]
        if not limits or not all(limits):
            return want
        rows = Counter(row.channel for row in self._waiting(hand))
        room = -rows[channel]
        for account, of_account in zip(accounts, limits, strict=True):
            if room >= want:
                break
            # Rows of other channels go through the same account.
            others = sum(
                count for other, count in rows.items() if other != channel and account in routes.get(other, ())
            )
            room += self._have(of_account, want - room + others) - others
        return max(0, min(want, room))

    def room(
        self, channel: Channel, tenants: AbstractSet[str], rooms: Mapping[str, int], want: int, hand: Hand
    ) -> Mapping[str, int]:
        """As `rooms`, how many more rows tenants may have in hand, where the channel of a tenant is limited."""
        limits = {tenant: self._limits.of_lane(tenant, channel) for tenant in tenants} if self._limits else {}
        if not any(limits.values()):
            return rooms
        rows, less = self._waiting(hand), dict[str, int]()
        for tenant, of_lane in limits.items():
            wanted = min(want, rooms.get(tenant, want))
            if of_lane and wanted > 0:
                queued = sum((row.tenant_id, row.channel) == (tenant, channel) for row in rows)
                less[tenant] = max(0, min(wanted, self._have(of_lane, wanted + queued) - queued))
        return {**rooms, **less}

    def settle(self, routes: Mapping[Channel, Route], hand: Hand) -> None:
        """Give back what no row in hand needs. Raises DatabaseAway."""
        now = self._clock.monotonic()
        with self._lock:
            in_hand = [limit for limit, purse in self._purses.items() if purse.count(now) > 0]
            given, self._back = self._back, Counter()
        if not in_hand and not given and len(self._begun) < MANY:
            return
        back = {limit: -count for limit, count in given.items()}
        rows = self._waiting(hand)
        with self._lock:
            for limit in in_hand:
                needed = sum(_concerns(limit, row, routes) for row in rows)
                surplus = self._purses[limit].count(now) - needed
                if surplus > 0:
                    self._purses[limit].pop(surplus)
                    back[limit] = back.get(limit, 0) - surplus
        if back:
            try:
                self._take(back)
            except DatabaseAway:
                with self._lock:  # of a rate it would come too late
                    self._back.update({limit: -count for limit, count in back.items() if not limit.is_rate})
                raise

    def spend(self, row: Notification, account: str) -> bool:
        """Take what this message needs to go out through the account now; False when there is none."""
        if self._holds(account):
            return False
        limits = self._limits.of(row, account) if self._limits else ()
        if not limits:
            return True
        with self._lock:
            now = self._clock.monotonic()
            missing = [limit for limit in limits if not self._purse(limit).count(now)]
            if spent := [limit for limit in missing if self._purse(limit).again > now]:
                self._ran_out(row, spent)
                return False
            taken = [limit for limit in limits if limit not in missing]
            for limit in taken:
                self._purse(limit).pop()
            if not missing:
                self._begun.add((row.notification_id, row.claim_count))
        if not missing:
            return True
        try:
            grants = self._take(dict.fromkeys(missing, 1))
        except DatabaseAway:
            grants = {}
        got = [limit for limit in missing if limit in grants and grants[limit].granted]
        with self._lock:
            if len(got) == len(missing):
                self._begun.add((row.notification_id, row.claim_count))
                return True
            for limit in (*taken, *got):
                self._purse(limit).put(1, now)
            self._ran_out(row, [limit for limit in missing if limit not in got])
        return False

    def spent(self, account: str) -> bool:
        """Tell whether the account has nothing left just now."""
        if self._holds(account):
            return True
        if not self._limits:
            return False
        now = self._clock.monotonic()
        with self._lock:
            purses = [self._purse(limit) for limit in self._limits.of_account(account)]
            return any(not purse.count(now) and purse.again > now for purse in purses)

    def turned_away(self) -> Sequence[Notification]:
        """The rows that found nothing left of what their destination may get, since this was last asked."""
        if not self._turned_away:
            return ()
        with self._lock:
            rows, self._turned_away = self._turned_away, []
        return rows

    def of_destination(self, to: str, want: int, hand: Hand) -> int | None:
        """How many more of `want` messages a domain or host may get; takes what is missing. None: it is not limited."""
        limits = self._limits.to(to)
        if not limits:
            return None
        queued = sum(destination(row.channel, row.recipient) == to for row in self._waiting(hand))
        return min(want, self._have(limits, want + queued) - queued)

    def _ran_out(self, row: Notification, limits: Sequence[Limit]) -> None:
        if any(limit.scope == DESTINATION for limit in limits):
            self._turned_away.append(row)

    def _have(self, limits: Sequence[Limit], want: int) -> int:
        """How many tokens of all these limits are in hand, after taking what is missing of `want`."""
        with self._lock:
            now = self._clock.monotonic()
            have = {limit: self._purse(limit).count(now) for limit in limits}
            missing = {limit: want - have[limit] for limit in limits if have[limit] < want}
            asked = {limit: count for limit, count in missing.items() if self._purse(limit).again <= now}
        if asked:
            for limit, grant in self._take(asked).items():
                have[limit] += grant.granted
                with self._lock:
                    self._purse(limit).put(grant.granted, now)
        for limit in missing:
            if have[limit] < want:
                self._next = min(self._next, self._purse(limit).again)
        return min(have.values())

    def _take(self, wants: Mapping[Limit, int]) -> Mapping[Limit, Grant]:
        """Ask the database; what is short is asked for again when it says. Nothing is granted where it refuses."""
        try:
            grants = self._store.take(wants)
        except DatabaseError as error:
            grants = {limit: Grant(0, AGAIN) for limit in wants}
            self._note(grants)
            if not isinstance(error, DatabaseRefused):
                raise
            self._refusals.cannot(ALLOW, str(error))
            return grants
        self._refusals.can(ALLOW)
        self._note(grants)
        return grants

    def _note(self, grants: Mapping[Limit, Grant]) -> None:
        now = self._clock.monotonic()
        with self._lock:
            for limit, grant in grants.items():
                if grant.again_in is not None:
                    self._purse(limit).again = now + grant.again_in
        for limit, grant in grants.items():
            if grant.told is not None:
                self._observer.on(QuotaUsed(limit, grant.told == "spent"))

    def _waiting(self, hand: Hand) -> Sequence[Notification]:
        """The rows in hand that have spent nothing yet."""
        claims = hand()
        with self._lock:
            self._begun.intersection_update(claim.token for claim in claims)
            return [claim.notification for claim in claims if not claim.reported and claim.token not in self._begun]

    def _purse(self, limit: Limit) -> Purse:
        return self._purses.get(limit) or self._purses.setdefault(limit, Purse(limit))

    def _combine(self) -> None:
        limits = Limits(self._configured, self._rows)
        with self._lock:
            self._limits = limits
            current = set(limits.by_key.values())
            self._purses = {limit: purse for limit, purse in self._purses.items() if limit in current}


def slowed_by(result: Result, limits: Limits) -> Limit | None:
    """The rate that an answer found too fast, if there is one: of where the message goes, else of the account."""
    outcome = result.outcome
    if outcome is None or outcome.kind is not Kind.THROTTLED or outcome.scope is Scope.MESSAGE:
        return None
    limited = [] if outcome.scope in _OURS else [*limits.of_destination(result.notification)]
    if result.account is not None and outcome.scope is not Scope.RECIPIENT:
        limited += limits.of_account(result.account)
    return next((limit for limit in limited if limit.is_rate), None)


_OURS = frozenset({Scope.ACCOUNT, Scope.PROVIDER, Scope.SENDER})
"""Whatever it is sent to."""


def _concerns(limit: Limit, row: Notification, routes: Mapping[Channel, Route]) -> bool:
    """Whether the row may count by the limit."""
    match limit.scope:
        case "account":
            return limit.name in routes.get(row.channel, ())
        case "destination":
            return limit.name == destination(row.channel, row.recipient)
        case _:
            return (limit.tenant_id, limit.name) == (row.tenant_id, row.channel)
