"""Content that is too large for a batch, or cannot be read at all: it harms its own row, whatever it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from noti_worker.domain.errors import DatabaseBusy, DatabaseRefused, TimedOut
from noti_worker.domain.notification import Attachment, Briefing
from noti_worker.domain.secret import Secret
from noti_worker.store.briefing import attachments, documents
from noti_worker.store.connect import Database, Session
from noti_worker.store.errors import Refusal
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.memory import peak, peak_begins
from tests.pgbouncer import pgbouncer
from tests.store.rows import Connection, claim, ids, insert, plant

MEGABYTE = 1024 * 1024

BOMBS = {
    "over a gigabyte": "repeat('1e131071,', 9500)",
    "almost a gigabyte": "repeat('1e131071,', 7000)",
    "negative": "repeat('-1e131071,', 9500)",
    "zeros behind the point": "repeat('0e-16383,', 12000)",
    "few kilobytes, stored as they are": "repeat('1e131071,', 100)",
    "thousands of zeros, often": "repeat('1e3000,', 10000)",
}


@pytest.mark.fault("F61")
@pytest.mark.parametrize("column", ["template_data", "options"])
@pytest.mark.parametrize("items", BOMBS.values(), ids=BOMBS)
def test_a_document_that_is_a_gigabyte_as_text_harms_only_its_row(
    queue: PostgresQueue, connection: Connection, column: str, items: str
) -> None:
    good = insert(connection, 200, template_data='{"name": "Ann"}')
    bomb = plant(connection, column, items)
    peak_begins()
    before = peak()
    rows = claim(queue, 300)
    assert sorted(ids(rows)) == [*good, bomb]
    briefings = queue.brief(rows)
    assert {briefings[id_].template_data for id_ in good} == {'{"name": "Ann"}'}
    assert not any(briefings[id_].incomplete for id_ in good)
    assert briefings[bomb].incomplete
    completed = queue.complete(rows[-1], briefings[bomb])
    assert completed.unreadable is not None
    assert f"{column} is too large as text" in completed.unreadable
    assert peak() - before < 100 * MEGABYTE


@pytest.mark.parametrize("number", ["1e41", "-1e131071", "1e-500", "0e-16383"])
def test_one_large_number_is_no_bomb(queue: PostgresQueue, connection: Connection, number: str) -> None:
    bomb = plant(connection, "options", f"'{number},'")
    [row] = claim(queue)
    briefing = queue.brief([row])[bomb]
    whole = queue.complete(row, briefing) if briefing.incomplete else briefing
    assert whole.unreadable is None
    assert len(whole.options or "") > 40


def test_hundreds_of_bombs_are_no_burden_either(queue: PostgresQueue, connection: Connection) -> None:
    for _ in range(300):
        plant(connection, "options", "repeat('1e131071,', 120)")
    [good] = insert(connection, options="{}")
    briefings = queue.brief(claim(queue, 500))
    assert briefings[good] == Briefing(options="{}")
    assert sum(briefing.incomplete for briefing in briefings.values()) == 300


def test_a_document_of_ordinary_numbers_is_no_bomb(queue: PostgresQueue, connection: Connection) -> None:
    document = json.dumps({"n": list(range(10_000)), "x": [1.5] * 1000, "deep": [[[[1e30]]], 1e308] * 50})
    [id_] = insert(connection, template_data=document)
    [row] = claim(queue)
    briefing = queue.brief([row])[id_]
    assert (briefing.incomplete, briefing.template_data) == (True, None)
    completed = queue.complete(row, briefing)
    assert (completed.incomplete, completed.unreadable) == (False, None)
    assert json.loads(completed.template_data or "", parse_int=float) == json.loads(document)


@pytest.mark.parametrize("size", [2_000, 20_000, 100_000])
def test_a_document_comes_with_the_batch_or_later_but_whole(
    queue: PostgresQueue, connection: Connection, size: int
) -> None:
    document = {"html": "".join(str(n) for n in range(size))[:size]}
    [id_] = insert(connection, options=json.dumps(document))
    [row] = claim(queue)
    briefing = queue.brief([row])[id_]
    assert briefing.incomplete or size < 32_000
    whole = queue.complete(row, briefing) if briefing.incomplete else briefing
    assert json.loads(whole.options or "") == document


def test_a_long_body_is_not_claimed_but_looked_up(queue: PostgresQueue, connection: Connection) -> None:
    body = "ä" * 400_000
    [id_] = insert(connection, body=body)
    [row] = claim(queue)
    assert (row.body, row.long_body) == (None, True)
    briefing = queue.brief([row])[id_]
    assert briefing == Briefing(incomplete=True)
    assert queue.complete(row, briefing) == Briefing(body=body)


def test_hundreds_of_long_rows_are_a_small_batch(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 200, body="x" * MEGABYTE, options=json.dumps({"html": "y" * 200_000}))
    peak_begins()
    before = peak()
    rows = claim(queue, 500)
    briefings = queue.brief(rows)
    assert len(rows) == len(briefings) == 200
    assert peak() - before < 50 * MEGABYTE


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever reads documents fails; the other statements do not."""
    together, run = Session.together, Session.run

    def refuse(self: Session, asked: Any) -> Any:
        if any(question is documents.STATEMENT for question, _ in asked):
            raise error
        return together(self, asked)

    monkeypatch.setattr(Session, "together", refuse)
    monkeypatch.setattr(Session, "run", run)


