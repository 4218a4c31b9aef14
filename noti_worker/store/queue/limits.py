"""The limits and their buckets, shared by all workers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from noti_worker.domain.bounds import Bounds
from noti_worker.domain.limits import Limit, burst_of
from noti_worker.domain.ports import Grant
from noti_worker.store.arrays import array, texts
from noti_worker.store.connect import Database, Session
from noti_worker.store.statements import statement

_LIMITS = statement("limits")
_BOUNDS = statement("bounds")
_ALLOW = statement("allow")
_SLOW = statement("slow")
_REOPEN = statement("reopen")
_CLOSE = statement("close_account")

QUICKLY = timedelta(seconds=3)
"""A take needs a millisecond, and a claim or a send waits for it."""


class PostgresLimits:
    """Port LimitStore. Its own connection is opened when the first thing is limited; `claims` is asked for news."""

    def __init__(self, database: Database, claims: Session) -> None:
        self._claims = claims
        self._session = database.session("limits", QUICKLY)
        self._revision = 0

    def news(self) -> tuple[Sequence[Limit], Sequence[Bounds]] | None:
        """The limits and bounds in the database; None while they are as they were when this last gave them."""
        rows = self._claims.run(_LIMITS, {"known": self._revision})
        if not rows:
            return None
        bounds = [Bounds(**row) for row in self._claims.run(_BOUNDS, {})]  # at that revision, or a later one
        self._revision = rows[0]["revision"]
        limits = [
            Limit(
                row["scope"],
                row["tenant_id"],
                row["name"],
                row["period"],
                row["amount"],
                row["every"] or 0.0,
                row["burst"] or (burst_of(row["amount"], row["every"]) if row["every"] else 0),
                row["zone"],
                row["doubling"],
                row["refuses"],
            )
            for row in rows
            if row["scope"] is not None
        ]
        return limits, bounds

    def take(self, wants: Mapping[Limit, int]) -> Mapping[Limit, Grant]:
        """Take up to so many of each, or give back where that is negative."""
        limits = list(wants)
        asked = {
            "scopes": texts(limit.scope for limit in limits),
            "tenants": texts(limit.tenant_id for limit in limits),
            "names": texts(limit.name for limit in limits),
            "periods": texts(limit.period for limit in limits),
            "amounts": array(limit.amount for limit in limits),
            "everys": _numbers(limit.every for limit in limits),
            "bursts": array(limit.burst for limit in limits),
            "zones": texts(limit.zone for limit in limits),
            "doublings": _numbers(limit.doubling for limit in limits),
            "wants": array(wants.values()),
        }
        granted = self._session.tuples(_ALLOW, asked)
        return {limits[place - 1]: Grant(tokens, again_in, told) for place, tokens, again_in, told in granted}

    def slow_down(self, limit: Limit, hold: float) -> float | None:
        """Halve the rate, and take nothing for `hold` seconds; gives the part of the rate that is left."""
        asked = {"scope": limit.scope, "tenant_id": limit.tenant_id, "name": limit.name, "hold": hold}
        pace: float | None = self._session.run(_SLOW, asked)[0]["pace"]
        return pace

    def reopen(self, accounts: Sequence[str]) -> None:
        """Let these accounts be asked again whether their quotas are used up."""
        self._session.run(_REOPEN, {"accounts": list(accounts)})

    def close_account(self, account: str, hold: float) -> None:
        """Close an account without a rate for `hold` seconds, for all workers; a longer hold stays."""
        self._session.run(_CLOSE, {"account": account, "hold": hold})

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _numbers(values: Iterable[float | None]) -> str:
    return f"{{{','.join('NULL' if value is None else repr(value) for value in values)}}}"
