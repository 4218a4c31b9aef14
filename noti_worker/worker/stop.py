"""What signals ask for: SIGTERM and SIGINT a clean stop, the second one a quick one; SIGHUP a reload.

On a terminal SIGHUP means that it was closed: whoever tried us out there is gone, so it asks for a stop too.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from noti_worker.worker.wakeup import WakeUp

ANSWER_WITHIN = 5.0
"""Seconds that a call of the database may take once we are asked to stop, also one that hangs already."""

ANSWER_QUICKLY = 1.0


class Stop:
    """Whether to stop, and how; whether to reload. Signal handlers are installed only on the main thread."""

    def __init__(self, wake_up: WakeUp, shorten: Callable[[float], None]) -> None:
        """Nobody has asked yet. `wake_up` wakes the loop when somebody does, `shorten` limits the database's calls."""
        self._wake_up = wake_up
        self._shorten = shorten
        self.asked: str | None = None
        self.asked_at = 0.0  # monotonic
        self.quickly = False
        self.reload = False
        self._on_terminal = False

    def ask(self, why: str) -> None:
        """Ask for a clean stop; asked again, for a quick one."""
        if self.asked is None:
            self.asked_at = time.monotonic()
        else:
            self.quickly = True
        self._shorten(ANSWER_QUICKLY if self.quickly else ANSWER_WITHIN)
        self.asked = self.asked or why
        self._wake_up.call()

    def part(self) -> None:
        """Wait briefly for the database from now on: what was to be recorded is, or is given up."""
        self._shorten(ANSWER_QUICKLY)

    def ask_to_reload(self) -> None:
        """Ask for the configuration to be read anew."""
        self.reload = True
        self._wake_up.call()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop, SIGHUP as one to reload (or to stop, on a terminal)."""
        self._on_terminal = os.isatty(0)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)
            signal.signal(signal.SIGINT, self._on_signal)
            signal.signal(signal.SIGHUP, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not self._on_terminal:
            self.ask_to_reload()
        else:
            self.ask(signal.Signals(number).name)
