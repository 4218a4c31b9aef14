"""Tiny fakes of the ports: a queue in memory, a clock that is set by hand, an observer that remembers."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from noti_worker.domain.account import RouteLine
from noti_worker.domain.errors import DatabaseAway, DatabaseBusy, DatabaseRefused
from noti_worker.domain.facts import Fact, Result
from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Briefing, Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.pauses import NOTHING, Pauses, Skip
from noti_worker.domain.ports import Beat
from noti_worker.worker.clock import DatabaseClock
from tests.domain.rows import NOW, claimed


class FakeClock(DatabaseClock):
    """Stands still until `tick` moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0
        self.hear(NOW, self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


class Witness:
    """An observer that keeps every fact."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def on(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@dataclass
class Row:
    notification: Notification
    owner: int | None = None
    finished: bool = False
    status: Status = Status.PENDING


class FakeStore:
    """Queue, Leases and Workers over a dict; `away` makes every call fail, `calls` tells what was asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rows: dict[int, Row] = {}
        self.away = False
        self.refuse_extend = False
        self.refuse_brief = False
        self.refuse_routes = False
        self.lose_claims = 0
        self.busy: set[int] = set()
        self.gone: set[int] = set()
        self.locked: set[int] = set()
        self.dead: tuple[int, ...] = ()
        self.known = True
        self.calls: list[tuple[str, Any]] = []
        self.recorded: list[Result] = []
        self.paused: set[tuple[str, str]] = set()
        self.lock = threading.RLock()

    def add(self, **fields: Any) -> int:
        number = len(self.rows) + 1
        self.rows[number] = Row(claimed(notification_id=number, claim_count=0, **fields))
        return number

    def heads(
        self, channels: Sequence[Channel], after: Lane | None, window: int, floors: Mapping[Lane, Floor] = NOWHERE
    ) -> Sequence[LaneHead]:
        self._call("heads", {"after": after, "floors": dict(floors)})
        found: dict[Lane, LaneHead] = {}
        for row in self.rows.values():
            lane = _lane(row.notification)
            key = Floor(row.notification.due_at, row.notification.notification_id)
            if lane in floors and (key < floors[lane] or row.owner is not None):
                continue
            if not row.finished and lane.channel in channels and (after is None or lane > after):
                head = found.get(lane, LaneHead(lane, row.notification.due_at))
                ahead = {at for at in (head.next_at, row.notification.due_at) if at and at > self.clock.now()}
                due_at = min(head.due_at, row.notification.due_at)
                found[lane] = LaneHead(lane, due_at, min(ahead, default=None))
        return [found[lane] for lane in sorted(found)][:window]

    def pauses(self) -> Pauses:
        self._call("pauses", None)
        return Pauses.of(self.paused)

    def strides(self, shares: Sequence[Share], rows: int) -> Mapping[Lane, Floor]:
        self._call("strides", [share.lane for share in shares])
        stops: dict[Lane, Floor] = {}
        for share in shares:
            keys = sorted(
                Floor(row.notification.due_at, row.notification.notification_id)
                for row in self.rows.values()
                if not row.finished and _lane(row.notification) == share.lane
            )
            if len(ahead := [key for key in keys if key >= share.floor]) > rows:
                stops[share.lane] = ahead[rows]
        return stops

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
    ) -> Sequence[Notification]:
        self._call("claim", {"shares": list(shares), "limit": limit, "dead": dead, "solo": solo, "skip": skip})
        taken: list[Notification] = []
        with self.lock:
            for share in shares:
                free = [
                    row
                    for id_, row in self.rows.items()
                    if not row.finished
                    and (row.owner is None or (row.owner == worker_id and in_hand is not None and id_ not in in_hand))
                    and row.notification.due_at <= self.clock.now()
                    and _lane(row.notification) == share.lane
                    and (row.notification.lost_count >= 2) == solo
                    and row.notification.provider not in skip.providers
                    and row.notification.template_id not in skip.templates
                    and share.floor <= Floor(row.notification.due_at, row.notification.notification_id) < share.until
                ]
                free.sort(key=lambda row: (row.notification.due_at, row.notification.notification_id))
                for row in free[: min(share.quota, limit - len(taken))]:
                    row.owner, row.status = worker_id, Status.SENDING
                    count = row.notification.claim_count + 1
                    row.notification = replace(row.notification, claim_count=count, claimed_at=self.clock.now())
                    taken.append(row.notification)
        if self.lose_claims:
            self.lose_claims -= 1
            raise DatabaseAway("08006")
        return taken

    def brief(self, notifications: Sequence[Notification]) -> Mapping[int, Briefing]:
        self._call("brief", len(notifications))
        if self.refuse_brief:
            raise DatabaseRefused("42501 InsufficientPrivilege")
        return {}

    def record(self, worker_id: int, results: Sequence[Result]) -> Mapping[int, str]:
        self._call("record", len(results))
        fates: dict[int, str] = {}
        with self.lock:
            for result in results:
                number = result.notification.notification_id
                if number in self.busy:
                    self.busy.discard(number)
                    fates[number] = "busy"
                    continue
                row = self.rows[number]
                fates[number] = "applied" if row.owner == worker_id else "stale"
                row.owner, row.status = None, result.verdict.status
                row.finished = result.verdict.status is not Status.RETRYING
                self.recorded.append(result)
        return fates

    def release(self, worker_id: int, notifications: Sequence[Notification]) -> Mapping[tuple[int, int], str]:
        self._call("release", [each.notification_id for each in notifications])
        fates: dict[tuple[int, int], str] = {}
        with self.lock:
            for each in notifications:
                row = self.rows[each.notification_id]
                token = (each.notification_id, each.claim_count)
                if each.notification_id in self.locked:
                    fates[token] = "busy"
                    continue
                row.owner, row.status = None, Status.PENDING
                fates[token] = "released"
        return fates

    def extend(
        self, worker_id: int, notifications: Sequence[Notification], lease: timedelta
    ) -> Mapping[tuple[int, int], str]:
        self._call("extend", [each.notification_id for each in notifications])
        if self.refuse_extend:
            raise DatabaseBusy("55P03 LockNotAvailable")
        fates = dict.fromkeys(self.gone, "gone") | dict.fromkeys(self.locked, "busy")
        tokens = [(each.notification_id, each.claim_count) for each in notifications]
        return {token: fates[token[0]] for token in tokens if token[0] in fates}

    def dispatch(self, worker_id: int, notification: Notification) -> bool:
        self._call("dispatch", notification.notification_id)
        return notification.notification_id not in self.gone

    def register(self, version: str) -> int:
        self._call("register", version)
        return 7

    def beat(self, worker_id: int, state: Mapping[str, object]) -> Beat:
        self._call("beat", dict(state))
        return Beat(self.known, self.dead, self.clock.now())

    def routes(self, worker_id: int, lines: Sequence[RouteLine]) -> None:
        self._call("routes", list(lines))
        if self.refuse_routes:
            raise DatabaseRefused("42501 InsufficientPrivilege")

    def leave(self, worker_id: int) -> None:
        self._call("leave", worker_id)

    def asked(self, name: str) -> list[Any]:
        return [what for call, what in self.calls if call == name]

    def _call(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        if self.away:
            raise DatabaseAway("08006 OperationalError")


def _lane(notification: Notification) -> Lane:
    return Lane(notification.channel, Priority(notification.priority), notification.tenant_id)


def sent(notification: Notification) -> Result:
    """The result of a try that went well."""
    return Result(notification, Verdict(Status.SENT, "the provider accepted it"), Outcome(Kind.OK))


class NoWake:
    """A wake-up that never comes."""

    listening = False

    def __init__(self) -> None:
        self.closed = threading.Event()

    def wait(self, timeout: float, apart: float = 0.0) -> bool:
        self.closed.wait(timeout)
        return False

    def close(self) -> None:
        self.closed.set()
