"""The narrow doors between the rooms; each has a real side and a tiny fake in the tests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

from noti_worker.domain.account import Account, RouteLine
from noti_worker.domain.bounds import Bounds
from noti_worker.domain.circuits import Waits
from noti_worker.domain.closures import NOTHING, Closures, Skip
from noti_worker.domain.errors import DatabaseRefused
from noti_worker.domain.facts import Fact, Result
from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, Share, Spot
from noti_worker.domain.limits import Limit
from noti_worker.domain.notification import Briefing, Channel, Message, Notification
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.own_accounts import Owner
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret


class Clock(Protocol):
    """The database's wall clock as this process knows it, and a monotonic one for durations."""

    def now(self) -> datetime:
        """Aware UTC, by the database's clock."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Sender(Protocol):
    """One account of one provider, ready to send. Used by several threads at once."""

    def send(self, message: Message, limit: float) -> Said:
        """Send within `limit` seconds; what the provider can foreseeably answer, and a line that broke, is the Said."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


@runtime_checkable
class Checks(Protocol):
    """What a sender may do besides: tell whether the provider would let us send."""

    def check(self, limit: float) -> Said | None:
        """Reach the provider and log in within `limit` seconds, without sending anything; None: it has no such call.

        Judged as OK, `error` holds what was found, in words for a person, or nothing.
        """
        ...


class Accounts(Protocol):
    """Who sends. Used by several threads at once."""

    def route(self, tenant_id: str, channel: Channel, message_id: UUID) -> Sequence[str]:
        """The accounts that send this message for the tenant, in failover order; empty when nobody does.

        The same for each try: with weights (then it is an OrderByWeight) the message decides where it begins, and
        nothing else.
        """
        ...

    def account(self, name: str) -> Account:
        """What is known of an account that a route names."""
        ...

    def sender(self, name: str) -> Sender:
        """Its sender, built when it is first needed."""
        ...

    def admit(self, name: str) -> bool:
        """May a message begin? An account that has accepted nothing yet is tried by one at a time, for a second.

        False when it has just refused us. Whoever is admitted says by `heard` what came of it.
        """
        ...

    def heard(self, name: str, outcome: Outcome | None) -> None:
        """Take note of what an admitted message was told; None when it did not begin after all."""
        ...


class Numbers(Protocol):
    """Reads phone numbers as people write them."""

    def international(self, channel: Channel, recipient: str) -> str:
        """The number in the international form, + and digits; as it is where the channel reaches none.

        Raises BadNotification when it can be no number of where it is dialled.
        """
        ...


class Steers(Protocol):
    """What is closed just now; see `closures`. Used by several threads at once."""

    @property
    def troubled(self) -> Collection[str]:
        """The accounts whose circuits are open."""
        ...

    @property
    def probes(self) -> Collection[str]:
        """Those of them through which one message may go."""
        ...

    def spend(self, account: str) -> bool:
        """Take the one message that may go through the account; False when none may."""
        ...

    def closed_accounts(self, tenant_id: str) -> Collection[str]:
        """The accounts that send nothing for this tenant now."""
        ...


class Allows(Protocol):
    """How many may be sent just now, and what of it. Used by several threads at once."""

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        """What tenants may do at most, of those that have bounds."""
        ...

    def spent(self, account: str) -> bool:
        """Tell whether the account has nothing left just now."""
        ...

    def spend(self, row: Notification, account: str) -> bool:
        """Take what this message needs to go out through the account now; False when there is none."""
        ...


class Secrets(Protocol):
    """Turns a reference into the secret that it names."""

    def resolve(self, reference: str) -> Secret:
        """Read `env:NAME` or `file:PATH`; raises ConfigurationError that names the reference only."""
        ...


class Observer(Protocol):
    """Listens to facts; must not raise and must not block."""

    def on(self, fact: Fact) -> None:
        """Take note of one fact."""
        ...


class Lanes(Protocol):
    """Which lanes have rows. Every call of this door and the next ones raises DatabaseAway or DatabaseRefused."""

    def heads(
        self, channels: Sequence[Channel], after: Lane | None, window: int, floors: Mapping[Lane, Floor] = NOWHERE
    ) -> Sequence[LaneHead]:
        """Up to `window` lanes with unfinished rows, following `after` in lane order.

        Lanes of `floors` are looked at from there on, and for rows that are not in flight; without one they are not
        found.
        """
        ...

    def newcomers(self, channels: Sequence[Channel], window: int) -> Sequence[LaneHead]:
        """Up to `window` lanes of the newest due rows that nobody has in hand, the newest first.

        Raises DatabaseBusy when that takes long.
        """
        ...

    def strides(self, shares: Sequence[Share], rows: int) -> Mapping[Lane, Floor]:
        """Where the walk of each share ends after `rows` due rows; lanes with fewer are not named."""
        ...


class ClosureReader(Protocol):
    """What is not to be sent just now."""

    def closures(self) -> Closures:
        """All closures in force."""
        ...


class AccountStore(Protocol):
    """The accounts of tenants' own. Raises as the closures do."""

    def news(self) -> Sequence[Owner] | None:
        """The tenants of which something was changed since this last gave them; None: nothing was."""
        ...


