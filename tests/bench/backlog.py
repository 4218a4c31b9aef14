"""A million rows: what a claim costs with them waiting, finished or scheduled, and a drain under an old snapshot."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

import psycopg

from noti_worker.domain.lanes import Share
from noti_worker.domain.notification import Priority
from noti_worker.store.connect import connect
from noti_worker.store.statements import statement
from tests.bench.figures import Book
from tests.bench.limit import LANE, claim_parameters
from tests.bench.ours import closed, watch, workers
from tests.bench.rows import fill, settle, verify
from tests.bench.server import Bench

_FEW = 1_000
_CLAIMED = 100
_TIMES = 201


def run(bench: Bench, book: Book) -> None:
    """The same table all the way: few rows, a million waiting, drained, a million finished, a million ahead."""
    many = bench.number(1_000_000, 20_000)
    with bench.database() as url, psycopg.connect(url, autocommit=True) as connection:
        fill(connection, _FEW)
        few = _claim(bench, book, connection, url, "few")
        fill(connection, many - _FEW)
        book.add("claim.waiting.of_few", _claim(bench, book, connection, url, "waiting") / few)
        _drain(bench, book, connection, url, many)
        bench.say("  counting what was recorded")
        verify(connection, many)
        fill(connection, _FEW)
        book.add("claim.finished.of_few", _claim(bench, book, connection, url, "finished") / few)
        fill(connection, many, priority="'urgent'", send_at="now() + interval '1 day'")
        book.add("claim.ahead.of_few", _claim(bench, book, connection, url, "ahead") / few)


def _claim(bench: Bench, book: Book, connection: psycopg.Connection[Any], url: str, what: str) -> float:
    """Milliseconds of the claim of a hundred rows, taken back each time."""
    settle(connection)
    shares = [Share(replace(LANE, priority=Priority.URGENT), _CLAIMED), Share(LANE, _CLAIMED)]
    parameters = claim_parameters(shares, _CLAIMED)
    took = []
    claim = statement("claim").sql.encode()
    with connect(url) as session:
        for _ in range(_TIMES):
            with session.transaction(force_rollback=True):
                began = time.monotonic()
                claimed = len(session.execute(claim, parameters, binary=True).fetchall())
                took.append((time.monotonic() - began) * 1000)
            if claimed != _CLAIMED:
                raise AssertionError(f"claimed {claimed} rows, not {_CLAIMED}")
    bench.say(f"  claim of {_CLAIMED}, {what:9} {median(took):6.2f} ms")
    book.add(f"claim.{what}", median(took))
    return median(took)


def _drain(bench: Bench, book: Book, connection: psycopg.Connection[Any], url: str, many: int) -> None:
    bench.say(f"  draining {many:,} rows under an old snapshot")
    resume = closed(url, "email")
    with workers(bench, url) as running:
        settle(connection)
        with _snapshot(url):
            resume()
            drained = watch(bench, connection, many, running)
    first, last = drained.rate_between(0.0, 0.1), drained.rate_between(0.9, 1.0)
    early = next(mb for rows, mb in drained.memory if rows >= 0.1 * many)
    bench.say(f"  {drained.rate:,.0f}/s: first tenth {first:,.0f}/s, last {last:,.0f}/s; {drained.peak_mb:.0f} MB")
    book.add_all(
        "holder",
        {
            "rate": drained.rate,
            "first": first,
            "last": last,
            "last_of_first": last / first,
            "peak_mb": drained.peak_mb,
            "memory_growth": drained.memory[-1][1] / early,
        },
    )


@contextmanager
def _snapshot(url: str) -> Iterator[None]:
    """A forgotten transaction, which keeps every dead row from being cleaned up."""
    with psycopg.connect(url) as forgotten:
        forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forgotten.execute("SELECT count(*) FROM pg_class")
        yield
        forgotten.rollback()
