"""As fast as each may, however many workers there are: rates and quotas, kept by real workers."""

import signal
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import pytest

from tests.system.scene import BRISK, Scene
from tests.verdict import Verdict


def most_within(arrivals: Sequence[float], seconds: float) -> int:
    """How many came at most in any time of so many seconds."""
    return max(number - bisect_left(arrivals, at - seconds) for number, at in enumerate(arrivals, 1))


def limited(scene: Scene, **settings: Any) -> None:
    scene.house.configure(scene.ledger.account(**settings) + BRISK + "[channels.email]\nconcurrency = 10\n")


@pytest.mark.parametrize("rows", [300, pytest.param(3000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_four_workers_share_the_rate_of_an_account_and_one_of_them_is_killed(
    scene: Scene, verdict: Verdict, rows: int
) -> None:
    rate, burst = 50, 10
    limited(scene, rate=f"{rate}/s", burst=burst)
    daemons = [scene.house.start_ready() for _ in range(4)]
    scene.insert("user#@example.com", rows)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= rows // 3, timeout=60)
    daemons[0].signal(signal.SIGKILL)
    scene.finished(60 + 2 * rows / rate)
    arrivals = scene.ledger.arrivals()
    took, ideal = arrivals[-1] - arrivals[0], (rows - burst) / rate
    # What was taken a moment before it was sent comes on top.
    for seconds in (0.2, 1.0, 5.0):
        assert most_within(arrivals, seconds) <= burst + rate * (seconds + 0.2)
    assert scene.count("status = 'sent' AND retry_count = 0") == rows
    assert scene.sound()
    verdict.say(
        f"{rows} rows in {took:.1f} s, ideal {ideal:.1f} s; at most {most_within(arrivals, 1.0)} in any second",
        repeats=scene.repeats(),
    )
