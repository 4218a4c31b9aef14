"""The paragraphs of the alerts: one for each, and every command of theirs runs."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop
from noti_worker.domain.permits import permit
from noti_worker.domain.permits.lost_often import LOST_AT_MOST
from noti_worker.embedded import binaries
from noti_worker.observe.log import EVENTS
from tests.observe.facts import NOON, notification
from tests.operations.rules import ROOT, program, rules
from tests.operations.traffic import configuration, insert_round, insert_specials
from tests.system.daemon import Daemon, Daemons

PAGE = ROOT / "noti_worker" / "docs" / "operations.md"
_PARAGRAPH = re.compile(r"^### (?P<alert>\w+)\n(?P<text>.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def paragraphs() -> dict[str, str]:
    """The text of each paragraph by the name of its alert."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Alerts and what to do\n")[2]
    return {found["alert"]: found["text"] for found in _PARAGRAPH.finditer(section.partition("\n## ")[0])}


def commands(text: str) -> Iterator[str]:
    for block in _SHELL.findall(text):
        yield from block.splitlines()


def test_each_alert_has_its_paragraph_and_each_paragraph_its_alert() -> None:
    assert list(paragraphs()) == [rule.name for rule in rules()]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_paragraph_tells_how_urgent_it_is_and_how_to_look(rule: Any) -> None:
    text = paragraphs()[rule.name]
    assert text.startswith(f"\n{rule.severity.capitalize()}. ")
    assert list(commands(text))
    for named in re.findall(r"\bNoti[A-Z]\w+", text):
        assert named in paragraphs(), named


def test_the_commands_of_the_whole_page_are_there_to_be_run() -> None:
    tools = {line.split()[0] for text in paragraphs().values() for line in commands(text)}
    assert tools == {"noti-worker", "psql", "curl", "journalctl", "systemctl"}


def stand_ins(directory: Path, daemon: Daemon) -> Path:
    """A systemd that knows our unit, and a journal with the log of `daemon` and one line of every event."""
    events = directory / "events"
    events.write_text("".join(f'{{"event": "{event}"}}\n' for event in EVENTS))
    verbs = "status|start|restart|reload"
    for name, script in {
        "journalctl": f'[[ "$*" =~ ^"-u noti-w"(orker|eb)" --since -1h -o cat"$ ]] && cat {daemon.log_file} {events}',
        "systemctl": f'[[ "$*" =~ ^({verbs})" noti-worker"$ ]] && echo ok',
    }.items():
        (directory / name).write_text(f"#!/bin/bash\n{script}\n")
        (directory / name).chmod(0o755)
    return directory


def test_every_command_runs_and_tells_something(
    tmp_path: Path, database_url: str, connection: psycopg.Connection[Any], wait_for: Any
) -> None:
    program("curl", "curl")
    with Daemons(tmp_path, database_url) as daemons, configuration() as config:
        daemons.configure(config)
        daemon = daemons.start_ready()
        insert_specials(connection)
        insert_round(connection, 1)
        given_up = permit(notification(lost=LOST_AT_MOST), Briefing(), Policy(), NOON)
        assert isinstance(given_up, Drop)
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, status, error_message)"
            " VALUES ('push', 'poison', 'Body', 'failed', %s), ('push', 'a-trial', 'Body', 'suppressed', NULL)",
            [given_up.reason],
        )
        connection.execute(
            "INSERT INTO noti.limits (scope, name, amount, every) VALUES ('account', 'relay', 99, '1 s')"
        )
        connection.execute(
            "INSERT INTO noti.endpoints (tenant_id, name, url, state)"
            " VALUES ('acme', 'crm', 'https://a.example', 'failed')"
        )
        failed = "SELECT count(*) FROM noti.notifications_log WHERE status = 'failed'"
        wait_for(lambda: connection.execute(failed).fetchone() == (4,), 30, "an e-mail, an SMS, the template, poison")
        port = str(daemon.said("http_listening")[0]["listen"]).rpartition(":")[2]
        tools = stand_ins(tmp_path, daemon)
        environ = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}:{binaries()}",  # psql comes with the server
            "NOTI_DATABASE_URL": database_url,
            "NOTI_CONFIG": str(tmp_path / "noti-worker.toml"),
        }
        wrong = []
        for command in dict.fromkeys(command for text in paragraphs().values() for command in commands(text)):
            code, output, errors = outcome(command.replace("127.0.0.1:9464", f"127.0.0.1:{port}"), environ)
            found = command == "noti-worker doctor" and code == 1  # the account that is down
            if not (code == 0 or found) or not output.strip():
                wrong.append(f"{command}\n{code} {output}{errors}")
        assert not wrong, "\n".join(wrong)


def outcome(command: str, environ: dict[str, str]) -> tuple[int, str, str]:
    """Exit code and outputs; ours run in this process, which is quicker."""
    first, *words = shlex.split(command)
    if first == "noti-worker":
        result = CliRunner().invoke(main, words, env=environ)
        return result.exit_code, result.stdout, result.stderr
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


def test_the_rules_can_be_checked_as_the_page_says() -> None:
    watching = PAGE.read_text(encoding="utf-8").partition("\n## Watch it with Prometheus and Grafana\n")[2]
    (command,) = commands(watching.partition("\n## ")[0])
    words = command.split()
    run = subprocess.run([program(words[0]), *words[1:]], cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert run.returncode == 0
