"""What the rows of a batch refer to, in one round trip or none."""

from typing import Any

import pytest

from noti_worker.domain.errors import DatabaseAway
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Briefing, Channel, Priority, Status, Template
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database, Session
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, NORMAL, Connection, claim, insert, tried

ACME = Lane(Channel.EMAIL, Priority.NORMAL, "acme")


def test_rows_that_refer_to_nothing_cost_no_round_trip(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, body="x" * 16_384)
    rows = claim(queue)
    assert len(rows[0].body or "") == 16_384
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
        Template("hi", "s", tenant_id, "h", "hi version 1") for tenant_id in ("default", "default", "acme", "acme")
    ]


def test_a_template_that_does_not_exist_is_none(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection, template_id="nothing", body=None)
    assert queue.brief(claim(queue)) == {id_: Briefing()}


def test_a_template_is_read_by_the_clock_of_its_reader(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("""
        INSERT INTO noti.contacts (tenant_id, user_ref, channel, address, zone, place, left_at, left_because) VALUES
          ('default', '42', 'email', 'ada@Example.com', 'Asia/Tokyo', 0, NULL, NULL),
          ('default', '42', 'sms', '+4915112345', 'Europe/Rome', 0, NULL, NULL),
          ('default', '43', 'email', 'bea@example.com', NULL, 0, NULL, NULL),
          ('default', '44', 'email', 'cyd@example.com', 'Asia/Dubai', 0, now(), 'moved'),
          ('acme', '45', 'email', 'dan@example.com', 'Asia/Dubai', 0, NULL, NULL)""")
    told = {
        "ada@example.com": "Asia/Tokyo",  # an address is the same however its domain is written
        "user:42": "Asia/Tokyo",
        "bea@example.com": None,
        "cyd@example.com": None,  # moved
        "dan@example.com": None,  # of another tenant
        "user:99": None,
    }
    ids = {recipient: insert(connection, template_id="hi", body=None, recipient=recipient)[0] for recipient in told}
    [push] = insert(connection, template_id="hi", body=None, channel="in_app", recipient="user:42")
    rows = claim(queue, lanes=[NORMAL, Lane(Channel.IN_APP, Priority.NORMAL, "default")])
    found = queue.brief(rows)
    assert {recipient: found[id_].zone for recipient, id_ in ids.items()} == told
    assert found[push].zone in {"Asia/Tokyo", "Europe/Rome"}, "a person has one clock"
    connection.execute(
        "INSERT INTO noti.settings (tenant_id, key, value) VALUES ('default', 'zone', '\"Europe/Berlin\"')"
    )
    found = queue.brief(rows)
    assert found[ids["user:42"]].zone == "Asia/Tokyo"
    assert {found[ids[recipient]].zone for recipient, zone in told.items() if zone is None} == {"Europe/Berlin"}


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


def test_small_documents_come_with_the_batch_as_text(queue: PostgresQueue, connection: Connection) -> None:
    [plain] = insert(connection)
    [both] = insert(connection, template_data='{"a": 10.50}', options='{"cc": []}')
    [one] = insert(connection, options='{"html": null}')
    insert(connection, template_id="hi", body=None)
    rows = claim(queue)
    briefings = queue.brief(rows)
    assert plain not in briefings
    assert briefings[both] == Briefing(template_data='{"a": 10.50}', options='{"cc": []}')
    assert briefings[one] == Briefing(options='{"html": null}')


def test_everything_is_asked_for_in_one_trip(
    queue: PostgresQueue, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(connection, template_id="hi", body=None, template_data="{}")
    rows = claim(queue)
    trips = []
    together = Session.together

    def counted(self: Session, asked: Any) -> Any:
        trips.append(len(asked))
        return together(self, asked)

    monkeypatch.setattr(Session, "together", counted)
    queue.brief(rows)
    assert trips == [3]
