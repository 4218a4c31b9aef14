"""What is written for nothing, '' and JSON's null, counts as not said, wherever a row comes in or changes."""

from typing import Any

import psycopg
import pytest

from noti_worker import enqueue, enqueue_many
from noti_worker.store.queue import PostgresQueue
from tests.store.changes import actions, update
from tests.store.rows import claim, insert, row

Connection = psycopg.Connection[Any]

TEXTS = (
    "template_id", "locale", "entity_type", "entity_id", "idempotency_key", "category", "provider", "collapse_key",
    "on_uncertain", "traceparent",
)  # fmt: skip
DOCUMENTS = ("template_data", "options", "metadata")


def unsaid(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in (*TEXTS, *DOCUMENTS, "priority")}


NOTHING = dict.fromkeys((*TEXTS, *DOCUMENTS)) | {"priority": "normal"}
EMPTY = dict.fromkeys((*TEXTS, "priority"), "") | dict.fromkeys(DOCUMENTS, "null")


def test_each_column_alone_and_all_at_once_are_not_said(connection: Connection) -> None:
    alone: list[dict[str, Any]] = [{name: value} for name, value in EMPTY.items()]
    for columns in (*alone, {**EMPTY}, {**EMPTY, "max_retries": None}):
        [number] = insert(connection, 1, **columns)
        assert unsaid(row(connection, number)) == NOTHING, columns


def test_an_empty_key_is_no_key(connection: Connection) -> None:
    assert len(insert(connection, 3, idempotency_key="")) == 3
    assert len({enqueue(connection, channel="sms", recipient="+491", body="x", idempotency_key="") for _ in "ab"}) == 2
    call = "SELECT noti.send('sms', '+491', body => 'x', idempotency_key => '')"
    assert connection.execute(call.encode()).fetchone() != connection.execute(call.encode()).fetchone()


def test_an_empty_subject_and_body_are_said(connection: Connection) -> None:
    found = row(connection, insert(connection, 1, subject="", body="")[0])
    assert (found["subject"], found["body"]) == ("", "")


def test_an_empty_template_is_nothing_to_send(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="there is nothing to send"):
        insert(connection, 1, body=None, template_id="")
    with pytest.raises(ValueError, match="nothing to send"):
        enqueue(connection, channel="sms", recipient="+491", template_id="")


def test_the_functions_take_them_alike(connection: Connection) -> None:
    """A key with the same content is the same message, however nothing was written."""
    empty = ", ".join(
        f"{name} => 'null'" if name in DOCUMENTS else f"{name} => ''" for name in EMPTY if name != "idempotency_key"
    )
    for more in ("", f", {empty}"):
        call = f"SELECT noti.send('sms', '+491', body => 'x', idempotency_key => 'k'{more})"
        assert connection.execute(call.encode()).fetchone() == (1,)
    assert unsaid(row(connection, 1)) == NOTHING | {"idempotency_key": "k"}
    texts: Any = dict.fromkeys((*TEXTS, "priority"), "")
    for number in enqueue_many(connection, [{"channel": "sms", "recipient": "+491", "body": "x"} | texts] * 2):
        assert unsaid(row(connection, number)) == NOTHING


def test_an_object_mapper_may_write_them_back(connection: Connection, queue: PostgresQueue) -> None:
    """It saves every column of an object that it inserted; what it wrote for nothing is no change of content."""
    insert(connection, 1, **EMPTY)
    claim(queue)
    again = ", ".join(f"{name} = '{value}'" for name, value in EMPTY.items())
    update(connection, f"{again}, status = 'cancelled'")
    assert row(connection, 1)["requested"] == "cancelled"
    assert actions(connection) == ["cancel_requested"]


def test_a_row_of_before_keeps_its_empty_texts(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        insert(connection, 1, provider="", category="", max_retries=3)
    insert(connection)
    update(connection, "status = 'held', category = ''")
    assert (row(connection, 1)["provider"], actions(connection)) == ("", ["held"])
