"""What a person chose of a category of messages, or of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from noti_worker.domain.value import value


class Frequency(StrEnum):
    """How often a person wants the messages of a category."""

    INSTANT = "instant"  # each as it comes
    HOURLY = "hourly"
    DAILY = "daily"


@value
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


@dataclass(frozen=True, slots=True)
class ChoiceLine:
    """What a person may choose of: messages of a category by a channel (empty: by any), as things stand.

    `title` is what people read. `left_out` is empty, `category` where the person left the category by the link of a
    message, or `address` where something else keeps all messages from the person's addresses.
    """

    category: str
    title: str
    channel: str
    mandatory: bool = False
    opt_in: bool = False
    allowed: bool = True
    frequency: Frequency = Frequency.INSTANT
    left_out: str = ""

    @property
    def fixed(self) -> bool:
        """Whether the person cannot choose here."""
        return self.mandatory or self.left_out == "address"

    @property
    def shown(self) -> str:
        """What holds: how often it comes, or NEVER."""
        return NEVER if not self.allowed or self.left_out else self.frequency.value


NEVER = "never"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person chose on the page; `frequency` None leaves it as it was."""

    category: str
    channel: str
    allowed: bool
    frequency: Frequency | None = None


def name_of(line: ChoiceLine) -> str:
    """What a field of the form is called."""
    return f"{line.channel}:{line.category}"


def wishes(lines: Sequence[ChoiceLine], posted: Mapping[str, str]) -> list[Wish]:
    """What differs from how things stand; what cannot be chosen, or is no choice, is passed over."""
    found = []
    for line in lines:
        word = posted.get(name_of(line), line.shown)
        if line.fixed or word == line.shown:
            continue
        if word == NEVER:
            found.append(Wish(line.category, line.channel, False))
        elif word in {frequency.value for frequency in Frequency}:
            found.append(Wish(line.category, line.channel, True, Frequency(word)))
    return found


def nothing_more(lines: Sequence[ChoiceLine]) -> list[Wish]:
    """The wish to get nothing but what is mandatory, of what there is and of what will be."""
    return [Wish("", "", False), *wishes(lines, {name_of(line): NEVER for line in lines})]
