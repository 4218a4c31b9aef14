"""Say again and again that messages do not reach their recipients: whoever looks at today's log must see it."""

from datetime import timedelta

from noti_worker.domain.facts import DeliveryModes
from noti_worker.domain.ports import Observer

EVERY = timedelta(minutes=10)


class TellModes:
    """Tells the observers; every worker for itself, without a duty in the database."""

    def __init__(self, modes: DeliveryModes, observer: Observer) -> None:
        """Nothing happens before `run_once`."""
        self._modes = modes
        self._observer = observer

    def run_once(self) -> int:
        """Tell; gives how many accounts do not send live."""
        self._observer.on(self._modes)
        return sum(mode != "live" for mode in self._modes.accounts.values())
