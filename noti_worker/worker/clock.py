"""The database's clock, carried forward by the monotonic clock of this process."""

import time
from datetime import datetime, timedelta


class DatabaseClock:
    """Port Clock. `now()` is the instant last heard from the database plus what has passed since."""

    def __init__(self) -> None:
        """Tell no time until `set` was called once."""
        self._heard: tuple[datetime, float] | None = None

    def set(self, now: datetime) -> None:
        """Take over what the database just said."""
        self._heard = (now, time.monotonic())

    def now(self) -> datetime:
        """Aware UTC; raises RuntimeError before the database was heard once."""
        if self._heard is None:
            raise RuntimeError("the database's clock has not been heard yet")
        now, at = self._heard
        return now + timedelta(seconds=time.monotonic() - at)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
