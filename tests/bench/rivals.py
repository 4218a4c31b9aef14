"""Other queues on the same server and rows, each with its best documented setting, in an environment of their own.

A peer is a program that is called as `fill URL N` and `work URL N`. At work it prints `first T` when its handler is
entered for the first time and `last T` when it was entered N times (or it found nothing more), T in seconds of the
monotonic clock; the clock stops when `left` is false.
"""

import hashlib
import os
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench.ours import Drained, pause
from tests.bench.processes import ROOT, cpu_seconds
from tests.bench.rows import settle
from tests.bench.server import Bench, scalar

REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"


@dataclass(frozen=True)
class Peer:
    """One of them: its program in `peers`, the setting in words, the rows of a full run, what is left by SQL."""

    name: str
    setting: str
    rows: int
    left: str


PEERS = (
    Peer("pgqueuer", "asyncpg, uvloop, batch 500", 60_000, "SELECT EXISTS (SELECT FROM pgqueuer)"),
    Peer(
        "post_office",
        "dummy backend, batch 1000, log all",
        20_000,
        "SELECT EXISTS (SELECT FROM post_office_email WHERE status IN (2, 3))",
    ),
    Peer(
        "procrastinate",
        "concurrency 20",
        3_000,
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
    ),
    Peer(
        "afternoon", "SQLAlchemy, a row at a time", 3_000, "SELECT EXISTS (SELECT FROM mail WHERE status = 'pending')"
    ),
)


def environment(bench: Bench) -> Path:
    """The Python of the peers; made once for each state of the requirements, outside the project's environment."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = bench.cache / f"peers-{wanted}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        bench.say(f"installing the peers into {place}")
        venv.create(place, clear=True, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
            check=True,
            env={**os.environ, "PIP_NO_INPUT": "1"},
        )
        (place / "complete").touch()
    return python


def drain(bench: Bench, peer: Peer, python: Path, rows: int) -> Drained:
    """Fill the peer's own tables in a fresh database and wait until it has emptied them."""
    program = [str(python), "-m", f"tests.bench.peers.{peer.name}"]
    with bench.database("template0") as url, psycopg.connect(url, autocommit=True) as connection:
        _fill([*program, "fill", url, str(rows)])
        settle(connection)
        child = bench.children.start([*program, "work", url, str(rows)], peer.name, piped=True)
        try:
            return _watch(bench, connection, peer, rows, child)
        finally:
            bench.children.end(child)


def _fill(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[2]} fill: {done.stderr[-1500:]}")


def _watch(
    bench: Bench,
    connection: psycopg.Connection[tuple[object, ...]],
    peer: Peer,
    rows: int,
    child: "subprocess.Popen[bytes]",
) -> Drained:
    began = _heard(bench, peer, child)
    worker, server = cpu_seconds([child.pid]), bench.server_cpu()
    _heard(bench, peer, child)
    while scalar(connection, peer.left):
        pause(0.005)
    seconds = time.monotonic() - began
    worker, server = cpu_seconds([child.pid]) - worker, bench.server_cpu() - server
    return Drained(rows, seconds, worker / rows * 1e6, server / rows * 1e6)


def _heard(bench: Bench, peer: Peer, child: "subprocess.Popen[bytes]") -> float:
    assert child.stdout is not None
    words = child.stdout.readline().split()
    if len(words) != 2:
        raise RuntimeError(f"{peer.name} ended: {bench.children.said(child)[-1000:]}")
    return float(words[1])
