"""The people of a campaign: a seed says what becomes of each mail, and how it is told.

Their mails go out through an API, which posts what became of them, and through SMTP, where it comes back by mail.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.system.reckoning import Person

API, RELAY = "mail", "relay"
"""Names of accounts."""

TENANTS = ("default", "acme")


class Fate(StrEnum):
    """What becomes of a mail. The first three end it: nothing more may go there."""

    BOUNCES = "bounces for good"
    COMPLAINS = "is called spam"
    LEAVES = "its reader leaves by one click"
    FULL = "comes to a full mailbox"
    BLOCKED = "is blocked for what we are"
    LATE = "arrives late"
    AWAY = "is answered by a program, or looked at by one"
    ARRIVES = "arrives"


@dataclass(frozen=True, slots=True)
class Recipient:
    """`early`: it is told before the provider has answered; `twice`: it is told once more; both of each mail."""

    person: Person
    account: str
    fate: Fate
    early: bool
    twice: bool


SHARES = {
    API: {
        Fate.BOUNCES: 0.03,
        Fate.COMPLAINS: 0.001,
        Fate.LEAVES: 0.007,
        Fate.FULL: 0.005,
        Fate.BLOCKED: 0.005,
        Fate.LATE: 0.05,
        Fate.AWAY: 0.05,
    },
    RELAY: {
        Fate.BOUNCES: 0.01,
        Fate.COMPLAINS: 0.001,
        Fate.LEAVES: 0.003,
        Fate.FULL: 0.002,
        Fate.BLOCKED: 0.002,
        Fate.LATE: 0.005,
        Fate.AWAY: 0.005,
    },
}
"""Of all mails, by account; of each at least one."""

OVER_SMTP = 0.25


def recipients(mails: int, seed: int) -> Sequence[Recipient]:
    """So many people; the same for the same seed."""
    dice = random.Random(seed)
    over_smtp = round(mails * OVER_SMTP)
    made = [*_of(API, mails - over_smtp, mails, dice), *_of(RELAY, over_smtp, mails, dice)]
    dice.shuffle(made)
    return made


def _of(account: str, count: int, mails: int, dice: random.Random) -> Iterator[Recipient]:
    fates = [fate for fate, share in SHARES[account].items() for _ in range(max(1, round(share * mails)))]
    fates += [Fate.ARRIVES] * (count - len(fates))
    for number, fate in enumerate(fates):
        person = Person(dice.choice(TENANTS), f"{account}{number}@example.net")
        first = fates.index(fate) == number
        yield Recipient(person, account, fate, first or dice.random() < 0.2, first or dice.random() < 0.3)
