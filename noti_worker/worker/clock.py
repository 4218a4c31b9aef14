"""The database's clock, carried forward by the monotonic clock of this process."""

import time
from datetime import datetime, timedelta


class DatabaseClock:
    """Port Clock. `now()` is the instant last heard from the database plus what has passed since."""

    def __init__(self) -> None:
        """Tell no time until `set` was called once."""
        self._epoch: datetime | None = None  # when the monotonic clock stood at 0

    def set(self, now: datetime) -> None:
        """Take over what the database just said."""
        self._epoch = now - timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        """Aware UTC; raises RuntimeError before the database was heard once."""
        if self._epoch is None:
            raise RuntimeError("the database's clock has not been heard yet")
        return self._epoch + timedelta(seconds=time.monotonic())

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
