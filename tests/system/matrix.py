"""The fault matrix: `python -m tests.system.matrix` runs every fault test and prints what happened.

`--write` puts the table into noti_worker/docs/guarantees.md, `--fast` leaves the slow tests out, `F17 F18` runs these.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import noti_worker
from noti_worker.embedded import places

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "noti_worker" / "docs" / "guarantees.md"

FAULTS: Mapping[str, str] = {
    "F01": "a worker is killed right after its claim",
    "F02": "a worker is killed in the middle of a send",
    "F03": "a worker is killed between the provider's acceptance and the record",
    "F04": "the line is cut while the record commits",
    "F05": "the render child is killed, or runs out of memory",
    "F06": "a row kills whoever sends it",
    "F07": "SIGTERM: idle, busy, twice, while reconnecting",
    "F08": "SIGTERM while the provider hangs",
    "F09": "a worker is stopped past its lease, and continues",
    "F10": "a reload, also of a wrong configuration",
    "F11": "PostgreSQL is restarted, fast and immediate",
    "F12": "a backend is killed: crash recovery",
    "F13": "the postmaster is killed",
    "F14": "PostgreSQL is away for long",
    "F15": "failover to a replica",
    "F16": "the synchronous standby is frozen: COMMIT hangs",
    "F17": "a silent partition between worker and PostgreSQL",
    "F18": "half-open, reset and half-closed lines to PostgreSQL",
    "F19": "a fifth of the packets lost, on a thin line",
    "F20": "PgBouncer in transaction mode",
    "F21": "workers whose clocks are wrong, or jump",
    "F22": "other time zones and date styles of the server",
    "F23": "the disk of PostgreSQL is full",
    "F24": "the worker's disk is full, its output closed",
    "F25": "serialisation failures, deadlocks, lock time-outs, cancelled statements",
    "F26": "an old snapshot held open under churn",
    "F27": "an exclusive lock on the table",
    "F28": "too many connections",
    "F29": "the provider refuses, or its name does not resolve, or slowly",
    "F30": "the provider hangs, trickles, or never begins",
    "F31": "huge, compressed, malformed and foreign answers",
    "F32": "certificates that are expired, foreign, self-signed; old TLS",
    "F33": "a storm of 429 with every kind of Retry-After",
    "F34": "a provider's outage with a circuit breaker",
    "F35": "a provider that comes and goes, with a circuit breaker",
    "F36": "revoked credentials: the account is left alone",
    "F37": "SMTP: refusals, drops before and after the final dot, slow answers",
    "F38": "every slot of a channel stuck on one destination",
    "F39": "a flood of one tenant beside a quiet one",
    "F40": "one slow tenant among ten",
    "F41": "poison rows among good ones",
    "F42": "credentials that cannot be decrypted",
    "F43": "migrations while workers and an application run",
    "F44": "workers of two versions side by side",
    "F45": "a worker on a schema that is too new or too old",
    "F46": "a soak: memory, descriptors, threads",
    "F47": "how much is logged",
    "F48": "how many series the metrics have",
    "F49": "clients that hold the metrics port open",
    "F50": "retention during load",
    "F51": "the holder of a cron duty dies, or comes back",
    "F52": "cron times missed during an outage",
    "F53": "a storm of NOTIFY",
    "F54": "rows at the size limits, and above",
    "F55": "the worker's memory limit is hit",
    "F56": "the main loop is frozen: the watchdog",
    "F57": "a restored backup is noticed",
    "F58": "a replica used by mistake",
    "F59": "no file descriptors left",
    "F60": "all of it at once, at random",
    "F61": "documents that are small as jsonb and gigantic as text",
    "F62": "single rows that the database refuses to read or to update",
    "F63": "single rows for which a statement takes too long",
    "F64": "a statement that the database refuses for every row",
    "F65": "hundreds of megabytes of messages for the inbox",
    "F66": "attachments without measure",
    "F67": "rows that an application locks past a lease, or over a stop",
    "F68": "functions and operators that somebody put in the way of ours",
    "F69": "settings, names and casts of databases as people have them",
    "F70": "a full queue of NOTIFY",
    "F71": "a time limit for idle sessions",
    "F72": "a migration behind a dump",
    "F73": "all that stopped a worker before, in turn, beside good rows",
    "F74": "the process that takes receipts is killed while they come in",
    "F75": "the database is away while receipts come in",
    "F76": "a worker is killed while it reads a receipt",
    "F77": "a worker is killed with what it may send in hand",
    "F78": "a worker is killed in the middle of a campaign that bounces",
}

NOT_YET = frozenset({"F42", "F51", "F52", "F57"})
"""What these are about does not exist yet."""

_MARKS = re.compile(r"(?P<opens><!-- fault matrix -->\n).*?(?P<ends><!-- end of fault matrix -->)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One line of the table; `bad` when a test failed or is missing."""

    fault: str
    happened: str
    repeats: int | None = None
    seconds: float | None = None
    bad: bool = False
    skipped: bool = False

    @property
    def shown(self) -> bool:
        """Whether there is a test."""
        return self.seconds is not None

    def cells(self) -> tuple[str, ...]:
        """As text."""
        counted = "" if self.repeats is None else str(self.repeats)
        taken = "" if self.seconds is None else f"{self.seconds:.1f}"
        return self.fault, FAULTS[self.fault], self.happened, counted, taken


@dataclass
class _Gathered:
    happened: list[str] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    seconds: float = 0.0
    failed: bool = False
    skipped: bool = False


