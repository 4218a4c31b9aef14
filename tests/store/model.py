"""What the store promises of a notification, as plain Python: no SQL, no clock. `test_model.py` compares the two."""

from collections.abc import Collection
from dataclasses import dataclass, field

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Notification, OnUncertain, Status
from noti_worker.domain.outcome import Kind

ACCOUNTS = ("relay", "backup")
"""The route of every lane."""

FINISHED = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED, Status.SUPPRESSED, Status.EXPIRED})
PARKED = frozenset({Status.HELD, Status.UNKNOWN})


@dataclass(frozen=True)
class End:
    """What a worker makes of a claim; `again_at_once` for a retry without a wait."""

    status: Status
    tried: bool
    charge: bool = False
    again_at_once: bool = False


@dataclass(eq=False)
class Row:
    """One notification. `tries` are (claim_count, attempt_number, status), `audit` the actions without their prefix."""

    id: int
    message_id: str
    lane: Lane
    max_retries: int
    on_uncertain: OnUncertain | None
    template_id: str | None
    provider: str | None
    due: bool
    expiry: str  # none, ahead, past
    status: Status = Status.PENDING
    owner: int | None = None
    claim_count: int = 0
    lease_over: bool = False
    extended: bool = False
    requested: Status | None = None
    dispatched: bool = False
    retry_count: int = 0
    attempt_count: int = 0
    lost_count: int = 0
    waited: bool = False  # next_retry_at is set
    tries: list[tuple[int, int, str]] = field(default_factory=list)
    audit: list[str] = field(default_factory=lambda: ["triggered"])

    def __repr__(self) -> str:
        return f"row {self.id}"

    @property
    def rests(self) -> bool:
        return self.status in FINISHED | PARKED

    def paused(self, pauses: Collection[tuple[str, str]]) -> bool:
        """Whether one of the pauses keeps it from being claimed."""
        return (
            ("everything", "") in pauses
            or ("channel", self.lane.channel) in pauses
            or ("tenant", self.lane.tenant_id) in pauses
            or ("template", self.template_id) in pauses
            or all(("account", account) in pauses for account in ACCOUNTS)
            or ("account", self.provider) in pauses
        )

    def claimable(self, dead: Collection[int] | None, unanswered: bool, *, solo: bool) -> bool:
        """`unanswered`: the worker that claims has it already, and knows nothing of it."""
        if self.rests or not self.due:
            return False
        lost = dead is not None and (self.lease_over or self.owner in dead)
        if self.owner is not None and not lost and not (unanswered and not self.dispatched):
            return False
        return (self.lost_count + (self.owner is not None) >= 2) == solo

    def claim(self, worker: int) -> None:
        if self.owner is not None:
            self.attempt_count += 1
            self.lost_count += 1
            self.tries.append((self.claim_count, self.attempt_count, "lost"))
        self.status, self.owner, self.lease_over, self.extended = Status.SENDING, worker, False, False
        self.claim_count += 1

    def record(self, claim: "Claim", end: End) -> str:
        """The fate of a result, after which the row is what it is."""
        seen = self.tries_of(claim.token)
        if not claim.holds:
            if seen if end.tried else self.owner is None and self.claim_count == claim.token:
                return "again"
            if end.tried:
                self.tries.append((claim.token, claim.seen.attempt_count + 1, "stale"))
            return "stale"
        becomes = (self.requested or end.status) if end.status in {Status.RETRYING, Status.HELD} else end.status
        if end.tried:
            self.attempt_count += 1
            self.tries.append((claim.token, self.attempt_count, _ATTEMPT.get(end.status, "failed")))
        self.retry_count += end.charge
        if end.status is Status.RETRYING:
            self.waited, self.due = True, end.again_at_once
        self.lost_count = 0
        self._let_go(becomes)
        self.audit.append(becomes.value)
        return "applied"

    def give_back(self) -> None:
        """Release by the worker that holds it: nothing was tried."""
        if self.requested is not None:
            self.audit.append(self.requested.value)
        self._let_go(self.requested or (Status.RETRYING if self.waited else Status.PENDING))

    def _let_go(self, becomes: Status) -> None:
        self.status = becomes
        self.owner, self.lease_over, self.dispatched, self.requested = None, False, False, None

    def tries_of(self, token: int) -> bool:
        return any(claim_count == token and status != "lost" for claim_count, _, status in self.tries)

    # What people and applications do; the answer of the SQL function.

    def cancel(self) -> str:
        if self.owner is not None:
            if self.requested is not Status.CANCELLED:
                self.requested = Status.CANCELLED
                self.audit.append("cancel_requested")
            return "cancelled requested"
        if self.status not in FINISHED:
            self._move(Status.CANCELLED, "cancelled")
        return self.status.value

    def hold(self) -> str:
        if self.owner is not None:
            if self.requested is None:
                self.requested = Status.HELD
                self.audit.append("hold_requested")
            return f"{self.requested} requested"
        if not self.rests:
            self._move(Status.HELD, "held")
        return self.status.value

    def release(self) -> str:
        if self.requested is Status.HELD:
            self.requested = None
            self.audit.append("request_withdrawn")
            return self.status.value
        if self.status in PARKED:
            self._move(Status.PENDING, "released")
        return self._answer()

    def requeue(self) -> str:
        if self.status in FINISHED - {Status.SENT}:
            self._move(Status.PENDING, "requeued")
            self.retry_count, self.lost_count, self.waited, self.due = 0, 0, False, True
            if self.expiry == "past":
                self.expiry = "none"
        return self._answer()

    def _move(self, status: Status, act: str) -> None:
        if self.status is Status.UNKNOWN:
            self.lost_count = 0
        self.status = status
        self.audit.append(act)

    def _answer(self) -> str:
        return f"{self.requested} requested" if self.requested else self.status.value


