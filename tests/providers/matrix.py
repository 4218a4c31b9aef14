"""What was tried with every provider: `python -m tests.providers.matrix` runs the checks, one line each.

`--write` puts the table into the pages, `ses sns` tries these alone. The path of a test file tries what it tests: a
provider that lives in a package of its own.
"""

import argparse
import contextlib
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

import noti_worker
from noti_worker import providers
from tests.providers.contract import ProviderContract

HERE = Path(__file__).parent
RESULTS = HERE / "matrix.json"
"""The last full run: the table of the pages is made from it."""

HEADS = (
    "provider",
    "channels",
    "tried against",
    "requests described by",
    "sent",
    "real answers",
    "statuses",
    "requests a try",
    "line cut at",
    "secrets",
    "checks",
)
HOLE = "HOLE"
STATUSES = 200

SENT = "test_several_threads_send_at_once"
ANSWERS = "test_every_foreseeable_answer_is_an_outcome"
STATUS = "test_every_status_has_a_meaning"
REQUESTS = "test_one_try_is_one_request"
CUTS = ("test_a_line_that_is_cut_is_told_by_its_stage", "test_a_send_obeys_its_limit")
SECRETS = "test_no_secret_leaks"


@dataclass
class Tried:
    """What one provider was tried with, in all the classes of its tests.

    `checks` are the inherited ones, by name, each with what came of it; `counts` is what they counted, `stages` are
    those at which they cut the line.
    """

    channels: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    secrets: int = 0
    line: bool = True
    classes: int = 0
    checks: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)

    def passed(self, *checks: str) -> bool:
        """Tell whether these were tried, and none failed."""
        return all(self.checks.get(check) == "passed" for check in checks)

    @property
    def whole(self) -> bool:
        """Whether no check is missing, and none failed or counted nothing."""
        return HOLE not in self.cells("")

    def cells(self, name: str) -> tuple[str, ...]:
        """The line of the table."""

        def shown(counted: object, text: str, *checks: str, line: bool = True) -> str:
            if line and not self.line:
                return "no line" if self.passed(*checks) else HOLE
            return text if self.passed(*checks) and counted else HOLE

        count = Counter(self.counts)
        secrets = f"{self.secrets}, shown nowhere" if self.secrets else "none"
        passed = sum(outcome == "passed" for outcome in self.checks.values())
        return (
            f"`{name}`",
            ", ".join(self.channels),
            "; ".join(self.against) or HOLE,
            "; ".join(self.described) or HOLE,
            shown(count["sent"], str(count["sent"]), SENT, line=False),
            shown(count["answers"], str(count["answers"]), ANSWERS),
            shown(count["statuses"] == STATUSES * self.classes, "400 to 599", STATUS),
            shown(count["tries"], "1", REQUESTS),
            shown(len(self.stages), f"{len(self.stages)} stages", *CUTS),
            shown(self.secrets or not self.line, secrets, SECRETS, line=False),
            str(passed) if passed and passed == len(self.checks) else HOLE,
        )


