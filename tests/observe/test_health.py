"""Health: what counts as alive and what as ready."""

import pytest

from noti_worker.domain import facts as f
from noti_worker.observe.health import LOST_FOR, STUCK_AFTER, Health, WebHealth

LOOPS = ("leases", "loop", "recorder 1", "recorder 2")


class Hands:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def health(clock: Hands) -> Health:
    """Of a worker that runs well."""
    health = Health(monotonic=clock)
    health.on(f.WorkerStarted(1, "0.1.0", ("email",)))
    for loop in LOOPS:
        health.tick(loop)
    return health


def go_on(health: Health, clock: Hands, seconds: float) -> None:
    clock.now += seconds
    for loop in LOOPS:
        health.tick(loop)


def test_before_the_start_it_is_alive_and_not_ready() -> None:
    health = Health()
    assert (health.live(), health.ready()) == ([], ["starting"])


def test_a_worker_that_runs_is_alive_and_ready(health: Health) -> None:
    assert (health.live(), health.ready()) == ([], [])


@pytest.mark.parametrize("stuck", LOOPS)
def test_a_loop_that_does_not_tick_within_its_limit_is_stuck(health: Health, clock: Hands, stuck: str) -> None:
    clock.now += STUCK_AFTER + 1
    for loop in LOOPS:
        if loop != stuck:
            health.tick(loop)
    assert health.live() == [f"loop {stuck} is stuck"]
    assert f"loop {stuck} is stuck" in health.ready()


def test_a_database_that_is_away_makes_it_not_ready_but_leaves_it_alive(health: Health, clock: Hands) -> None:
    health.on(f.DatabaseLost("08006", 0.0, 0))
    assert health.ready() == []
    go_on(health, clock, 5.0)
    assert health.ready() == ["the database does not answer"]
    health.on(f.DatabaseLost("08006", 60.0, 0))
    go_on(health, clock, 3600.0)
    assert health.live() == []
    assert health.ready() == ["the database does not answer"]
    health.on(f.DatabaseBack(3605.0))
    assert health.ready() == []


def test_a_blip_of_the_database_takes_nobody_out_of_service(health: Health, clock: Hands) -> None:
    health.on(f.DatabaseLost("08006", 0.0, 0))
    go_on(health, clock, 2.0)
    health.on(f.DatabaseBack(2.0))
    go_on(health, clock, 10.0)
    assert health.ready() == []


def test_a_heartbeat_that_hangs_is_a_database_that_does_not_answer(health: Health, clock: Hands) -> None:
    clock.now += 8.0
    health.tick("loop")
    assert health.live() == []
    assert health.ready() == ["the database does not answer"]


def test_a_worker_that_drains_is_not_ready(health: Health) -> None:
    health.on(f.WorkerStopping("SIGTERM", 3))
    assert (health.live(), health.ready()) == ([], ["stopping"])


def test_a_fenced_worker_is_not_ready_until_its_heart_beats_again(health: Health) -> None:
    health.on(f.Fenced(on=True, seconds=10.0))
    assert health.ready() == ["no heartbeat"]
    health.on(f.Fenced(on=False, seconds=0.0))
    assert health.ready() == []


def test_a_worker_without_a_channel_is_not_ready() -> None:
    health = Health()
    health.on(f.WorkerStarted(1, "0.1.0", ()))
    assert health.ready() == ["no channel can be served"]


def test_a_reload_may_bring_the_first_channel() -> None:
    health = Health()
    health.on(f.WorkerStarted(1, "0.1.0", ()))
    health.on(f.Reloaded(("email",), ()))
    assert health.ready() == []


def test_what_strangers_reach_is_alive_as_long_as_it_serves(clock: Hands) -> None:
    serves = [True]
    health = WebHealth(lambda: serves[0], clock)
    assert (health.live(), health.ready()) == ([], [])
    health.on(f.DatabaseLost("08006", 0.0, 0))
    assert (health.live(), health.ready()) == ([], ["the database does not answer"])
    health.on(f.DatabaseBack(1.0))
    assert health.ready() == []
    health.on(f.DatabaseLost("08006", 0.0, 0))
    clock.now += LOST_FOR  # nobody posted since, so nobody knows
    assert health.ready() == []
    serves[0] = False
    assert (health.live(), health.ready()) == (["it does not serve"], ["it does not serve"])