@dataclass(eq=False)
class Claim:
    """A claim in the hands of a worker, also long after it was lost. `seen` is the row as the claim gave it."""

    worker: int
    row: Row
    token: int
    seen: Notification
    expiry: str

    @property
    def holds(self) -> bool:
        """The fence."""
        return (self.row.owner, self.row.claim_count) == (self.worker, self.token)

    def end(self, kind: Kind, *, failover: bool) -> End:
        """What must become of it when the provider answers `kind`: permits first."""
        seen, on_uncertain = self.seen, self.row.on_uncertain or OnUncertain.RETRY
        if seen.requested is not None:
            return End(seen.requested, tried=False)
        if seen.lost_count >= 5:
            return End(Status.FAILED, tried=False)
        if seen.dispatched and on_uncertain is not OnUncertain.RETRY:
            return End(_UNCERTAIN[on_uncertain], tried=False)
        if self.expiry == "past":
            return End(Status.EXPIRED, tried=False)
        if kind is Kind.UNCERTAIN and on_uncertain is not OnUncertain.RETRY:
            return End(_UNCERTAIN[on_uncertain], tried=True)
        if kind in {Kind.TRANSIENT, Kind.UNCERTAIN}:
            spent = seen.retry_count >= (3 if seen.max_retries is None else seen.max_retries)
            return End(Status.FAILED if spent else Status.RETRYING, tried=True, charge=not spent)
        if kind is Kind.CONFIG:
            return End(Status.RETRYING if failover else Status.HELD, tried=True, again_at_once=failover)
        return End(_PLAIN[kind], tried=True)


_PLAIN = {
    Kind.OK: Status.SENT,
    Kind.PERMANENT: Status.FAILED,
    Kind.DEAD: Status.FAILED,
    Kind.OPTOUT: Status.FAILED,
    Kind.THROTTLED: Status.RETRYING,
}
_UNCERTAIN = {OnUncertain.HOLD: Status.UNKNOWN, OnUncertain.FAIL: Status.FAILED}
_ATTEMPT = {status: status.value for status in (Status.SENT, Status.RETRYING, Status.HELD, Status.UNKNOWN)}