def entries(lines: Iterable[Mapping[str, Any]], wanted: Sequence[str] = tuple(FAULTS)) -> list[Entry]:
    """One entry per fault of `wanted`, from what the tests left behind (see tests/verdict.py)."""
    by_fault = {fault: _Gathered() for fault in FAULTS}
    for line in lines:
        for fault in line["faults"]:
            gathered = by_fault[fault]
            gathered.seconds += line["seconds"]
            name = line["test"].rpartition("::")[2]
            if line["outcome"] == "failed":
                gathered.failed = True
                gathered.happened.append(f"FAILED: {name}: {line['reason']}")
            elif line["outcome"] == "skipped":
                gathered.skipped = True
                gathered.happened.append(f"skipped: {line['reason']}")
            else:
                said = [verdict["happened"] for verdict in line["said"]]
                gathered.happened += said or [re.sub(r"\[.*", "", name).removeprefix("test_").replace("_", " ")]
                gathered.repeats += [one["repeats"] for one in line["said"] if one["repeats"] is not None]
    return [_entry(fault, by_fault[fault]) for fault in wanted]


def _entry(fault: str, gathered: _Gathered) -> Entry:
    if not gathered.happened:
        if fault in NOT_YET:
            return Entry(fault, "not yet: what it is about does not exist")
        return Entry(fault, "NO TEST", bad=True)
    return Entry(
        fault,
        "; ".join(dict.fromkeys(gathered.happened)),
        sum(gathered.repeats) if gathered.repeats else None,
        gathered.seconds,
        gathered.failed,
        gathered.skipped,
    )


def markdown(table: Sequence[Entry], about: str) -> str:
    """The table as it stands in the page; what no test shows is named below it."""
    lines = [f"{about}\n", "| | fault | what happened | repeats | seconds |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in one.cells()) + " |" for one in table if one.shown]
    unborn = [entry for entry in table if not entry.shown and entry.fault in NOT_YET]
    missing = [entry for entry in table if not entry.shown and entry.fault not in NOT_YET]
    for what, left in (("What these are about does not exist yet", unborn), ("Not shown by a test yet", missing)):
        if left:
            lines.append(f"\n{what}: {', '.join(f'{one.fault} {FAULTS[one.fault]}' for one in left)}.")
    return "\n".join(lines) + "\n"


def written(page: str, text: str) -> str:
    """The page with `text` between its two marks; ValueError when it has none."""
    replaced, count = _MARKS.subn(lambda found: found["opens"] + text + found["ends"], page)
    if count != 1:
        raise ValueError("the page has not one place for the fault matrix")
    return replaced


def about() -> str:
    """When it ran, and with what."""
    folder = os.environ.get("NOTI_TEST_PG_BIN") or places.binaries()
    postgres = subprocess.run([Path(folder, "postgres"), "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"\d+(\.\d+)?", postgres.stdout)
    assert version is not None
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"Run on {day} with noti-worker {noti_worker.__version__}, Python {platform.python_version()},"
        f" PostgreSQL {version[0]}, {platform.system()}."
    )


def run(wanted: Sequence[str], *, fast: bool) -> list[dict[str, Any]]:
    """Run the tests; what they left behind."""
    with tempfile.TemporaryDirectory() as directory:
        verdicts = Path(directory, "verdicts.jsonl")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "fault and not slow" if fast else "fault", "--verdicts", verdicts]
            + [f"--fault={fault}" for fault in wanted],
            cwd=ROOT,
            check=False,  # the table tells
            stdout=sys.stderr,
        )
        if done.returncode not in {0, 1}:
            raise SystemExit(f"pytest broke off with {done.returncode}: see above")
        text = verdicts.read_text() if verdicts.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write when asked; 0 when every fault has a test and none failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.matrix", description="Run the fault suite.")
    parser.add_argument("faults", nargs="*", metavar="F01", help="only these", choices=[[], *FAULTS])
    parser.add_argument("--fast", action="store_true", help="leave out the slow ones")
    parser.add_argument("--write", action="store_true", help="write the table into the guarantees page")
    given = parser.parse_args(arguments)
    if given.write and (given.faults or given.fast):
        parser.error("the page gets the whole matrix: --write alone")
    table = entries(run(given.faults, fast=given.fast), given.faults or tuple(FAULTS))
    shown = Table("", "fault", "what happened", "repeats", "seconds")
    for entry in table:
        shown.add_row(*entry.cells(), style="red" if entry.bad else "yellow" if entry.skipped else None)
    Console().print(shown)
    bad = [entry.fault for entry in table if entry.bad]
    skipped = [entry.fault for entry in table if entry.skipped]
    unborn = [entry.fault for entry in table if entry.fault in NOT_YET and not entry.shown]
    sys.stdout.write(
        f"{about()}\n{len(table)} faults: {len(table) - len(bad) - len(skipped) - len(unborn)} shown;"
        f" failed or without a test: {_named(bad)}; with something skipped: {_named(skipped)};"
        f" not yet there to be tested: {_named(unborn)}\n"
    )
    if given.write and any(entry.bad and entry.shown for entry in table):
        sys.stdout.write("not written: what failed does not go into the page\n")
    elif given.write:
        PAGE.write_text(written(PAGE.read_text(), markdown(table, about())))
    return 1 if bad else 0


def _named(faults: Sequence[str]) -> str:
    return f"{len(faults)} ({', '.join(faults)})" if faults else "0"


if __name__ == "__main__":
    sys.exit(main())
