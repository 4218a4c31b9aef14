"""Which accounts serve our channels, as the register of workers has it: written when it changes, not with each beat."""

from collections.abc import Callable

from noti_worker.domain.account import RouteLine
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import Trouble
from noti_worker.domain.ports import Observer, Workers


class Routes:
    """Keeps the register's knowledge of our routes; used by one thread at a time."""

    def __init__(self, workers: Workers, lines: Callable[[], tuple[RouteLine, ...]], observer: Observer) -> None:
        """`lines` gives the routes of the moment; nothing is written before `tell`."""
        self._workers = workers
        self._lines = lines
        self._observer = observer
        self._told: tuple[RouteLine, ...] | None = None

    def tell(self, worker_id: int, *, known: bool = True) -> None:
        """Write them if they have changed, or if we were not `known` to the register; what fails is tried again."""
        lines = self._lines()
        if known and lines == self._told:
            return
        self._told = None
        try:
            self._workers.routes(worker_id, lines)
        except DatabaseAway:
            return
        except DatabaseRefused as error:  # no reason to send nothing
            self._observer.on(Trouble("routes", str(error)))
            return
        self._told = lines
