"""As fast as each may, however many workers there are: rates and quotas, kept by real workers."""

import signal
import threading
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


def test_a_limit_that_is_set_while_workers_send_holds_within_a_second_and_ends_as_soon(
    scene: Scene, verdict: Verdict
) -> None:
    limited(scene)
    daemons = [scene.house.start_ready() for _ in range(2)]
    scene.connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, amount, every, burst)"
        " VALUES ('tenant channel', 'default', 'email', 20, '1 s', 2)"
    )
    threading.Event().wait(1.5)
    scene.insert("user#@example.com", 2000)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= 60, timeout=60)
    slow = scene.ledger.arrivals()
    for seconds in (0.5, 1.0, 2.0):
        assert most_within(slow, seconds) <= 2 + 20 * (seconds + 0.2)
    scene.connection.execute("DELETE FROM noti.limits")
    began = len(scene.ledger.begun())
    scene.finished(60)  # at the rate it would take 97 s
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert scene.count("status = 'sent' AND retry_count = 0 AND attempt_count = 1") == 2000
    verdict.say(f"{began} rows at 20/s, then the rest at once")


def test_a_provider_that_is_pushed_too_hard_slows_its_account_and_the_messages_get_through(
    scene: Scene, verdict: Verdict
) -> None:
    """The provider takes 30 a second, and we believe that it takes 60."""
    retry = 'retry = { initial_delay = "500ms", max_delay = "1s", jitter = 0.5 }'
    scene.house.configure(scene.ledger.account(rate="60/s", most_a_second=30) + BRISK + f"[channels.email]\n{retry}\n")
    daemons = [scene.house.start_ready() for _ in range(2)]
    scene.insert("user#@example.com", 600)
    scene.finished(120)
    arrivals = scene.ledger.arrivals()
    slowed = [line for daemon in daemons for line in daemon.said("limit_slowed")]
    assert slowed != []
    assert scene.count("status = 'sent' AND retry_count = 0") == 600  # being too fast costs no try
    refused = len(arrivals) - 600
    assert refused < 300  # at full rate one of two
    assert {daemon.stop() for daemon in daemons} == {0}
    verdict.say(f"slowed {len(slowed)} times; {refused} tries in vain, {arrivals[-1] - arrivals[0]:.0f} s, ideal 20 s")
