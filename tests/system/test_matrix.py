"""The table of the fault matrix says what the tests said, and hides nothing."""

from typing import Any

import pytest

from tests.system.matrix import FAULTS, NOT_YET, about, entries, markdown, written


def line(*faults: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    test = "tests/system/test_x.py::test_it_goes_on[fast]"
    return {"faults": faults, "test": test, "outcome": outcome, "reason": "", "said": [], "seconds": 1.5} | more


def test_the_verdicts_of_a_fault_are_one_line() -> None:
    said = [{"happened": "nothing lost", "repeats": 2}, {"happened": "in other hands after 3 s", "repeats": None}]
    [entry] = entries([line("F11", said=said), line("F11", said=[{"happened": "nothing lost", "repeats": 1}])], ["F11"])
    assert entry.cells() == ("F11", FAULTS["F11"], "nothing lost; in other hands after 3 s", "3", "3.0")
    assert not entry.bad


def test_a_test_that_says_nothing_is_told_by_its_name() -> None:
    [entry] = entries([line("F12")], ["F12"])
    assert (entry.happened, entry.repeats) == ("it goes on", None)


def test_a_failure_a_skip_and_a_missing_test_are_named() -> None:
    failed, skipped, missing, unborn = entries(
        [
            line("F01"),
            line("F01", outcome="failed", reason="E assert 1 == 2"),
            line("F02", outcome="skipped", reason="no root"),
        ],
        ["F01", "F02", "F03", "F42"],
    )
    assert failed.bad
    assert failed.happened == "it goes on; FAILED: test_it_goes_on[fast]: E assert 1 == 2"
    assert skipped.skipped
    assert not skipped.bad
    assert skipped.happened == "skipped: no root"
    assert (missing.bad, missing.happened) == (True, "NO TEST")
    assert (unborn.bad, unborn.happened.partition(":")[0]) == (False, "not yet")


def test_every_fault_of_the_matrix_has_its_line() -> None:
    assert list(FAULTS) == [f"F{n:02}" for n in range(1, 79)]
    assert [entry.fault for entry in entries([])] == list(FAULTS)
    assert {entry.fault for entry in entries([]) if not entry.bad} == NOT_YET


def test_the_table_goes_between_the_marks_of_the_page() -> None:
    found = entries([line("F09", said=[{"happened": "a | b", "repeats": 0}])], ["F09", "F10", "F42"])
    table = markdown(found, about())
    assert f"| F09 | {FAULTS['F09']} | a \\| b | 0 | 1.5 |\n" in table
    assert table.startswith("Run on 20")
    assert f"\nWhat these are about does not exist yet: F42 {FAULTS['F42']}.\n" in table
    assert table.endswith(f"\nNot shown by a test yet: F10 {FAULTS['F10']}.\n")
    page = "before\n<!-- fault matrix -->\nold\n<!-- end of fault matrix -->\nafter\n"
    once = written(page, table)
    assert once == page.replace("old\n", table)
    assert written(once, table) == once
    with pytest.raises(ValueError, match="not one place"):
        written("nothing", table)
