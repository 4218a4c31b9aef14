"""Processes that the benchmark starts, and what they cost by /proc."""

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from noti_worker.embedded.child import tied

ROOT = Path(__file__).parent.parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
_END_SECONDS = 30.0
_WORDS = 4_000


class Children:
    """Starts processes that end with us, however we end; a context manager that kills what is left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[subprocess.Popen[bytes]] = []
        self._logs: dict[int, Path] = {}

    def start(
        self, command: Sequence[str], name: str, environ: Mapping[str, str] | None = None, *, piped: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start `command`; what it says goes to a log, with `piped` its standard output to us."""
        path = self.directory / f"{name}-{time.monotonic_ns()}.log"
        with path.open("wb") as log:
            child = subprocess.Popen(
                tied(command),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
            )
        self._started.append(child)
        self._logs[child.pid] = path
        return child

    def said(self, child: subprocess.Popen[bytes]) -> str:
        """The first and the last words of its log."""
        with self._logs[child.pid].open("rb") as log:
            first = log.read(_WORDS)
            log.seek(max(log.tell(), log.seek(0, os.SEEK_END) - _WORDS))
            return (first + log.read()).decode(errors="replace")

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Ask it to stop, see to it that it does, and remove its log."""
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(child)
        if child.stdout is not None:
            child.stdout.close()
        self._started = [other for other in self._started if other is not child]
        self._logs.pop(child.pid).unlink()

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """End it at once."""
        child.kill()
        child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._started:
            child.kill()
        for child in self._started:
            child.wait()


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes and all below them, those included that have ended since."""
    ticks = 0
    for pid in pids:
        for number, one in enumerate(family(pid)):
            if stat := _stat(one):
                ticks += int(stat[11]) + int(stat[12])
                if number == 0:
                    ticks += int(stat[13]) + int(stat[14])
    return ticks / _TICKS


def fine_cpu_seconds(pid: int) -> float:
    """The same for processes that live on and do little: by nanoseconds, without threads that have ended."""
    nanoseconds = 0
    for one in family(pid):
        for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has just ended
                nanoseconds += int(task.read_text().split()[0])
    return nanoseconds / 1e9


def resident_mb(pids: Iterable[int]) -> float:
    """Memory of these processes and all below them, in megabytes; shared pages count once (PSS)."""
    kilobytes = 0
    for pid in pids:
        for one in family(pid):
            try:
                rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            except OSError:
                continue
            kilobytes += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kilobytes / 1024


def peak_resident_mb(pids: Iterable[int]) -> float:
    """The most memory that these processes and all below them ever had, in megabytes; shared pages count in each."""
    kilobytes = 0
    for pid in pids:
        for one in family(pid):
            with suppress(OSError):  # it has just ended
                status = Path(f"/proc/{one}/status").read_text()
                kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return kilobytes / 1024


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on: parent 1, own ticks 11 and 12, those of ended children 13 and 14."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
