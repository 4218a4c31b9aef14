"""How many may be sent, and of what: rates, which are buckets of tokens, and quotas of calendar days and months. Pure.

The buckets are in the database, shared by all workers (`noti.allow`); who takes from them when is the worker's matter.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from noti_worker.domain.notification import Channel, Notification

ACCOUNT = "account"
TENANT_CHANNEL = "tenant channel"
DESTINATION = "destination"

RATE = ""
"""The period of a limit that is none of a calendar's: so many in a time, always."""

DAY = "day"
PERIODS = (DAY, "month")
"""What quotas count by."""

MOST = 1_000_000_000
"""No limit is higher: who wants more wants none."""

BURST = timedelta(milliseconds=100)
"""What a bucket holds unless told otherwise: what this time brings, at least one."""

_DOMAIN = re.compile(r"@([^@>]*)>?\s*$")
_HOST = re.compile(r"https?://(\[[^\]]*\]|[^/?#:]+)", re.IGNORECASE)

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"([0-9]{1,10})/([0-9]{0,6})(ms|s|m|h|d)")
_QUOTA = re.compile(r"([0-9]{1,10})/(day|month)")
EXAMPLES = 'write a rate such as "14/s", "100/m" or "1/6s"'

Key = tuple[str, str, str, str]
"""Scope, tenant (empty: of none), name, period."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` messages: every `every` seconds, at most `burst` of them at once; or each `period` of a `zone`.

    `scope` is an account, the channel of a tenant, or a destination (a domain or host), called `name`. A quota that
    grows has twice as much after so many days (`doubling`), from its first on. One that `refuses` has what is inserted
    too much refused.
    """

    scope: str
    tenant_id: str
    name: str
    period: str
    amount: int
    every: float = 0.0
    burst: int = 0
    zone: str = "UTC"
    doubling: float | None = None
    refuses: bool = False

    @property
    def is_rate(self) -> bool:
        """Whether it is so many in a time; else it is a quota."""
        return self.period == RATE

    @property
    def key(self) -> Key:
        """What it is a limit of: there is one of a kind."""
        return self.scope, self.tenant_id, self.name, self.period

    @property
    def whose(self) -> tuple[str, str, str]:
        """Scope, tenant, name."""
        return self.scope, self.tenant_id, self.name


def destination(channel: Channel, recipient: str) -> str | None:
    """Where a message goes: the domain of an e-mail address, the host of a URL; None elsewhere.

    In small letters, as far as they are ASCII. `noti.destination` says the same in SQL.
    """
    if channel is Channel.EMAIL:
        found = _DOMAIN.search(recipient)
    elif channel is Channel.WEBHOOK:
        found = _HOST.match(recipient)
    else:
        return None
    return None if found is None else found[1].encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def rate(text: str) -> tuple[int, timedelta]:
    """Read "14/s", "100/m", "1/6s"; raises ValueError with words for a person."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(EXAMPLES)
    amount, every = int(match[1]), timedelta(seconds=int(match[2] or 1) * _SECONDS[match[3]])
    if not 1 <= amount <= MOST or not timedelta(milliseconds=1) <= every <= timedelta(days=1):
        raise ValueError(f"{EXAMPLES}: at least 1, at most {MOST}, in a millisecond to a day")
    return amount, every


def allowed(text: str) -> tuple[int, timedelta | None, str]:
    """Read a rate, or a quota such as "1000/day" or "20000/month": the amount, and in which time or period.

    Raises ValueError with words for a person.
    """
    match = _QUOTA.fullmatch(text)
    if match is None:
        try:
            return *rate(text), RATE
        except ValueError as error:
            raise ValueError(f'{error}, or a quota such as "1000/day" or "20000/month"') from None
    if not 1 <= int(match[1]) <= MOST:
        raise ValueError(f"a quota has at least 1 and at most {MOST}; pause what is to send nothing")
    return int(match[1]), None, match[2]


def burst_of(amount: int, every: float) -> int:
    """How many may go at once under a rate that does not say."""
    return max(1, ceil(amount / every * BURST.total_seconds()))


class Limits:
    """The limits in force, by what they are of. Nobody changes one."""

    __slots__ = ("_by", "_by_key", "_destinations")

    def __init__(self, *sources: Iterable[Limit]) -> None:
        """Of two of one kind the later counts."""
        self._by_key = {limit.key: limit for source in sources for limit in source}
        self._by: dict[tuple[str, str, str], tuple[Limit, ...]] = {}
        for limit in self._by_key.values():
            self._by[limit.whose] = (*self._by.get(limit.whose, ()), limit)
        self._destinations = any(limit.scope == DESTINATION for limit in self._by_key.values())

    def __bool__(self) -> bool:
        return bool(self._by)

    @property
    def by_key(self) -> Mapping[Key, Limit]:
        """All of them."""
        return self._by_key

    def of_account(self, account: str) -> tuple[Limit, ...]:
        """What limits an account."""
        return self._by.get((ACCOUNT, "", account), ())

    def of_lane(self, tenant_id: str, channel: str) -> tuple[Limit, ...]:
        """What limits a channel of one tenant."""
        return self._by.get((TENANT_CHANNEL, tenant_id, channel), ())

    def of_destination(self, row: Notification) -> tuple[Limit, ...]:
        """What limits the domain or host that a row goes to."""
        to = destination(row.channel, row.recipient) if self._destinations else None
        return () if to is None else self.to(to)

    def to(self, name: str) -> tuple[Limit, ...]:
        """What limits a domain or host."""
        return self._by.get((DESTINATION, "", name), ())

    def of(self, row: Notification, account: str) -> tuple[Limit, ...]:
        """All that one message through an account counts by."""
        return (*self.of_account(account), *self.of_lane(row.tenant_id, row.channel), *self.of_destination(row))
