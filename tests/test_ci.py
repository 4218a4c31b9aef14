"""The workflow of continuous integration: well-formed, and all that its jobs call is there."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from tests.cli.test_main import understand
from tests.readme_tables import ROOT

FILE = ROOT / ".github" / "workflows" / "ci.yml"
# BaseLoader: everything is text, so that the key `on` is not taken for a truth value.
WORKFLOW: dict[str, Any] = yaml.load(FILE.read_text(encoding="utf-8"), yaml.BaseLoader)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
RUNNERS_HAVE = {"apt-get", "cd", "chmod", "docker", "echo", "mkdir", "openssl", "python3"}
"""Programs of the runner's or the container's image (and of the shell)."""


def scripts(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def calls(script: str) -> list[list[str]]:
    """The commands of a script, each as its words; what stands in a `$(…)` belongs to its word."""
    found = []
    for line in script.splitlines():
        for part in re.split(r" && |\s\|\s", line):
            words = shlex.split(re.sub(r"\$\((?:[^()]|\([^)]*\))*\)", "SHELL", part))
            found.append(words)
    return found


def test_it_runs_on_each_change_and_once_a_week_and_may_only_read() -> None:
    assert set(WORKFLOW["on"]) == {"push", "pull_request", "schedule"}
    assert re.fullmatch(r"\d+ \d+ \* \* \d", WORKFLOW["on"]["schedule"][0]["cron"])
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in JOBS.values())


@pytest.mark.parametrize("job", JOBS)
def test_a_job_has_a_limit_and_steps_that_run_or_use_something(job: str) -> None:
    assert int(JOBS[job]["timeout-minutes"]) <= 90
    for step in JOBS[job]["steps"]:
        assert ("run" in step) != ("uses" in step), step
        # Actions of GitHub itself, at a version: nobody else's code runs here.
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/checkout@v0"))


@pytest.mark.parametrize("job", JOBS)
def test_the_scripts_are_bash_and_call_what_is_there(job: str) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    for script in scripts(job):
        subprocess.run([bash, "-n", "-c", script], check=True, timeout=30)
        for program, *words in calls(script):
            inside = ROOT / program
            made = re.fullmatch(r"(\$RUNNER_TEMP/)?(venv|audit)/bin/[a-z-]+", program)  # by the job itself
            assert program in RUNNERS_HAVE or made or (inside.is_file() and os.access(inside, os.X_OK)), program
            if program == "cd":
                assert words == ["$RUNNER_TEMP"] or (ROOT / words[0]).is_dir()


def test_its_calls_of_the_program_are_understood_and_its_files_exist() -> None:
    everything = "\n".join(script for job in JOBS for script in scripts(job))
    for line in re.findall(r"(?:bin/|exec -T worker )noti-worker (.+)", everything):
        understand(shlex.split(line))
    for file in re.findall(r" --file (\S+)", everything):
        assert (ROOT / file).is_file(), file


def test_the_jobs_check_build_and_audit() -> None:
    assert ".ci/run" in scripts("check")
    package, image, audit = ("\n".join(scripts(job)) for job in ("package", "image", "audit"))
    assert "pip wheel --no-deps --wheel-dir dist ." in package
    assert "noti-worker demo" in package
    assert "docker build --file config/container/Dockerfile" in image
    assert "docker compose up --detach --wait worker" in image
    assert "bin/pip-audit" in audit


SAFE = {
    "aiosmtpd": "1.4.6", "cryptography": "46.0.6", "h2": "4.3", "idna": "3.7", "jinja2": "3.1.6", "pillow": "12.1.1",
    "requests": "2.32.4", "urllib3": "2.7",
}  # fmt: skip
"""The oldest release of each package of which no weakness is known that older ones have. CI looks at the newest."""


def test_no_package_may_be_older_than_the_oldest_without_a_known_weakness() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    floors = {
        found[1]: tuple(map(int, found[2].split(".")))
        for one in asked
        if (found := re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)", one)) is not None
    }
    assert len(floors) == len([one for one in asked if not one.startswith("noti-worker")]), "each has a floor"
    for name, oldest in SAFE.items():
        assert floors[name] >= tuple(map(int, oldest.split("."))), name


def test_the_checks_run_where_the_pythons_of_the_package_are() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for version in JOBS["check"]["strategy"]["matrix"]["python"]:
        assert f"Programming Language :: Python :: {version}" in pyproject
    assert f'requires-python = ">={JOBS["check"]["strategy"]["matrix"]["python"][0]}"' in pyproject
