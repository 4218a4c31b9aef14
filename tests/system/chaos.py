"""Everything breaks at once, at random, and the judge compares: `python -m tests.system.chaos --minutes 10`.

An application commits rows, rolls some back, cancels others. Meanwhile seeded monkeys kill workers and stop them past
their leases, restart, crash and kill PostgreSQL, cut connections, silence lines, lose answers, kill the provider and
change what it does. Then the weather clears, and every row must come to rest.
"""

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.fault_proxy import FaultProxy, socket_of, through
from tests.system.application import Application
from tests.system.daemon import Daemon, Daemons
from tests.system.judge import Judgement, Pause, gather, judge
from tests.system.ledger_server import LedgerServer

LEASE = 2
REST_WITHIN = 150.0
"""Seconds after the storm for all rows to come to rest: a throttled one waits a minute."""

SETTINGS = f"""
[worker]
lease = "{LEASE}s"
poll_interval = "200ms"
drain_deadline = "5s"
[channels.webhook]
send_timeout = "800ms"
retry = {{ initial_delay = "200ms", multiplier = 1.5, max_delay = "2s" }}
"""

MOODS: tuple[tuple[str, ...], ...] = (
    ("ok",),
    ("ok", "slow"),  # so that something is always in flight when a worker is stopped or killed
    ("ok", "slow"),
    ("slow",),
    ("ok", "slow", "broken"),
    ("broken",),
    (*["ok"] * 5, *["slow"] * 4, "cut"),
    (*["ok"] * 5, *["slow"] * 4, "hang"),
    ("ok", "slow", "broken", "cut", "hang"),
)
THROTTLING = ((*["ok"] * 9, "throttled"),)
"""Not in a storm of a minute: whoever is throttled waits that long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the storm lasts, how many rows are committed in it, by how many workers they are sent."""

    seed: int
    seconds: float
    rows: int
    workers: int = 3
    restart_every: tuple[float, float] = (10.0, 20.0)
    moods: tuple[tuple[str, ...], ...] = MOODS


@dataclass
class Story:
    """What happened: the monkeys' deeds, the workers' events, the judgement."""

    seed: int
    deeds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    judgement: Judgement = field(default_factory=Judgement)
    broken: list[str] = field(default_factory=list)
    seconds_to_rest: float = 0.0

    @property
    def good(self) -> bool:
        """Nobody lied and nothing broke that may not break."""
        return not self.broken and not self.judgement.findings

    def table(self) -> str:
        """For a person."""
        lines = [("seed", str(self.seed))]
        lines += [(name, str(count)) for name, count in sorted(self.deeds.items())]
        lines += [("seconds until all rows rested", f"{self.seconds_to_rest:.1f}")]
        lines += [(f"event {name}", str(count)) for name, count in sorted(self.events.items())]
        lines += [("broken", words) for words in self.broken]
        return "\n".join([*(f"{name:<32} {value}" for name, value in lines), self.judgement.table()])


