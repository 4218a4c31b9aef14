"""Reading what was posted, over the real store: each request by its provider's file, none in the way of another."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused
from noti_worker.domain.facts import ReceiptsRead, Trouble
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.providers import sendgrid
from noti_worker.store.connect import Database
from noti_worker.store.receipts import Letterbox, ReceiptDesk
from noti_worker.tasks import rota as module
from noti_worker.tasks.receipts import SWEEP_EVERY, ReadReceipts
from noti_worker.tasks.rota import MOST, POLL, REFUSED_PAUSE, SOON, Rota
from tests.store.rows import insert, row
from tests.worker.fakes import Witness

Connection = psycopg.Connection[Any]


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(Secret(database_url))


@pytest.fixture
def letterbox(database: Database) -> Iterator[Letterbox]:
    letterbox = Letterbox(database)
    yield letterbox
    letterbox.close()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def task(database: Database, witness: Witness, now: list[float]) -> Iterator[ReadReceipts]:
    session = database.session("tasks")
    yield ReadReceipts(ReceiptDesk(session), witness, lambda: now[0])
    session.close()


def bounce(connection: Connection, notification_id: int) -> bytes:
    """A list of one event, as SendGrid posts it."""
    event = {
        "event": "bounce",
        "type": "bounce",
        "email": "ann@example.com",
        "sg_event_id": f"e{notification_id}",
        "timestamp": 1513299569,
        "reason": "550 5.1.1 unknown",
        "status": "5.1.1",
        "notification_id": str(notification_id),
        "message_id": str(row(connection, notification_id)["message_id"]),
    }
    return json.dumps([event]).encode()


def told(witness: Witness) -> list[ReceiptsRead]:
    return [fact for fact in witness.facts if isinstance(fact, ReceiptsRead)]


def unread(connection: Connection) -> list[tuple[int, str | None]]:
    return connection.execute(
        "SELECT raw_id, error FROM noti.receipts_raw WHERE read_at IS NULL OR error IS NOT NULL ORDER BY 1"
    ).fetchall()


def test_what_was_posted_is_read_by_its_provider(
    connection: Connection, letterbox: Letterbox, task: ReadReceipts, witness: Witness
) -> None:
    ids = insert(connection, 3, status="sent")
    for id_ in ids:
        letterbox.keep("mail", "sendgrid", Posted(bounce(connection, id_)))
    assert task.run_once(100) == (3, None)
    assert [row(connection, id_)["receipt"] for id_ in ids] == ["bounced"] * 3
    assert witness.facts == [ReceiptsRead({("sendgrid", "bounced", "matched"): 3}, {})]
    assert task.run_once(100) == (0, None)
    assert len(witness.facts) == 1


def test_it_stops_after_as_many_as_it_may(connection: Connection, letterbox: Letterbox, task: ReadReceipts) -> None:
    for id_ in insert(connection, 5, status="sent"):
        letterbox.keep("mail", "sendgrid", Posted(bounce(connection, id_)))
    assert [task.run_once(2)[0] for _ in range(4)] == [2, 2, 1, 0]


def test_a_parked_receipt_says_when_to_come_again(
    connection: Connection, letterbox: Letterbox, task: ReadReceipts
) -> None:
    (id_,) = insert(connection, status="sent")
    unknown = bounce(connection, id_).replace(f'"{id_}"'.encode(), b'"99"')
    letterbox.keep("mail", "sendgrid", Posted(unknown))
    done, next_at = task.run_once(100)
    assert done == 1
    assert next_at is not None
    assert timedelta(0) < next_at - datetime.now(UTC) < timedelta(seconds=3)  # noqa: TID251 - of the same machine


@pytest.mark.parametrize(
    ("provider", "body", "error"),
    [
        ("sendgrid", b"<html>", "it cannot be read: JSONDecodeError"),
        ("smtp", b"", "the provider smtp posts nothing that is understood"),
        ("gone", b"", "provider 'gone' does not exist"),
    ],
)
def test_a_request_that_cannot_be_read_is_in_nobodys_way(
    connection: Connection,
    letterbox: Letterbox,
    task: ReadReceipts,
    witness: Witness,
    provider: str,
    body: bytes,
    error: str,
) -> None:
    (id_,) = insert(connection, status="sent")
    letterbox.keep("mail", provider, Posted(body))
    letterbox.keep("mail", "sendgrid", Posted(bounce(connection, id_)))
    assert task.run_once(100)[0] == 2
    assert row(connection, id_)["receipt"] == "bounced"
    [(_, kept)] = unread(connection)
    assert kept is not None
    assert kept.startswith(error)
    assert witness.facts == [ReceiptsRead({("sendgrid", "bounced", "matched"): 1}, {provider: 1})]


def test_a_request_that_the_database_refuses_is_in_nobodys_way(
    connection: Connection,
    letterbox: Letterbox,
    task: ReadReceipts,
    witness: Witness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that nobody has foreseen: here a word that the table does not know."""
    (id_,) = insert(connection, status="sent")
    read = sendgrid.receipts

    def odd(posted: Posted) -> list[Receipt]:
        return [Receipt("odd", "e1")] if posted.body == b"odd" else read(posted)  # type: ignore[arg-type]

    monkeypatch.setattr(sendgrid, "receipts", odd)
    letterbox.keep("mail", "sendgrid", Posted(b"odd"))
    letterbox.keep("mail", "sendgrid", Posted(bounce(connection, id_)))
    assert task.run_once(100)[0] == 2
    assert row(connection, id_)["receipt"] == "bounced"
    [(_, kept)] = unread(connection)
    assert kept == "the database refused (23514 CheckViolation, constraint receipts_sane of noti.receipts)"
    assert [fact.unread for fact in told(witness)] == [{"sendgrid": 1}]


