"""Which of many things is refused, found with few calls."""

from collections.abc import Sequence

import pytest

from noti_worker.domain.errors import DatabaseRefused
from noti_worker.domain.narrowing import MOST_STATEMENTS, SAMPLES, Narrowed, narrow


class Statement:
    """Refuses every call that names something bad."""

    def __init__(self, bad: set[int], *, whole: bool = False) -> None:
        self.bad = bad
        self.whole = whole
        self.calls = 0
        self.done: list[int] = []

    def __call__(self, some: Sequence[int]) -> None:
        self.calls += 1
        if found := self.bad.intersection(some):
            raise DatabaseRefused(f"refused {min(found)}", whole=self.whole)
        self.done += some


def found(result: Narrowed[int]) -> set[int]:
    return {thing for thing, _ in result.refused}


def test_what_is_not_refused_is_one_call() -> None:
    statement = Statement(set())
    assert narrow(range(500), statement) == Narrowed()
    assert (statement.calls, statement.done) == (1, list(range(500)))


def test_nothing_is_no_call() -> None:
    statement = Statement(set())
    assert narrow([], statement) == Narrowed()
    assert statement.calls == 0


@pytest.mark.parametrize("whole", [False, True], ids=["a value", "a right"])
@pytest.mark.parametrize(
    "bad",
    [{0}, {250}, {499}, {0, 499}, set(range(4)), set(range(100)), set(range(400, 500)), set(range(0, 500, 50))],
    ids=["first", "middle", "last", "both ends", "some at the head", "a fifth before", "a fifth behind", "spread"],
)
def test_the_others_go_through_and_the_bad_ones_are_named(bad: set[int], whole: bool) -> None:
    statement = Statement(bad, whole=whole)
    result = narrow(range(500), statement)
    assert result.whole is None
    assert found(result) <= bad
    assert set(statement.done) == set(range(500)) - found(result) - set(result.untried)
    assert statement.calls <= MOST_STATEMENTS
    if len(bad) < 12:
        assert found(result) == bad
        assert result.untried == ()


def test_a_refusal_of_all_is_none_of_them_and_found_soon() -> None:
    statement = Statement(set(range(500)))
    result = narrow(range(500), statement)
    assert (result.refused, result.untried) == ((), tuple(range(500)))
    assert result.whole is not None
    assert statement.calls <= SAMPLES * 10


def test_few_that_are_all_refused_are_each_refused_unless_a_right_is_missing() -> None:
    assert found(narrow([1, 2], Statement({1, 2}))) == {1, 2}
    assert narrow([1, 2], Statement({1, 2}, whole=True)).whole is not None
    assert narrow([1], Statement({1}, whole=True)).whole is not None
    assert found(narrow([1, 2], Statement({1}, whole=True))) == {1}