@pytest.mark.parametrize("error", [Refusal("damaged", "XX001"), TimedOut("57014")])
def test_a_batch_whose_documents_cannot_be_read_is_looked_up_row_by_row(
    queue: PostgresQueue, connection: Connection, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    rows = insert(connection, 3, template_id="hi", body=None, template_data="{}") + insert(connection, template_id="hi")
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('hi', 'x')")
    claimed = claim(queue)
    with monkeypatch.context() as during:
        _failing(during, error)
        briefings = queue.brief(claimed)
    assert [briefings[id_].incomplete for id_ in rows] == [True, True, True, False]
    assert all(briefings[id_].template is not None for id_ in rows)
    assert queue.complete(claimed[0], briefings[rows[0]]).template_data == "{}"


def test_a_value_that_is_damaged_is_unreadable_and_what_is_nobodys_fault_is_raised(
    queue: PostgresQueue, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(connection, template_data="{}")
    [row] = claim(queue)
    for error, raised in [
        (Refusal("the database refused (XX001 DataCorrupted)", "XX001"), None),
        (Refusal("the database refused (54000 ProgramLimitExceeded)", "54000"), None),
        (Refusal("the database refused (42501 InsufficientPrivilege)", "42501"), DatabaseRefused),
        (TimedOut("57014"), DatabaseBusy),
    ]:
        with monkeypatch.context() as during:
            _failing(during, error)
            if raised is None:
                assert "cannot be read" in (queue.complete(row, Briefing(incomplete=True)).unreadable or "")
            else:
                with pytest.raises(raised):
                    queue.complete(row, Briefing(incomplete=True))


# Attachments


def _attach(connection: Connection, name: str, tenant_id: str = "default", content: bytes | None = None) -> UUID:
    found = connection.execute(
        "INSERT INTO noti.attachments (tenant_id, filename, content_type, content) VALUES (%s, %s, 'text/plain', %s)"
        " RETURNING attachment_id",
        [tenant_id, name, name.encode() + b"\x00\xff" if content is None else content],
    ).fetchone()
    assert found is not None
    return UUID(str(found[0]))


def _file(name: str) -> Attachment:
    return Attachment(name, "text/plain", name.encode() + b"\x00\xff")


def _whole(queue: PostgresQueue, connection: Connection, named: object) -> Briefing:
    insert(connection, options=json.dumps({"attachments": named}))
    [row] = claim(queue)
    briefing = queue.brief([row])[row.notification_id]
    assert briefing.incomplete
    return queue.complete(row, briefing)


def test_attachments_stand_in_their_order_and_what_is_not_there_is_missing(
    queue: PostgresQueue, connection: Connection
) -> None:
    first, second, foreign = _attach(connection, "1"), _attach(connection, "2"), _attach(connection, "3", "acme")
    nobody = uuid4()
    named = [
        str(second), str(foreign), str(first), str(nobody), "no uuid", 7, None,
        str(second).upper(), f"{{{first}}}", f"urn:uuid:{first}", first.hex,
    ]  # fmt: skip
    briefing = _whole(queue, connection, named)
    assert briefing.attachments == (_file("2"), _file("1"), _file("2"), _file("1"), _file("1"), _file("1"))
    assert briefing.missing == (str(foreign), str(nobody), "no uuid", "<number>", "<null>")
    assert briefing.attachments[0].content is briefing.attachments[2].content


@pytest.mark.parametrize("named", [None, 7, "x", {}, []])
def test_what_is_no_list_of_attachments_loads_none(queue: PostgresQueue, connection: Connection, named: object) -> None:
    briefing = _whole(queue, connection, named)
    assert (briefing.attachments, briefing.missing, briefing.unreadable) == ((), (), None)


@pytest.mark.fault("F66")
def test_too_many_attachments_are_refused_unread(queue: PostgresQueue, connection: Connection) -> None:
    one = str(_attach(connection, "1"))
    assert len(_whole(queue, connection, [one] * attachments.MOST).attachments) == attachments.MOST
    refused = _whole(queue, connection, [one] * 60)
    assert (refused.attachments, refused.unreadable) == (
        (),
        "options.attachments names 60 files: 25 at most go with one message",
    )


@pytest.mark.fault("F66")
def test_attachments_that_are_too_large_together_are_refused_unread(
    queue: PostgresQueue, connection: Connection
) -> None:
    one = str(_attach(connection, "1", content=bytes(5 * MEGABYTE)))
    peak_begins()
    before = peak()
    refused = _whole(queue, connection, [one] * 6)
    assert peak() - before < 5 * MEGABYTE
    assert refused.attachments == ()
    assert refused.unreadable == (
        "the files that options.attachments names have 30.0 MB in all: at most 25 MB go with one message"
    )
    assert len(_whole(queue, connection, [one] * 5).attachments) == 5


def test_each_attachment_is_sent_by_the_server_once(connection: Connection) -> None:
    one = str(_attach(connection, "1", content=bytes(1000)))
    [id_] = insert(connection, options=json.dumps({"attachments": [one] * 4}))
    parameters = {"id": id_, "most": 25, "most_bytes": 5000}
    found = connection.execute(statement("attachments").sql, parameters).fetchall()
    assert [row[-1] is not None for row in found] == [True, False, False, False]


def test_through_a_pooler_everything_is_looked_up_alike(
    open_directory: Path, database_url: str, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    one = str(_attach(connection, "1"))
    [id_] = insert(
        connection, template_id="hi", template_data="{}", options=json.dumps({"attachments": [one]}), body="x" * 20_000
    )
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('hi', 'x')")
    with pgbouncer(open_directory, database_url, "transaction", wait_for) as through:
        queue = PostgresQueue(Database(Secret(through), pgbouncer=True))
        for _ in range(12):
            [row] = claim(queue)
            briefing = queue.complete(row, queue.brief([row])[id_])
            assert (briefing.template_data, briefing.attachments) == ("{}", (_file("1"),))
            assert briefing.template is not None
            queue.release(1, [row])
        queue.close()
