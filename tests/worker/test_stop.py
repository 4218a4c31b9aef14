"""What signals ask for, and the call that wakes the loop."""

import os
import signal

import pytest

from noti_worker.worker.stop import ANSWER_QUICKLY, ANSWER_WITHIN, Stop
from noti_worker.worker.wakeup import WakeUp


def test_signals_ask_for_a_reload_a_clean_and_then_a_quick_stop() -> None:
    wake_up = WakeUp()
    patience: list[float] = []
    stop = Stop(wake_up, patience.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        stop.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert wake_up.wait(10)
        assert (stop.asked, stop.reload) == (None, True)
        os.kill(os.getpid(), signal.SIGTERM)
        assert wake_up.wait(10)
        assert (stop.asked, stop.quickly) == ("SIGTERM", False)
        os.kill(os.getpid(), signal.SIGINT)
        assert wake_up.wait(10)
        assert (stop.asked, stop.quickly) == ("SIGTERM", True)
        assert patience == [ANSWER_WITHIN, ANSWER_QUICKLY]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_worker_on_a_terminal_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 0)
    wake_up = WakeUp()
    stop = Stop(wake_up, lambda seconds: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        stop.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert wake_up.wait(10)
        assert (stop.asked, stop.reload) == ("SIGHUP", False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_many_calls_before_a_look_are_one() -> None:
    wake_up = WakeUp()
    for _ in range(100):
        wake_up.call()
    assert wake_up.wait(0)
    assert not wake_up.wait(0)
