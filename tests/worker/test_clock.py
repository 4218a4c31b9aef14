from datetime import timedelta

import pytest

from noti_worker.worker.clock import DatabaseClock
from tests.domain.rows import NOW
from tests.worker.fakes import FakeClock

HOUR = timedelta(hours=1)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_no_time_is_told_before_the_database_was_heard() -> None:
    with pytest.raises(RuntimeError, match="has not been heard"):
        DatabaseClock().now()


def test_it_is_never_ahead_of_what_was_heard_and_goes_on_from_there() -> None:
    clock = FakeClock()  # heard NOW at once
    clock.tick(2.5)
    assert clock.now() == NOW + after(2.5)


def test_a_quicker_answer_makes_up_for_one_that_took_long() -> None:
    clock = FakeClock()
    asked = clock.monotonic()
    clock.tick(0.4)
    clock.hear(NOW + HOUR, asked)  # the database's clock was set; it may be up to 0.4 s later than it said
    assert clock.now() == NOW + HOUR
    asked = clock.monotonic()
    clock.tick(0.001)
    clock.hear(NOW + HOUR + after(0.4), asked)
    assert clock.now() == NOW + HOUR + after(0.4)


def test_an_answer_that_took_long_does_not_set_the_clock_back() -> None:
    clock = FakeClock()
    asked = clock.monotonic()
    clock.tick(5)  # the process was stopped in between
    clock.hear(NOW + after(0.001), asked)
    assert clock.now() == NOW + after(5)


def test_a_clock_that_was_set_back_is_followed() -> None:
    clock = FakeClock()
    asked = clock.monotonic()
    clock.tick(0.1)
    clock.hear(NOW - HOUR, asked)
    assert clock.now() == NOW - HOUR + after(0.1)  # at least when it was asked it was no later than that
