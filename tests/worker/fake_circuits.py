"""What is closed or limited just now, in memory: pauses, the circuits of accounts, and what is left of limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.bounds import Bounds
from noti_worker.domain.circuits import Waits
from noti_worker.domain.closures import CIRCUIT, Closure, Closures
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, TimedOut
from noti_worker.domain.limits import Limit
from noti_worker.domain.notification import Notification
from noti_worker.domain.ports import Clock, Grant


@dataclass
class Circuit:
    """An account in trouble."""

    retry_at: datetime
    wait: timedelta
    probe_by: int | None = None


class FakeCircuits:
    """Doors over a dict; `away` makes every call fail, `calls` tells what was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.away = False
        self.calls: list[tuple[str, Any]] = []
        self.refused: dict[str, set[int]] = {}  # rows by the call that is refused because of them
        self.broken: set[str] = set()  # calls that are refused whatever they ask
        self.slow: dict[str, set[int]] = {}  # rows by the call that takes too long because of them
        self.pass_time: Callable[[float], None] = lambda seconds: None
        self.paused: set[tuple[str, str]] = set()
        self.circuits: dict[str, Circuit] = {}
        self.limits: list[Limit] | None = None  # news
        self.bounds: list[Bounds] = []  # come with them
        self.left: dict[str, int] = {}  # of a limit, by its name

    def closures(self) -> Closures:
        self._call("closures", None)
        self._refuse("closures", [])
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

    def news(self) -> tuple[Sequence[Limit], Sequence[Bounds]] | None:
        news, self.limits = self.limits, None
        return None if news is None else (news, self.bounds)

    def take(self, wants: Mapping[Limit, int]) -> Mapping[Limit, Grant]:
        self._call("take", {limit.name: want for limit, want in wants.items()})
        self._refuse("take", [])
        grants = {}
        for limit, want in wants.items():
            granted = min(want, self.left[limit.name])
            self.left[limit.name] -= granted
            grants[limit] = Grant(granted, limit.every if granted < want else None)
        return grants

    def reopen(self, accounts: Sequence[str]) -> None:
        self._call("reopen", list(accounts))

    def close_account(self, account: str, hold: float) -> None:
        self._call("close_account", (account, hold))
        self._refuse("close_account", [])

    def slow_down(self, limit: Limit, hold: float) -> float | None:
        self._call("slow_down", (limit.name, hold))
        self._refuse("slow_down", [])
        return 0.5

    def asked(self, name: str) -> list[Any]:
        return [what for call, what in self.calls if call == name]

    def _refuse(self, what: str, rows: Sequence[Notification], within: timedelta | None = None) -> None:
        """As the database does: the whole statement, because of a right or of one row."""
        ids = {row.notification_id for row in rows}
        if what in self.broken:
            raise DatabaseRefused(f"42501 {what}", whole=True)
        if self.refused.get(what, set()) & ids:
            raise DatabaseRefused(f"23514 {what}")
        if self.slow.get(what, set()) & ids:
            self.pass_time(10.0 if within is None else within.total_seconds())
            raise TimedOut(f"57014 {what}")

    def _call(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        if self.away:
            raise DatabaseAway("08006 OperationalError")
