"""The claim: who gets which rows, in which order, and never twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from noti_worker.domain.errors import DatabaseBusy, TimedOut
from noti_worker.domain.lanes import END, Floor, Lane, Share
from noti_worker.domain.notification import Channel, OnUncertain, Priority, Status
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.store.rows import LEASE, NORMAL, Connection, claim, ids, insert, row, tried

URGENT = Lane(Channel.EMAIL, Priority.URGENT, "default")
LOW = Lane(Channel.EMAIL, Priority.LOW, "default")
LATER = datetime(2150, 1, 1, tzinfo=UTC)


def test_a_claimed_row_carries_all_that_a_try_needs(queue: PostgresQueue, connection: Connection) -> None:
    message_id = UUID("6f1b2c3d-0000-4000-8000-000000000001")
    [id_] = insert(
        connection,
        channel="webhook",
        recipient="https://example.com/hook",
        priority="high",
        tenant_id="acme",
        template_id="welcome",
        template_data='{"name": "Ann"}',
        options='{"headers": {}}',
        locale="de",
        provider="hooks",
        traceparent="00-1",
        max_retries=7,
        on_uncertain="hold",
        message_id=message_id,
        created_at="2026-01-01 10:00+02",
        send_at="2026-01-01 12:00+02",
        expires_at="2100-01-01 00:00+00",
    )
    [got] = claim(queue, lanes=[Lane(Channel.WEBHOOK, Priority.HIGH, "acme")])
    assert (got.notification_id, got.claim_count, got.message_id) == (id_, 1, message_id)
    assert (got.channel, got.priority, got.tenant_id) == (Channel.WEBHOOK, Priority.HIGH, "acme")
    assert (got.recipient, got.subject, got.body) == ("https://example.com/hook", "Hello", "Hi")
    assert (got.template_id, got.has_data, got.has_options, got.long_body) == ("welcome", True, True, False)
    assert (got.locale, got.provider, got.traceparent) == ("de", "hooks", "00-1")
    assert (got.max_retries, got.on_uncertain) == (7, OnUncertain.HOLD)
    assert got.created_at == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert got.due_at == got.first_due_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert got.expires_at == datetime(2100, 1, 1, tzinfo=UTC)
    assert (got.retry_count, got.attempt_count, got.lost_count, got.requested, got.dispatched) == (0, 0, 0, None, False)
    stands = row(connection, id_)
    assert (stands["status"], stands["claimed_by"], stands["claim_count"]) == ("sending", 1, 1)
    assert stands["lease_until"] == got.claimed_at + LEASE


def test_the_content_of_a_row_is_not_in_its_repr(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, body="your code is 993211")
    assert "993211" not in repr(claim(queue))


@pytest.mark.fault("F22")
def test_instants_are_utc_whatever_the_role_says(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("ALTER ROLE CURRENT_USER SET timezone = 'Asia/Kolkata'")
    connection.execute("ALTER ROLE CURRENT_USER SET datestyle = 'German'")
    try:
        insert(connection)
        [got] = claim(queue)
    finally:
        connection.execute("ALTER ROLE CURRENT_USER RESET ALL")
    assert all(at.tzinfo is UTC for at in (got.created_at, got.due_at, got.claimed_at, got.first_due_at))


def test_a_retried_row_remembers_since_when_it_may_be_sent(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection, created_at="2026-01-01 11:00+00", send_at="2026-01-01 12:00+00")
    [first] = claim(queue)
    queue.record(1, [tried(first, Status.RETRYING)])
    connection.execute(
        "UPDATE noti.notifications_log SET next_retry_at = '2026-02-01 12:00+00' WHERE notification_id = %s", [id_]
    )
    [again] = claim(queue)
    assert again.first_due_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert again.due_at == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert (again.claim_count, again.attempt_count, again.retry_count) == (2, 1, 1)


def test_urgent_comes_first_then_the_oldest_then_the_lower_id(queue: PostgresQueue, connection: Connection) -> None:
    late = insert(connection, 2, created_at="2026-01-02 00:00+00")
    early = insert(connection, 2, created_at="2026-01-01 00:00+00")
    low = insert(connection, priority="low", created_at="2025-01-01 00:00+00")
    urgent = insert(connection, priority="urgent", created_at="2026-01-03 00:00+00")
    assert ids(claim(queue, lanes=[URGENT, NORMAL, LOW])) == urgent + early + late + low


def test_the_order_of_the_shares_decides_not_the_name_of_the_priority(
    queue: PostgresQueue, connection: Connection
) -> None:
    urgent = insert(connection, 3, priority="urgent")
    low = insert(connection, 3, priority="low")
    assert ids(claim(queue, 4, lanes=[LOW, URGENT])) == low + urgent[:1]


def test_a_lane_gives_no_more_than_its_quota_and_all_no_more_than_the_limit(
    queue: PostgresQueue, connection: Connection
) -> None:
    urgent = insert(connection, 10, priority="urgent")
    normal = insert(connection, 10)
    low = insert(connection, 10, priority="low")
    got = queue.claim(1, [Share(URGENT, 2), Share(NORMAL, 3), Share(LOW, 10)], 7, LEASE, [], solo=False)
    assert ids(got) == urgent[:2] + normal[:3] + low[:2]


def test_no_row_beyond_the_limit_is_locked_or_changed(database_url: str, connection: Connection) -> None:
    insert(connection, 200, priority="urgent")
    insert(connection, 200)
    parameters = {
        "worker_id": 1, "lease": LEASE, "dead": [], "living": [], "in_hand": None, "solo": False, "aside": [],
        "limit": 7, "closed_providers": [], "closed_templates": [],
        "channels": ["email", "email"], "priorities": ["urgent", "normal"], "tenants": ["default", "default"],
        "floors_at": [Floor().due_at] * 2, "floors_id": [0, 0],
        "untils_at": [END.due_at] * 2, "untils_id": [0, 0], "quotas": [5, 50],
    }  # fmt: skip
    with psycopg.connect(database_url) as other:
        assert len(other.execute(statement("claim").sql, parameters).fetchall()) == 7
        free = connection.execute("SELECT count(*) FROM (SELECT FROM noti.notifications_log FOR UPDATE SKIP LOCKED) f")
        assert free.fetchone() == (393,)
    sending = connection.execute("SELECT count(*) FROM noti.notifications_log WHERE status = 'sending'")
    assert sending.fetchone() == (7,)


def test_nothing_is_asked_for_without_a_share_or_a_slot(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    assert queue.claim(1, [], 10, LEASE, [], solo=False) == []
    assert queue.claim(1, [Share(NORMAL, 10)], 0, LEASE, [], solo=False) == []


def test_only_due_unfinished_unparked_rows_of_the_named_lanes_are_taken(
    queue: PostgresQueue, connection: Connection
) -> None:
    [due] = insert(connection)
    insert(connection, send_at=LATER)
    insert(connection, tenant_id="acme")
    insert(connection, channel="sms")
    insert(connection, status="held")
    insert(connection, status="sent")
    assert ids(claim(queue)) == [due]
    assert claim(queue) == []


def test_a_floor_hides_what_stands_before_it_as_a_pair(queue: PostgresQueue, connection: Connection) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    campaign = insert(connection, 6, created_at=at)
    older = insert(connection, created_at=at - timedelta(seconds=1))
    newer = insert(connection, created_at=at + timedelta(seconds=1))
    share = Share(NORMAL, 100, Floor(at, campaign[3]))
    assert ids(queue.claim(1, [share], 100, LEASE, [], solo=False)) == campaign[3:] + newer
    assert ids(claim(queue)) == older + campaign[:3]


def test_two_workers_never_share_a_row(
    queue: PostgresQueue, other_queue: PostgresQueue, connection: Connection
) -> None:
    everything = insert(connection, 600)
    taken: dict[int, list[int]] = {1: [], 2: []}
    start = threading.Barrier(2)

    def take(queue: PostgresQueue, worker_id: int) -> None:
        start.wait(5)
        while got := claim(queue, 10, worker_id=worker_id):
            taken[worker_id] += ids(got)

    threads = [threading.Thread(target=take, args=pair) for pair in ((queue, 1), (other_queue, 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken[1] + taken[2]) == everything
    owners = connection.execute("SELECT claimed_by, count(*) FROM noti.notifications_log GROUP BY 1").fetchall()
    assert dict(owners) == {worker: len(rows) for worker, rows in taken.items() if rows}


def test_a_row_that_an_application_locks_is_left_for_later(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    first, second = insert(connection, 2)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", [first])
        assert ids(claim(queue)) == [second]
    assert ids(claim(queue)) == [first]


def test_a_foreign_key_of_an_application_hides_no_row(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    everything = insert(connection, 3)
    connection.execute("CREATE TABLE orders (notification_id bigint REFERENCES noti.notifications_log)")
    with psycopg.connect(database_url) as application:
        application.execute("INSERT INTO orders VALUES (%s)", [everything[1]])
        assert ids(claim(queue)) == everything


SLOW = """
CREATE FUNCTION public.sleeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON noti.notifications_log FOR EACH ROW EXECUTE FUNCTION public.sleeps();
"""


def test_a_claim_takes_no_longer_than_it_may(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    connection.execute(SLOW.encode())
    with pytest.raises(TimedOut, match=r"took longer than it may \(57014 QueryCanceled, in public.sleeps\(\)\)"):
        queue.claim(1, [Share(NORMAL, 10)], 10, LEASE, (), within=timedelta(seconds=1.5))
    connection.execute("DROP TRIGGER slow ON noti.notifications_log")
    assert len(claim(queue)) == 1


def test_a_claim_that_is_cancelled_did_not_take_too_long(
    queue: PostgresQueue, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    insert(connection)
    connection.execute(SLOW.encode())
    asleep = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    with ThreadPoolExecutor(1) as pool:
        claimed = pool.submit(claim, queue)
        wait_for(lambda: connection.execute(f"SELECT {asleep}".encode()).fetchall(), what="it waits")
        connection.execute(f"SELECT pg_cancel_backend(pid) {asleep}".encode())
        with pytest.raises(DatabaseBusy) as caught:
            claimed.result()
    assert not isinstance(caught.value, TimedOut)