def test_a_right_that_is_missing_gives_nothing_up(
    connection: Connection, letterbox: Letterbox, task: ReadReceipts
) -> None:
    letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    connection.execute("ALTER FUNCTION noti.receive RENAME TO received")
    with pytest.raises(DatabaseRefused):
        task.run_once(100)
    [(_, kept)] = unread(connection)
    assert kept is None


def test_a_request_that_was_committed_late_is_found(
    connection: Connection, letterbox: Letterbox, task: ReadReceipts, now: list[float], database_url: str
) -> None:
    with psycopg.connect(database_url) as slow:
        slow.execute("INSERT INTO noti.receipts_raw (account, provider, body) VALUES ('mail', 'sendgrid', '[]')")
        letterbox.keep("mail", "sendgrid", Posted(b"[]"))
        assert task.run_once(100)[0] == 1
    assert task.run_once(100)[0] == 0, "it lies before what was read"
    now[0] += SWEEP_EVERY
    assert task.run_once(100)[0] == 1


def test_what_lies_behind_is_not_walked_again(
    connection: Connection, letterbox: Letterbox, task: ReadReceipts, monkeypatch: pytest.MonkeyPatch
) -> None:
    letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    task.run_once(100)
    asked: list[int] = []
    read = task._desk.read
    monkeypatch.setattr(task._desk, "read", lambda after, how: asked.append(after) or read(after, how))  # type: ignore[func-returns-value]
    task.run_once(100)
    assert asked == [1]


# ------------------------------------------------------------------------------ when tasks are called


class Counted:
    """A task that gives, or raises, what it is told."""

    def __init__(self, *given: tuple[int, datetime | None] | Exception) -> None:
        self.given = list(given)

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        assert most == MOST
        found = self.given.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "pause"),
    [
        ((MOST, None), 0.0),
        ((3, None), POLL),
        ((3, NOON + timedelta(hours=1)), POLL),
        ((3, NOON + timedelta(milliseconds=500)), 0.5),
        ((0, NOON - timedelta(hours=1)), SOON),
        (DatabaseAway("gone"), POLL),
        (DatabaseRefused("no"), REFUSED_PAUSE),
    ],
)
def test_a_task_comes_again_when_it_is_due(given: Any, pause: float, witness: Witness) -> None:
    assert Rota({"one": Counted(given)}, Clock(), witness)._call("one", Counted(given)) == pause
    told = [Trouble("task one", "no")] if isinstance(given, DatabaseRefused) else []
    assert witness.facts == told


def test_tasks_are_called_until_it_is_stopped(
    letterbox: Letterbox,
    task: ReadReceipts,
    witness: Witness,
    connection: Connection,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    rota = Rota({"receipts": task}, Clock(), witness)
    rota.start()
    ids = insert(connection, 20, status="sent")
    for id_ in ids:
        letterbox.keep("mail", "sendgrid", Posted(bounce(connection, id_)))
    read = "SELECT count(*) = 20 FROM noti.receipts WHERE tenant_id IS NOT NULL"
    wait_for(lambda: connection.execute(read).fetchone() == (True,), 60, "all are read")
    rota.stop(60)
    assert not rota._thread.is_alive()
    letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    assert len(unread(connection)) == 1
    assert {kind for fact in told(witness) for (_, kind, _) in fact.counts} == {ReceiptKind.BOUNCED}
