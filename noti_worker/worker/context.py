"""What the parts of one worker share: its pace, its clock, the doors to the database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from noti_worker.domain.ports import Claims, Lanes, Leases, Observer, PauseReader, Records, Wake, Workers
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.outage import Outage

UNREGISTERED = 0
"""Nobody's worker_id: the register begins with 1."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between polls, rows per claim, the length of a lease, seconds that sends in flight have at a stop."""

    poll_interval: float
    batch_size: int
    lease: timedelta
    drain_deadline: float


@dataclass(frozen=True, slots=True)
class Context:
    """Given to every part. `dice` throws a number from 0 to 1; `tick` takes the name of a loop that goes on."""

    pace: Pace
    clock: DatabaseClock
    outage: Outage
    observer: Observer
    dice: Callable[[], float]
    tick: Callable[[str], None]
    worker_id: int = UNREGISTERED


@dataclass(frozen=True, slots=True)
class Doors:
    """The database, by what is asked of it."""

    lanes: Lanes
    pauses: PauseReader
    claims: Claims
    records: Records
    leases: Leases
    workers: Workers
    wake: Wake
