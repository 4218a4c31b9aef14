"""What was measured: samples by figure, their median and spread."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median


class Book:
    """Samples of one run, by the key of their figure, and what is wrong with them."""

    def __init__(self) -> None:
        self.samples: defaultdict[str, list[float]] = defaultdict(list)
        self.doubts: list[str] = []

    def add(self, key: str, value: float) -> None:
        """Write down one sample."""
        self.samples[key].append(value)

    def add_all(self, prefix: str, values: dict[str, float]) -> None:
        """Write down one sample of each figure below `prefix`."""
        for key, value in values.items():
            self.add(f"{prefix}.{key}", value)

    def median(self, key: str) -> float | None:
        """The figure; None when it was not measured."""
        return median(self.samples[key]) if self.samples.get(key) else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def shown(value: float, unit: str = "") -> str:
    """Three significant digits, thousands with a comma, and the unit."""
    text = f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{text} {unit}".rstrip()
