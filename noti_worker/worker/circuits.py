"""The circuits of the accounts as one worker sees to them: it counts answers, opens, probes and closes."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from noti_worker.domain.circuits import Sign, Tally, Waits, sign
from noti_worker.domain.closures import CIRCUIT, Scope
from noti_worker.domain.facts import CircuitClosed, CircuitOpened, Result
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.ports import CircuitStore
from noti_worker.domain.words import without_recipient
from noti_worker.worker.context import Context
from noti_worker.worker.steering import Steering

PROBE_LEASE = timedelta(minutes=1)
"""A probe that nothing came of within this time is anybody's again."""

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class _Answer:
    read: Sign
    reason: str = field(repr=False)


class Circuits:
    """Hears every result, from any thread; the loop writes what the database must know, in `write` and `take`."""

    def __init__(
        self,
        context: Context,
        store: CircuitStore,
        steering: Steering,
    ) -> None:
        """Nothing is in trouble yet."""
        self._context = context
        self._store = store
        self._steering = steering
        self._lock = threading.Lock()
        self._tallies: dict[str, Tally] = {}
        self._openings: dict[str, _Answer] = {}  # not written yet
        self._probes: dict[str, float] = {}  # ours, and when they were taken
        self._probed: dict[str, _Answer] = {}  # not written yet
        self._hasten = True  # a configuration was read that may have mended what was wrong

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._openings or self._probed)

    def hasten(self) -> None:
        """The configuration was read anew: accounts in trouble are to be tried soon."""
        self._hasten = True

    def heard(self, result: Result) -> bool:
        """Count what an account answered; True when there is something to write at once."""
        outcome, account = result.outcome, result.account
        if outcome is None or account is None:
            return False
        read = sign(outcome)
        with self._lock:
            if account in self._probes:
                if result.since < self._probes[account]:
                    return False  # begun before the probe
                del self._probes[account]
                self._probed[account] = _answer(read, result, outcome)
                return True
            if account in self._openings or account in self._steering.closed_accounts(""):
                return False
            tally = self._tallies.get(account) or self._tallies.setdefault(account, Tally())
            if not tally.heard(read, self._context.clock.monotonic()):
                return False
            del self._tallies[account]
            self._openings[account] = _answer(read, result, outcome)
        self._steering.open(account)
        return True

    def write(self) -> Collection[str]:
        """Tell the database what opened and what came of probes; gives the accounts whose circuits it knows now.

        Raises DatabaseAway, DatabaseRefused; what is not written stays to be written.
        """
        openings = dict(self._openings)  # others may come while these are written
        for account, answer in openings.items():
            waits = self._waits(answer.read)
            if self._store.open_circuit(self._context.worker_id, account, answer.reason, waits):
                self._context.observer.on(CircuitOpened(account, answer.reason, waits.first.total_seconds()))
        for account, answer in list(self._probed.items()):
            sound = answer.read is Sign.SOUND
            ended = self._store.end_probe(
                self._context.worker_id, account, answer.reason, None if sound else self._waits(answer.read)
            )
            if ended and sound:
                self._context.observer.on(CircuitClosed(account))
            with self._lock:
                del self._probed[account]
        return openings.keys()

    def written(self, accounts: Collection[str]) -> None:
        """The closures that were read last hold the circuits of these accounts."""
        with self._lock:
            for account in accounts:
                self._openings.pop(account, None)
        for account in accounts:
            self._steering.opened(account)

    def take(self) -> bool:
        """Ask for the probes whose time has come, each lets one message of ours through; True when we got any.

        Raises as `write`.
        """
        now, clock = self._context.clock.now(), self._context.clock
        ours = {account for route in self._steering.routes.values() for account in route}
        if tenants := self._steering.tenants:
            ours |= tenants.accounts.keys() & self._steering.read.circuits
        if self._hasten:
            self._hasten = False
            if troubled := sorted(ours & self._steering.read.circuits):
                self._store.hasten_probes(troubled)
        due = sorted(
            closure.name
            for closure in self._steering.read.all
            if closure.cause == CIRCUIT
            and closure.scope == Scope.ACCOUNT
            and closure.name in ours
            and closure.until is not None
            and closure.until <= now
        )
        with self._lock:
            oldest = clock.monotonic() - PROBE_LEASE.total_seconds()
            self._probes = {name: taken for name, taken in self._probes.items() if taken > oldest}
            due = [name for name in due if name not in self._probes and name not in self._probed]
        taken = self._store.take_probes(self._context.worker_id, due, PROBE_LEASE) if due else ()
        for account in taken:
            with self._lock:
                self._probes[account] = clock.monotonic()
            self._steering.probe(account)
        return bool(taken)

    def _waits(self, read: Sign) -> Waits:
        pace = self._context.pace
        return pace.refused if read is Sign.REFUSED else pace.failed


def _answer(read: Sign, result: Result, outcome: Outcome) -> _Answer:
    """The reason is told in the stories of other rows: it names nobody."""
    reason = without_recipient(outcome.error or outcome.code or outcome.kind.value, result.notification.recipient)
    return _Answer(read, reason[:_LONGEST_REASON])
