"""The container: what the Dockerfile and compose.yaml say is well-formed, hardened, and fits the program.

No container engine runs here: continuous integration builds the image and runs it.
"""

import json
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from noti_worker import settings
from noti_worker.settings import WorkerSettings
from tests.cli.test_main import understand
from tests.readme_tables import ROOT

PLACE = ROOT / "config" / "container"
COMPOSE: dict[str, Any] = yaml.safe_load((PLACE / "compose.yaml").read_text(encoding="utf-8"))
OURS = ("migrate", "worker")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, words), with continued lines in one."""
    text = re.sub(r"^\s*#.*\n", "", (PLACE / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def last(instruction: str) -> str:
    return [words for name, words in instructions() if name == instruction][-1]


def test_the_dockerfile_has_only_known_instructions_and_fixed_images() -> None:
    known = {"ARG", "FROM", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert instructions()[0] == ("ARG", "PYTHON=3.13-slim-bookworm")
    assert [words for name, words in instructions() if name == "FROM"] == [
        "python:${PYTHON} AS build",
        "python:${PYTHON}",
    ]


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, PLACE / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_runs_the_worker_and_not_as_root() -> None:
    assert re.fullmatch(r"([1-9]\d+):\1", last("USER"))
    entry, command = json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))
    assert entry == ["noti-worker"]
    assert understand(command) == ["run"]
    after = [name for name, _ in instructions()]
    assert "RUN" not in after[after.index("USER") :]


def test_the_image_keeps_memory_flat_as_the_units_do() -> None:
    unit = (ROOT / "systemd" / "noti-worker.service").read_text(encoding="utf-8")
    assert re.findall(r"^Environment=(GLIBC_TUNABLES=\S+)$", unit, re.MULTILINE)[0] in last("ENV").split()


def test_all_that_the_package_is_built_from_gets_into_the_image_and_nothing_else() -> None:
    ignored = (PLACE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line.removeprefix("!") for line in rules if line.startswith("!")}
    assert all((ROOT / path).exists() for path in let_in)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert let_in == {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
        *wheel["shared-data"],
    }


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_change_nothing_but_their_memory(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["user"] == last("USER")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_whatever_a_service_names_is_declared() -> None:
    for name, service in COMPOSE["services"].items():
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"]), name
        for other, wait in service.get("depends_on", {}).items():
            assert other in COMPOSE["services"]
            assert wait["condition"] != "service_healthy" or "test" in COMPOSE["services"][other]["healthcheck"]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (PLACE / source).is_file(), volume
        understand(service.get("command", ["run"]))
        assert service["image"].partition(":")[2] != "latest"
        if "build" in service:
            context = PLACE / service["build"]["context"]
            assert context.resolve() == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()


def test_the_worker_starts_after_the_migration_and_ends_its_sends() -> None:
    worker, migrate = COMPOSE["services"]["worker"], COMPOSE["services"]["migrate"]
    assert understand(migrate["command"]) == ["migrate"]
    assert migrate["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert worker["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert int(worker["stop_grace_period"].removesuffix("s")) > WorkerSettings().drain_deadline.total_seconds()


def test_its_health_is_asked_where_it_listens(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://noti:secret@database/app")
    text = (PLACE / "noti-worker.toml").read_text(encoding="utf-8")
    named = set(re.findall(r'^url = "file:/run/secrets/([\w-]+)"', text, re.MULTILINE))
    assert named == set(COMPOSE["services"]["worker"]["secrets"])
    everything = re.sub(r"^# (?=\[accounts|\w+ = )", "", text, flags=re.MULTILINE)  # the example account, too
    for number, each in enumerate((text, everything)):
        config = tmp_path / f"{number}.toml"
        config.write_text(re.sub(r'"file:/[^"]*"', f'"file:{tmp_path}/secret"', each))
        loaded = settings.load(config, {})
        assert set(loaded.accounts) == ({"relay"} if number else set())
        host, _, port = loaded.http.listen.rpartition(":")
        assert host == "0.0.0.0"
        assert COMPOSE["services"]["worker"]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert last("EXPOSE") == port
        assert f":{port}/health/ready" in " ".join(COMPOSE["services"]["worker"]["healthcheck"]["test"])
        assert f":{port}/health/live" in last("HEALTHCHECK")


def test_the_file_that_is_mounted_is_the_one_that_is_read() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        (mounted,) = service["volumes"]
        assert mounted.split(":")[1] == service["environment"]["NOTI_CONFIG"]
        assert set(service["environment"]) == {"NOTI_CONFIG"}
