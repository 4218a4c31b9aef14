"""The metrics of the queue: what one worker at a time counts for all."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from noti_worker.observe.catalogue import CIRCUITS, DEPTH, OLDEST, OLDEST_PAUSE, PACES, PAUSES, QUOTAS, Metric

LONGEST_LABEL = 100

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and those that turn the direction of writing."""


class Gauges(Protocol):
    """A reading of the queue: how many rows per (channel, state), how old the oldest due per (channel, priority)."""

    @property
    def depth(self) -> Mapping[tuple[str, str], int]:
        """States: due, paused, scheduled, waiting, in_flight, held, gathering."""
        ...

    @property
    def oldest(self) -> Mapping[tuple[str, str], float]:
        """Seconds."""
        ...

    @property
    def pauses(self) -> Mapping[str, tuple[int, float]]:
        """How many are in force by scope, and the age of the oldest in seconds."""
        ...

    @property
    def circuits(self) -> Mapping[str, float]:
        """Seconds since the circuit of an account is open."""
        ...

    @property
    def limits(self) -> Mapping[tuple[str, str], float]:
        """The part of its rate that an account has (pace, account); how many quotas (quotas, nearly or spent)."""
        ...


class Queue(Collector):
    """The reading of the queue, swapped as a whole: no scrape sees half of one."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.gauges: Gauges | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What the last reading said."""
        gauges = self.gauges
        pauses = gauges.pauses if gauges else {}
        readings: Iterable[tuple[Metric, Iterable[tuple[tuple[str, ...], float]]]] = (
            (DEPTH, gauges.depth.items() if gauges else ()),
            (OLDEST, gauges.oldest.items() if gauges else ()),
            (PAUSES, [((scope,), count) for scope, (count, _) in pauses.items()]),
            (OLDEST_PAUSE, [((scope,), seconds) for scope, (_, seconds) in pauses.items()]),
            (
                CIRCUITS,
                [((label(account),), seconds) for account, seconds in gauges.circuits.items()] if gauges else (),
            ),
            (PACES, _limits(gauges, "pace")),
            (QUOTAS, _limits(gauges, "quotas")),
        )
        for metric, values in readings:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in values:
                family.add_metric([str(label) for label in labels], value)
            yield family


def _limits(gauges: Gauges | None, what: str) -> list[tuple[tuple[str, ...], float]]:
    return [((label(name),), value) for (of, name), value in gauges.limits.items() if of == what] if gauges else []


def label(value: Any) -> str:
    """A value that can be a label: short, in UTF-8, and without what a terminal would obey."""
    return _OBEYED.sub("�", str(value)[:LONGEST_LABEL]).encode("utf-8", "replace").decode()
