"""What the parts of one worker share: its pace, its clock, the doors to the database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from noti_worker.domain.circuits import LONGEST_FAILED, LONGEST_REFUSED, Waits
from noti_worker.domain.ports import (
    CircuitStore,
    Claims,
    ClosureReader,
    Lanes,
    Leases,
    Observer,
    Records,
    Wake,
    Workers,
)
from noti_worker.worker.allowance import Allowance
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.outage import Outage
from noti_worker.worker.refusals import Refusals

FAILED = Waits(timedelta(seconds=30), LONGEST_FAILED)
REFUSED = Waits(timedelta(minutes=1), LONGEST_REFUSED)

UNREGISTERED = 0
"""Nobody's worker_id: the register begins with 1."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between polls, rows per claim, the length of a lease, seconds that sends in flight have at a stop.

    `failed` and `refused`: how long an account is left alone that failed, and one that refused us.
    """

    poll_interval: float
    batch_size: int
    lease: timedelta
    drain_deadline: float
    failed: Waits = FAILED
    refused: Waits = REFUSED


@dataclass(frozen=True, slots=True)
class Context:
    """Given to every part. `dice` throws a number from 0 to 1; `tick` takes the name of a loop that goes on."""

    pace: Pace
    clock: DatabaseClock
    outage: Outage
    observer: Observer
    dice: Callable[[], float]
    tick: Callable[[str], None]
    refusals: Refusals
    allowance: Allowance
    worker_id: int = UNREGISTERED


@dataclass(frozen=True, slots=True)
class Doors:
    """The database, by what is asked of it."""

    lanes: Lanes
    closures: ClosureReader
    circuits: CircuitStore
    claims: Claims
    records: Records
    leases: Leases
    workers: Workers
    wake: Wake
