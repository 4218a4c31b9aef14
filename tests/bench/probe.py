"""Workers whose provider notes when each send began."""

import os
from collections import defaultdict

from tests.bench.processes import ROOT
from tests.bench.server import Bench


class Probe:
    """The account of `probe_provider` with a fresh book, and what makes workers find the provider."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._book = bench.directory / f"{name}.book"
        self._offset = 0
        self._found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        site = bench.directory / "site"
        info = site / "noti_bench-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noti_bench\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[noti_worker.providers]\nprobe = tests.bench.probe_provider\n")
        self.account = f'[accounts.box]\nprovider = "probe"\nbook = "{self._book}"\n'
        self.environ = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, site)))}

    def began(self, group: str = "") -> dict[str, float]:
        """When the first send to each recipient `<group>-…` began, in seconds of the monotonic clock."""
        self._read()
        return self._found[group]

    def remove(self) -> None:
        """Delete the book."""
        self._book.unlink(missing_ok=True)

    def _read(self) -> None:
        """Take in what was written since the last look: to read all of it anew would cost what we measure."""
        if not self._book.exists():
            return
        with self._book.open("rb") as book:
            book.seek(self._offset)
            text = book.read()
        text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        for line in text.decode().splitlines():
            recipient, _, at = line.partition(" ")
            self._found[recipient.rpartition("-")[0]].setdefault(recipient, float(at))
