"""Completion in the shells themselves."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import needs

ROOT = Path(__file__).parents[2]

ASK = {
    "bash": """
        source <(noti-worker completion bash)
        COMP_WORDS=({words}); COMP_CWORD={last}
        $(complete -p noti-worker | sed 's/.*-F \\([^ ]*\\) .*/\\1/') noti-worker
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    # What the completion system would show is printed instead: there is no line editor here.
    "zsh": """
        compdef() {{ registered=$1 }}
        _describe() {{ print -l -- ${{(P)3}} }}
        compadd() {{ print -l -- ${{(P)@[-1]}} }}
        eval "$(noti-worker completion zsh)"
        words=({words}); CURRENT=$(({last} + 1))
        $registered
    """,
    "fish": """
        noti-worker completion fish | source
        complete --do-complete {line}
    """,
}


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment with `noti-worker` on the PATH, as an installation makes it."""
    script = tmp_path / "bin" / "noti-worker"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from noti_worker.cli.main import main\nmain()\n"
    )
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def complete(shell: str, program: dict[str, str], *words: str) -> set[str]:
    """What the shell offers for the last word, descriptions aside."""
    needs(shell, f"Debian package {shell}")
    line = shlex.join(["noti-worker", *words[:-1]]) + " " + words[-1]
    script = ASK[shell].format(
        words=" ".join(shlex.quote(word) for word in ("noti-worker", *words)), last=len(words), line=shlex.quote(line)
    )
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *flags, "-c", script], env=program, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return {line.split("\t")[0].split(":")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_values_and_names_are_completed(shell: str, program: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "noti.toml"
    config.write_text('[accounts.relay]\nprovider = "sandbox"\n[accounts.trial]\nprovider = "sandbox"\n')
    assert complete(shell, program, "re") >= {"requeue", "release"}
    assert complete(shell, program, "list", "--failed-s") == {"--failed-since"}
    assert complete(shell, program, "send", "--channel", "we") == {"webhook"}
    assert complete(shell, program, "provider", "t") == {"test"}
    assert complete(shell, program, "docs", "conf") == {"configuration"}
    assert complete(shell, program, "docs", "operations", "NotiOld") == {"NotiOldestDueTooOld"}
    assert complete(shell, program, "pause", "channel", "we") == {"webhook"}
    for words in (
        ("provider", "test"), ("circuits", "close"), ("circuits", "open"), ("pause", "account"), ("resume", "account"),
        ("list", "--account"), ("requeue", "--provider"), ("send", "--provider"), ("webhook", "secret", "--account"),
    ):  # fmt: skip
        assert complete(shell, program, "--config", str(config), *words, "re") == {"relay"}, words


def test_a_wrong_configuration_completes_to_nothing(program: dict[str, str]) -> None:
    assert complete("bash", program, "--config", "/nowhere.toml", "provider", "test", "re") == set()


def test_an_answer_is_made_without_what_takes_long_to_import(program: dict[str, str]) -> None:
    asked = program | {
        "_NOTI_WORKER_COMPLETE": "bash_complete",
        "COMP_WORDS": "noti-worker provider te",
        "COMP_CWORD": "2",
        "PYTHONPROFILEIMPORTTIME": "1",
    }
    done = subprocess.run(["noti-worker"], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout == "plain,test\n"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "noti_worker" in imported
    assert not imported & {"sqlalchemy", "psycopg", "rich", "alembic", "jinja2", "requests"}
