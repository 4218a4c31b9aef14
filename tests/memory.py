"""How much memory a process has used at most, as the kernel counts it, and which processes it has started."""

import re
from pathlib import Path


def peak(pid: int | str = "self") -> int:
    """Bytes of memory that the process ever had, or had since `peak_begins`; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def peak_begins() -> None:
    """Measure the peak of this process from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def children(pid: int) -> list[int]:
    """The processes that any of its threads has started."""
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for started in found for child in started]
