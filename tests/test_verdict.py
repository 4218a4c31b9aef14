"""What the fault tests say reaches the file that the matrix is made of."""

import json
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.fault("F01")
def test_two_cases(verdict):
    verdict.say("killed while idle", repeats=0)
    verdict.say("killed while busy", repeats=3)

@pytest.mark.fault("F02", "F03")
def test_wrong():
    assert 1 == 2

@pytest.mark.fault("F04")
def test_not_here():
    pytest.skip("no such program")

@pytest.mark.fault("F05")
def test_its_end_fails(verdict, request):
    verdict.say("all well")
    request.addfinalizer(lambda: 1 / 0)

def test_of_something_else():
    pass
"""


def test_each_fault_test_leaves_one_line(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = fault(number): x")
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "tests.verdict", "--verdicts", "said.jsonl")
    lines = [json.loads(line) for line in Path(pytester.path, "said.jsonl").read_text().splitlines()]
    found = {line["test"].partition("::")[2]: line for line in lines}
    assert len(lines) == len(found) == 4
    assert found["test_two_cases"]["faults"] == ["F01"]
    assert found["test_two_cases"]["outcome"] == "passed"
    assert found["test_two_cases"]["said"] == [
        {"happened": "killed while idle", "repeats": 0},
        {"happened": "killed while busy", "repeats": 3},
    ]
    assert found["test_wrong"]["faults"] == ["F02", "F03"]
    assert (found["test_wrong"]["outcome"], found["test_not_here"]["outcome"]) == ("failed", "skipped")
    assert found["test_wrong"]["reason"] == "assert 1 == 2"
    assert found["test_not_here"]["reason"] == "no such program"
    assert found["test_its_end_fails"]["outcome"] == "failed"
    assert "ZeroDivisionError" in found["test_its_end_fails"]["reason"]


def test_a_fault_without_its_number_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = fault(number): x")
    pytester.makepyfile("import pytest\n@pytest.mark.fault\ndef test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "tests.verdict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_tests_of_one_fault_can_be_run_alone(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = fault(number): x")
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "tests.verdict", "--fault=F03", "--fault=F04").assert_outcomes(
        failed=1, skipped=1, deselected=3
    )
