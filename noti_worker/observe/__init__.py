"""Listeners to the facts of a worker: log, metrics, health."""

from noti_worker.domain.facts import Fact
from noti_worker.domain.ports import Observer


class Observers:
    """One observer that tells all others; one that fails does not keep a fact from the rest, nor from the worker."""

    def __init__(self, *observers: Observer) -> None:
        """Tell `observers`, in this order."""
        self._observers = observers

    def on(self, fact: Fact) -> None:
        """Pass the fact on to everyone."""
        for observer in self._observers:
            try:
                observer.on(fact)
            except Exception:  # noqa: BLE001, S112 - watching must never stop the work that is watched
                continue
