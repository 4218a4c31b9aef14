"""Mixed traffic for an hour, with pictures of what an operator sees and the numbers behind the dashboard.

    pip install -e '.[dev,record]'
    python -m tests.operations.record --minutes 60 --out DIR

A database, two workers and a Prometheus of its own. A twentieth of the messages fails and the first account of the
e-mail route is down. Meanwhile a tenant is paused and resumed, a worker is killed and started again, and at the end
more calls come than the workers can make. In DIR: `top` and `status` as text and PNG, the numbers of every panel and
whether the database confirms them, which alerts fired, and three questions with their answers. The database stays in
DIR/postgres.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.operations.dashboard import panels
from tests.operations.prometheus import Prometheus
from tests.operations.screen import Screen
from tests.operations.traffic import (
    configuration,
    insert_calls,
    insert_minute,
    insert_order,
    insert_round,
    insert_specials,
)
from tests.operations.truth import Truth
from tests.system.daemon import Daemon, Daemons

EVERY = 2.0
"""Seconds from round to round: 37 notifications each."""

SHOWN = {
    "1-begin": 3,
    "2-ordinary": 10,
    "3-ordinary": 18,
    "4-paused": 26,
    "5-resumed": 29,
    "6-killed": 40.5,
    "7-ordinary": 50,
    "8-calls": 57,
}
QUESTIONS = (
    ("What waits longest, and why?", ("status",)),
    ("What failed in the last hour, by cause?", ("status",)),
    ("What happened to order 17?", ("why", "--entity", "order:17")),
)


@dataclass(frozen=True)
class Recording:
    """What the steps of the hour work with."""

    out: Path
    minutes: float
    database_url: str
    prometheus: Prometheus
    started: list[Daemon]
    start: Callable[[int], Daemon]

    def say(self, words: str) -> None:
        """One line for whoever waits."""
        with psycopg.connect(self.database_url) as connection:
            (now,) = connection.execute("SELECT to_char(now(), 'HH24:MI:SS')").fetchone() or ("",)
        sys.stdout.write(f"{now}  {words}\n")
        sys.stdout.flush()

    def command(self, *words: str) -> list[str]:
        """A command line of ours."""
        return [sys.executable, "-m", "noti_worker", *words]

    def environ(self) -> dict[str, str]:
        """Its environment."""
        return {
            **os.environ,
            "NOTI_DATABASE_URL": self.database_url,
            "NOTI_CONFIG": str(self.out / "noti-worker.toml"),
            "USER": "operator",
            "LOGNAME": "operator",
        }

    def steer(self, *words: str) -> None:
        """A command that changes something."""
        run = subprocess.run(self.command(*words), env=self.environ(), capture_output=True, text=True, check=True)
        self.say(f"{' '.join(words)}: {run.stdout.strip()}")

    def show(self, name: str) -> None:
        """Pictures of `top` on two terminals and of `status`, and all numbers."""
        for words, columns, lines, seconds in (("top", 80, 50, 12.0), ("top", 80, 24, 5.0), ("status", 120, 60, 10.0)):
            screen = Screen(columns, lines)
            screen.run(self.command(words), self.environ(), seconds)
            file = self.out / f"{name}-{words}-{columns}x{lines}"
            screen.draw(file.with_suffix(".png"))
            file.with_suffix(".txt").write_text(f"\n{'=' * columns}\n".join(screen.seen))
        span = round(min(600.0, self.minutes * 6))
        (self.out / f"{name}-numbers.md").write_text(self.numbers(span))
        self.say(f"shown as {name}")

    def numbers(self, span: int) -> str:
        """Every panel with its series over the last `span` seconds, and the alerts."""
        lines = [
            f"Rates and ranges over the last {span} s. Panels that the database does not confirm are marked;",
            "those of this moment are counted every 15 s, and compared with now.",
            "",
        ]
        shown, wrong = self.compared(span)
        for panel in panels():
            mark = " **the database says otherwise**" if panel.title in wrong else ""
            lines += [f"## {panel.title} ({panel.unit}){mark}", ""]
            lines += [f"    {name:40} {value:16.4f}" for name, value in sorted(shown[panel.title].items())] + [""]
        alerts = [f"    {rule['name']:24} {rule['state']}" for rule in self.prometheus.rules()]
        return "\n".join([*lines, "## Alerts", "", *(line for line in alerts if "inactive" not in line), ""])

    def compared(self, span: int) -> tuple[dict[str, dict[str, float]], set[str]]:
        """What every panel shows, and the titles of those that are wrong."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            checks = Truth(connection, span, len(self.started)).checks
            shown = {panel.title: panel.shown(self.prometheus, span) for panel in panels()}
            return shown, {title for title, numbers in shown.items() if not _right(checks[title], numbers)}

    def kill(self) -> None:
        """The second worker, without a word."""
        self.started[1].process.kill()
        self.started[1].wait()
        self.say("killed a worker")

    def restart(self) -> None:
        """A new one at its address."""
        self.started[1] = self.start(1)
        self.say("started it again")

    def calls(self) -> None:
        """More than two workers can make in five minutes."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            insert_calls(connection, round(max(self.minutes * 5, 20)))
        self.say("more calls than can be made")

    def questions(self) -> None:
        """One command each."""
        lines = []
        for question, words in QUESTIONS:
            run = subprocess.run(self.command(*words), env=self.environ(), capture_output=True, text=True, check=True)
            lines += [question, f"$ noti-worker {' '.join(words)}", run.stdout]
        (self.out / "questions.txt").write_text("\n".join(lines))
        self.say("asked three questions")

    def alerts(self) -> None:
        """How long each alert was pending and firing."""
        span = round(self.minutes * 60)
        found = self.prometheus.query(
            f"sum by (alertname, channel, account, alertstate) (count_over_time(ALERTS[{span}s]))"
        )
        lines = sorted(
            f"{sample.labels['alertname']:24} {sample.labels.get('channel', ''):8} {sample.labels.get('account', ''):8}"
            f" {sample.labels['alertstate']:8} {sample.value:6.0f} s"
            for sample in found
        )
        (self.out / "alerts.txt").write_text("\n".join(lines) + "\n")


def _right(check: Callable[[Any], bool], numbers: dict[str, float]) -> bool:
    try:
        return check(numbers)
    except (KeyError, ValueError):  # it shows less than it should
        return False


def steps(recording: Recording) -> list[tuple[float, Callable[[], None]]]:
    """When (as a part of the whole) what happens."""
    shots = [(minute / 60, partial(recording.show, name)) for name, minute in SHOWN.items()]
    return sorted(
        [
            *shots,
            (20 / 60, lambda: recording.steer("pause", "tenant", "globex", "--reason", "their sender domain moves")),
            (28 / 60, lambda: recording.steer("resume", "tenant", "globex")),
            (40 / 60, recording.kill),
            (43 / 60, recording.restart),
            (54 / 60, recording.calls),
            (59 / 60, recording.questions),
        ],
        key=lambda step: step[0],
    )


def insert(database_url: str, stopped: threading.Event) -> None:
    """The traffic until told to stop."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        insert_specials(connection)
        number = 0
        while not stopped.is_set():
            began = time.monotonic()
            number += 1
            insert_round(connection, number)
            if number % 30 == 1:
                insert_minute(connection, number // 30 + 1)
            if number == 40:
                insert_order(connection, "17")
            stopped.wait(EVERY - (time.monotonic() - began))


@contextlib.contextmanager
def traffic(database_url: str) -> Iterator[Future[None]]:
    """Insert meanwhile."""
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        inserting = thread.submit(insert, database_url, stopped)
        try:
            yield inserting
        finally:
            stopped.set()
            inserting.result()


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def record(out: Path, minutes: float) -> None:
    """Do it all; raises AssertionError with the panels that are wrong at the end."""
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(Server(out / "postgres"))
        migrate.upgrade(server.url)
        daemons = stack.enter_context(Daemons(out, server.url))
        daemons.configure(stack.enter_context(configuration()))
        ports = [free_port(), free_port()]

        def start(number: int) -> Daemon:
            return daemons.start_ready(NOTI_HTTP__LISTEN=f"127.0.0.1:{ports[number]}")

        started = [start(0), start(1)]
        prometheus = stack.enter_context(Prometheus(out, [f"127.0.0.1:{port}" for port in ports]))
        recording = Recording(out, minutes, server.url, prometheus, started, start)
        recording.say(f"two workers, Prometheus at port {prometheus.port}, psql: {server.psql_command}")
        began = time.monotonic()
        pause = threading.Event()
        while not prometheus.query("count(noti_worker_build_info) == 2"):
            pause.wait(0.2)
        with traffic(server.url) as inserting:
            for part, step in [*steps(recording), (1.0, lambda: None)]:
                pause.wait(max(began + part * minutes * 60 - time.monotonic(), 0))
                assert not inserting.done(), "the traffic broke off"
                step()
        recording.alerts()
        ends = time.monotonic() + 300
        span = 0
        wrong: set[str] = {"all"}
        # Until the calls are made, and the counts of the queue are of now. One panel looks back five minutes only.
        while wrong - {"What should not happen"} and time.monotonic() < ends:
            pause.wait(5)
            span = round(time.monotonic() - began) + 5
            _, wrong = recording.compared(span)
        (out / "9-end-numbers.md").write_text(recording.numbers(span))
        recording.say(f"at the end the database says otherwise than: {', '.join(sorted(wrong)) or 'nothing'}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    record(given.out.absolute(), given.minutes)


if __name__ == "__main__":
    main()
