"""Where the figures come from: the machine, the versions, the commit."""

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psycopg

import noti_worker
from tests.bench.processes import ROOT
from tests.bench.rivals import PEERS, REQUIREMENTS
from tests.bench.server import Bench, scalar

_SHOWN = (
    "shared_buffers",
    "max_wal_size",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "autovacuum",
)


def describe(bench: Bench) -> dict[str, str]:
    """What a reader must know to judge the figures."""
    with psycopg.connect(bench.server.url_of("postgres")) as connection:
        server = scalar(connection, "SHOW server_version")
        settings = {name: scalar(connection, f"SHOW {name}") for name in _SHOWN}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": f"{len(os.sched_getaffinity(0))} of {_processor()}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "write and fdatasync of 8 kB": f"{_sync_ms(bench.directory):.2f} ms",
        "PostgreSQL": f"{server}; " + ", ".join(f"{name} {value}" for name, value in settings.items()),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in ("psycopg", "sqlalchemy", "requests", "urllib3")),
        "peers": "; ".join(f"{peer.name}: {peer.setting}" for peer in PEERS),
        "their packages": ", ".join(REQUIREMENTS.read_text().split()),
        "noti-worker": f"{noti_worker.__version__}, commit {_commit()}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _sync_ms(directory: Path) -> float:
    took = []
    with (directory / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            began = time.monotonic()
            file.write(b"x" * 8192)
            os.fdatasync(file.fileno())
            took.append((time.monotonic() - began) * 1000)
    (directory / "sync").unlink()
    return median(took)
