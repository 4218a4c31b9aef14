"""One tenant with a large backlog, a thousand quiet ones with a row each: how long the quiet ones wait."""

import time

import psycopg

from tests.bench.figures import Book, percentile
from tests.bench.ours import closed, pause, progress_query, wait_for, workers
from tests.bench.probe import Probe
from tests.bench.rows import fill, settle
from tests.bench.server import Bench, scalar

_QUIET = 1_000
_APART = 3.0


def run(bench: Bench, book: Book) -> None:
    """The quiet rows come in one statement while the backlog is being drained, three times over."""
    backlog = bench.number(300_000, 10_000)
    bench.say(f"fairness, {backlog:,} rows of one tenant and {_QUIET:,} quiet tenants")
    probe = Probe(bench, "fairness")
    with bench.database() as url, psycopg.connect(url, autocommit=True) as connection:
        fill(connection, backlog, tenant_id="'noisy'")
        query = progress_query(connection)
        resume = closed(url, "email")
        with workers(bench, url, probe.account, environ=probe.environ):
            settle(connection)
            resume()
            wait_for(lambda: scalar(connection, query), 30.0, "the drain has begun")
            for number in range(bench.rounds):
                pause(_APART * min(1.0, bench.scale * 3))
                group = f"quiet{number}"
                began = time.monotonic()
                fill(connection, _QUIET, tenant_id="'quiet' || i", recipient=f"'{group}-' || i || '@example.com'")
                wait_for(lambda: len(probe.began(group)) == _QUIET, 60.0, "all quiet rows are picked up")  # noqa: B023
                waits = [at - began for at in probe.began(group).values()]
                left = backlog - scalar(connection, query)
                bench.say(
                    f"  the last of them after {max(waits):.2f} s; about {max(0, left):,} rows were still waiting"
                )
                if left <= 0:
                    book.doubts.append("the backlog was over before the quiet rows came")
                book.add_all("fairness", {"last": max(waits), "p95": percentile(waits, 0.95), "left": max(0, left)})
    probe.remove()
