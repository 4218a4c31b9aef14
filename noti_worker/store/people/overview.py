"""The whole picture for an operator: what waits and why, what goes on, what failed, who works, what is paused.

Every part is bounded, so that a million rows cost no more than a moment; a count that reached its bound says so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.connect import Connection
from noti_worker.store.errors import translated
from noti_worker.store.people.gauges import ChannelLine, WorkerLine, status
from noti_worker.store.people.limits import LimitLine, limits
from noti_worker.store.people.obstacles import Obstacle, obstacles
from noti_worker.store.people.pausing import CircuitLine, PauseLine, Suspension, closed
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import Statement, statement

LANES = 2_000
TOP = 8
WAITING_BOUND = 10_000
HELD_BOUND = 2_000
FAILED_BOUND = 5_000
ENDS_BOUND = 20_000
CAUSES = 20
TRIES_BOUND = 20_000
RATES_SPAN = timedelta(minutes=5)
FAILURES_SPAN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One lane with due rows: how many (`bounded`: at least), since when, and why the oldest still waits."""

    channel: str
    priority: str
    tenant_id: str
    rows: int
    oldest_due_seconds: float
    oldest_id: int
    why: str
    bounded: bool
    blocked_by: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Parked:
    """Rows that wait for a person, of one channel, status and reason."""

    channel: str
    status: str
    reason: str
    rows: int
    oldest_seconds: float
    example_id: int
    bounded: bool


@dataclass(frozen=True, slots=True)
class Failures:
    """What ended within the hour unsent (failed, expired, suppressed) for one cause, with the newest of them.

    After CAUSES of them all others stand in one line without channel, status and example.
    """

    channel: str | None
    status: str | None
    account: str | None
    kind: str | None
    rows: int
    example_id: int | None
    error: str | None
    bounded: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """Tries per minute by how they ended, over the last `seconds`; `other`: held, unknown, lost, late.

    `untried` ended without a try: failed, expired or suppressed.
    """

    sent: float
    retried: float
    failed: float
    other: float
    untried: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Refusing:
    """An account whose last `tries` were all not accepted, for no fault of the messages.

    It answered otherwise `seconds` ago; unless `answered_before`, the first of these tries was so long ago.
    """

    account: str
    tries: int
    kind: str
    example_id: int
    seconds: float
    answered_before: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Tries of one account that ended as `kind` and were not accepted, `of` all its tries; the newest and its error."""

    account: str | None
    kind: str | None
    tries: int
    of: int
    example_id: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `status` and `top` show, as it was `at` that instant.

    The lanes are those that wait longest, the limits those that are felt.
    """

    at: datetime
    channels: tuple[ChannelLine, ...]
    rates: Rates
    waiting: tuple[Waiting, ...]
    refusing: tuple[Refusing, ...]
    answers: tuple[Answers, ...]
    held: tuple[Parked, ...]
    failures: tuple[Failures, ...]
    workers: tuple[WorkerLine, ...]
    standby: bool
    pauses: tuple[PauseLine, ...]
    circuits: tuple[CircuitLine, ...]
    suspended: tuple[Suspension, ...]
    limits: tuple[LimitLine, ...]


def overview(people: Connection) -> Overview:
    """Ask for all of it, at one instant: no part contradicts another. Raises DatabaseAway or DatabaseRefused."""
    with translated(), people.transaction():
        people.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        [clock] = rows(people, Statement("clock", "SELECT now() AS at", frozenset()), {})
        now = status(people)
        pauses, circuits, suspended = closed(people)
        return Overview(
            at=clock["at"],
            channels=now.channels,
            rates=rates(people),
            waiting=tuple(waiting(people)),
            refusing=tuple(refusing(people)),
            answers=tuple(answers(people)),
            held=tuple(held(people)),
            failures=tuple(failures(people)),
            workers=now.workers,
            standby=now.standby,
            pauses=tuple(pauses),
            circuits=tuple(circuits),
            suspended=tuple(suspended),
            limits=tuple(line for line in limits(people) if line.felt),
        )


def waiting(source: Source, top: int = TOP, bound: int = WAITING_BOUND) -> list[Waiting]:
    """The `top` lanes whose oldest due row has waited longest, the longest first."""
    asked = {
        "channels": [channel.value for channel in Channel],
        "priorities": [rank.value for rank in Priority],
        "lanes": LANES,
        "top": top,
        "bound": bound,
    }
    with by_index(source):
        found = rows(source, statement("read_waiting"), asked)
    causes = obstacles(source, [row["oldest_id"] for row in found])
    return [Waiting(**row, bounded=row["rows"] >= bound, blocked_by=causes[row["oldest_id"]]) for row in found]


def held(source: Source, bound: int = HELD_BOUND) -> list[Parked]:
    """What waits for a person, by reason, among the `bound` that do so longest."""
    found = rows(source, statement("read_held"), {"bound": bound})
    return [Parked(**row, bounded=sum(other["rows"] for other in found) >= bound) for row in found]


def failures(source: Source, bound: int = FAILED_BOUND) -> list[Failures]:
    """What ended within the hour without being sent, by cause: the `bound` newest failures, and of the newest ends."""
    found = rows(source, statement("read_failures"), {"span": FAILURES_SPAN, "bound": bound, "seen": ENDS_BOUND})
    bounded = sum(row["rows"] for row in found if row["status"] == "failed") >= bound
    told = [Failures(**row, bounded=bounded) for row in found[:CAUSES]]
    if more := found[CAUSES:]:
        rest = sum(row["rows"] for row in more)
        told.append(Failures(None, None, None, None, rest, None, f"{len(more)} other causes", bounded))
    return told


def rates(source: Source, bound: int = TRIES_BOUND) -> Rates:
    """How many tries ended how, per minute."""
    (row,) = rows(source, statement("read_rates"), {"span": RATES_SPAN, "bound": bound})
    per_minute = {name: row[name] * 60 / row["seconds"] for name in ("sent", "retried", "failed", "other", "untried")}
    return Rates(**per_minute, seconds=row["seconds"])


def refusing(source: Source, bound: int = TRIES_BOUND) -> list[Refusing]:
    """Which accounts accept nothing just now, by the `bound` newest tries of the same span as the rates."""
    found = rows(source, statement("read_accounts"), {"span": RATES_SPAN, "bound": bound})
    return [Refusing(**row) for row in found]


def answers(source: Source, bound: int = TRIES_BOUND) -> list[Answers]:
    """Which accounts did not accept what, among the `bound` newest tries of the same span as the rates."""
    found = rows(source, statement("read_answers"), {"span": RATES_SPAN, "bound": bound})
    return [Answers(**row) for row in found]
