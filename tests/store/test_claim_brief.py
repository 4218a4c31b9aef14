"""What the rows of a batch refer to, in one round trip or none."""

import json
from uuid import UUID, uuid4

import pytest

from noti_worker.domain.errors import DatabaseAway
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Attachment, Briefing, Channel, Priority, Status, Template
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, NORMAL, Connection, claim, insert, tried

ACME = Lane(Channel.EMAIL, Priority.NORMAL, "acme")


def _attach(connection: Connection, name: str, tenant_id: str = "default") -> UUID:
    found = connection.execute(
        "INSERT INTO noti.attachments (tenant_id, filename, content_type, content) VALUES (%s, %s, 'text/plain', %s)"
        " RETURNING attachment_id",
        [tenant_id, name, name.encode() + b"\x00\xff"],
    ).fetchone()
    assert found is not None
    return UUID(str(found[0]))


def _file(name: str) -> Attachment:
    return Attachment(name, "text/plain", name.encode() + b"\x00\xff")


def test_rows_that_refer_to_nothing_cost_no_round_trip(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, options=json.dumps({"cc": ["bob@example.com"]}))
    rows = claim(queue)
    nowhere = PostgresQueue(Database(Secret("postgresql://127.0.0.1:1/nowhere")))
    assert nowhere.brief(rows) == {}
    assert nowhere.brief([]) == {}
    with pytest.raises(DatabaseAway):
        nowhere.heads([Channel.EMAIL], None, 1)


def test_a_template_is_the_one_of_the_tenant(queue: PostgresQueue, connection: Connection) -> None:
    for tenant_id in ("default", "acme"):
        connection.execute(
            "INSERT INTO noti.templates (tenant_id, template_id, subject, body, html) VALUES (%s, 'hi', 's', %s, 'h')",
            [tenant_id, tenant_id],
        )
    for tenant_id in ("default", "acme"):
        insert(connection, 2, tenant_id=tenant_id, template_id="hi", body=None)
    rows = claim(queue, lanes=[NORMAL, ACME])
    briefings = queue.brief(rows)
    assert [briefings[n.notification_id].template for n in rows] == [
        Template("hi", "s", tenant_id, "h") for tenant_id in ("default", "default", "acme", "acme")
    ]


def test_a_template_that_does_not_exist_is_none(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection, template_id="nothing", body=None)
    assert queue.brief(claim(queue)) == {id_: Briefing()}


def test_attachments_stand_in_their_order_and_what_is_not_there_is_missing(
    queue: PostgresQueue, connection: Connection
) -> None:
    first, second, foreign = _attach(connection, "1"), _attach(connection, "2"), _attach(connection, "3", "acme")
    nobody = uuid4()
    named = [str(second), str(foreign), str(first), str(nobody), "no uuid", 7, None, str(second).upper()]
    [id_] = insert(connection, options=json.dumps({"attachments": named}))
    briefing = queue.brief(claim(queue))[id_]
    assert briefing.attachments == (_file("2"), _file("1"), _file("2"))
    assert briefing.missing == (str(foreign), str(nobody), "no uuid", "<int>", "<NoneType>")


def test_the_last_real_try_is_told_and_losses_and_stale_results_are_none(
    queue: PostgresQueue, connection: Connection
) -> None:
    [id_] = insert(connection)
    [first] = claim(queue)
    queue.record(1, [tried(first, Status.RETRYING, account="second")])
    connection.execute("UPDATE noti.notifications_log SET next_retry_at = created_at")
    [lost] = claim(queue, lease=AT_ONCE)
    [got] = claim(queue)
    queue.record(1, [tried(lost, Status.SENT, account="third")])  # stale
    assert queue.brief([got])[id_] == Briefing(last_account="second", last_kind="transient")


def test_a_row_that_was_only_lost_had_no_try(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection)
    claim(queue, lease=AT_ONCE)
    assert queue.brief(claim(queue)) == {id_: Briefing()}
