"""Say again and again that messages do not reach their recipients: whoever looks at today's log must see it."""

from collections.abc import Callable
from datetime import timedelta

from noti_worker.domain.facts import DeliveryModes
from noti_worker.domain.ports import Observer

EVERY = timedelta(minutes=10)


class TellModes:
    """Tells the observers; every worker for itself, without a duty in the database."""

    def __init__(self, modes: Callable[[], DeliveryModes], observer: Observer) -> None:
        """Nothing happens before `run_once`; `modes` gives those of the moment, for a reload may change them."""
        self._modes = modes
        self._observer = observer

    def run_once(self) -> int:
        """Tell; gives how many accounts do not send live."""
        modes = self._modes()
        self._observer.on(modes)
        return sum(mode != "live" for mode in modes.accounts.values())
