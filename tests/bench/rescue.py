"""From the SIGKILL of a worker to the next try of the rows that it had in hand."""

import subprocess
import time
from contextlib import ExitStack

import psycopg

from tests.bench.figures import Book
from tests.bench.ours import SANDBOX, pause, wait_for, workers
from tests.bench.rows import fill
from tests.bench.server import Bench, scalar

_AT_ONCE = 3
_BEATS = 6.0
"""Seconds until both workers have said twice that they live: before that they call nobody dead."""

_ROWS = 20
_ID = "SELECT worker_id FROM noti.workers WHERE pid = %s"
_IN_HAND = "SELECT notification_id FROM noti.notifications_log WHERE status = 'sending' AND claimed_by = %s"
_RETRIED = """
SELECT count(*) FROM noti.notifications_log
 WHERE notification_id = ANY (%s) AND claim_count > 1 AND (claimed_by <> %s OR finished_at IS NOT NULL)
"""


def run(bench: Bench, book: Book) -> None:
    """Pairs of workers on databases of their own, beside each other: nearly all of it is waiting."""
    pairs = _AT_ONCE if bench.rounds > 1 else 1
    bench.say(f"rescue, {pairs} pairs of workers")
    with ExitStack() as stack:
        connections, victims = [], []
        for _ in range(pairs):
            url = stack.enter_context(bench.database())
            connections.append(stack.enter_context(psycopg.connect(url, autocommit=True)))
            victims.append(stack.enter_context(workers(bench, url, SANDBOX, 2))[0])
        pause(_BEATS)
        cases = [_Case(bench, connection, victim) for connection, victim in zip(connections, victims, strict=True)]
        for case in cases:
            case.kill()
        wait_for(lambda: all([case.over() for case in cases]), 60.0, "all rows are in other hands")  # noqa: C419
        for case in cases:
            bench.say(f"  {len(case.rows)} rows in hand, the last one tried again after {case.seconds:.1f} s")
            book.add("rescue.seconds", case.seconds)


class _Case:
    """One victim with rows in hand."""

    def __init__(
        self, bench: Bench, connection: psycopg.Connection[tuple[object, ...]], victim: "subprocess.Popen[bytes]"
    ) -> None:
        self._bench = bench
        self._connection = connection
        self._victim = victim
        self._id = scalar(connection, _ID, victim.pid)
        self._killed = 0.0
        self.rows: list[object] = []
        self.seconds = 0.0
        fill(connection, _ROWS, recipient="'slow' || i || '@example.com'")

    def kill(self) -> None:
        """Kill it as soon as it has rows in hand."""
        wait_for(lambda: self._connection.execute(_IN_HAND, [self._id]).fetchall(), 30.0, "it holds rows")
        self._bench.children.kill(self._victim)
        self._killed = time.monotonic()
        self.rows = [row[0] for row in self._connection.execute(_IN_HAND, [self._id]).fetchall()]

    def over(self) -> bool:
        """Whether every row was tried again; notes when that was seen first."""
        if not self.seconds and scalar(self._connection, _RETRIED, self.rows, self._id) == len(self.rows):
            self.seconds = time.monotonic() - self._killed
        return self.seconds > 0
