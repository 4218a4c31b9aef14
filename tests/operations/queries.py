"""Which metrics a query asks for."""

import re

from noti_worker.observe.catalogue import METRICS

_OF_OTHERS = frozenset({"up", "process_resident_memory_bytes", "process_cpu_seconds_total"})
"""Prometheus' own, and those of every process."""


def metrics_of(query: str) -> set[str]:
    """The names of metrics in a query; labels, functions and the words of matchers are not names."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-z][a-z0-9_]*_[a-z0-9_]*\b(?!\s*\()|\bup\b", bare))


def unknown_metrics(query: str) -> set[str]:
    """Those that no worker exposes."""
    known = set(_OF_OTHERS)
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ("",)
        known |= {metric.name + suffix for suffix in suffixes}
    return metrics_of(query) - known
