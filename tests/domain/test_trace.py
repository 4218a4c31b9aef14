"""What is a traceparent, and what only looks like one."""

import pytest

from noti_worker.domain.trace import trace_id, valid

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_traceparent_is_kept_as_it_stands() -> None:
    assert valid(GOOD) == GOOD
    assert trace_id(GOOD) == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "00-1",
        GOOD.upper(),
        GOOD + "\r\nx-evil: 1",
        GOOD + "\n",
        " " + GOOD,
        GOOD + "-00",
        GOOD.replace("00-", "ff-", 1),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)
def test_anything_else_is_as_good_as_none(bad: str | None) -> None:
    assert valid(bad) is None
    assert trace_id(bad) is None
