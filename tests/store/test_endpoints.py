"""What is written for endpoints, in which order they are told, and that none of them stands in the way of another."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.connect import Database, Session
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.upkeep.events import Pumped, count_endpoints, pump_events
from tests.store.rows import NORMAL, claim, insert, tried

Connection = psycopg.Connection[Any]
Pump = Callable[..., Pumped]

URL = "https://example.com/events"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    opened = database.session("events")
    yield opened
    opened.close()


@pytest.fixture
def pump(session: Session) -> Pump:
    """Tell what waits, from the beginning on."""
    return lambda after=0: pump_events(session, after)


def endpoint(connection: Connection, tenant: str = "default", name: str = "crm", **columns: Any) -> None:
    given = {"tenant_id": tenant, "name": name, "url": URL} | columns
    connection.execute(
        f"INSERT INTO noti.endpoints ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})".encode(),
        [*given.values()],
    )


def happens(connection: Connection, count: int = 1, event: str = "sent", tenant: str = "default") -> list[int]:
    """So many things happen to a notification; gives the numbers of the events."""
    rows = connection.execute(
        "INSERT INTO noti.events (tenant_id, notification_id, channel, event, source)"
        " SELECT %s, 1, 'email', %s, 'worker' FROM generate_series(1, %s) RETURNING event_id",
        (tenant, event, count),
    )
    return [row[0] for row in rows]


def told(connection: Connection, name: str = "crm") -> list[tuple[str, list[int]]]:
    """The status of each envelope of an endpoint, and the events in it."""
    rows = connection.execute(
        "SELECT status, body FROM noti.notifications_log WHERE category = 'noti.event' AND entity_id = %s"
        " ORDER BY notification_id",
        (name,),
    ).fetchall()
    return [(status, [int(event["id"]) for event in json.loads(body)["events"]]) for status, body in rows]


def end(connection: Connection, status: str, kind: str = "permanent") -> None:
    """What is on its way ends like this, as a worker records it."""
    connection.execute(
        "WITH open AS (UPDATE noti.notifications_log"
        " SET claimed_by = 1, claim_count = claim_count + 1, status = 'sending',"
        " lease_until = now() WHERE category = 'noti.event' AND finished_at IS NULL RETURNING notification_id)"
        " INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, kind, claim_count)"
        " SELECT notification_id, 1, %s, %s, 1 FROM open",
        (status, kind),
    )
    connection.execute(
        "UPDATE noti.notifications_log"
        " SET claimed_by = NULL, lease_until = NULL, status = %(s)s, attempt_count = attempt_count + 1,"
        " finished_at = CASE WHEN %(s)s <> 'retrying' THEN clock_timestamp() END,"
        " sent_at = CASE WHEN %(s)s = 'sent' THEN now() END, failed_at = CASE WHEN %(s)s = 'failed' THEN now() END"
        " WHERE category = 'noti.event' AND finished_at IS NULL",
        {"s": status},
    )


def state(connection: Connection, name: str = "crm") -> Any:
    return connection.execute(
        "SELECT state, failing_since IS NOT NULL, state_reason FROM noti.endpoints WHERE name = %s", (name,)
    ).fetchone()


@pytest.mark.usefixtures("either_way")
def test_a_record_writes_what_an_endpoint_of_the_tenant_wants_and_nothing_else(
    connection: Connection, queue: PostgresQueue
) -> None:
    queue.closures()
    silent = insert(connection, 3)
    assert set(queue.record(1, [tried(one) for one in claim(queue)]).values()) == {"applied"}
    heard = [queue.told]

    endpoint(connection, "default", events=["sent", "failed"], channels=["email", "sms"])
    endpoint(connection, "other", "off", state="disabled")
    queue.closures()
    assert [*heard, queue.told] == [False, True]
    wanted = insert(connection, 10)
    about_events = insert(connection, 2, category="noti.event")
    foreign = insert(connection, 2, tenant_id="other")
    results = [tried(one) for one in claim(queue, lanes=(NORMAL, replace(NORMAL, tenant_id="other")))]
    results.sort(key=lambda each: each.notification.notification_id)
    results[0] = tried(results[0].notification, Status.RETRYING, outcome=Outcome(Kind.TRANSIENT))
    results[1] = tried(results[1].notification, Status.FAILED, outcome=Outcome(Kind.PERMANENT))
    results[2] = tried(results[2].notification, Status.HELD, outcome=Outcome(Kind.PERMANENT))
    assert len(results) == 14
    assert set(queue.record(1, results).values()) == {"applied"}
    assert set(queue.record(1, results).values()) <= {"again", "stale"}
    found = connection.execute(
        "SELECT notification_id, event, source, kind, channel, tenant_id FROM noti.events ORDER BY notification_id"
    ).fetchall()
    assert found == [
        (wanted[1], "failed", "worker", "permanent", "email", "default"),
        *((id_, "sent", "worker", "ok", "email", "default") for id_ in wanted[3:]),
    ]
    assert not {row[0] for row in found} & {*silent, *about_events, *foreign}


def test_what_is_committed_late_is_told_late_and_nothing_twice(
    connection: Connection, database_url: str, pump: Pump
) -> None:
    endpoint(connection)
    with psycopg.connect(database_url) as slow:
        late = happens(slow, 2)
        early = happens(connection, 130)
        floor = pump().last
        assert told(connection) == [("pending", early[:100])]
        assert pump(floor).told == 0, "the next one waits for it"
    end(connection, "sent", "ok")
    assert pump(floor).told == 30, "what stands before the floor is not looked at"
    end(connection, "sent", "ok")
    assert pump().told == 2
    assert [events for _, events in told(connection)] == [early[:100], early[100:], late]
    end(connection, "sent", "ok")
    assert pump().told == 0
    assert state(connection) == ("enabled", False, None)


def test_one_endpoint_that_cannot_be_told_keeps_no_other_from_hearing(
    connection: Connection, pump: Pump, session: Session
) -> None:
    connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not for you'; END $$;"
        "CREATE TRIGGER a_refuse BEFORE INSERT ON noti.notifications_log FOR EACH ROW"
        " WHEN (NEW.tenant_id = 'bad') EXECUTE FUNCTION refuse()"
    )
    for tenant in ("a", "bad", "z"):
        endpoint(connection, tenant, tenant)
        happens(connection, 3, tenant=tenant)
    assert pump().told == 6
    assert [len(told(connection, tenant)) for tenant in ("a", "bad", "z")] == [1, 0, 1]
    assert connection.execute("SELECT name, error FROM noti.endpoints WHERE error IS NOT NULL").fetchall() == [
        ("bad", "not for you")
    ]
    counted = count_endpoints(session)
    assert (counted["enabled"], counted["failing"], counted["waiting"]) == (3, 1, 3)
    connection.execute("UPDATE noti.endpoints SET failing_since = now() - interval '6 days' WHERE name = 'bad'")
    [(tenant, name, reason)] = pump().failed
    assert (tenant, name) == ("bad", "bad")
    assert reason == "it took nothing for 5 days: not for you"
    connection.execute("DROP TRIGGER a_refuse ON noti.notifications_log")
    connection.execute("UPDATE noti.endpoints SET state = 'enabled'")
    assert pump().told == 3, "nothing is lost"


def test_what_was_refused_is_told_again_and_what_a_person_cancelled_is_not(connection: Connection, pump: Pump) -> None:
    endpoint(connection)
    first = happens(connection, 2)
    pump()
    end(connection, "failed")
    second = happens(connection, 1)
    assert pump().told == 0, "not at once"
    assert state(connection) == ("enabled", True, None)
    connection.execute("UPDATE noti.endpoints SET failing_since = now() - interval '1 second'")
    _ago(connection)
    assert pump().told == 3
    assert told(connection) == [("failed", first), ("pending", first + second)]
    connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE status = 'pending'")
    third = happens(connection, 1)
    assert pump().told == 1
    assert told(connection)[-1] == ("pending", third)
    connection.execute("UPDATE noti.endpoints SET url = url || '/new'")
    assert pump().told == 1, "what was on its way to the old URL goes to the new one"
    assert told(connection)[-2:] == [("cancelled", third), ("pending", third)]
    end(connection, "failed", "dead")
    [(_, _, reason)] = pump().failed
    assert reason.startswith("it said that it is gone")


def _ago(connection: Connection) -> None:
    """What failed did so a minute ago."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "UPDATE noti.notifications_log SET finished_at = now() - interval '1 minute' WHERE status = 'failed'"
        )


