"""How often the lanes are walked from their start: dead index entries make that dear."""


class Sweep:
    """Tells when the floors are ignored: at most every second, and 20 times as long as it takes."""

    def __init__(self) -> None:
        """The first one is due at once."""
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Tell whether it is time again."""
        return now >= self._next

    def hasten(self) -> None:
        """Make the next one due at once."""
        self._next = 0.0

    def took(self, seconds: float, now: float, every: float = 1.0) -> None:
        """Space the next one by what this one cost."""
        self._next = now + max(every, 20 * seconds)
