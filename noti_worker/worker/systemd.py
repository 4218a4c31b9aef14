"""Tells systemd how the worker is: ready, alive, reloading, stopping, and one line for `systemctl status`."""

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.facts import (
    DatabaseBack,
    DatabaseLost,
    Fact,
    Finished,
    Reloaded,
    ReloadRefused,
    WorkerStarted,
    WorkerStopping,
)
from noti_worker.domain.notification import Status

STOP_MARGIN = 30.0
"""Seconds asked of systemd beyond the drain deadline: for the last results and for leaving the register."""


def check_watchdog(call: float, environ: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigurationError when WatchdogSec= would kill a worker that connects to the database and asks it.

    Each may take `call` seconds. systemd.service(5): the watchdog is meant for us when WATCHDOG_PID is our own.
    """
    if environ.get("WATCHDOG_PID") not in {None, str(os.getpid())}:
        return
    usec = environ.get("WATCHDOG_USEC", "")
    if usec.isdigit() and 0 < int(usec) <= 2 * call * 1_000_000:
        raise ConfigurationError(
            f"WatchdogSec of the unit is {int(usec) / 1_000_000:g}s, and to connect to the database and ask it may take"
            f" {2 * call:g}s: the watchdog would end a worker that waits; the unit as shipped has 60s"
        )


class Notifier:
    """The protocol of sd_notify(3). Without systemd it says nothing; it never blocks and never fails."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """`NOTIFY_SOCKET` of `environ` names the socket; an abstract one begins with @."""
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def tell(self, **words: str | int) -> None:
        """Send the words as one message, in this order."""
        if self._socket is not None:
            lines = (f"{name}={' '.join(str(value).split())}" for name, value in words.items())
            # systemd that is busy or being replaced costs a message: the next round sends another.
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(errors="replace"), self._address)

    def close(self) -> None:
        """Give back the socket."""
        if self._socket is not None:
            self._socket.close()


class Systemd:
    """An observer that keeps systemd informed, and the watchdog's food. Thread-safe.

    The watchdog is fed when every loop has ticked since it was fed last, by the last of them: one loop that hangs
    starves it, whatever the others do. A database that is away is no hang, for the loops go round while they wait.
    """

    def __init__(
        self, drain_deadline: float, notifier: Notifier | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`drain_deadline` are the seconds that a stop may take for the sends in flight."""
        self._notifier = notifier or Notifier()
        self._stop_within = drain_deadline + STOP_MARGIN
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._loops: set[str] = set()
        self._missing: set[str] = set()
        self._ready = False
        self._phase = "starting"
        self._away = False
        self._refused: str | None = None
        self._counts: Counter[Status] = Counter()
        self._in_flight: Callable[[], int] = lambda: 0

    def close(self) -> None:
        """Say no more."""
        self._notifier.close()

    def watch(self, in_flight: Callable[[], int]) -> None:
        """Ask here how many rows are in hand."""
        self._in_flight = in_flight

    def tick(self, loop: str) -> None:
        """Note that a loop goes round; it counts from its first tick on."""
        with self._lock:
            self._loops.add(loop)
            self._missing.discard(loop)
            fed = not self._missing
            if fed:
                self._missing = set(self._loops)
        if fed:
            self._notifier.tell(WATCHDOG=1, STATUS=self.status())

    def reloading(self) -> None:
        """Tell that the configuration is being read anew; the fact that follows ends it."""
        self._notifier.tell(RELOADING=1, MONOTONIC_USEC=int(self._monotonic() * 1_000_000))

    def on(self, fact: Fact) -> None:
        """Take note of what changes the state."""
        match fact:
            case Finished(results):
                with self._lock:
                    self._counts.update(result.verdict.status for result in results)
            case WorkerStarted(_, _, channels):
                self._delivers(channels)
            case DatabaseLost():
                # Ready all the same: it waits, which may take hours and is no reason to be killed.
                self._away = True
                self._say_ready()
            case DatabaseBack():
                self._away = False
            case Reloaded(channels, _):
                self._refused = None
                self._delivers(channels)
            case ReloadRefused(error):
                self._refused = error
                self._say_ready()
            case WorkerStopping():
                self._phase = "stopping"
                self._notifier.tell(
                    STOPPING=1, EXTEND_TIMEOUT_USEC=int(self._stop_within * 1_000_000), STATUS=self.status()
                )
            case _:
                pass

    def status(self) -> str:
        """The line of `systemctl status`; nothing personal in it."""
        counts = self._counts
        parts = [
            "waiting for the database" if self._away else self._phase,
            f"{self._in_flight()} in flight",
            f"{counts[Status.SENT]} sent",
            f"{counts[Status.RETRYING]} retried",
            f"{counts[Status.FAILED]} failed",
        ]
        if self._refused is not None:
            parts.append(f"a new configuration was refused: {self._refused}")
        return "; ".join([parts[0], ", ".join(parts[1:5]), *parts[5:]])

    def _delivers(self, channels: tuple[str, ...]) -> None:
        self._phase = f"delivering {', '.join(channels)}"
        self._say_ready()

    def _say_ready(self) -> None:
        self._notifier.tell(READY=1, STATUS=self.status())
