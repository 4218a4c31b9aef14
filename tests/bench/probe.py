"""Workers whose provider notes when each send began."""

import os
from pathlib import Path

from tests.bench.processes import ROOT
from tests.bench.server import Bench


class Probe:
    """The account of `probe_provider` with a fresh book, and what makes workers find the provider."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._book = bench.directory / f"{name}.book"
        site = bench.directory / "site"
        info = site / "noti_bench-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noti_bench\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[noti_worker.providers]\nprobe = tests.bench.probe_provider\n")
        self.account = f'[accounts.box]\nprovider = "probe"\nbook = "{self._book}"\n'
        self.environ = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, site)))}

    def count(self) -> int:
        """The sends that began."""
        return self._text().count("\n")

    def began(self, prefix: str = "") -> dict[str, float]:
        """When the first send to each recipient with `prefix` began, in seconds of the monotonic clock."""
        found: dict[str, float] = {}
        for line in self._text().splitlines():
            recipient, _, at = line.partition(" ")
            if recipient.startswith(prefix):
                found.setdefault(recipient, float(at))
        return found

    def remove(self) -> None:
        """Delete the book."""
        self._book.unlink(missing_ok=True)

    def _text(self) -> str:
        return Path(self._book).read_text() if self._book.exists() else ""
