"""When and how often a person accepts messages: quiet hours, the send window of a category, its cap."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Quiet:
    """The recipient's quiet hours, which it is in: `hours` as 22:00-07:00 by the clock of `zone`, until `ends_at`."""

    zone: str
    hours: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Shut:
    """The send window of its category, `weekdays 9-18` by the clock of `zone`, which opens at `opens_at`."""

    category: str
    window: str
    zone: str
    opens_at: datetime


@dataclass(frozen=True, slots=True)
class Full:
    """As many messages of its category as the person gets in the time `every` were sent or are on their way.

    There may be a place again at `again_at`; with `drops` those are taken for good, and the row does not wait.
    """

    category: str
    amount: int
    every: timedelta
    again_at: datetime
    drops: bool
