"""Two hosts in network namespaces of their own, joined by a cable that can fail; needs root."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from tests.needs import needs

HERE, THERE = "10.97.0.1", "10.97.0.2"


class Network:
    """`here` and `there` are prefixes of commands that run on one of the two hosts."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("tc", "iproute2")):
            needs(program, f"Debian package {package}")
        name = f"nt{uuid4().hex[:8]}"
        self._names = (f"{name}a", f"{name}b")
        self.here: Sequence[str] = ("ip", "netns", "exec", self._names[0])
        self.there: Sequence[str] = ("ip", "netns", "exec", self._names[1])
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        a, b = self._names
        for name in self._names:
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b)
        for name, address in ((a, HERE), (b, THERE)):
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        for name in self._names:
            _run("ip", "netns", "del", name)
            directory = Path("/etc/netns") / name
            if directory.exists():
                (directory / "resolv.conf").unlink()
                directory.rmdir()

    def run(self, where: Sequence[str], module: str, *words: str) -> str:
        """Start a server of ours that says its port in its first line; gives that line."""
        process = subprocess.Popen(
            [*where, sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        self._started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().decode().strip()

    def drop(self, share: int = 100) -> None:
        """Lose so many of a hundred packets, both ways and in silence."""
        rules = f"numgen random mod 100 < {share} drop" if share < 100 else "drop"
        for where in (self.here, self.there):
            _run(*where, "nft", "add", "table", "inet", "cable")
            _run(*where, "nft", "add chain inet cable out { type filter hook output priority 0; }")
            _run(*where, "nft", f"add rule inet cable out oifname eth0 {rules}")

    def throttle(self, rate: str) -> None:
        """Let no more than `rate` (as `200kbit`) through, each way."""
        for where in (self.here, self.there):
            _run(*where, *f"tc qdisc add dev eth0 root tbf rate {rate} burst 8kb latency 400ms".split())

    def heal(self) -> None:
        """Carry everything again."""
        for where in (self.here, self.there):
            _run(*where, "nft", "delete", "table", "inet", "cable")

    def resolve_by(self, address: str) -> None:
        """Have names looked up at `address` here."""
        directory = Path("/etc/netns") / self._names[0]
        directory.mkdir(parents=True)
        (directory / "resolv.conf").write_text(f"nameserver {address}\n")


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
