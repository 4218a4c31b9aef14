"""The queue in memory answers as the real one does."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Status
from tests.domain.rows import NOW
from tests.worker.claim_contract import ClaimContract
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import FakeClock
from tests.worker.queue_desk import NORMAL, Desk, Standing
from tests.worker.record_contract import RecordContract


class TickingClock(FakeClock):
    """Goes on by a moment whenever somebody looks at it."""

    def monotonic(self) -> float:
        self.seconds += 1e-4
        return self.seconds


class FakeDesk:
    def __init__(self) -> None:
        self.queue = FakeStore(TickingClock())

    def add(self, lane: Lane = NORMAL, seconds: float = -10.0, **columns: Any) -> int:
        of = {"channel": lane.channel, "priority": lane.priority, "tenant_id": lane.tenant_id}
        return self.queue.add(due_at=NOW + timedelta(seconds=seconds), **of, **columns)

    def row(self, number: int) -> Standing:
        row = self.queue.rows[number]
        told = row.notification
        tries = tuple(status for _, status in row.tries)
        counts = (told.claim_count, told.retry_count, told.attempt_count, told.lost_count)
        return Standing(row.status, row.owner, *counts, tries)

    @contextmanager
    def locked(self, number: int) -> Iterator[None]:
        self.queue.locked.add(number)
        yield
        self.queue.locked.discard(number)

    def ask(self, number: int, wish: Status) -> None:
        self.queue.rows[number].change(requested=wish)


class TestFakeStore(ClaimContract, RecordContract):
    @pytest.fixture
    def desk(self) -> Desk:
        return FakeDesk()
