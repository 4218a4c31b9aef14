"""A route with weights: each message begins at one account, always the same, and the weights are kept on the whole."""

import subprocess
import sys
from collections import Counter
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.accounts.weights import Weights

SPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
IDS = [uuid5(SPACE, f"message {number}") for number in range(10_000)]
IN_TURN = [UUID(int=(0x019A << 112) | (0x7 << 76) | (0x8 << 60) | number) for number in range(10_000)]
"""As a clock makes them: all but the last bytes are the same."""

ANOTHER_PROCESS = """
from uuid import UUID
from noti_worker.accounts.weights import Weights
weights = Weights({"ses": 3, "smtp": 1})
print("".join(weights.order(UUID(int=number))[0][1] for number in range(500)))
"""


@pytest.mark.parametrize("ids", [IDS, IN_TURN], ids=["by name", "in turn"])
@pytest.mark.parametrize(
    "weights",
    [{"ses": 3, "smtp": 1}, {"a": 1, "b": 1}, {"a": 5, "b": 3, "c": 2, "d": 0}, {"a": 1000, "b": 1000, "c": 500}],
)
def test_messages_begin_in_proportion_to_the_weights(ids: list[UUID], weights: dict[str, int]) -> None:
    route = Weights(weights)
    begun = Counter(route.order(message_id)[0] for message_id in ids)
    for account, weight in weights.items():
        assert begun[account] == pytest.approx(len(ids) * weight / sum(weights.values()), rel=0.05)


def test_the_others_follow_in_falling_weight() -> None:
    route = Weights({"a": 5, "b": 3, "c": 2, "spare": 0})
    assert {route.order(message_id) for message_id in IDS} == {
        ("a", "b", "c", "spare"),
        ("b", "a", "c", "spare"),
        ("c", "a", "b", "spare"),
    }


def test_one_account_with_a_weight_begins_them_all() -> None:
    route = Weights({"only": 7, "spare": 0})
    assert {route.order(message_id) for message_id in IDS} == {("only", "spare")}


def test_another_process_chooses_the_same() -> None:
    """Workers of two versions share the rows: these choices are part of what a route with weights means."""
    route = Weights({"ses": 3, "smtp": 1})
    ours = "".join(route.order(UUID(int=number))[0][1] for number in range(500))
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", ANOTHER_PROCESS],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == ours
    assert ours.startswith("emeeeeeeeememmeeeemeemme")


@given(
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=1).filter(
        lambda weights: any(weights.values())
    ),
    message_id=st.uuids(),
)
def test_every_account_stands_in_every_order_once_and_none_begins_without_a_weight(
    weights: dict[str, int], message_id: UUID
) -> None:
    falling = dict(sorted(weights.items(), key=lambda one: -one[1]))
    order = Weights(falling).order(message_id)
    assert sorted(order) == sorted(weights)
    assert weights[order[0]] > 0
    assert list(order[1:]) == [name for name in falling if name != order[0]]