def test_telling_stays_flat_while_an_old_snapshot_is_held(
    connection: Connection, database_url: str, pump: Pump
) -> None:
    endpoint(connection)
    happens(connection, 100)
    floor = pump().last
    end(connection, "sent", "ok")

    def pages(after: int) -> int:
        plan = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM noti.pump_events(%s)", (after,)
        ).fetchone()
        assert plan is not None
        end(connection, "sent", "ok")
        return int(plan[0][0]["Plan"]["Shared Hit Blocks"] + plan[0][0]["Plan"]["Shared Read Blocks"])

    with psycopg.connect(database_url) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM noti.events")
        happens(connection, 10)
        before = pages(floor)
        for _ in range(60):
            happens(connection, 100)
            floor = pump(floor).last
            end(connection, "sent", "ok")
        happens(connection, 10)
        after = pages(floor)
    assert after < before * 2 + 50, (before, after)
    assert sum(len(events) for _, events in told(connection)) == 6_120


def test_an_endpoint_goes_back_in_order_and_only_its_own(connection: Connection, pump: Pump) -> None:
    happens(connection, 3)
    endpoint(connection)
    events = happens(connection, 3)
    pump()
    assert connection.execute("SELECT noti.recover_endpoint('default', 'crm', '2026-01-01')").fetchone() == (6,)
    assert pump().told == 0, "what is on its way is waited for"
    end(connection, "sent", "ok")
    assert pump().told == 6
    assert told(connection)[1][1][-3:] == events
    assert connection.execute("SELECT noti.recover_endpoint('other', 'crm', '2026-01-01')").fetchone() == (None,)


