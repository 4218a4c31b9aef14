"""What the tests of the store share: a queue and a register on the test's own database."""

from collections.abc import Iterator

import pytest

from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue, successes
from noti_worker.store.queue.workers import PostgresWorkers


@pytest.fixture
def database(database_url: str) -> Database:
    """The test's database as the store's objects want it."""
    return Database(Secret(database_url))


@pytest.fixture
def queue(database: Database) -> Iterator[PostgresQueue]:
    """A queue of its own connections."""
    opened = PostgresQueue(database)
    yield opened
    opened.close()


@pytest.fixture
def other_queue(database: Database) -> Iterator[PostgresQueue]:
    """The queue of a second process."""
    opened = PostgresQueue(database)
    yield opened
    opened.close()


@pytest.fixture
def workers(database: Database) -> Iterator[PostgresWorkers]:
    """The register of workers."""
    opened = PostgresWorkers(database)
    yield opened
    opened.close()


@pytest.fixture(params=[1, 1_000_000], ids=["as columns", "as a document"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Successes are recorded as columns from the first, and then not at all: nobody can tell."""
    monkeypatch.setattr(successes, "FEWEST", request.param)
