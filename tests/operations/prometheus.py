"""A real Prometheus with our rules, for the time of a test."""

import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.operations.rules import RULES, program


@dataclass(frozen=True)
class Sample:
    """One line of an answer."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """Scrapes `targets` (host:port) every second as the job noti-worker, with its data in `directory`."""

    def __init__(self, directory: Path, targets: Sequence[str]) -> None:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "noti-worker", "static_configs": [{"targets": list(targets)}]}],
        }
        (directory / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={directory / 'prometheus.json'}",
                    f"--storage.tsdb.path={directory / 'prometheus-data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> Self:
        try:
            ends = time.monotonic() + 30
            while not self._ready():
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < ends, self._log.read_text()
                threading.Event().wait(0.05)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def query(self, query: str) -> list[Sample]:
        """What an instant query says now."""
        return [
            Sample(
                {name: value for name, value in found["metric"].items() if name != "__name__"}, float(found["value"][1])
            )
            for found in self._get("query", query=query)["result"]
        ]

    def rules(self) -> list[dict[str, Any]]:
        """The alerts as Prometheus has loaded and evaluated them."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **words: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{words}: {error.read().decode()}") from None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
