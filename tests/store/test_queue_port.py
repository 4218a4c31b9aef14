"""PostgresQueue keeps what the doors of the queue promise; the worker's tests have a queue in memory that does, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, attempts, insert, row
from tests.worker.claim_contract import ClaimContract
from tests.worker.queue_desk import NORMAL, Desk, Standing
from tests.worker.record_contract import RecordContract


class RealDesk:
    def __init__(self, queue: PostgresQueue, connection: Connection, url: str) -> None:
        self.queue = queue
        self._connection = connection
        self._url = url
        [[self._began]] = connection.execute("SELECT clock_timestamp()").fetchall()

    def add(self, lane: Lane = NORMAL, seconds: float = -10.0, **columns: Any) -> int:
        due: datetime = self._began + timedelta(seconds=seconds)
        columns |= {"created_at": due} if seconds < 0 else {"send_at": due}
        columns |= {"channel": lane.channel.value, "priority": lane.priority.value, "tenant_id": lane.tenant_id}
        [number] = insert(self._connection, 1, **columns)
        return number

    def row(self, number: int) -> Standing:
        told = row(self._connection, number)
        tries = tuple(one["status"] for one in attempts(self._connection, number))
        counts = {field.name: told[field.name] for field in fields(Standing) if field.name.endswith("count")}
        return Standing(Status(told["status"]), told["claimed_by"], **counts, tries=tries)

    @contextmanager
    def locked(self, number: int) -> Iterator[None]:
        with psycopg.connect(self._url) as application:
            application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [number])
            yield

    def ask(self, number: int, wish: Status) -> None:
        move = {Status.CANCELLED: "cancel", Status.HELD: "hold"}[wish]
        self._connection.execute(f"SELECT noti.{move}(%s)".encode(), [number])


class TestPostgresQueue(ClaimContract, RecordContract):
    @pytest.fixture
    def desk(self, queue: PostgresQueue, connection: Connection, database_url: str) -> Desk:
        return RealDesk(queue, connection, database_url)
