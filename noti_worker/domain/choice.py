"""What a person chose of a category of messages, or of all of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Frequency(StrEnum):
    """How often a person wants the messages of a category."""

    INSTANT = "instant"  # each as it comes
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of the wish of whom a row is for.

    `person` is 42 of user:42, None when nobody is known who has the address. The rest tells of the most exact line
    that there is: `allowed` is None without one; `category` and `channel` are empty where it holds for each. `opt_in`
    and `mandatory` are what the row's category says of itself.
    """

    person: str | None = None
    allowed: bool | None = None
    category: str = ""
    channel: str = ""
    since: datetime | None = None
    opt_in: bool = False
    mandatory: bool = False

    @property
    def refused(self) -> bool:
        """Whether the person said no; what is mandatory goes out nevertheless."""
        return self.allowed is False and not self.mandatory

    @property
    def missing(self) -> bool:
        """Whether the category goes only to who said yes to it, by its name, and this person did not."""
        return self.opt_in and not self.mandatory and not (self.allowed and self.category)
