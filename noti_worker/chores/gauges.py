"""Count what waits, once for all workers; every worker shows the same numbers."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from noti_worker.store.connect import Session
from noti_worker.store.people.gauges import Gauges, gauges
from noti_worker.store.receipts import waiting
from noti_worker.store.upkeep.duties import Duties
from noti_worker.store.upkeep.events import count_endpoints

EVERY = timedelta(seconds=15)
DUTY = "gauges"


class CountQueue:
    """Counts when it is this worker's turn, and shows the latest count, whoever took it."""

    def __init__(self, duties: Duties, session: Session, show: Callable[[Gauges], None]) -> None:
        """`show` gets the snapshot; nothing happens before `run_once`."""
        self._duties = duties
        self._session = session
        self._show = show

    def run_once(self) -> int:
        """Count if it is due; gives how many series are shown. Raises DatabaseAway, DatabaseRefused."""
        if self._duties.take(DUTY, EVERY):
            others = {"receipts": waiting(self._session), "endpoints": count_endpoints(self._session)}
            self._duties.finish(DUTY, _written(gauges(self._session)) | others)
        snapshot = _read(self._duties.state(DUTY))
        self._show(snapshot)
        return len(snapshot.depth) + len(snapshot.oldest)


def _written(counted: Gauges) -> dict[str, object]:
    return {
        "depth": [[channel, state, count] for (channel, state), count in counted.depth.items()],
        "oldest": [[channel, priority, seconds] for (channel, priority), seconds in counted.oldest.items()],
        "bounded": sorted(counted.bounded),
        "pauses": [[scope, count, seconds] for scope, (count, seconds) in counted.pauses.items()],
        "circuits": [[account, seconds] for account, seconds in counted.circuits.items()],
        "limits": [[what, name, value] for (what, name), value in counted.limits.items()],
    }


def _read(state: Mapping[str, Any] | None) -> Gauges:
    state = state or {}
    return Gauges(
        depth={(channel, name): count for channel, name, count in state.get("depth", ())},
        oldest={(channel, priority): seconds for channel, priority, seconds in state.get("oldest", ())},
        bounded=frozenset(state.get("bounded", ())),
        pauses={scope: (count, seconds) for scope, count, seconds in state.get("pauses", ())},
        circuits=dict(state.get("circuits", ())),
        limits={(what, name): value for what, name, value in state.get("limits", ())},
        receipts=state.get("receipts", {}),
        endpoints=state.get("endpoints", {}),
    )
