"""Pickup latency: from before a producer's insert to the start of the send, at fixed rates; with LISTEN and without."""

import sys

from tests.bench.figures import Book, percentile
from tests.bench.ours import pause, wait_for, workers
from tests.bench.probe import Probe
from tests.bench.server import Bench

RATES = ((20, 15, 1, 1), (500, 8, 2, 1), (2000, 8, 4, 4))
"""Rows per second, seconds, producers, rows per insert: 2,000 single inserts a second take most of two cores."""

POLLED = (20, 15, 1, 1)
_POLL_ONLY = '[database]\nurl = "{url}"\npgbouncer = true\n'
_SETTLED = 2.0
_ENOUGH = 0.95


def run(bench: Bench, book: Book) -> None:
    """All rates in each round."""
    for number in range(1, bench.rounds + 1):
        bench.say(f"latency, round {number} of {bench.rounds}")
        with bench.database() as url:
            _measure(bench, book, url, "", {f"latency.at_{rate[0]}": rate for rate in RATES})
        with bench.database() as url:
            _measure(bench, book, url, _POLL_ONLY.format(url=url), {"latency.poll_only": POLLED})


def _measure(bench: Bench, book: Book, url: str, database: str, rates: dict[str, tuple[int, int, int, int]]) -> None:
    probe = Probe(bench, "latency")
    with workers(bench, url, database + probe.account, environ=probe.environ):
        pause(_SETTLED)
        first = 0
        for key, (rate, seconds, producers, together) in rates.items():
            count = rate * bench.number(seconds, 2) // producers
            stamps = produce(bench, url, first, count, rate / producers, producers, together)
            first += count * producers
            wait_for(lambda: stamps.keys() <= probe.began().keys(), 60.0, "all are picked up")  # noqa: B023
            began = probe.began()
            delays = [(began[recipient] - at) * 1000 for recipient, at in stamps.items()]
            achieved = (len(stamps) - 1) / (max(stamps.values()) - min(stamps.values()))
            p50, p95, p99 = (percentile(delays, share) for share in (0.5, 0.95, 0.99))
            bench.say(
                f"  {key:20} p50 {p50:7.1f} ms  p95 {p95:7.1f}  p99 {p99:7.1f}  max {max(delays):7.1f}"
                f"  ({achieved:,.0f}/s inserted)"
            )
            if achieved < _ENOUGH * rate:
                book.doubts.append(f"{key.removeprefix('latency.')}: the producers inserted {achieved:,.0f}/s only")
            book.add_all(key, {"p50": p50, "p95": p95, "p99": p99, "max": max(delays), "achieved": achieved})
    probe.remove()


def produce(
    bench: Bench, url: str, first: int, count: int, rate: float, producers: int, together: int
) -> dict[str, float]:
    """Let the producers insert; the instant before each insert, by recipient."""
    command = [sys.executable, "-m", "tests.bench.producer", url]
    running = [
        bench.children.start(
            [*command, str(first + number * count), str(count), str(rate), str(together)],
            f"producer-{number}",
            piped=True,
        )
        for number in range(producers)
    ]
    stamps: dict[str, float] = {}
    for child in running:
        assert child.stdout is not None
        for line in child.stdout.read().decode().splitlines():
            word, _, at = line.partition(" ")
            stamps[f"{word}@example.com"] = float(at)
        if child.wait() != 0:
            raise RuntimeError(f"a producer failed: {bench.children.said(child)[-1000:]}")
        bench.children.end(child)
    return stamps
