"""What a fault test found out, for the table of the fault matrix: a pytest plugin."""

import json
import re
from pathlib import Path
from typing import Any

import pytest


class Verdict:
    """Takes what happened in a fault test, one sentence for each case that it tried."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def say(self, happened: str, repeats: int | None = None) -> None:
        """What happened, as the table prints it; `repeats`: how many sends were a repetition, if it was counted."""
        self._properties.append(("said", {"happened": happened, "repeats": repeats}))


@pytest.fixture
def verdict(request: pytest.FixtureRequest) -> Verdict:
    """Where a test marked with @pytest.mark.fault("F17") says what happened."""
    return Verdict(request.node.user_properties)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--verdicts", metavar="FILE", help="write what the fault tests found out, one JSON line per test")
    parser.addoption("--fault", action="append", metavar="F17", help="run only tests of this fault")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--fault")
    for item in items:
        for mark in item.iter_markers("fault"):
            if not mark.args or not all(re.fullmatch(r"F\d\d", str(number)) for number in mark.args):
                raise pytest.UsageError(f"{item.nodeid}: name the fault, as in @pytest.mark.fault('F17')")
            item.user_properties.extend(("fault", number) for number in mark.args)
    if wanted is not None:
        kept = [item for item in items if any(("fault", number) in item.user_properties for number in wanted)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--verdicts")
    if path is not None and not hasattr(config, "workerinput"):  # under xdist the controller hears of every test
        config.pluginmanager.register(_Writer(Path(path)))


class _Writer:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.write_text("")
        self._seconds: dict[str, float] = {}
        self._outcomes: dict[str, tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        faults = [value for name, value in report.user_properties if name == "fault"]
        if not faults:
            return
        test = report.nodeid
        self._seconds[test] = self._seconds.get(test, 0.0) + report.duration
        if report.outcome != "passed" or test not in self._outcomes:
            self._outcomes[test] = (report.outcome, _reason(report))
        if report.when == "teardown":
            outcome, reason = self._outcomes.pop(test)
            line: dict[str, Any] = {
                "faults": faults,
                "test": test,
                "outcome": outcome,
                "reason": reason,
                "said": [value for name, value in report.user_properties if name == "said"],
                "seconds": round(self._seconds.pop(test), 2),
            }
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")


def _reason(report: pytest.TestReport) -> str:
    """Why it was skipped, or what it failed of, in one line."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    words = report.longreprtext if crash is None else crash.message
    return str(words).strip().partition("\n")[0]
