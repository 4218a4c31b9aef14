"""Keys that a live view listens to."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from noti_worker.cli.rest import rest

HELP = "q quit  space freeze  r look now"


@contextmanager
def listening() -> Iterator[Callable[[float], None]]:
    """Gives a wait of so many seconds, which keys can end: `r` at once, space by space, `q` as Ctrl-C does.

    Where no terminal can be read from, it only waits.
    """
    if not sys.stdin.isatty():
        yield rest
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard, termios.TCSANOW)
    try:
        yield lambda seconds: _wait(keyboard, seconds)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _wait(keyboard: int, seconds: float) -> None:
    frozen = False
    while select.select([keyboard], [], [], None if frozen else seconds)[0]:
        key = os.read(keyboard, 1)
        if key in {b"q", b"Q", b""}:  # no key at all: the terminal is gone
            raise KeyboardInterrupt
        if key in {b"r", b"R"} or (key == b" " and frozen):
            return
        frozen = frozen or key == b" "
