"""The idle connections of all accounts: kept for speed, and given up where the process has no descriptor left."""

from threading import Lock
from typing import Protocol
from weakref import WeakSet


class Keeps(Protocol):
    """What keeps connections for later."""

    def shed(self) -> None:
        """Close those that nobody uses; called by any thread."""
        ...


# One for the process, as its descriptors are: whoever needs one may take it from any account.
_kept: WeakSet[Keeps] = WeakSet()
_lock = Lock()


def register(keeper: Keeps) -> None:
    """Have what `keeper` keeps given up when descriptors run out."""
    with _lock:
        _kept.add(keeper)


def shed() -> None:
    """Close every idle connection of this process."""
    with _lock:
        keepers = list(_kept)
    for keeper in keepers:
        keeper.shed()
