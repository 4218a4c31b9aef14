"""The units under a real systemd, as PID 1 of a machine of its own. Root, about two minutes:

pytest -m slow tests/system/test_booted.py
"""

import json
import os
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.system import machine as machines
from tests.system.machine import ROOT, Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

UNIT = "noti-worker.service"
SECRET = "whsec_" + "c2VjcmV0" * 4
CONFIG = """
[accounts.box]
provider = "sandbox"
[accounts.hooks]
provider = "webhook"
secret = "file:/run/credentials/{unit}/hook-secret"
[routes]
email = ["box"]
webhook = ["hooks"]
[http]
listen = "127.0.0.1:{port}"
[worker]
poll_interval = "200ms"
"""
QUICK = "[Service]\nRestartSec=200ms\nWatchdogSec=35s\n"


def config(unit: str = UNIT, port: int = 0) -> str:
    return CONFIG.format(unit=unit, port=port)


def credentials() -> str:
    """The drop-in of the documentation, word for word."""
    page = (ROOT / "noti_worker" / "docs" / "operations.md").read_text()
    found = re.search(r"^```systemd\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def server(open_directory: Path) -> Iterator[Server]:
    """A database that the machine sees in /srv/database, and that the test may stop."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    place, shared = open_directory / "postgres", open_directory / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    settings = {"fsync": "off", "unix_socket_directories": f'"{place}/socket", "{shared}"'}
    with Server(place, Path(bin_) if bin_ else None, settings) as server:
        yield server


@pytest.fixture
def machine(
    server: Server, open_directory: Path, wait_for: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> Iterator[Machine]:
    if reason := machines.missing():
        pytest.skip(reason)

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    with Machine(open_directory / "machine", open_directory / "shared", wait_for, say) as booted:
        booted.write("/etc/noti-worker/noti-worker.toml", config())
        secrets = {"database-url": "postgresql://postgres@/noti?host=/srv/database", "hook-secret": SECRET}
        for name, secret in secrets.items():
            booted.write(f"/etc/noti-worker/secrets/{name}", secret, 0o600)
        booted.write("/etc/systemd/system/noti-.service.d/secrets.conf", credentials())
        booted.write("/etc/systemd/system/noti-worker.service.d/quick.conf", QUICK)
        booted.run("systemctl", "daemon-reload")
        yield booted


@pytest.fixture
def migrated(machine: Machine, server: Server) -> Iterator[psycopg.Connection[Any]]:
    machine.run("systemctl", "start", "noti-migrate")
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def insert(connection: psycopg.Connection[Any], recipient: str, rows: int = 1, template: str | None = None) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, template_id)"
        " SELECT 'email', %s, CASE WHEN %s::text IS NULL THEN 'x' END, %s FROM generate_series(1, %s)",
        [recipient, template, template, rows],
    )


def count(connection: psycopg.Connection[Any], condition: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM noti.notifications_log WHERE {condition}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.fault("F56")
def test_a_worker_s_life_under_systemd(
    machine: Machine, migrated: psycopg.Connection[Any], server: Server, wait_for: Callable[..., Any]
) -> None:
    def status() -> str:
        return machine.show(UNIT, "StatusText")

    def pid() -> str:
        return machine.show(UNIT, "MainPID")

    def until(words: str, timeout: float = 30.0) -> None:
        wait_for(lambda: words in status(), timeout=timeout, what=f"the status says {words}")

    def said(event: str) -> int:
        return machine.journal(UNIT).count(f'"event": "{event}"')

    # Ready: the start returns when the worker is registered; its walls stand, its secrets were read.
    machine.run("systemctl", "start", "noti-worker")
    assert machine.show(UNIT, "ActiveState") == "active"
    assert count(migrated, "true") == 0
    until("delivering email, ")
    migrated.execute("INSERT INTO noti.templates (template_id, body) VALUES ('t', 'Hello {{ 1 + 1 }}')")
    insert(migrated, "ada@example.com", template="t")
    until("1 sent")
    machine.run("systemctl", "status", "--no-pager", "--lines=0", "noti-worker")
    facts = dict(
        line.split(":\t", 1)
        for line in machine.run("cat", f"/proc/{pid()}/status", quiet=True).splitlines()
        if ":\t" in line
    )
    assert int(facts["Uid"].split()[0]) > 60000  # made up for the occasion
    assert (facts["CapEff"], facts["CapBnd"]) == ("0" * 16, "0" * 16)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")

    # A reload takes over what can change; a wrong configuration changes nothing and is said.
    machine.write("/etc/noti-worker/noti-worker.toml", config() + 'lease = "3m"\n[log]\nlevel = "debug"\n')
    machine.run("systemctl", "reload", "noti-worker")
    wait_for(lambda: said("reloaded") == 1)
    assert '"restart": ["worker.lease"]' in machine.journal(UNIT)
    machine.write("/etc/noti-worker/noti-worker.toml", config() + 'leese = "3m"\n')
    machine.run("systemctl", "reload", "noti-worker")
    until("a new configuration was refused: /etc/noti-worker/noti-worker.toml: worker.leese")
    assert said("reload_refused") == 1
    insert(migrated, "bob@example.com")
    until("2 sent")
    machine.run("systemctl", "status", "--no-pager", "--lines=1", "noti-worker")
    machine.write("/etc/noti-worker/noti-worker.toml", config())
    machine.run("systemctl", "reload", "noti-worker")
    until("delivering")
    wait_for(lambda: "refused" not in status())

    # The database goes away for longer than the watchdog's patience: nobody is killed.
    before = pid()
    server.stop()
    until("waiting for the database")
    machine.run("systemctl", "status", "--no-pager", "--lines=1", "noti-worker")
    with pytest.raises(pytest.fail.Exception):
        wait_for(lambda: pid() != before, timeout=40)
    server.start()
    until("delivering")
    assert (pid(), machine.show(UNIT, "NRestarts")) == (before, "0")
    migrated = psycopg.connect(server.url, autocommit=True)

    # One frozen loop, while the others go on: the watchdog kills, systemd restarts, rows go on.
    machine.run("kill", "-USR1", before)
    wait_for(lambda: machine.show(UNIT, "NRestarts") == "1", timeout=90, what="the frozen worker was replaced")
    wait_for(lambda: machine.show(UNIT, "ActiveState") == "active")
    assert "Watchdog timeout" in machine.journal(UNIT)
    insert(migrated, "eve@example.com")
    until("1 sent")
    machine.run("journalctl", "--no-pager", "--output=cat", "--lines=16", f"--unit={UNIT}")

    # kill -9
    machine.run("kill", "-KILL", pid())
    wait_for(lambda: machine.show(UNIT, "NRestarts") == "2")
    wait_for(lambda: machine.show(UNIT, "ActiveState") == "active")
    until("delivering")

    # A stop drains: what is in flight ends, the rest is given back, also when the unit's time limit is too short.
    machine.write("/etc/systemd/system/noti-worker.service.d/quick.conf", QUICK + "TimeoutStopSec=1s\n")
    machine.run("systemctl", "daemon-reload")
    insert(migrated, "slow@example.com", 20)
    wait_for(lambda: count(migrated, "claimed_by IS NOT NULL") >= 5)
    machine.run("systemctl", "stop", "noti-worker")
    machine.run("systemctl", "status", "--no-pager", "--lines=4", "noti-worker", check=False)
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ExecMainStatus") == "0"
    assert count(migrated, "claimed_by IS NOT NULL") == 0
    assert count(migrated, "recipient = 'slow@example.com' AND status = 'sent'") >= 5
    assert migrated.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
    migrated.close()


def test_a_wrong_configuration_stays_down_and_is_said(machine: Machine) -> None:
    machine.write("/etc/noti-worker/noti-worker.toml", config().replace("sandbox", "sandbocks"))
    machine.run("systemctl", "start", "noti-worker", check=False)
    machine.run("systemctl", "status", "--no-pager", "noti-worker", check=False)
    assert machine.show(UNIT, "ExecMainStatus") == "78"
    assert machine.show(UNIT, "ActiveState") == "failed"
    assert machine.show(UNIT, "NRestarts") == "0"
    assert "sandbocks" in machine.journal(UNIT)


def test_instances_have_a_configuration_each_and_run_without_the_two_walls_that_containers_refuse(
    machine: Machine, migrated: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    machine.write("/etc/systemd/system/noti-.service.d/container.conf", (ROOT / "systemd/container.conf").read_text())
    machine.run("systemctl", "daemon-reload")
    instances = ["noti-worker@mail.service", "noti-worker@hooks.service"]
    for unit in instances:
        name = unit.removeprefix("noti-worker@").removesuffix(".service")
        machine.write(f"/etc/noti-worker/{name}.toml", config(unit))
    machine.run("systemctl", "start", *instances)
    ports = set()
    for unit in instances:
        assert machine.show(unit, "ActiveState") == "active"
        assert (machine.show(unit, "PrivateUsers"), machine.show(unit, "PrivateDevices")) == ("no", "no")
        found = re.search(r'"listen": "127\.0\.0\.1:(\d+)"', machine.journal(unit))
        assert found is not None
        ports.add(found[1])
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/health/ready", timeout=5) as answer:
            assert answer.status == 200
    assert len(ports) == 2
    insert(migrated, "ada@example.com", 50)
    wait_for(lambda: count(migrated, "status = 'sent'") == 50)
    machine.run("systemctl", "stop", *instances)
    assert {machine.show(unit, "Result") for unit in instances} == {"success"}


PROGRAM = "/opt/noti-worker/bin/noti-worker"
FLEET = """
[defaults.accounts.box]
provider = "sandbox"
[defaults.accounts.hooks]
provider = "webhook"
secret = "file:/etc/noti-worker/secrets/hook-secret"
[defaults.http]
listen = "127.0.0.1:0"
"""


def test_a_fleet_has_a_worker_for_each_database_and_no_more(
    machine: Machine, server: Server, wait_for: Callable[..., Any]
) -> None:
    with psycopg.connect(server.url, autocommit=True) as administrator:
        for name in ("acme", "blue", "coral"):
            administrator.execute(f"CREATE DATABASE {name}".encode())

    def write(*names: str, more: str = "") -> None:
        text = FLEET
        for each in names:
            machine.write(
                f"/etc/noti-worker/secrets/{each}", f"postgresql://postgres@/{each}?host=/srv/database", 0o600
            )
            text += f'[databases.{each}]\nurl = "file:/etc/noti-worker/secrets/{each}"\n'
        machine.write("/etc/noti-worker/fleet.toml", text + more)

    def fleet(*words: str, check: bool = True) -> str:
        return machine.run(PROGRAM, "fleet", *words, check=check)

    def pids(*names: str) -> list[str]:
        return [machine.show(f"noti-worker@fleet-{each}.service", "MainPID") for each in names]

    write("acme", "blue", "coral")
    fleet("migrate")
    assert "3 changed, 0 failed" in fleet("apply")
    began = pids("acme", "blue", "coral")
    assert "0" not in began
    for each in ("acme", "blue", "coral"):
        with psycopg.connect(server.url_of(each), autocommit=True) as connection:
            insert(connection, f"{each}@example.com")
            wait_for(lambda: count(connection, "status = 'sent'") == 1)
    told = {line["name"]: line for line in json.loads(fleet("status", "--json"))}
    assert {each: line["workers"] for each, line in told.items()} == {"acme": 1, "blue": 1, "coral": 1}
    assert fleet("apply") == "everything is as the file says\n"

    # What differs is restarted, what somebody stopped comes back, who is no longer named goes; no other feels it.
    machine.run("systemctl", "stop", "noti-worker@fleet-acme")
    write("acme", "blue", more='[databases.blue.worker]\nlease = "3m"\n')
    assert "blue: to change" in fleet("apply", "--dry-run")
    assert pids("blue", "coral") == began[1:]
    assert "3 changed, 0 failed" in fleet("apply", "--yes")
    assert pids("coral") == ["0"]
    assert "0" not in pids("acme", "blue")
    assert pids("blue") != began[1:2]
    assert machine.run("systemctl", "is-enabled", "noti-worker@fleet-coral", check=False).strip() == "disabled"
    with psycopg.connect(server.url_of("coral")) as connection:
        assert count(connection, "status = 'sent'") == 1  # the database stays

    # A worker that cannot come up is told of, and the others are started all the same.
    write("coral", "acme", "blue", more='[databases.coral.http]\nlisten = "192.0.2.1:9000"\n')
    said = fleet("apply", check=False)
    assert "1 failed" in said
    assert "systemctl start noti-worker@fleet-coral.service" in said
    assert "0" not in pids("acme", "blue")
