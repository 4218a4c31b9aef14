"""The time limits that follow from each other do so: who changes one is told about the others."""

import os
import re
from pathlib import Path

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.lifecycle import LONGEST_SEND
from noti_worker.observe.health import STUCK_AFTER
from noti_worker.settings.sections import SEND_TIMEOUT, WorkerSettings
from noti_worker.store.connect import ANSWER_WITHIN, RESOLVE_WITHIN
from noti_worker.worker import stop, worker
from noti_worker.worker.heartbeat import BEAT_EVERY
from noti_worker.worker.inflight import FENCE_AFTER
from noti_worker.worker.outage import LONGEST_WAIT
from noti_worker.worker.systemd import STOP_MARGIN, check_watchdog

ROOT = Path(__file__).parents[2]


def dead_after() -> float:
    """When the others take the rows of a worker whose heart is silent, as the view of the living says it."""
    text = (ROOT / "migrations" / "versions" / "0008_house.sql").read_text()
    [seconds] = re.findall(r"VIEW noti\.living .*\n.*interval '(\d+) seconds'", text)
    return float(seconds)


def test_a_worker_fences_itself_before_others_take_it_for_dead() -> None:
    assert 3 * BEAT_EVERY < FENCE_AFTER
    assert dead_after() > FENCE_AFTER + BEAT_EVERY


def test_results_are_recorded_before_neighbours_take_what_looks_lost() -> None:
    """Whoever waits longest after an outage still has the time to connect."""
    assert dead_after() > 1.5 * LONGEST_WAIT + 2 * RESOLVE_WITHIN


def test_a_lease_outlives_a_send_and_is_prolonged_for_longer_than_any() -> None:
    assert WorkerSettings().lease / 2 > SEND_TIMEOUT
    assert SEND_TIMEOUT < WorkerSettings().lease < LONGEST_SEND


def test_a_stop_asks_for_more_time_than_it_takes() -> None:
    assert stop.ANSWER_QUICKLY < stop.ANSWER_WITHIN < ANSWER_WITHIN
    # The last claim and the release each wait for one call at most, then the last flush, a last beat and the leaving.
    assert 2 * stop.ANSWER_WITHIN + worker.FLUSH_WITHIN + 1 + 2 * stop.ANSWER_QUICKLY < 20 < STOP_MARGIN


def test_a_loop_that_waits_for_the_database_is_not_called_stuck() -> None:
    assert STUCK_AFTER > 2 * ANSWER_WITHIN


def test_a_watchdog_that_would_bite_a_waiting_worker_is_refused() -> None:
    ours = {"WATCHDOG_PID": str(os.getpid())}
    with pytest.raises(ConfigurationError, match=r"WatchdogSec of the unit is 20s, .* may take 30s"):
        check_watchdog(15.0, ours | {"WATCHDOG_USEC": "20000000"})
    check_watchdog(15.0, ours | {"WATCHDOG_USEC": "40000000"})
    check_watchdog(15.0, {"WATCHDOG_PID": "1", "WATCHDOG_USEC": "10000000"})
    check_watchdog(15.0, {})
