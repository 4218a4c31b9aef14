"""The database's clock, carried forward by the monotonic clock of this process."""

import time
from datetime import datetime, timedelta


class DatabaseClock:
    """Port Clock. `now()` is behind the database's by less than the quickest answer that told its time took."""

    def __init__(self) -> None:
        """Tell no time until `hear` was called once."""
        self._epoch: datetime | None = None  # when the monotonic clock stood at 0

    def hear(self, now: datetime, asked: float) -> None:
        """Take over the instant that the database gave in an answer just heard to what was `asked` then (monotonic).

        It was that instant at some time between question and answer. What we knew stays if it agrees with that:
        an answer that took long, or waited while this process was stopped, says little.
        """
        least, most = now - timedelta(seconds=self.monotonic()), now - timedelta(seconds=asked)
        self._epoch = least if self._epoch is None else min(max(self._epoch, least), most)

    def now(self) -> datetime:
        """Aware UTC; raises RuntimeError before the database was heard once."""
        if self._epoch is None:
            raise RuntimeError("the database's clock has not been heard yet")
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
