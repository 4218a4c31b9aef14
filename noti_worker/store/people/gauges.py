"""What operators and gauges ask: how much waits, how much failed, and who works.

Every function takes a `Source` and raises DatabaseAway or DatabaseRefused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.closures import CIRCUIT, PAUSE, QUOTA, Closed, Closure, Closures
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.connect import Row
from noti_worker.store.people.source import Source, by_index, rows
from noti_worker.store.statements import statement

STATES = ("due", "in_flight", "paused", "waiting", "scheduled", "held", "gathering")
"""What an unfinished notification does: `waiting` for its next try, `scheduled` for its first, `held` for a person,
`gathering` for its digest.

One that is due is `paused` while a pause or a spent quota keeps it back.
"""

_PARKED = {"held", "gathering"}

BOUND = 100_000
"""Rows are counted up to here in each (channel, priority); a higher count would cost more than it tells."""

PASSED_OVER = 10_000
"""The oldest due row of a lane is looked for behind so many that pauses keep back."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """`depth` by (channel, state of STATES), `oldest` due wait in seconds by (channel, priority).

    `pauses` in force by scope: how many, and the age of the oldest in seconds; `circuits` the seconds since the
    circuit of an account is open; `limits` the part of its rate that a limited account has (pace, account), and how
    many quotas are nearly and wholly spent (quotas, nearly or spent). Combinations without rows are missing. Counts of
    a channel in `bounded` are lower bounds. `receipts`: see `store.receipts.waiting`;
    `endpoints`: see `store.upkeep.events.count_endpoints`.
    """

    depth: Mapping[tuple[str, str], int]
    oldest: Mapping[tuple[str, str], float]
    bounded: frozenset[str] = frozenset()
    pauses: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    circuits: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[tuple[str, str], float] = field(default_factory=dict)
    receipts: Mapping[str, float] = field(default_factory=dict)
    endpoints: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One worker of the register; `state` is what it says of itself (channels, in_flight).

    `modes` are those of its accounts that do not send live; a worker of the version before has them in its `state`.
    """

    worker_id: int
    host: str | None
    pid: int | None
    version: str | None
    started_at: datetime
    heartbeat_seconds: float
    up_seconds: float
    alive: bool
    state: Mapping[str, Any] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """One channel: rows by state, failures of the last hour, and the longest due wait in seconds (None: nothing due).

    With `bounded` the counts are lower bounds.
    """

    channel: str
    due: int
    in_flight: int
    paused: int
    waiting: int
    scheduled: int
    held: int
    failed_last_hour: int
    oldest_due_seconds: float | None
    bounded: bool
    gathering: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The channels with anything to tell, in their usual order, and the workers; who they are, no `standby` knows."""

    channels: tuple[ChannelLine, ...]
    workers: tuple[WorkerLine, ...]
    standby: bool


def gauges(source: Source, bound: int = BOUND) -> Gauges:
    """Count what is unfinished, along the hot index and within `bound` for each (channel, priority)."""
    closed = kept_back(source)
    counts = depth(source, closed, bound)
    with by_index(source):
        ages = rows(source, statement("read_oldest"), _grid(closed) | {"lanes": 2000, "bound": PASSED_OVER})
    by_state: dict[tuple[str, str], int] = {}
    per_lane: dict[tuple[str, str, bool], int] = {}
    for row in counts:
        state = "paused" if row["closed"] and row["state"] == "due" else row["state"]
        by_state[row["channel"], state] = by_state.get((row["channel"], state), 0) + row["rows"]
        lane = (row["channel"], row["priority"], row["state"] in _PARKED)
        per_lane[lane] = per_lane.get(lane, 0) + row["rows"]
    closures = rows(source, statement("count_closures"), {})
    return Gauges(
        depth=by_state,
        oldest={(row["channel"], row["priority"]): row["seconds"] for row in ages},
        bounded=frozenset(channel for (channel, _, _), count in per_lane.items() if count >= bound),
        pauses={row["scope"]: (row["closures"], row["seconds"]) for row in closures if row["cause"] == PAUSE},
        circuits={row["name"]: row["seconds"] for row in closures if row["cause"] == CIRCUIT},
        limits={(row["what"], row["name"]): row["value"] for row in rows(source, statement("count_limits"), {})},
    )


def depth(source: Source, closed: Closed, bound: int = BOUND) -> list[Row]:
    """Unfinished rows by channel, priority, state and whether they are closed; `bound` for each (channel, priority)."""
    with by_index(source):
        return rows(source, statement("read_depth"), _grid(closed) | {"bound": bound})


def kept_back(source: Source) -> Closed:
    """What pauses and spent quotas keep back, by the routes of all living workers.

    What waits for an account in trouble is late all the same.
    """
    closures = Closures(
        Closure(row["scope"], row["name"], row["tenant_id"])
        for row in rows(source, statement("closures"), {})
        if row["cause"] in {PAUSE, QUOTA}
    )
    return closures.closed(routes(source)) if closures else Closed()


def routes(source: Source) -> dict[str, dict[str, str]]:
    """The accounts of each channel with their providers, of all living workers together."""
    found: dict[str, dict[str, str]] = {}
    for row in rows(source, statement("read_routes"), {}):
        found.setdefault(row["channel"], {})[row["account"]] = row["provider"]
    return found


def _grid(closed: Closed) -> dict[str, Any]:
    return {
        "channels": [channel.value for channel in Channel],
        "priorities": [rank.value for rank in Priority],
        "closed_channels": list(closed.channels),
        "closed_tenants": list(closed.tenants),
        "closed_lanes": _words(closed.lanes),
        "closed_templates": _words(closed.templates),
        "closed_providers": _words(closed.providers),
    }


def status(source: Source) -> Status:
    """What waits, what is in flight, what failed within the hour, and who works."""
    now = gauges(source)
    [register] = rows(source, statement("read_standby"), {})
    failed = {
        row["channel"]: row["rows"]
        for row in rows(source, statement("read_failed"), {"span": timedelta(hours=1), "bound": BOUND})
    }
    return Status(
        channels=tuple(
            line
            for channel in Channel
            if (line := _channel_line(channel.value, now, failed.get(channel.value, 0))) is not None
        ),
        workers=()
        if register["standby"]
        else tuple(WorkerLine(**row) for row in rows(source, statement("read_workers"), {})),
        standby=register["standby"],
    )


def _channel_line(channel: str, now: Gauges, failed: int) -> ChannelLine | None:
    counts = {state: now.depth.get((channel, state), 0) for state in STATES}
    if not any(counts.values()) and not failed:
        return None
    waits = [seconds for (name, _), seconds in now.oldest.items() if name == channel]
    return ChannelLine(
        channel=channel,
        **counts,
        failed_last_hour=failed,
        oldest_due_seconds=max(waits, default=None),
        bounded=channel in now.bounded,
    )


def _words(closed: Iterable[tuple[str, ...]]) -> list[str]:
    """Each as one text, as the statements have them."""
    return ["\x1f".join(parts) for parts in closed]
