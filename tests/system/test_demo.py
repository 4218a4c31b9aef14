"""`noti-worker demo` as a person starts it: in a pipe, in a terminal, and ended in every way a process can end."""

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIVES = 11


class Demo:
    """A demo whose files lie below `directory`; `text` is what it printed so far."""

    def __init__(self, directory: Path, *words: str, terminal: bool = False, cwd: Path = ROOT) -> None:
        self.directory = directory
        self._output = b""
        end, written = pty.openpty() if terminal else os.pipe()
        if terminal:
            termios.tcsetwinsize(written, (50, 140))
        self.process = subprocess.Popen(
            [sys.executable, *([] if cwd == ROOT else ["-P"]), "-m", "noti_worker", "demo", *words],
            cwd=cwd,
            env={**os.environ, "TMPDIR": str(directory), "TERM": "xterm", "NOTI_DATABASE_URL": "postgresql://not/this"},
            stdin=written if terminal else subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
            preexec_fn=_take_terminal if terminal else None,  # noqa: PLW1509 - so that Ctrl-C reaches it
        )
        os.close(written)
        self.end = end
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the other end of the terminal is closed
            while chunk := os.read(self.end, 65536):
                self._output += chunk

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._output.decode()).replace("\r\n", "\n")

    @property
    def coloured(self) -> bool:
        return b"\x1b[" in self._output

    def wait(self) -> int:
        code = self.process.wait(60)
        self._reader.join(10)
        return code

    def running(self) -> list[str]:
        """Command lines of all processes that know its directory."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(self.directory) in line:
                    found.append(line)
        return found

    def left(self) -> list[str]:
        return os.listdir(self.directory)


def _take_terminal() -> None:
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def demo(open_directory: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*words: str, terminal: bool = False, cwd: Path = ROOT) -> Demo:
        directory = open_directory / str(len(started))
        directory.mkdir()
        directory.chmod(0o711)
        started.append(Demo(directory, *words, terminal=terminal, cwd=cwd))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.wait()
        os.close(each.end)


def test_a_demo_in_a_pipe_tells_all_lives_in_plain_lines_and_leaves_nothing(demo: Callable[..., Demo]) -> None:
    began = time.monotonic()
    shown = demo()
    assert shown.wait() == 0, shown.text
    assert time.monotonic() - began < 60
    assert not shown.coloured
    last = {match[1]: match[2] for match in re.finditer(r"#(\d+) [^:]*: (\w+)", shown.text)}
    assert sorted(last.values()) == ["cancelled", "failed", "failed", *["sent"] * 8], shown.text
    assert "retrying   again in" in shown.text
    assert re.search(r"try 1 .*451 4\.7\.1.*\n.*retrying.*\n.*try 2 .*accepted it", shown.text), "why of the greylisted"
    assert "holds 4 messages, the receiver checked 1 signature(s), noti.inbox has 1 message(s); 0 inv" in shown.text
    assert (shown.running(), shown.left()) == ([], [])


def test_a_demo_kept_up_in_a_terminal_can_be_looked_into_until_ctrl_c(
    demo: Callable[..., Demo], wait_for: Callable[..., Any]
) -> None:
    shown = demo("--keep", terminal=True)
    wait_for(lambda: "until you press Ctrl-C" in shown.text, timeout=60, what="it is kept up")
    assert shown.coloured
    assert "what it is" in shown.text
    lines = shown.text.partition("In another terminal:")[2].split("\n\n")[1].splitlines()
    psql, status, send, _ = (shlex.split(line) for line in lines)
    bare = {"PATH": "/usr/bin:/bin"}  # another terminal knows nothing of our environment

    def answer(*command: str) -> str:
        done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert answer(*psql, "-Atc", "SELECT count(*) FROM notifications_log") == f"{LIVES}\n"
    assert "nothing waits" not in answer(*status)
    assert answer(*send, "--wait").endswith("is sent\n")
    assert shown.process.poll() is None
    os.killpg(shown.process.pid, signal.SIGINT)
    assert shown.wait() == 0, shown.text
    assert (shown.running(), shown.left()) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_takes_everything_with_it(
    demo: Callable[..., Demo], wait_for: Callable[..., Any], number: signal.Signals
) -> None:
    shown = demo()
    wait_for(lambda: "#1 " in shown.text, timeout=60, what="the first row is shown")
    os.killpg(shown.process.pid, number)
    assert shown.wait() != 0
    assert "Traceback" not in shown.text
    assert (shown.running(), shown.left()) == ([], [])


def test_a_demo_imports_nothing_from_where_it_was_started(demo: Callable[..., Demo], open_directory: Path) -> None:
    """Perhaps as root, in a directory that somebody else has filled."""
    trap = open_directory / "trap"
    trap.mkdir()
    for name in ("click", "json", "psycopg", "noti_worker", "sitecustomize"):
        (trap / f"{name}.py").write_text(f"import os\nos.mkdir({str(open_directory / 'sprung')!r})\n")
    shown = demo(cwd=trap)
    assert shown.wait() == 0, shown.text
    assert not (open_directory / "sprung").exists()


def test_of_a_killed_demo_nothing_goes_on_running(demo: Callable[..., Demo], wait_for: Callable[..., Any]) -> None:
    shown = demo()
    wait_for(lambda: "#1 " in shown.text, timeout=60, what="the first row is shown")
    wait_for(lambda: any("postgres" in line for line in shown.running()), what="the database runs")
    wait_for(lambda: any("run" in line for line in shown.running()), what="the worker runs")
    shown.process.kill()
    wait_for(lambda: not shown.running(), timeout=20, what="everything ended")
