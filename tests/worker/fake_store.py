"""The queue in memory. `claim_contract` and `record_contract` show that it answers as the real one does."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.account import RouteLine
from noti_worker.domain.closures import NOTHING, Skip
from noti_worker.domain.errors import DatabaseAway, DatabaseBusy, DatabaseRefused
from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, Share, Spot
from noti_worker.domain.narrowing import narrow
from noti_worker.domain.notification import Briefing, Channel, Notification, Status
from noti_worker.domain.ports import Beat, Clock, Fate
from tests.domain.rows import claimed
from tests.worker.fake_circuits import FakeCircuits

FINISHED = {Status.SENT, Status.FAILED, Status.CANCELLED, Status.SUPPRESSED, Status.EXPIRED}
PARKED = {Status.HELD, Status.UNKNOWN}

STRANGER = 99
"""The worker that takes rows away."""


@dataclass
class Row:
    """A row as the table has it; `tries` is its part of the attempts log, each as (claim_count, status)."""

    notification: Notification
    status: Status = Status.PENDING
    waits_as: Status = Status.PENDING  # while nobody has it
    owner: int | None = None
    lease_until: datetime | None = None
    tries: list[tuple[int, str]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def open(self) -> bool:
        return self.status not in FINISHED | PARKED

    @property
    def key(self) -> Floor:
        return Floor(self.notification.due_at, self.notification.notification_id)

    @property
    def lane(self) -> Lane:
        return Lane(self.notification.channel, self.notification.priority, self.notification.tenant_id)

    def belongs_to(self, worker_id: int, notification: Notification) -> bool:
        return self.owner == worker_id and self.notification.claim_count == notification.claim_count

    def change(self, **fields: Any) -> None:
        self.notification = replace(self.notification, **fields)

    def leave(self, status: Status) -> None:
        """The claim ends, and with it the mark and the wish."""
        self.status, self.owner, self.lease_until = status, None, None
        self.change(dispatched=False, requested=None)


class FakeStore(FakeCircuits):
    """All doors over a dict; `away` makes every call fail, `calls` tells what was asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.rows: dict[int, Row] = {}
        self.refuse_extend = False
        self.refuse_routes = False
        self.known = True
        self.large: set[int] = set()
        self.lose_claims = 0  # so many are carried out and not answered
        self.locked: set[int] = set()  # by an application
        self.snatched: set[int] = set()  # each claim of them is taken over at once
        self.dead: tuple[int, ...] = ()
        self.living: tuple[int, ...] = ()
        self.hidden: tuple[str, ...] = ()
        self.closed: tuple[str, ...] = ()
        self.recorded: list[Result] = []
        self.lock = threading.RLock()

    def add(self, **fields: Any) -> int:
        number = len(self.rows) + 1
        self.rows[number] = Row(claimed(notification_id=number, claim_count=0, **fields))
        return number

    def snatch(self, number: int) -> None:
        """Another worker takes the row over, and keeps it."""
        row = self.rows[number]
        row.owner, row.lease_until = STRANGER, self.clock.now() + timedelta(days=1)
        row.change(claim_count=row.notification.claim_count + 1)

    # Lanes

    def heads(
        self, channels: Sequence[Channel], after: Lane | None, window: int, floors: Mapping[Lane, Floor] = NOWHERE
    ) -> Sequence[LaneHead]:
        self._call("heads", {"after": after, "floors": dict(floors)})
        self._refuse("heads", [])
        now, found = self.clock.now(), dict[Lane, list[Row]]()
        for row in self._open():
            if row.lane.channel in channels and (after is None or row.lane > after):
                found.setdefault(row.lane, []).append(row)
        heads: list[LaneHead] = []
        for lane, rows in sorted(found.items()):
            ahead = next((row.notification.due_at for row in rows if row.notification.due_at > now), None)
            if lane in floors:
                first = next((row for row in rows if row.key >= floors[lane] and not self._leased(row)), None)
            else:
                first = rows[0]
            if first is not None:
                heads.append(LaneHead(lane, first.notification.due_at, ahead))
        return heads[:window]

    def newcomers(self, channels: Sequence[Channel], window: int) -> Sequence[LaneHead]:
        self._call("newcomers", window)
        now = self.clock.now()
        rows = [
            row
            for row in self._open()
            if row.lane.channel in channels and row.notification.due_at <= now and not self._leased(row)
        ]
        rows.sort(key=lambda row: row.notification.notification_id)
        heads: dict[Lane, LaneHead] = {}
        for row in reversed(rows):
            heads.setdefault(row.lane, LaneHead(row.lane, row.notification.due_at))
        return list(heads.values())[:window]

    def strides(self, shares: Sequence[Share], rows: int) -> Mapping[Lane, Floor]:
        self._call("strides", [share.lane for share in shares])
        stops: dict[Lane, Floor] = {}
        for share in shares:
            due = [row.key for row in self._open() if row.lane == share.lane and self._due(row)]
            if len(ahead := [key for key in due if key >= share.floor]) > rows:
                stops[share.lane] = ahead[rows]
        return stops

    # Claims

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
        self._call("claim", {"shares": list(shares), "limit": limit, "dead": dead, "solo": solo, "skip": skip})
        with self.lock:
            taken = self._takes(worker_id, shares, limit, lease, dead, in_hand, solo, skip, living)
            self._refuse("claim", [row.notification for row in taken], within)
            for row in taken:
                self._take(row, worker_id, lease)
            claims = [row.notification for row in taken]
            for number in self.snatched.intersection(row.notification.notification_id for row in taken):
                self.snatch(number)
        if self.lose_claims:
            self.lose_claims -= 1
            raise DatabaseAway("08006")
        return claims

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
        self._call("peek", limit)
        self._refuse("peek", [])
        rows = self._takes(worker_id, shares, limit, lease, dead, in_hand, solo, skip, living)
        return [Spot(row.lane, row.key, solo) for row in rows]

    def _takes(
        self,
        worker_id: int,
        shares: Sequence[Share],
        limit: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        in_hand: Sequence[int] | None,
        solo: bool,
        skip: Skip,
        living: Sequence[int],
    ) -> list[Row]:
        with self.lock:
            taken: list[Row] = []
            for share in shares:
                free = [
                    row
                    for row in self._open()
                    if row.lane == share.lane
                    and self._due(row)
                    and share.floor <= row.key < share.until
                    and self._free(row, worker_id, lease, dead, in_hand, living)
                    and (row.notification.lost_count + (row.owner is not None) >= 2) == solo
                    and not skip.hits(row.notification)
                    and row.notification.notification_id not in self.locked
                ]
                taken += free[: max(min(share.quota, limit - len(taken)), 0)]
            return taken

    def brief(self, notifications: Sequence[Notification]) -> Mapping[int, Briefing]:
        self._call("brief", len(notifications))
        self._refuse("brief", notifications)
        ids = [each.notification_id for each in notifications]
        return {id_: Briefing(incomplete=True) for id_ in ids if id_ in self.large}

    def complete(self, notification: Notification, briefing: Briefing) -> Briefing:
        self._call("complete", notification.notification_id)
        self._refuse("complete", [notification])
        return replace(briefing, incomplete=False, body="the whole content")

    # Records

    def record(self, worker_id: int, results: Sequence[Result]) -> Mapping[int, Fate]:
        self._call("record", len(results))
        fates: dict[int, Fate] = {}

        def write(some: Sequence[Result]) -> None:
            self._refuse("record", [result.notification for result in some])
            for result in some:
                fates[result.notification.notification_id] = self._record(worker_id, result)

        with self.lock:
            found = narrow(results, write)
        if found.whole is not None:
            raise found.whole
        return fates | {result.notification.notification_id: error for result, error in found.refused}

    def rehearse(self, worker_id: int, result: Result | None) -> None:
        self._call("rehearse", result and result.notification.notification_id)
        self._refuse("record", [] if result is None else [result.notification])

    def release(self, worker_id: int, notifications: Sequence[Notification]) -> Mapping[tuple[int, int], str]:
        self._call("release", [each.notification_id for each in notifications])
        self._refuse("release", notifications)
        fates: dict[tuple[int, int], str] = {}
        with self.lock:
            for each in notifications:
                row, fate = self.rows[each.notification_id], "stale"
                if row.belongs_to(worker_id, each):
                    fate = "busy" if each.notification_id in self.locked else "released"
                if fate == "released":
                    row.leave(row.notification.requested or row.waits_as)
                fates[each.notification_id, each.claim_count] = fate
        return fates

    # Leases

    def extend(
        self, worker_id: int, notifications: Sequence[Notification], lease: timedelta
    ) -> Mapping[tuple[int, int], str]:
        self._call("extend", [each.notification_id for each in notifications])
        if self.refuse_extend:
            raise DatabaseBusy("55P03 LockNotAvailable")
        self._refuse("extend", notifications, timedelta(seconds=3))
        fates: dict[tuple[int, int], str] = {}
        with self.lock:
            for each in notifications:
                row = self.rows[each.notification_id]
                if not row.belongs_to(worker_id, each):
                    fates[each.notification_id, each.claim_count] = "gone"
                elif each.notification_id in self.locked:
                    fates[each.notification_id, each.claim_count] = "busy"
                else:
                    row.lease_until = self.clock.now() + lease
        return fates

    def dispatch(self, worker_id: int, notification: Notification) -> bool:
        self._call("dispatch", notification.notification_id)
        self._refuse("dispatch", [notification])
        with self.lock:
            row = self.rows[notification.notification_id]
            if ours := row.belongs_to(worker_id, notification):
                row.change(dispatched=True)
            return ours

    # Workers

    def register(self, version: str) -> int:
        self._call("register", version)
        return 7

    def beat(self, worker_id: int, state: Mapping[str, object]) -> Beat:
        self._call("beat", dict(state))
        return Beat(self.known, self.dead, self.clock.now(), self.living, self.hidden, self.closed)

    def routes(self, worker_id: int, lines: Sequence[RouteLine]) -> None:
        self._call("routes", list(lines))
        if self.refuse_routes:
            raise DatabaseRefused("42501 InsufficientPrivilege")

    def leave(self, worker_id: int) -> None:
        self._call("leave", worker_id)

    def _open(self) -> Iterable[Row]:
        return sorted((row for row in self.rows.values() if row.open), key=lambda row: row.key)

    def _due(self, row: Row) -> bool:
        return row.notification.due_at <= self.clock.now()

    def _leased(self, row: Row, grace: timedelta = timedelta()) -> bool:
        return row.lease_until is not None and row.lease_until >= self.clock.now() - grace

    def _free(
        self,
        row: Row,
        worker_id: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        in_hand: Sequence[int] | None,
        living: Sequence[int],
    ) -> bool:
        if row.owner is None:
            return True
        grace = lease if row.owner in living else timedelta()
        if dead is not None and (row.owner in dead or not self._leased(row, grace)):
            return True
        unanswered = in_hand is not None and row.notification.notification_id not in in_hand
        return unanswered and row.owner == worker_id and not row.notification.dispatched

    def _take(self, row: Row, worker_id: int, lease: timedelta) -> None:
        now, last = self.clock.now(), row.notification
        if row.owner is not None:
            row.tries.append((last.claim_count, "lost"))
            row.change(lost_count=last.lost_count + 1, attempt_count=last.attempt_count + 1)
        row.change(claim_count=last.claim_count + 1, claimed_at=now, rescued=row.owner is not None)
        row.owner, row.lease_until, row.status = worker_id, now + lease, Status.SENDING

    def _record(self, worker_id: int, result: Result) -> str:
        claim, tried = result.notification, result.outcome is not None
        row = self.rows[claim.notification_id]
        if row.belongs_to(worker_id, claim):
            if claim.notification_id in self.locked:
                return "busy"
            self._apply(row, result)
            return "applied"
        written = any(count == claim.claim_count and status != "lost" for count, status in row.tries)
        if written if tried else (row.owner is None and row.notification.claim_count == claim.claim_count):
            return "again"
        if tried:
            row.tries.append((claim.claim_count, "stale"))
        return "stale"

    def _apply(self, row: Row, result: Result) -> None:
        last, verdict, tried = row.notification, result.verdict, result.outcome is not None
        becomes = verdict.status
        if becomes in {Status.RETRYING, Status.HELD}:
            becomes = last.requested or becomes
        if tried:
            told = verdict.status in {Status.SENT, Status.RETRYING, *PARKED}
            row.tries.append((last.claim_count, str(verdict.status) if told else "failed"))
        if verdict.status is Status.RETRYING:
            row.change(due_at=self.clock.now() + (verdict.wait or timedelta()))
            row.waits_as = Status.RETRYING
        row.change(
            retry_count=last.retry_count + verdict.charge, attempt_count=last.attempt_count + tried, lost_count=0
        )
        row.leave(becomes)
        self.recorded.append(result)
