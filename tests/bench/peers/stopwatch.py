"""What the peers share: when the handler was entered first and last."""

import sys
import threading
import time

BODY = "x" * 512


class Stopwatch:
    """Counts the calls of a handler and prints when the first began and, if `rows` are told, the last."""

    def __init__(self, rows: int | None) -> None:
        self._rows = rows
        self._count = 0
        self._lock = threading.Lock()

    def tick(self) -> None:
        """The handler is entered."""
        with self._lock:
            self._count += 1
            if self._count == 1:
                say("first")
            if self._count == self._rows:
                say("last")


def say(word: str) -> None:
    """Tell the benchmark."""
    print(word, time.monotonic(), flush=True)


def asked() -> tuple[str, str, int]:
    """What to do, the URL of the database, the rows."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3])
