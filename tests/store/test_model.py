"""The real store against a small model: whatever happens in whatever order, both tell the same story.

Time does not pass here: what would take time (a lease runs out, a retry is due, a heart stops) is moved by SQL.
"""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.workers import PostgresWorkers
from tests.store.life import Life
from tests.store.world import World


@pytest.fixture
def world(database: Database, database_url: str, queue: PostgresQueue, workers: PostgresWorkers) -> Any:
    with (
        psycopg.connect(database_url, autocommit=True) as application,
        psycopg.connect(database_url, autocommit=True) as outside,
    ):
        outside.execute("SET session_replication_role = replica")
        yield World(queue, workers, application, outside)


FEW = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def _run(world: World, profile: settings) -> None:
    class Here(Life):
        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(Here, settings=profile)


@pytest.mark.timeout(300)
def test_whatever_happens_the_store_does_what_the_model_does(world: World) -> None:
    _run(world, FEW)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_in_a_thousand_lives_too(world: World) -> None:
    """Not derandomized: on failure Hypothesis prints how to repeat it."""
    _run(world, settings(FEW, max_examples=1000, stateful_step_count=60, derandomize=False, print_blob=True))
