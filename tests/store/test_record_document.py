"""The record document itself: what is kept of what a provider said."""

import json

import pytest

from noti_worker.store.storable import RESPONSE_AT_MOST, compact


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def test_a_response_that_fits_is_kept_as_it_is() -> None:
    response = {"a": [1, 2.5, None, True, "x" * 5_000], "b": {"c": {}}}
    assert compact(response) == response


@pytest.mark.parametrize(
    "response",
    [
        {"text": "x" * 30_000},
        {"text": "\U0001f600" * 9_000},
        {"many": ["y" * 200] * 199},
        {"many": list(range(100_000))},
        {f"key {n}": {"deep": ["z" * 500] * 10} for n in range(500)},
        {"k" * 100_000: 1},
    ],
    ids=["long", "wide", "full", "numbers", "tree", "key"],
)
def test_a_response_that_is_too_big_is_cut_and_says_so(response: dict[str, object]) -> None:
    kept = compact(response)
    assert kept["truncated"] is True
    assert _size(kept) <= RESPONSE_AT_MOST
    assert _size(kept) > 100


def test_the_beginning_is_what_is_kept() -> None:
    kept = compact({"status": 500, "body": "x" * 1_000_000, "dialog": ["EHLO"] * 10_000})
    assert kept["status"] == 500
    assert kept["dialog"][0] == "EHLO"
    assert kept["body"].startswith("xxx")