class Claims(Protocol):
    """Takes rows for one registered worker."""

    def claim(
        self,
        worker_id: int,
        shares: Sequence[Share],
        limit: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        *,
        in_hand: Sequence[int] | None = None,
        solo: bool = False,
        skip: Skip = NOTHING,
        living: Sequence[int] = (),
        within: timedelta | None = None,
    ) -> Sequence[Notification]:
        """Take at most `limit` due rows of the lanes, in the order of the shares, then by due_at and id.

        The claims of `dead` workers and expired leases are taken too, and written down as lost, those of `living`
        workers once they have been expired for another `lease`; with
        `dead` = None no claim of another worker is taken, not even an expired one. With the ids `in_hand`
        our own claims of other rows, whose answer was lost, are taken and written down likewise. With `solo`
        only suspects are taken (rows lost twice or more), without it only the others. The rows of `skip` stay.
        Raises TimedOut when it takes longer than `within`, or than any statement may.
        """
        ...

    def peek(
        self,
        worker_id: int,
        shares: Sequence[Share],
        limit: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        *,
        in_hand: Sequence[int] | None = None,
        solo: bool = False,
        skip: Skip = NOTHING,
        living: Sequence[int] = (),
    ) -> Sequence[Spot]:
        """Where the rows stand that such a claim would take now."""
        ...

    def brief(self, notifications: Sequence[Notification]) -> Mapping[int, Briefing]:
        """What the rows refer to, by notification_id; nothing, and no round trip, for those that refer to nothing."""
        ...

    def complete(self, notification: Notification, briefing: Briefing) -> Briefing:
        """Add the content of one row that was too large for the batch. Any thread may call."""
        ...


Fate = str | DatabaseRefused
"""What the database did with one result."""


class Records(Protocol):
    """Where claims end: with a result, or given back."""

    def record(self, worker_id: int, results: Sequence[Result]) -> Mapping[int, Fate]:
        """Write what became of the claims, fenced; gives each id's fate.

        Applied, busy (try again), again, stale, or the refusal that this one result met. Raises DatabaseRefused when
        it is not about single results.
        """
        ...

    def rehearse(self, worker_id: int, result: Result | None) -> None:
        """Write a result and take it back, with None nothing at all; raises what `record` would."""
        ...

    def release(self, worker_id: int, notifications: Sequence[Notification]) -> Mapping[tuple[int, int], str]:
        """Give back rows that were not started, uncharged; each token's fate: released, busy (locked) or stale.

        A token is (notification_id, claim_count).
        """
        ...


class CircuitStore(Protocol):
    """The circuits of accounts, shared by all workers. Every call raises DatabaseAway or DatabaseRefused."""

    def open_circuit(self, worker_id: int, account: str, reason: str, waits: Waits) -> bool:
        """Open the circuit of an account; True when it was not open before."""
        ...

    def take_probes(self, worker_id: int, accounts: Sequence[str], lease: timedelta) -> Sequence[str]:
        """Take the accounts, of these, through which this worker alone may send a message now."""
        ...

    def end_probe(self, worker_id: int, account: str, reason: str, waits: Waits | None) -> bool:
        """Close the circuit, or with `waits` keep it open for `reason`; False when the probe is not ours any more."""
        ...

    def hasten_probes(self, accounts: Sequence[str]) -> None:
        """Have the open circuits of these accounts probed soon: their configuration was read anew."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """So many may be sent; where that is less than was asked for, ask again in so many seconds.

    `told` to whoever makes a quota `nearly` or wholly `spent`, once each.
    """

    granted: int
    again_in: float | None = None
    told: str | None = None


class LimitStore(Protocol):
    """The limits, and what is left of them, shared by all workers. Every call raises as those of CircuitStore."""

    def news(self) -> tuple[Sequence[Limit], Sequence[Bounds]] | None:
        """The limits and bounds in the database; None while they are as they were when this last gave them."""
        ...

    def take(self, wants: Mapping[Limit, int]) -> Mapping[Limit, Grant]:
        """Take up to so many of each, or give back where that is negative."""
        ...

    def reopen(self, accounts: Sequence[str]) -> None:
        """Let these accounts be asked again whether their quotas are used up: how much they are, may have changed."""
        ...

    def close_account(self, account: str, hold: float) -> None:
        """Close an account without a rate for `hold` seconds, for all workers."""
        ...

    def slow_down(self, limit: Limit, hold: float) -> float | None:
        """Halve the rate of a bucket that was taken from, and grant nothing for `hold` seconds; gives what is left."""
        ...


class Leases(Protocol):
    """What keeps claimed rows ours, and the dispatch mark of rows that must not be sent twice."""

    def extend(
        self, worker_id: int, notifications: Sequence[Notification], lease: timedelta
    ) -> Mapping[tuple[int, int], str]:
        """Prolong the leases; gives the tokens that were not: gone, no longer ours, or busy, ours but locked."""
        ...

    def dispatch(self, worker_id: int, notification: Notification) -> bool:
        """Write the dispatch mark before the send; False when the row is no longer ours."""
        ...


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat: is our row known, whose heart stopped, whose beats, and the database's clock.

    `hidden` are tables whose rows we may not see, `closed` logs that have no place for a line of today.
    """

    known: bool
    dead: tuple[int, ...]
    now: datetime
    living: tuple[int, ...] = ()
    hidden: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class Workers(Protocol):
    """The register of living workers."""

    def register(self, version: str) -> int:
        """Enter the register with a new worker_id."""
        ...

    def beat(self, worker_id: int, state: Mapping[str, object]) -> Beat:
        """Say that we live, with `state` for the operator; learn who does not."""
        ...

    def routes(self, worker_id: int, lines: Sequence[RouteLine]) -> None:
        """Tell which accounts serve our channels, in place of what we told before."""
        ...

    def leave(self, worker_id: int) -> None:
        """Leave the register."""
        ...


class Wake(Protocol):
    """The hint that a row came in; polling stays the truth."""

    @property
    def listening(self) -> bool:
        """Whether a hint would arrive now."""
        ...

    def wait(self, timeout: float, apart: float = 0.0) -> bool:
        """True when a hint arrived within `timeout` seconds, at least `apart` seconds after the one before."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...
