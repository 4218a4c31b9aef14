"""Commands run in this process against a database of their own."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from noti_worker.cli.main import main
from tests.certificates import Authority
from tests.providers.smtp_server import Inbox

Invoke = Callable[..., Result]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Invoke:
    """`bare("list", "--json")`: a command without any configuration of the machine's."""
    monkeypatch.setattr("noti_worker.settings.DEFAULT_PATH", tmp_path / "none.toml")

    def invoke(*words: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, words, input=stdin)
        assert isinstance(result.exception, SystemExit | None), result.exc_info
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def noti(bare: Invoke, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`noti("list", "--json")`: a command on the test's database."""
    monkeypatch.setenv("NOTI_DATABASE_URL", database_url)
    return bare


@pytest.fixture
def inbox(authority: Authority) -> Iterator[Inbox]:
    """An SMTP server that demands STARTTLS and login."""
    with Inbox(authority.server_context("127.0.0.1"), auth=True) as opened:
        yield opened


def read(result: Result) -> Any:
    """The JSON that a command printed; it must have succeeded."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def in_terminal() -> Callable[..., str]:
    """`in_terminal("list", keys="y\\n", NOTI_DATABASE_URL=…)`: run in a pseudo-terminal and give what it showed."""

    def run(*words: str, keys: str = "", **environ: str) -> str:
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 200))
        process = subprocess.Popen(
            [sys.executable, "-m", "noti_worker", *words],
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm", **environ},
            cwd=Path(__file__).parents[2],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        os.write(master, keys.encode())
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(master, 65536):
                shown += chunk
        os.close(master)
        process.wait(30)
        return shown.decode()

    return run
