"""The units of systemd: well-formed, hardened, and as the documentation says. `test_booted.py` runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from noti_worker.settings import WorkerSettings
from noti_worker.web.server import STOP_WITHIN
from tests.needs import needs

UNITS = Path(__file__).parents[2] / "systemd"
PROGRAM = "/opt/noti-worker/bin/noti-worker"
NAMES = ["noti-migrate.service", "noti-web.service", "noti-worker.service", "noti-worker@.service"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that exists on this machine."""
    needs("systemd-analyze", "Debian package systemd")
    script = Path(sys.executable).with_name("noti-worker")
    program = script if script.exists() else Path(sys.executable)
    for name in NAMES:
        (tmp_path / name).write_text((UNITS / name).read_text().replace(PROGRAM, str(program)))
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "notice"},
    )


@pytest.mark.parametrize("name", NAMES)
def test_systemd_has_nothing_to_say_about_a_unit(installed: Path, name: str) -> None:
    verified = analyze("verify", "--man=no", str(installed / name))
    assert (verified.stdout, verified.returncode) == ("", 0)


def test_an_unknown_key_would_be_noticed(installed: Path) -> None:
    unit = installed / "noti-worker.service"
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchdogSeconds"))
    assert "WatchdogSeconds" in analyze("verify", "--man=no", str(unit)).stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_exposed_to_at_most_one_and_a_half(installed: Path, name: str) -> None:
    judged = analyze("security", "--offline=true", "--threshold=15", "--no-pager", str(installed / name))
    assert judged.returncode == 0, judged.stdout


def test_without_its_walls_a_unit_would_be_too_exposed(installed: Path) -> None:
    unit = installed / "noti-worker.service"
    unit.write_text(unit.read_text().replace("SystemCallFilter", "#").replace("PrivateUsers=yes", ""))
    assert analyze("security", "--offline=true", "--threshold=15", "--no-pager", str(unit)).returncode != 0


def settings_of(name: str) -> list[str]:
    return [line for line in (UNITS / name).read_text().splitlines() if line and not line.startswith("#")]


def test_the_template_differs_from_the_unit_in_its_name_and_file_only() -> None:
    one = settings_of("noti-worker.service")
    many = [
        line.replace("noti-worker/%i.toml", "noti-worker/noti-worker.toml").replace("noti-worker %i,", "noti-worker,")
        for line in settings_of("noti-worker@.service")
    ]
    assert many == one


def test_all_units_have_the_same_walls() -> None:
    of = [settings_of(name) for name in NAMES]
    assert len({tuple(lines[lines.index("DynamicUser=yes") :]) for lines in of}) == 1


def test_the_one_that_strangers_reach_has_time_to_answer_whoever_is_there() -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)s$", (UNITS / "noti-web.service").read_text(), re.MULTILINE)
    assert int(seconds) > 2 * STOP_WITHIN


def test_the_time_to_stop_is_longer_than_the_drain() -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)s$", (UNITS / "noti-worker.service").read_text(), re.MULTILINE)
    assert int(seconds) >= WorkerSettings().drain_deadline.total_seconds() + 30
