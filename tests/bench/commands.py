"""How long a person waits for `noti-worker --help` and `noti-worker status`."""

import os
import subprocess
import sys
import time

import psycopg

from tests.bench.figures import Book
from tests.bench.processes import ROOT
from tests.bench.rows import fill
from tests.bench.server import Bench

_TIMES = 10


def run(bench: Bench, book: Book) -> None:
    """Each command ten times, in a process of its own."""
    with bench.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection, bench.number(10_000, 100))
        for name, arguments in (("help", ["--help"]), ("status", ["status"])):
            took = []
            for _ in range(_TIMES):
                began = time.monotonic()
                subprocess.run(
                    [sys.executable, "-m", "noti_worker", *arguments],
                    env={**os.environ, "PYTHONPATH": str(ROOT), "NOTI_DATABASE_URL": url},
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
                took.append(time.monotonic() - began)
                book.add(f"commands.{name}", took[-1])
            bench.say(f"  {name:6} {min(took):.2f} to {max(took):.2f} s")
