"""SIGTERM and SIGINT: the first asks for a clean stop, the second for a quick one."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from noti_worker.worker.bell import Bell

ANSWER_WITHIN = 5.0
"""Seconds that a call of the database may take once we are asked to stop, also one that hangs already."""

ANSWER_QUICKLY = 1.0


class Stop:
    """Whether to stop, and how. Signal handlers are installed only on the main thread."""

    def __init__(self, bell: Bell, shorten: Callable[[float], None]) -> None:
        """Nobody has asked yet. `bell` wakes the loop when somebody does, `shorten` limits the database's calls."""
        self._bell = bell
        self._shorten = shorten
        self.asked: str | None = None
        self.asked_at = 0.0  # monotonic
        self.quickly = False

    def ask(self, why: str) -> None:
        """Ask for a clean stop; asked again, for a quick one."""
        if self.asked is None:
            self.asked_at = time.monotonic()
        else:
            self.quickly = True
        self._shorten(ANSWER_QUICKLY if self.quickly else ANSWER_WITHIN)
        self.asked = self.asked or why
        self._bell.ring()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)
            signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.ask(signal.Signals(number).name)
