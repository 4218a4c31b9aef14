"""Why nothing is sent to an address any more."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why an entry stands on the suppression list."""

    DEAD = "dead"  # the address does not exist: passes by itself
    OPTOUT = "optout"  # the person wants nothing, or nothing of a category
    COMPLAINT = "complaint"  # the person called it spam
    MANUAL = "manual"  # somebody of ours decided it


@dataclass(frozen=True, slots=True)
class Suppression:
    """The entry of the suppression list that speaks of an address, one that stops the message if there is one.

    `mandatory` tells that the row's category is one that an opt-out does not stop. `category` is empty when the entry
    holds whatever the category; `since` is when it was made.
    """

    suppression_id: int
    reason: str
    since: datetime
    category: str = ""
    mandatory: bool = False

    @property
    def stops(self) -> bool:
        """Tell whether nothing goes there; only what is mandatory goes out in spite of an opt-out."""
        return not (self.mandatory and self.reason == Reason.OPTOUT)
