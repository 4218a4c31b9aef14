"""Where on a route with weights a message begins."""

from bisect import bisect_right
from collections.abc import Mapping
from hashlib import sha256
from itertools import accumulate
from uuid import UUID

from noti_worker.domain.account import OrderByWeight


class Weights:
    """Accounts that share the messages of a channel; the others follow for failover. Nobody changes one."""

    __slots__ = ("_bounds", "_orders")

    def __init__(self, weights: Mapping[str, int]) -> None:
        """`weights` stand in falling order, the first is more than 0; an account with 0 is there for failover only."""
        self._bounds = tuple(accumulate(weights.values()))
        self._orders = tuple(OrderByWeight((first, *(name for name in weights if name != first))) for first in weights)

    def order(self, message_id: UUID) -> tuple[str, ...]:
        """All accounts in failover order: the same for each try of a message, in each process, on each machine."""
        point = int.from_bytes(sha256(message_id.bytes).digest()[:8], "big") % self._bounds[-1]
        return self._orders[bisect_right(self._bounds, point)]