def test_who_owns_an_endpoint_is_erased_and_events_name_nobody(
    connection: Connection, pump: Pump, queue: PostgresQueue
) -> None:
    endpoint(connection, owner_channel="email", owner="Ann <ann@example.com>")
    queue.closures()
    insert(connection, 1, recipient="ann@example.com", entity_type="person", entity_id="ann@example.com")
    queue.record(1, [tried(one) for one in claim(queue)])
    assert pump().told == 1
    assert "ann@" not in str(
        connection.execute("SELECT body FROM noti.notifications_log WHERE channel = 'webhook'").fetchall()
    )
    assert "ann@" not in str(connection.execute("SELECT * FROM noti.events").fetchall())
    connection.execute("SELECT * FROM noti.erase('ann@example.com', NULL, 0, 100, false)")
    assert connection.execute("SELECT owner, owner_channel FROM noti.endpoints").fetchone() == (None, None)


def test_receipts_and_links_are_told(connection: Connection) -> None:
    endpoint(connection, events=["bounced", "delivered", "unsubscribed", "failed"])
    endpoint(connection, "other")
    ids = insert(connection, 2, status="sent", finished_at="now", sent_at="now")
    receipts = [
        {"account": "a", "provider": "p", "event": f"{kind}-{id_}", "kind": kind, "notification_id": id_}
        for id_ in ids
        for kind in ("delivered", "bounced", "read", "deferred")
    ]
    for _ in range(2):
        connection.execute("SELECT * FROM noti.receive(%s)", (json.dumps(receipts),))
    connection.execute(
        "SELECT noti.unsubscribe('default', 'email', noti.address_hash('email', 'ann@example.com'), '', %s)", (ids[0],)
    )
    found = connection.execute("SELECT notification_id, event, source FROM noti.events").fetchall()
    assert sorted(found) == sorted(
        [(id_, kind, "receipt") for id_ in ids for kind in ("bounced", "delivered")]
        + [(ids[0], "unsubscribed", "person")]
    )
