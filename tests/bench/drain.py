"""Drain rates in interleaved rounds: the limit, each peer, one worker, two workers, and again."""

import os
from pathlib import Path

from tests.bench import limit, ours, rivals
from tests.bench.figures import Book
from tests.bench.ours import Drained
from tests.bench.server import Bench

_BUDGET_US = 1_000_000  # microseconds of CPU that one core gives in a second


def run(bench: Bench, book: Book) -> None:
    """All rounds."""
    python = rivals.environment(bench)
    for number in range(1, bench.rounds + 1):
        bench.say(f"drain, round {number} of {bench.rounds}")
        _round(bench, book, python)


def _round(bench: Bench, book: Book, python: Path) -> None:
    bare = _tell(bench, book, "limit", _limit(bench))
    one = _tell(bench, book, "one", _ours(bench, 1))
    book.add("drain.one.of_limit", one.rate / bare.rate)
    book.add("drain.one.cpu_of_limit", one.all_us / bare.all_us)
    book.add("drain.one.peak_mb", one.peak_mb)
    for peer in rivals.PEERS:
        try:
            drained = rivals.drain(bench, peer, python, bench.number(peer.rows, 500))
        except Exception as error:  # the others go on
            bench.say(f"  {peer.name} FAILED: {error}")
            book.doubts.append(f"{peer.name} was not measured")
            continue
        rival = _tell(bench, book, peer.name, drained)
        book.add(f"drain.one.of_{peer.name}", one.rate / rival.rate)
        book.add(f"drain.one.cpu_of_{peer.name}", one.all_us / rival.all_us)
    two = _tell(bench, book, "two", _ours(bench, 2))
    cores = min(2, len(os.sched_getaffinity(0)))
    book.add("drain.two.of_cpu", two.rate * two.all_us / (cores * _BUDGET_US))
    book.add("drain.two.of_one", two.rate / one.rate)
    with bench.database() as url:
        sql = _tell(bench, book, "pgbench", limit.pgbench(bench, url, bench.number(100_000, 2_000)))
    book.add("drain.one.of_pgbench", one.rate / sql.rate)


def _limit(bench: Bench) -> Drained:
    with bench.database() as url:
        return limit.bare_loop(bench, url, bench.number(100_000, 2_000))


def _ours(bench: Bench, count: int) -> Drained:
    with bench.database() as url:
        return ours.drain(bench, url, bench.number(100_000, 2_000), count=count)


def _tell(bench: Bench, book: Book, name: str, drained: Drained) -> Drained:
    bench.say(
        f"  {name:13} {drained.rate:8,.0f}/s   worker {drained.worker_us:6.1f} µs   server {drained.server_us:6.1f} µs"
    )
    book.add(f"drain.{name}.rate", drained.rate)
    book.add(f"drain.{name}.worker_us", drained.worker_us)
    book.add(f"drain.{name}.server_us", drained.server_us)
    return drained