class Storm:
    """The house with its monkeys; `run` tells the story."""

    def __init__(self, plan: Plan, server: Server, line: FaultProxy, ledger: LedgerServer, daemons: Daemons) -> None:
        """Prepare; the workers of `daemons` reach `server` by way of `line`."""
        self._plan = plan
        self._server = server
        self._line = line
        self._url = server.url  # the same after each restart
        self._ledger = ledger
        self._daemons = daemons
        self._story = Story(plan.seed)
        self._over = threading.Event()
        self._slots: list[Daemon] = []
        self._started: list[Daemon] = []
        self._pauses: list[Pause] = []
        self._application = Application(self._url, ledger.url("r"), plan.rows, plan.seconds, plan.seed)
        self._lock = threading.Lock()

    def run(self) -> Story:
        """Let them loose, wait for calm, judge."""
        self._daemons.configure(self._ledger.account + SETTINGS)
        self._slots = [self._start() for _ in range(self._plan.workers)]
        for daemon in self._slots:
            daemon.wait_ready()
        monkeys = [
            self._monkey("workers killed", (3, 7), self._kill),
            self._monkey("workers stopped past their lease", (2, 6), self._stop_and_continue),
            self._monkey("restarts of PostgreSQL", self._plan.restart_every, self._restart),
            self._monkey("connections cut", (1, 4), self._cut),
            self._monkey("faults of the line", (3, 8), self._break_line),
            self._monkey("moods of the provider", (2, 2), self._change_mood),
            self._monkey("kills of the provider", (10, 20), self._kill_ledger),
            self._monkey("cancels", (0.1, 0.5), self._application.cancel),
            threading.Thread(target=self._guarded, args=["application", self._application.run], name="application"),
        ]
        for monkey in monkeys:
            monkey.start()
        self._over.wait(self._plan.seconds)
        self._over.set()
        for monkey in monkeys:
            monkey.join()
        self._rest()
        self._end()
        return self._story

    def _monkey(self, name: str, every: tuple[float, float], act: Callable[[random.Random], None]) -> threading.Thread:
        dice = random.Random(f"{self._plan.seed} {name}")

        def live() -> None:
            while not self._over.wait(dice.uniform(*every)):
                try:
                    act(dice)
                except psycopg.OperationalError:
                    continue  # another monkey has the database
                self._story.deeds[name] += 1

        return threading.Thread(target=self._guarded, args=[name, live], name=name)

    def _guarded(self, name: str, live: Callable[[], None]) -> None:
        try:
            live()
        except Exception as error:
            self._story.broken.append(f"{name}: {error!r}")
            raise

    def _start(self) -> Daemon:
        daemon = self._daemons.start()
        self._started.append(daemon)
        return daemon

    def _kill(self, dice: random.Random) -> None:
        with self._lock:
            number = dice.randrange(len(self._slots))
            victim = self._slots[number]
            victim.process.kill()
            victim.process.wait()
            self._slots[number] = self._start()

    def _stop_and_continue(self, dice: random.Random) -> None:
        with self._lock:
            victim = dice.choice(self._slots)
        began = _epoch()
        victim.signal(signal.SIGSTOP)
        self._over.wait(dice.uniform(LEASE + 0.5, LEASE + 3))
        victim.signal(signal.SIGCONT)
        self._pauses.append(Pause(began, _epoch()))

    def _restart(self, dice: random.Random) -> None:
        how: Literal["fast", "immediate", "kill"] = dice.choice(["fast", "immediate", "kill"])
        if how == "kill":
            assert self._server.pid is not None
            os.kill(self._server.pid, signal.SIGKILL)
        else:
            self._server.stop(how)
        self._over.wait(dice.uniform(0, 1.5))
        self._server.start()

    def _cut(self, dice: random.Random) -> None:
        with self._connect() as connection:
            backends = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name ~ '^noti-worker' ORDER BY pid"
            ).fetchall()
            for (pid,) in dice.sample(backends, min(len(backends), dice.randint(1, 4))):
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    def _break_line(self, dice: random.Random) -> None:
        """For a moment, between the workers and PostgreSQL: silence, lost answers, latency; then every line is cut."""
        match dice.choice(["silence", "lost answers", "latency"]):
            case "silence":
                self._line.hanging = True
            case "lost answers":  # what was asked is done, COMMIT included, and nobody is told
                self._line.answers = lambda _: False
            case _:
                self._line.latency = 0.05
        self._over.wait(dice.uniform(0.3, 2.5))
        self._line.heal()
        self._line.cut()

    def _change_mood(self, dice: random.Random) -> None:
        with self._lock:
            self._ledger.behave(*dice.choice(self._plan.moods))

    def _kill_ledger(self, dice: random.Random) -> None:
        with self._lock:
            self._ledger.kill()
            self._over.wait(dice.uniform(0, 1))
            self._ledger.start()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._url, autocommit=True, connect_timeout=5)

    def _rest(self) -> None:
        """The weather clears: wait until every row rests."""
        self._ledger.behave("ok")
        began = time.monotonic()
        with self._connect() as connection:
            while connection.execute(
                "SELECT FROM noti.notifications_log WHERE finished_at IS NULL AND held_at IS NULL LIMIT 1"
            ).fetchall():
                if time.monotonic() - began > REST_WITHIN:
                    self._story.broken.append(f"after {REST_WITHIN:.0f} s of calm some rows do not rest")
                    break
                threading.Event().wait(0.1)
        self._story.seconds_to_rest = time.monotonic() - began

    def _end(self) -> None:
        """Stop the workers, read their logs, judge."""
        story = self._story
        for daemon in self._slots:
            if (code := daemon.stop()) != 0:
                story.broken.append(f"a worker ended with {code}")
        for daemon in self._started:
            for line in daemon.log:
                event = line["event"]
                if event in {"fenced", "lease_lost", "database_lost", "row_set_aside", "unable", "trouble"}:
                    story.events[event] += 1
                if event in {"trouble", "raw", "row_set_aside", "unable"}:
                    story.broken.append(f"a worker said {line}")
        with self._connect() as connection:
            accepts = self._ledger.accepts()
            story.judgement = judge(gather(connection, self._application.committed, accepts, self._pauses))
            story.broken += [
                f"invariant: {row}"
                for row in connection.execute("SELECT * FROM noti.assert_invariants() LIMIT 20").fetchall()
            ]


def _epoch() -> float:
    # The same machine, so the same clock as the database's and the ledger's.
    return time.time()  # noqa: TID251


def storm(plan: Plan, directory: Path) -> Story:
    """Run one storm below `directory`, which PostgreSQL's user must be able to enter."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    with ExitStack() as stack:
        server = stack.enter_context(
            Server(directory / "postgres", Path(bin_) if bin_ else None, {"max_connections": "100"})
        )
        migrate.upgrade(server.url)
        ledger = stack.enter_context(LedgerServer(directory))
        line = stack.enter_context(FaultProxy(socket_of(server.url)))
        daemons = stack.enter_context(Daemons(directory, through(server.url, line.port)))
        return Storm(plan, server, line, ledger, daemons).run()


def main() -> int:
    """Run by hand; 0 when the judge found nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description="Chaos, and a judge.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="keep the directory with logs and book")
    given = parser.parse_args()
    moods = MOODS + THROTTLING if given.minutes > 2 else MOODS
    plan = Plan(given.seed, 60 * given.minutes, given.rows, given.workers, moods=moods)
    directory = Path(tempfile.mkdtemp(prefix="noti-chaos-"))
    directory.chmod(0o711)
    sys.stdout.write(f"seed {plan.seed}, {given.minutes} min, {plan.rows} rows, in {directory}\n")
    story = storm(plan, directory)
    sys.stdout.write(story.table() + "\n")
    if story.good and not given.keep:
        import shutil

        shutil.rmtree(directory, ignore_errors=True)
    return 0 if story.good else 1


if __name__ == "__main__":
    sys.exit(main())
