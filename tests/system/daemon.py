"""The daemon as a process of its own, with a configuration, a log, and an end for certain."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).parent.parent.parent


class Daemon:
    """One `noti-worker run`, or another command that stays. `log` is what it wrote so far, line by line."""

    def __init__(
        self,
        config: Path,
        log: Path,
        environ: Mapping[str, str],
        prefix: Sequence[str] = (),
        tree: Path = ROOT,
        command: str = "run",
    ) -> None:
        """`prefix` is a command that runs another, such as `prlimit --nofile=64`; `tree` has the package."""
        self.log_file = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "noti_worker", "--config", str(config), *command.split()],
                cwd=tree,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> list[dict[str, Any]]:
        lines = self.log_file.read_text().splitlines()
        return [json.loads(line) if line.startswith("{") else {"event": "raw", "line": line} for line in lines]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line.get("event") == event]

    def wait_ready(self, timeout: float = 90.0) -> None:
        """Wait until the worker is registered."""
        self.wait_for(lambda: self.said("worker_started"), timeout)

    def wait_for(self, predicate: Callable[[], Any], timeout: float) -> None:
        ends = time.monotonic() + timeout
        while not predicate():
            assert self.process.poll() is None, f"the daemon ended:\n{self.log_file.read_text()}"
            assert time.monotonic() < ends, f"not within {timeout} s:\n{self.log_file.read_text()}"
            threading.Event().wait(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """Ask for a clean stop; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Ask its HTTP port; status and body."""
        [listening] = self.said("http_listening")[-1:]
        match = re.search(r":(\d+)$", str(listening["listen"]))
        assert match is not None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{match[1]}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Ledger:
    """The book of `ledger_provider`, installed as a distribution from outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.book = directory / "ledger.txt"
        info = directory / "site" / "noti_ledger-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noti_ledger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[noti_worker.providers]\nledger = tests.system.ledger_provider\n")
        self.environ = {"PYTHONPATH": str(info.parent)}

    def account(self, name: str = "book", **settings: object) -> str:
        """An account of this ledger, as TOML."""
        given = {"book": str(self.book), **settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        return "\n".join([f"[accounts.{name}]", 'provider = "ledger"', *lines, ""])

    def begun(self) -> list[str]:
        """The recipient of each send that began."""
        return [line[3] for line in self._lines() if line[0] == "begun"]

    def arrivals(self, account: str = "book") -> list[float]:
        """When each send of an account began, by a clock that all processes of this machine share."""
        return sorted(float(line[4]) for line in self._lines() if line[0] == "begun" and line[1] == account)

    def arrivals_at(self, domain: str) -> list[float]:
        """The same for each send to an address of this domain."""
        return sorted(float(line[4]) for line in self._lines() if line[0] == "begun" and line[3].endswith(f"@{domain}"))

    def accepted(self) -> list[str]:
        """The recipient of each send that was accepted."""
        return [line[3] for line in self._lines() if line[0] == "accepted"]

    def accounts(self, recipient: str) -> list[str]:
        """The accounts that were asked to send to `recipient`, in order."""
        return [line[1] for line in self._lines() if line[0] == "begun" and line[3] == recipient]

    def message_ids(self, recipient: str) -> list[str]:
        """The message_id of each send to `recipient`."""
        return [line[2] for line in self._lines() if line[0] == "begun" and line[3] == recipient]

    def message_ids_of_all(self) -> list[str]:
        """The message_id of each accepted send."""
        return [line[2] for line in self._lines() if line[0] == "accepted"]

    def open_gate(self) -> None:
        """Let gated sends go on."""
        self.book.with_suffix(".gate").touch()

    def close_gate(self) -> None:
        """Let gated sends wait."""
        self.book.with_suffix(".gate").unlink(missing_ok=True)

    def _lines(self) -> list[list[str]]:
        text = self.book.read_text() if self.book.exists() else ""
        return [line.split("\t") for line in text.splitlines()]


def of_the_unit() -> dict[str, str]:
    """The environment that the unit of systemd gives a worker, but for the place of its configuration."""
    unit = (ROOT / "systemd" / "noti-worker.service").read_text()
    lines = [line.removeprefix("Environment=") for line in unit.splitlines() if line.startswith("Environment=")]
    given = dict(line.split("=", 1) for line in lines)
    del given["NOTI_CONFIG"]
    return given


def member_of(role: str, url: str) -> str:
    """The URL or DSN of a login that may do just what `role` may; made when it is missing, and left to the server."""
    login = f"{role}_member"
    with psycopg.connect(url, autocommit=True) as administrator, suppress(psycopg.errors.DuplicateObject):
        administrator.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}".encode())
    return make_conninfo(url, user=login)


class Daemons:
    """Starts daemons with one configuration; whatever still runs at the end of the test is killed."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self.directory = directory
        self.database_url = database_url
        self.environ: dict[str, str] = {}
        self.tree = ROOT
        self._started: list[Daemon] = []

    def configure(self, text: str) -> None:
        """Write the configuration; its database is the test's, its port any."""
        (self.directory / "noti-worker.toml").write_text(
            f'[http]\nlisten = "127.0.0.1:0"\n[log]\nformat = "json"\n{text}\n'
        )

    def start(self, *prefix: str, command: str = "run", **environ: str) -> Daemon:
        daemon = Daemon(
            self.directory / "noti-worker.toml",
            self.directory / f"worker-{len(self._started)}.log",
            {**of_the_unit(), "NOTI_DATABASE_URL": self.database_url, **self.environ, **environ},
            prefix,
            self.tree,
            command,
        )
        self._started.append(daemon)
        return daemon

    def start_web(self) -> tuple[Daemon, str]:
        """A process that takes what providers post, and the address at which it does."""
        daemon = self.start(command="web")
        daemon.wait_for(lambda: daemon.said("web_listening"), 90.0)
        return daemon, str(daemon.said("web_listening")[0]["listen"])

    def start_ready(self, *prefix: str, **environ: str) -> Daemon:
        daemon = self.start(*prefix, **environ)
        daemon.wait_ready()
        return daemon

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for daemon in self._started:
                stack.callback(daemon.process.wait)
                stack.callback(daemon.process.kill)
