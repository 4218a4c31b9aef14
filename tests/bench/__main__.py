"""`python -m tests.bench [PART …]`: run the benchmark, print the table; a full run also writes RESULTS.md.

`--add` writes the figures of some parts into it, beside those of the last full run, and says so there.

Everything takes about 25 minutes on two cores, `--smoke` two. Nothing is left behind but the results and the peers'
environment in the cache. A part that fails or takes too long is told in the table, and the others go on.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests import readme_tables
from tests.bench import machine, report, server
from tests.bench.figures import Book
from tests.bench.parts import PARTS, Part
from tests.bench.report import Outcome, Result
from tests.bench.server import Bench

_SMOKE = 0.02
_MINUTES = 25.0


class Late(BaseException):
    """The time of a part is over; no part may catch it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Late in here after `seconds`."""

    def ring(number: int, frame: FrameType | None) -> NoReturn:
        raise Late

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> int:
    """Run what was asked for; the exit code is 1 when a part failed."""
    asked = _arguments()
    for name in [name for name in os.environ if name.startswith(("PG", "NOTI_")) and not name.startswith("NOTI_TEST_")]:
        del os.environ[name]  # the user's own settings must reach neither workers nor peers
    parts = [part for part in PARTS if not asked.parts or part.name in asked.parts]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    busy = os.getloadavg()[0]
    _show_plan(parts, asked.scale, asked.minutes)
    asked.cache.mkdir(parents=True, exist_ok=True)
    with server.make(asked.cache, asked.scale, asked.rounds) as bench:
        book = Book()
        result = Result(machine.describe(bench), asked.scale, asked.rounds, complete=len(parts) == len(PARTS))
        for part in parts:
            left = asked.minutes * 60 - (time.monotonic() - bench.began)
            result.parts[part.name] = _run(bench, book, part, left)
        result.seconds = time.monotonic() - bench.began
        result.samples = dict(book.samples)
    print()
    print(report.table(result))
    if asked.add:
        result = report.added(result, report.Result.load(report.RESULTS.read_text(encoding="utf-8")), busy)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        report.write(result, asked.out)
        print(f"written: {asked.out / 'RESULTS.md'}")
        if asked.out == report.HERE:
            readme_tables.main()
    return 1 if any(part.error for part in result.parts.values()) else 0


def _run(bench: Bench, book: Book, part: Part, left: float) -> Outcome:
    bench.say(f"{part.name}: {part.what}")
    if left <= 0:
        return Outcome(0.0, "no time was left for it")
    began = time.monotonic()
    limit = min(left, part.at_most)
    error = None
    book.doubts.clear()
    try:
        with within(limit):
            part.run(bench, book)
            error = "; ".join(dict.fromkeys(book.doubts)) or None
    except Late:
        error = f"not over after {limit:.0f} s"
    except Exception as caught:
        traceback.print_exc()
        error = f"{type(caught).__name__}: {' '.join(str(caught).split())[:300]}"
    if error is not None:
        bench.say(f"{part.name} FAILED: {error}")
    return Outcome(time.monotonic() - began, error)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = [part.name for part in PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(names)}")
    parser.add_argument("--smoke", action="store_true", help="one round of small sizes, in two minutes")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="rows and seconds by this factor")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="interleaved rounds (3)")
    parser.add_argument("--minutes", type=float, default=_MINUTES, metavar="N", help="no part runs on after them (25)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go; a full run: tests/bench")
    parser.add_argument("--add", action="store_true", help="put these parts, in full, into the last full run's results")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--cache", type=Path, default=home / "noti-worker-bench", metavar="DIR", help="the peers' place"
    )
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(names)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(names)}")
    if asked.smoke:
        asked.scale, asked.rounds = _SMOKE, 1
    if asked.add and (asked.scale < 1 or not asked.parts):
        parser.error("--add wants the parts named, and their full size")
    if asked.out is None and asked.scale >= 1 and (asked.add or not asked.parts):
        asked.out = report.HERE
    return asked


def _show_plan(parts: list[Part], scale: float, minutes: float) -> None:
    print(f"at {100 * scale:g} % of the full size; ended after {minutes:g} minutes at the latest:")
    for part in parts:
        print(f"  {part.name:9} {part.what:62} {part.takes:4} s, at most {part.at_most} s")
    print(f"  in full about {sum(part.takes for part in parts) / 60:.0f} minutes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
