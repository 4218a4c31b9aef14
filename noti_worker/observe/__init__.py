"""Listeners to the facts of a worker: log, metrics, health."""

from contextlib import suppress

from noti_worker.domain.facts import Fact, Trouble
from noti_worker.domain.ports import Observer


class Observers:
    """One observer that tells all others; one that fails does not keep a fact from the rest, nor from the worker."""

    def __init__(self, *observers: Observer) -> None:
        """Tell `observers`, in this order."""
        self._observers = observers
        self._failed: set[Observer] = set()

    def on(self, fact: Fact) -> None:
        """Pass the fact on to everyone."""
        for observer in self._observers:
            try:
                observer.on(fact)
            except Exception as error:  # noqa: BLE001 - watching must never stop the work that is watched
                self._tell_of(observer, error)

    def _tell_of(self, failed: Observer, error: Exception) -> None:
        """Once for each listener that fails, the others hear of it."""
        if failed in self._failed:
            return
        self._failed.add(failed)
        for observer in self._observers:
            if observer is not failed:
                with suppress(Exception):
                    observer.on(Trouble(f"observer {type(failed).__name__}", type(error).__name__))
