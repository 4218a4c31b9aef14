"""The table of what was tried with every provider says what ran, and hides nothing."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.providers import matrix
from tests.providers.contract import ProviderContract
from tests.providers.matrix import HEADS, HOLE, RESULTS, Tried, about, dumped, inherited, loaded, name_of
from tests.readme_tables import own_providers

WHOLE = Tried(
    ["chat"],
    ["a server"],
    ["its page"],
    secrets=2,
    classes=1,
    checks=dict.fromkeys(inherited(type("Case", (ProviderContract,), {})), "passed"),
    counts={"sent": 20, "answers": 7, "statuses": 200, "tries": 12},
    stages=["no answer", "closed"],
)


def test_a_whole_line_has_no_hole() -> None:
    assert WHOLE.whole
    assert WHOLE.cells("owl") == (
        "`owl`", "chat", "a server", "its page", "20", "7", "400 to 599", "1", "2 stages", "2, shown nowhere", "16",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("head", "tried"),
    [
        ("sent", replace(WHOLE, counts=WHOLE.counts | {"sent": 0})),
        ("real answers", replace(WHOLE, counts=WHOLE.counts | {"answers": 0})),
        ("statuses", replace(WHOLE, counts=WHOLE.counts | {"statuses": 199})),
        ("statuses", replace(WHOLE, checks=WHOLE.checks | {matrix.STATUS: "missing"})),
        ("requests a try", replace(WHOLE, checks=WHOLE.checks | {matrix.REQUESTS: "failed"})),
        ("line cut at", replace(WHOLE, stages=[])),
        ("line cut at", replace(WHOLE, checks=WHOLE.checks | {matrix.CUTS[0]: "skipped"})),
        ("secrets", replace(WHOLE, secrets=0)),
        ("tried against", replace(WHOLE, against=[])),
        ("checks", replace(WHOLE, checks=WHOLE.checks | {"test_closing_twice_does_no_harm": "failed"})),
        ("sent", Tried()),
    ],
)
def test_what_is_missing_or_failed_is_a_hole(head: str, tried: Tried) -> None:
    assert tried.cells("owl")[HEADS.index(head)] == HOLE
    assert not tried.whole


def test_what_has_no_line_says_so() -> None:
    tried = replace(WHOLE, secrets=0, line=False, counts={"sent": 20}, stages=[])
    assert tried.whole
    assert tried.cells("owl")[5:] == ("no line", "no line", "no line", "no line", "none", "16")


def test_a_run_is_kept_as_it_was() -> None:
    when, tried = loaded(dumped({"owl": WHOLE}))
    assert when.startswith("20")
    assert tried == {"owl": WHOLE}


def cases() -> Iterator[type[ProviderContract]]:
    """The classes of the providers' tests, without running them."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.providers.{file.stem}")
        for case in vars(module).values():
            if isinstance(case, type) and issubclass(case, ProviderContract) and case.__module__ == module.__name__:
                yield case


def test_the_written_table_is_of_these_providers_and_checks() -> None:
    _, written = loaded(RESULTS.read_text("utf-8"))
    here: dict[str, Tried] = {}
    for case in cases():
        about(here.setdefault(name_of(case), Tried()), case)
    assert list(written) == list(own_providers()), f"write it anew: python -m {matrix.__name__} --write"
    for name, tried in written.items():
        said = replace(here[name], counts=tried.counts, stages=tried.stages, checks=tried.checks)
        assert tried == said, f"{name} is not what it was: python -m {matrix.__name__} --write"
        assert sorted(tried.checks) == sorted(here[name].checks), name
        assert tried.whole, name


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", matrix.__name__, *arguments]
    return subprocess.run(command, cwd=matrix.HERE.parents[1], capture_output=True, text=True, check=False)


def test_it_prints_what_ran() -> None:
    ran = run("in_app", "console")
    assert ran.returncode == 0, ran.stderr
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.stdout.splitlines() if "`" in line]
    assert [(line[0], line[4], line[-1]) for line in lines] == [("`in_app`", "20", "16"), ("`console`", "20", "16")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("owl",), "owl: no provider; known are apns, "), (("--write", "in_app"), "the whole table: --write alone")],
)
def test_what_it_cannot_do_it_says(arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert ran.returncode == 2
    assert words in ran.stderr
