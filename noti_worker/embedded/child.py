"""The postmaster as a child process that does not outlive us, not even after kill -9.

On Linux a short trampoline asks the kernel for SIGINT (a fast shutdown) at the parent's death, then becomes `postgres`.
It is not a `preexec_fn`, which may deadlock in a process with threads, and it drops root's rights itself, because a
change of user clears that request. The kernel means the death of the *thread* that forked, so a start outside the main
thread uses a watchdog instead, as does every other system: a process that waits for the end of a pipe.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

_STOP_SECONDS = 60.0
_ALONE = ("-I", "-S", "-c")

_TRAMPOLINE = """
import ctypes, os, signal, sys
parent, uid, gid = map(int, sys.argv[1:4])
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
PR_SET_PDEATHSIG = 1
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT)) != 0 or os.getppid() != parent:
    sys.exit("the parent is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(sys.argv[4], sys.argv[4:])
"""
_WATCHDOG = """
import os, signal, sys
sys.stdin.buffer.read()
with open(sys.argv[1]) as pid_file:
    if pid_file.readline().strip() == sys.argv[2]:
        os.kill(int(sys.argv[2]), signal.SIGINT)
"""


class User(NamedTuple):
    """Whom a process of the server runs as; both None: as ourselves."""

    uid: int | None
    gid: int | None


OURSELVES = User(None, None)


def environment() -> dict[str, str]:
    """What the server may know of our environment: no PG* variable that would misdirect it, and no secret of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C"}


def tied(command: Sequence[str], user: User = OURSELVES) -> list[str]:
    """The trampoline before `command`: it gets SIGINT when the thread that forked it ends. Linux only."""
    uid, gid = (-1, -1) if user.uid is None else user
    return [sys.executable, *_ALONE, _TRAMPOLINE, str(os.getpid()), str(uid), str(gid), *command]


class Child:
    """A running postmaster: `command` as `user`, its words in `log`, its number in `pid_file` once it owns the data."""

    def __init__(self, command: Sequence[str], user: User, log: Path, pid_file: Path) -> None:
        by_kernel = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        now = OURSELVES if by_kernel else user
        if by_kernel:
            command = tied(command, user)
        log.touch(mode=0o600)
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own binary and arguments)
                command,
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C at the terminal must not reach it before us
                user=now.uid,
                group=now.gid,
                extra_groups=None if now.uid is None else [],
            )
        self._watchdog: subprocess.Popen[bytes] | None = None
        if not by_kernel:
            watched = [str(pid_file), str(self._process.pid)]
            self._watchdog = subprocess.Popen(  # noqa: S603
                [sys.executable, *_ALONE, _WATCHDOG, *watched], stdin=subprocess.PIPE, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the postmaster still runs."""
        return self._process.poll() is None

    def stop(self, mode: Literal["fast", "immediate"]) -> None:
        """End the postmaster: "fast" ends sessions and checkpoints, "immediate" is a crash; a stuck one is crashed."""
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
        self._process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # the postmaster itself kills what does not end in 5 s
            self._process.wait(_STOP_SECONDS)
