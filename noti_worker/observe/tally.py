"""A histogram that takes many values at once; with the library's own, a value costs as much as a send to nowhere."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from noti_worker.observe.catalogue import Metric


class Tally(Collector):
    """Counts by label values; a scrape sees whole batches. Thread-safe."""

    def __init__(self, metric: Metric) -> None:
        """Begin empty; `metric` gives name, labels and buckets."""
        self._metric = metric
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}  # by bucket, the last one for everything beyond
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], values: Sequence[float]) -> None:
        """Count the values; with none of them the labels begin at 0."""
        buckets = self._metric.buckets
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(buckets) + 1))
            for value in values:
                counts[bisect_left(buckets, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + sum(values)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What a scrape is told."""
        family = HistogramMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        names = [*(str(float(bound)) for bound in self._metric.buckets), "+Inf"]
        with self._lock:
            for labels, counts in self._counts.items():
                family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), self._sums[labels])
        yield family
