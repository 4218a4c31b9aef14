"""A queue, what happens around it, and short words for what the contracts do with it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from noti_worker.domain.closures import NOTHING, Skip
from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import END, Floor, Lane, LaneHead, Share
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Claims, Lanes, Leases, Records

LEASE = timedelta(minutes=2)
AT_ONCE = timedelta(0)
"""A lease that has run out once a moment has passed."""

NORMAL = Lane(Channel.EMAIL, Priority.NORMAL, "default")
URGENT = Lane(Channel.EMAIL, Priority.URGENT, "default")
OTHER = Lane(Channel.EMAIL, Priority.NORMAL, "other")
SMS = Lane(Channel.SMS, Priority.NORMAL, "default")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a row stands in the table; `tries` are the statuses of its attempts, in order."""

    status: Status
    claimed_by: int | None
    claim_count: int
    retry_count: int
    attempt_count: int
    lost_count: int
    tries: tuple[str, ...]


class Doors(Lanes, Claims, Records, Leases, Protocol):
    """All that the queue is asked for."""


class Desk(Protocol):
    """A queue, and what happens around it."""

    @property
    def queue(self) -> Doors:
        """What is tested."""
        ...

    def add(self, lane: Lane = NORMAL, seconds: float = -10.0, **columns: Any) -> int:
        """Put a row in that is due in so many seconds from when the test began; gives its id."""
        ...

    def row(self, number: int) -> Standing:
        """Look at a row."""
        ...

    def locked(self, number: int) -> AbstractContextManager[None]:
        """An application has the row locked meanwhile."""
        ...

    def ask(self, number: int, wish: Status) -> None:
        """Somebody cancels or holds a row in flight."""
        ...


def claim(
    desk: Desk,
    *of: Lane,
    worker_id: int = 1,
    limit: int = 100,
    lease: timedelta = LEASE,
    dead: Sequence[int] | None = (),
    in_hand: Sequence[int] | None = None,
    solo: bool = False,
    skip: Skip = NOTHING,
    living: Sequence[int] = (),
) -> Sequence[Notification]:
    """Claim from lanes of which each may use the whole limit."""
    shares = [Share(lane, limit, Floor(), END) for lane in of or (NORMAL,)]
    return desk.queue.claim(worker_id, shares, limit, lease, dead, in_hand=in_hand, solo=solo, skip=skip, living=living)


def tried(row: Notification, status: Status = Status.SENT, wait: timedelta = timedelta(minutes=1)) -> Result:
    """The result of a try."""
    retries = status is Status.RETRYING
    verdict = Verdict(status, f"reason of {status}", wait=wait if retries else None, charge=retries)
    return Result(row, verdict, Outcome(Kind.OK if status is Status.SENT else Kind.TRANSIENT), "relay", "smtp")


def decided(row: Notification) -> Result:
    """A decision not to send."""
    return Result(row, Verdict(Status.SUPPRESSED, "a reason"))


def ids(rows: Sequence[Notification]) -> list[int]:
    """Their ids, in order."""
    return [row.notification_id for row in rows]


def lanes(heads: Sequence[LaneHead]) -> list[Lane]:
    """Their lanes, in order."""
    return [head.lane for head in heads]
