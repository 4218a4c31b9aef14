"""A machine with a systemd of its own: namespaces over an overlay of this one's root."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
TOOLS = ("unshare", "nsenter", "pivot_root", "systemctl", "journalctl")

_SWEEP = """
mount -t cgroup2 none "$1" && cd "$1" || exit
[ ! -d "$2" ] || find "$2" -depth -type d -exec rmdir {} \\;
[ ! -d "$2" ]
"""
"""Removes the control group $2; it is busy for a moment after its last process has ended."""


def missing() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "booting systemd needs root"
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"booting systemd needs {', '.join(lacking)} (Debian packages systemd and util-linux)"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "sh", "-c", "mount -t cgroup2 none /mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else None


class Machine:
    """Booted by entering the context; `run` works inside, `root` is its file system seen from here."""

    def __init__(self, directory: Path, shared: Path, wait_for: Callable[..., Any], say: Callable[[str], None]) -> None:
        """`shared` appears inside as /srv/database; `say` takes the lines of the transcript."""
        self._directory = directory
        self._shared = shared
        self._wait_for = wait_for
        self._say = say
        self._outside: subprocess.Popen[bytes] | None = None
        self._log = directory.with_suffix(".log")
        self._pid = ""

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self._pid}/root")

    def __enter__(self) -> Self:
        self._directory.mkdir()
        words = [self._directory, sys.base_prefix, sysconfig.get_path("purelib"), ROOT, self._shared]
        with self._log.open("wb") as log:
            self._outside = subprocess.Popen(
                ["unshare", "--mount", "sh", str(Path(__file__).with_suffix(".sh")), *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_for(self._up, timeout=60, what="systemd is up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._outside is not None
        self._outside.kill()  # and with it, by --kill-child, PID 1 inside and everything below
        self._outside.wait()
        self._wait_for(self._cgroup_gone, timeout=20, what="the control group is empty")

    def run(self, *words: str, check: bool = True, quiet: bool = False) -> str:
        """Run a command inside; gives what it said, both ways."""
        done = subprocess.run(
            ["nsenter", "--target", self._pid, "--all", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        if not quiet:
            self._say(f"# {' '.join(words)}")
            for line in done.stdout.splitlines():
                self._say(f"  {line}")
            if done.returncode:
                self._say(f"  (exit code {done.returncode})")
        assert not check or done.returncode == 0, f"{words}: {done.stdout}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit, quiet=True).strip()

    def journal(self, unit: str) -> str:
        """Everything that the unit, and systemd about it, wrote."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", quiet=True)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _up(self) -> bool:
        assert self._outside is not None
        assert self._outside.poll() is None, self._log.read_text()
        children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children")
        self._pid = children.read_text().strip()
        if not self._pid:
            return False
        with suppress(OSError):
            if Path(f"/proc/{self._pid}/comm").read_text().strip() == "systemd":
                return self.run("systemctl", "is-system-running", check=False, quiet=True).strip() in {
                    "running",
                    "degraded",
                }
        return False

    def _cgroup_gone(self) -> bool:
        assert self._outside is not None
        swept = subprocess.run(
            ["unshare", "--mount", "sh", "-c", _SWEEP, "sh", str(self._directory), f"noti-test-{self._outside.pid}"],
            capture_output=True,
            check=False,
        )
        return swept.returncode == 0
