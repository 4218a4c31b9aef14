"""Tiny fakes of the ports: a queue in memory, a clock that is set by hand, an observer that remembers."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.circuits import Waits
from noti_worker.domain.closures import CIRCUIT, NOTHING, Closure, Closures, Skip
from noti_worker.domain.errors import DatabaseAway, DatabaseBusy, DatabaseRefused
from noti_worker.domain.facts import Fact, Result
from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Briefing, Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Beat, Wake
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.context import Context, Doors, Pace
from noti_worker.worker.outage import Outage
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


@dataclass
class Circuit:
    """An account in trouble."""

    retry_at: datetime
    wait: timedelta
    probe_by: int | None = None


class FakeStore:
    """Queue, Leases and Workers over a dict; `away` makes every call fail, `calls` tells what was asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rows: dict[int, Row] = {}
        self.away = False
        self.refuse_extend = False
        self.refuse_brief = False
        self.lose_claims = 0
        self.busy: set[int] = set()
        self.gone: set[int] = set()
        self.locked: set[int] = set()
        self.dead: tuple[int, ...] = ()
        self.calls: list[tuple[str, Any]] = []
        self.recorded: list[Result] = []
        self.paused: set[tuple[str, str]] = set()
        self.circuits: dict[str, Circuit] = {}
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

    def closures(self) -> Closures:
        self._call("closures", None)
        return Closures(
            [
                *(Closure(scope, name) for scope, name in self.paused),
                *(Closure("account", name, "", CIRCUIT, circuit.retry_at) for name, circuit in self.circuits.items()),
            ]
        )

    def open_circuit(self, worker_id: int, account: str, reason: str, waits: Waits) -> bool:
        self._call("open_circuit", {"account": account, "reason": reason, "waits": waits})
        if account in self.circuits:
            return False
        self.circuits[account] = Circuit(self.clock.now() + waits.first, waits.first)
        return True

    def take_probes(self, worker_id: int, accounts: Sequence[str], lease: timedelta) -> Sequence[str]:
        self._call("take_probes", list(accounts))
        taken = [
            name
            for name in accounts
            if self.circuits[name].retry_at <= self.clock.now() and self.circuits[name].probe_by in {None, worker_id}
        ]
        for name in taken:
            self.circuits[name].probe_by = worker_id
        return taken

    def end_probe(self, worker_id: int, account: str, reason: str, waits: Waits | None) -> bool:
        self._call("end_probe", {"account": account, "waits": waits})
        circuit = self.circuits.get(account)
        if circuit is None or circuit.probe_by != worker_id:
            return False
        if waits is None:
            del self.circuits[account]
        else:
            circuit.wait = max(waits.first, min(circuit.wait * 2, waits.longest))
            circuit.retry_at, circuit.probe_by = self.clock.now() + circuit.wait, None
        return True

    def hasten_probes(self, accounts: Sequence[str]) -> None:
        self._call("hasten_probes", list(accounts))

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
                    and not skip.hits(row.notification)
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
        return Beat(True, self.dead, self.clock.now())

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


PACE = Pace(poll_interval=1.0, batch_size=500, lease=timedelta(minutes=2), drain_deadline=20.0)


def context(clock: DatabaseClock, observer: Witness, pace: Pace = PACE, worker_id: int = 7) -> Context:
    """What a part of a worker is given; its dice throw the middle."""
    outage = Outage(clock, observer, lambda: 0.5)
    return Context(pace, clock, outage, observer, lambda: 0.5, lambda name: None, worker_id)


def doors(store: "FakeStore", wake: Wake) -> Doors:
    """Every door leads to `store`, but for the wake-up."""
    return Doors(
        lanes=store,
        closures=store,
        circuits=store,
        claims=store,
        records=store,
        leases=store,
        workers=store,
        wake=wake,
    )


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