class _Listener:
    """A pytest plugin: keeps the inherited checks of the wanted providers, and hears what they counted."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self.tried: dict[str, Tried] = {}
        self._wanted = wanted
        self._checks: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept: list[pytest.Item] = []
        for case, tests in _by_class(items):
            name = name_of(case)
            if self._wanted and name not in self._wanted:
                continue
            about(self.tried.setdefault(name, Tried()), case)
            for test in tests:
                check = getattr(test, "originalname", None) or test.name
                if check in inherited(case):
                    kept.append(test)
                    self._checks[test.nodeid] = (name, check)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name, check = self._checks[report.nodeid]
        tried = self.tried[name]
        if report.outcome != "passed":
            tried.checks[check] = report.outcome
        elif report.when == "teardown":
            if tried.checks[check] == "missing":
                tried.checks[check] = "passed"
            for counted, value in report.user_properties:
                if isinstance(value, int):
                    tried.counts[counted] = tried.counts.get(counted, 0) + value
                elif counted == "stage" and value not in tried.stages:
                    tried.stages.append(str(value))


def _by_class(items: Iterable[pytest.Item]) -> Iterable[tuple[type[ProviderContract], list[pytest.Item]]]:
    found: dict[type[ProviderContract], list[pytest.Item]] = {}
    for item in items:
        case = getattr(item, "cls", None)
        if isinstance(case, type) and issubclass(case, ProviderContract):
            found.setdefault(case, []).append(item)
    return found.items()


def name_of(case: type[ProviderContract]) -> str:
    """The name of the provider that a class tests; an entry point's name may differ from its module's."""
    return next(name for name in providers.known() if providers.find(name) is case.provider)


def inherited(case: type[ProviderContract]) -> list[str]:
    """The checks that a class inherits."""
    return sorted({name for base in case.__mro__[1:] for name in vars(base) if name.startswith("test_")})


def about(tried: Tried, case: type[ProviderContract]) -> None:
    """Add what a class says of itself; all its checks are missing until they have passed."""
    for said, more in (
        (tried.channels, sorted(case.provider.CHANNELS)),
        (tried.against, [case.tried_against]),
        (tried.described, [case.described_by]),
    ):
        said.extend(one for one in more if one not in said)
    tried.secrets += len(case.secrets) if "secrets" in vars(case) else 0
    tried.line = case.line
    tried.classes += 1
    tried.checks |= dict.fromkeys(inherited(case), "missing")


def run(wanted: Sequence[str], files: Sequence[Path] = ()) -> dict[str, Tried]:
    """Run the checks of the providers of this repository, or of those that `files` test; what was found out."""
    from tests.readme_tables import own_providers

    listener = _Listener(wanted)
    given = files or [file for file in sorted(HERE.glob("test_*.py")) if "Contract)" in file.read_text("utf-8")]
    # The fixtures of this repository, for test files outside of it.
    fixtures = ["-p", "tests.conftest", "-p", "tests.providers.conftest"]
    outside = not any(file.resolve().is_relative_to(HERE) for file in given)
    with contextlib.redirect_stdout(sys.stderr):
        ended = pytest.main(
            ["-p", "no:cacheprovider", *(fixtures if outside else ()), *map(str, given)], plugins=[listener]
        )
    if ended not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise SystemExit(f"pytest broke off with {ended}: see above")
    names = list(listener.tried) if files else wanted or own_providers()
    return {name: listener.tried.get(name, Tried(channels=sorted(providers.find(name).CHANNELS))) for name in names}


def dumped(tried: Mapping[str, Tried]) -> str:
    """As JSON, with when it was."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return json.dumps(
        {
            "run": f"{day} with noti-worker {noti_worker.__version__} and Python {platform.python_version()}",
            "providers": {name: asdict(one) for name, one in tried.items()},
        },
        indent=1,
    )


def loaded(text: str) -> tuple[str, dict[str, Tried]]:
    """When it was, and what was found out."""
    document: Any = json.loads(text)
    return document["run"], {name: Tried(**one) for name, one in document["providers"].items()}


def markdown() -> str:
    """The table of the pages, from the last full run."""
    when, tried = loaded(RESULTS.read_text("utf-8"))
    rows = [HEADS, ["---"] * len(HEADS), *(one.cells(name) for name, one in tried.items())]
    return f"Run on {when}.\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write when asked; 0 when no check of any provider is missing, and none failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.providers.matrix", description="Try the providers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; or test files of others")
    parser.add_argument("--write", action="store_true", help="write the table into the pages")
    given = parser.parse_args(arguments)
    files = [Path(name) for name in given.names if name.endswith(".py")]
    names = [name for name in given.names if not name.endswith(".py")]
    if unknown := [name for name in names if name not in providers.known()]:
        parser.error(f"{', '.join(unknown)}: no provider; known are {', '.join(providers.known())}")
    if given.write and given.names:
        parser.error("the pages get the whole table: --write alone")
    tried = run(names, files)
    shown = Table(*HEADS)
    for name, one in tried.items():
        shown.add_row(*one.cells(name), style=None if one.whole else "red")
    Console(width=None if sys.stdout.isatty() else 240).print(shown)
    holes = {
        name: [check for check, outcome in one.checks.items() if outcome != "passed"]
        for name, one in tried.items()
        if not one.whole
    }
    for name, checks in holes.items():
        sys.stdout.write(f"{name}: not passed: {', '.join(checks) or 'nothing counted, or no tests at all'}\n")
    if given.write and not holes:
        from tests import readme_tables

        RESULTS.write_text(dumped(tried) + "\n", "utf-8")
        readme_tables.main()
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
