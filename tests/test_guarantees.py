"""The page of guarantees names tests that exist, and its fault matrix only faults that are tested."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.system.matrix import FAULTS, NOT_YET, PAGE

ROOT = Path(__file__).parent.parent
TEXT = PAGE.read_text(encoding="utf-8")
NAMED = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)`")
PROMISES = TEXT.split("\n## ")[1 : TEXT[: TEXT.index("\n## What is not promised")].count("\n## ") + 1]


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def marked() -> set[str]:
    """The faults that some test is marked with."""
    found = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found |= {str(value.value) for value in node.args if isinstance(value, ast.Constant)}
    return found


@pytest.mark.parametrize("named", sorted({found[0].strip("`") for found in NAMED.finditer(TEXT)}))
def test_a_test_that_the_page_names_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert (ROOT / file).exists()
    assert test in names_in(file)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.partition("\n")[0])
def test_every_promise_names_its_tests(promise: str) -> None:
    assert NAMED.search(promise)


def test_every_fault_of_the_table_has_a_test_and_the_others_are_named() -> None:
    matrix = TEXT.partition("<!-- fault matrix -->")[2].partition("<!-- end of fault matrix -->")[0]
    if matrix.strip() == "Not run yet.":
        return  # the page says so
    rows = set(re.findall(r"^\| (F\d\d) \|", matrix, re.MULTILINE))
    assert rows <= marked(), "in the table, but no test is marked with it"
    assert rows & NOT_YET == set()
    left = matrix.rpartition("|\n")[2]
    assert {fault for fault in FAULTS if f"{fault} {FAULTS[fault]}" in left} == FAULTS.keys() - rows
    assert re.search(
        r"^Run on \d{4}-\d\d-\d\d with noti-worker [\d.]+, Python [\d.]+, PostgreSQL [\d.]+", matrix, re.MULTILINE
    )
    assert "FAILED" not in matrix


def test_nothing_is_promised_that_nobody_can_keep() -> None:
    assert "exactly once" not in TEXT.lower().replace("\n", " ")
