"""Whom a row means by `user:42`, and under which address that person is reached on its channel."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, time

from noti_worker.domain.value import value

USER = "user:"
"""How a recipient begins that is a person; the rest is what the application calls that person."""

MOST_ADDRESSES = 32
"""Addresses of a person on one channel that are looked at."""


@value
class Address:
    """One further address, in the language that is spoken there."""

    address: str = field(repr=False)
    locale: str | None = None


@value
class Contact:
    """The address that a row goes to, and what is known of it; `zone` is a name like Europe/Berlin.

    `contact` is what its table calls it. `others` get a copy each, where every address of the channel is written to.
    """

    contact: str
    address: str = field(repr=False)
    locale: str | None = None
    zone: str | None = None
    verified_at: datetime | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    others: tuple[Address, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Unreached:
    """Why there is no address: in words, whether they all `left`, or whether it could not be `asked` for just now."""

    words: str
    left: bool = False
    asked: bool = True


@dataclass(frozen=True, slots=True)
class People:
    """How addresses are found: in which `view` instead of noti.contacts (schema and name), and which count.

    `every` holds the channels on which each address of a person gets the message.
    """

    view: str | None = None
    verified_only: bool = False
    every: Collection[str] = frozenset({"push"})
