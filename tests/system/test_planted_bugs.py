"""The bugs that are planted still find their place, and the command tells caught from missed."""

import ast
from pathlib import Path

import pytest

from tests.system.planted_bugs import BUGS, ROOT, Bug, Change, main


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.partition(":")[0])
def test_a_bug_can_be_planted_and_its_tests_exist(bug: Bug, tmp_path: Path) -> None:
    for change in bug.changes:
        copy = tmp_path / change.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            copy.write_text((ROOT / change.file).read_text())
        change.apply(tmp_path)
        assert copy.read_text() != (ROOT / change.file).read_text()
    for test in bug.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        assert name.partition("[")[0] in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_a_change_whose_text_is_gone_fails_loudly(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("x = 1\n")
    with pytest.raises(LookupError, match="any more"):
        Change("x.py", "y = ", "z = ").apply(tmp_path)
    with pytest.raises(SyntaxError):
        Change("x.py", "x = ", "x = = ").apply(tmp_path)


HARMLESS = Bug(
    "a change that breaks nothing",
    [Change("noti_worker/domain/permits/__init__.py", '"""May a claimed', '"""Might a claimed')],
    ["tests/domain/test_permits.py"],
)
GONE = Bug(
    "a text that is gone", [Change("noti_worker/domain/permits/__init__.py", "no such text", "")], HARMLESS.tests
)
REAL = Bug(
    "what is lost is sent for ever",
    [Change("noti_worker/domain/permits/lost_often.py", r"lost_count < LOST_AT_MOST", "lost_count > -1")],
    ["tests/domain/test_permits.py::test_five_lost_claims_give_a_row_up"],
)


@pytest.mark.slow
def test_the_command_tells_caught_from_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], [HARMLESS]) == 1
    assert "NOT CAUGHT" in capsys.readouterr().out
    assert main([], [GONE]) == 1
    assert "NOT PLANTED" in capsys.readouterr().out
    assert main([], [REAL]) == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_planted_bug_is_caught() -> None:
    assert main([]) == 0
