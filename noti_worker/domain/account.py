"""One account of one provider, as those know it who send through it."""

from collections.abc import Mapping
from dataclasses import dataclass

from noti_worker.domain.limits import Limit
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.options import Option
from noti_worker.domain.rules import Rule


@dataclass(frozen=True, slots=True)
class Account:
    """`provider` is a name, `mode` says how far its messages go, `channels` which it serves.

    `rules` judge what it answers, the first that matches. `options` are what its provider declares for
    `notifications_log.options`, `limits` say how many it may send. Another `version` has other settings and needs
    another sender.
    """

    name: str
    provider: str
    mode: Mode
    channels: frozenset[Channel]
    rules: tuple[Rule, ...] = ()
    options: tuple[Option, ...] = ()
    version: int = 1
    limits: tuple[Limit, ...] = ()


class OrderByWeight(tuple[str, ...]):
    """The accounts of one message on a route with weights, in failover order."""

    __slots__ = ()


ConfiguredRoute = tuple[str, ...] | Mapping[str, int]
"""The accounts of a channel in failover order; or their weights, in falling order, the first more than 0."""


@dataclass(frozen=True, slots=True)
class RouteLine:
    """One account on the route of one channel, as the register of workers has it; the lines stand in failover order."""

    channel: Channel
    account: str
    provider: str
    mode: Mode
