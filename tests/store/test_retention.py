"""Old rows and months go, exactly those that a dry run counts, and nobody is held up by it."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from noti_worker.domain.ages import Ages
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database, Session, connect
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import Statement, statement
from noti_worker.store.upkeep import retention
from noti_worker.store.upkeep.retention import NOT_DELETED, NOT_OURS, Done
from tests.store.rows import Connection, claim, ids, insert, row, tried
from tests.store.test_schema_invariants import IN_APP, in_app, violations

DAY = timedelta(days=1)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    opened = database.session("retention")
    yield opened
    opened.close()


def no_wait(_seconds: float) -> bool:
    return False


def run(session: Session, ages: Ages, *, dry_run: bool = False) -> Done:
    return retention.run(session, ages, wait=no_wait, seconds=60, dry_run=dry_run)


def finished(connection: Connection, status: str, days: float, count: int = 1, **columns: object) -> list[int]:
    """Rows that ended so many days ago."""
    made = insert(connection, count, status=status, **columns)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # the guard does not look
        connection.execute(
            "UPDATE noti.notifications_log SET finished_at = finished_at - %(age)s, sent_at = sent_at - %(age)s,"
            " failed_at = failed_at - %(age)s, created_at = created_at - %(age)s WHERE notification_id = ANY(%(ids)s)",
            {"age": timedelta(days=days), "ids": made},
        )
    return made


def left(connection: Connection, table: str = "notifications_log", key: str = "notification_id") -> list[Any]:
    return [found[0] for found in connection.execute(f"SELECT {key} FROM noti.{table} ORDER BY 1".encode())]


def months_ago(connection: Connection, count: int) -> None:
    """Make the logs look as if they had been here for so many months."""
    connection.execute("SELECT noti.add_log_partitions(now() - %s * interval '1 month', %s)", [count, count])


def age_logs(connection: Connection, days: int) -> None:
    """Everything in the logs happened so many days earlier."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for log in ("notification_attempts_log", "audit_log"):
            connection.execute(f"UPDATE noti.{log} SET created_at = created_at - %s".encode(), [days * DAY])


def test_each_status_goes_at_its_own_age_and_nothing_else_goes(session: Session, connection: Connection) -> None:
    finished(connection, "sent", 31)
    keeps = [
        *finished(connection, "sent", 29),
        *finished(connection, "failed", 300),
        *finished(connection, "expired", 4000),
        *insert(connection),
        *insert(connection, status="held"),
    ]
    finished(connection, "failed", 400)
    finished(connection, "cancelled", 2)
    ages = Ages({"sent": 30 * DAY, "failed": 365 * DAY, "cancelled": DAY})
    dry = run(session, ages, dry_run=True)
    assert dry.deleted == {"sent": 1, "failed": 1, "cancelled": 1}
    assert len(left(connection)) == 8
    assert run(session, ages).deleted == dry.deleted
    assert left(connection) == keeps
    assert run(session, ages).count == 0
    assert violations(connection) == []


def test_without_ages_nothing_is_deleted(session: Session, connection: Connection) -> None:
    months_ago(connection, 60)
    finished(connection, "sent", 4000)
    connection.execute("INSERT INTO noti.attachments (filename, content, created_at) VALUES ('a', 'x', '2001-01-01')")
    done = run(session, Ages())
    assert (done.count, done.complete, done.refusal) == (0, True, None)
    assert len(left(connection)) == 1
    assert len(left(connection, "attachments", "attachment_id")) == 1


def test_many_rows_of_one_moment_and_long_lived_ones_between_are_no_obstacle(
    session: Session, connection: Connection
) -> None:
    """More survivors than one batch looks at, all with the same time, before what has to go."""
    finished(connection, "failed", 41, 1500)
    gone = finished(connection, "sent", 40, 700)
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE noti.notifications_log SET finished_at = '2020-01-01', failed_at = '2020-01-01'"
                       " WHERE status = 'failed'")  # fmt: skip
    connection.execute("SET session_replication_role = origin")
    assert run(session, Ages({"sent": 30 * DAY})).deleted == {"sent": 700}
    assert not set(gone) & set(left(connection))
    assert len(left(connection)) == 1500


def test_locked_rows_and_rows_queued_again_are_left_alone(
    session: Session, connection: Connection, database_url: str
) -> None:
    locked, other = finished(connection, "failed", 10, 2)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT FROM noti.notifications_log WHERE notification_id = %s FOR SHARE", [locked])
        assert run(session, Ages({"failed": DAY})).deleted == {"failed": 1}
    assert left(connection) == [locked]
    connection.execute("SELECT noti.requeue(%s)", [locked])
    delete = statement("retention_delete")
    assert session.run(delete, {"ids": [locked, other], "statuses": ["failed"], "ages": [DAY]}) == []


def test_rows_that_an_application_points_at_stay_and_are_counted(session: Session, connection: Connection) -> None:
    rows = finished(connection, "sent", 10, 50)
    connection.execute("CREATE TABLE orders (notification_id bigint REFERENCES noti.notifications_log)")
    connection.execute("INSERT INTO orders VALUES (%s), (%s)", [rows[7], rows[40]])
    done = run(session, Ages({"sent": DAY}))
    assert (done.deleted, done.referenced) == ({"sent": 48}, 2)
    assert left(connection) == [rows[7], rows[40]]


def test_an_idempotency_key_is_free_again_when_its_row_is_gone(session: Session, connection: Connection) -> None:
    [first] = finished(connection, "sent", 10, idempotency_key="k")
    send = "SELECT noti.send('email', 'ann@example.com', 'Hello', 'Hi', idempotency_key => 'k')"
    assert connection.execute(send.encode()).fetchone() == (first,)
    run(session, Ages({"sent": DAY}))
    found = connection.execute(send.encode()).fetchone()
    assert found is not None
    assert found[0] > first


def test_attachments_go_when_they_are_old_and_nobody_names_them(session: Session, connection: Connection) -> None:
    made = [UUID(int=n) for n in range(1, 8)]
    names = [str(made[0]), str(made[1]).upper(), made[2].hex, f"{{{made[3]}}}", f"urn:uuid:{made[4]}"]
    for number, attachment in enumerate(made):
        days = 5 if number == 6 else 20
        connection.execute(
            "INSERT INTO noti.attachments (attachment_id, filename, content, created_at)"
            " VALUES (%s, 'a', 'x', now() - %s)",
            [attachment, days * DAY],
        )
    for name in names:
        finished(connection, "sent", 30, options=Jsonb({"attachments": [str(uuid4()), name]}))
    ages = Ages(attachments=10 * DAY)
    assert run(session, ages, dry_run=True).deleted == run(session, ages).deleted == {"attachments": 1}
    assert left(connection, "attachments", "attachment_id") == [*made[:5], made[6]]
    both = Ages({"sent": DAY}, attachments=10 * DAY)
    assert run(session, both).deleted == {"sent": 5, "attachments": 5}
    assert left(connection, "attachments", "attachment_id") == [made[6]]


def test_a_tenant_may_have_an_age_of_its_own(session: Session, connection: Connection) -> None:
    old, young = {}, {}
    for tenant in ("early", "late", "other"):
        old[tenant] = finished(connection, "sent", 40, 3, tenant_id=tenant)
        young[tenant] = finished(connection, "failed", 10, 3, tenant_id=tenant)
    waiting = insert(connection, 1, tenant_id="early", created_at="2020-01-01")
    connection.execute(
        "INSERT INTO noti.settings VALUES ('early', 'retention_days', '5'), ('late', 'retention_days', '50')"
    )
    ages = Ages({"sent": 30 * DAY, "failed": 365 * DAY})
    assert run(session, ages, dry_run=True).deleted == {"sent": 6, "failed": 3}
    assert run(session, ages).deleted == {"sent": 6, "failed": 3}
    assert left(connection) == sorted([*old["late"], *young["late"], *young["other"], *waiting])
    connection.execute("DELETE FROM noti.settings WHERE tenant_id = 'late'")
    assert run(session, ages).deleted == {"sent": 3}
    assert run(session, Ages({})).deleted == {}


def test_old_things_are_found_by_index(session: Session, connection: Connection) -> None:
    insert(connection, 5_000, body="x" * 1500)
    first: dict[str, Any] = {"limit": 100, "after_at": retention.EPOCH}
    expected: dict[str, tuple[str, dict[str, Any]]] = {
        "retention_look": (
            "notifications_log_finished",
            {"after_id": 0, "statuses": ["sent"], "ages": [DAY], "youngest": DAY, "tenants": ["acme"]},
        ),
        "retention_look_tenant": ("notifications_log_created", {"after_id": 0, "tenant": "acme", "age": DAY}),
        "retention_look_inbox": ("inbox_pkey", {"after": 0, "age": DAY}),
        "retention_look_attachments": ("attachments_created", {"after_id": UUID(int=0), "age": DAY}),
        "retention_delete": ("notifications_log_pkey", {"ids": [1, 2], "statuses": ["sent"], "ages": [DAY]}),
        "retention_delete_attachments": ("attachments_pkey", {"ids": [UUID(int=1)]}),
    }
    for name, (index, parameters) in expected.items():
        looked = statement(name)
        explain = Statement("explain", f"EXPLAIN {looked.sql}", looked.parameters)
        plan = "\n".join(line["QUERY PLAN"] for line in session.run(explain, first | parameters))
        assert (name, index in plan, "Seq Scan" in plan) == (name, True, False), plan


def test_who_names_an_attachment_is_found_by_index(connection: Connection, database_url: str) -> None:
    insert(connection, 1_000)
    with connect(database_url) as worker, worker.transaction():
        worker.execute("SELECT noti.attachment_named(gen_random_uuid())")
        used = worker.execute("SELECT * FROM pg_stat_xact_user_tables WHERE relname = 'notifications_log'").fetchone()
    assert used is not None
    assert (used["seq_scan"], used["idx_scan"]) == (0, 1)


def test_in_app_messages_and_their_notifications_go_independently(
    session: Session, connection: Connection, queue: PostgresQueue
) -> None:
    insert(connection, 3, channel="in_app", recipient="user:1")
    queue.record(1, [in_app(one) for one in claim(queue, lanes=[IN_APP])])
    connection.execute("UPDATE noti.inbox SET created_at = created_at - interval '2 days' WHERE inbox_id < 3")
    ages = Ages(inbox=DAY)
    assert run(session, ages, dry_run=True).deleted == {"inbox": 2}
    assert run(session, ages).deleted == {"inbox": 2}
    assert left(connection, "inbox", "inbox_id") == [3]
    # These were sent now and their messages are missing: that is still noticed.
    assert [name for name, _, _ in violations(connection)] == ["sent in_app without inbox row"] * 2


def test_entries_of_the_suppression_list_go_when_they_ended_long_ago(session: Session, connection: Connection) -> None:
    for name, reason, expires, lifted in (
        ("in force", "dead", "now() + interval '1 day'", "NULL"),
        ("for ever", "optout", "NULL", "NULL"),
        ("expired lately", "dead", "now() - interval '1 day'", "NULL"),
        ("expired long ago", "dead", "now() - interval '11 days'", "NULL"),
        ("lifted lately", "manual", "now() - interval '11 days'", "now() - interval '1 day'"),
        ("lifted long ago", "manual", "now() + interval '1 day'", "now() - interval '11 days'"),
    ):
        connection.execute(
            "INSERT INTO noti.suppressions (channel, address, address_hash, reason, expires_at, lifted_at, lifted_by)"
            f" VALUES ('push', %(n)s::text, sha256(%(n)s::text::bytea), %(r)s, {expires}, {lifted},"
            f" CASE WHEN {lifted} IS NOT NULL THEN 'x' END)".encode(),
            {"n": name, "r": reason},
        )
    ages = Ages(suppressions=10 * DAY)
    assert run(session, ages, dry_run=True).deleted == {"suppressions": 2}
    assert run(session, ages).deleted == {"suppressions": 2}
    assert left(connection, "suppressions", "suppression_id") == [1, 2, 3, 5]


def test_what_providers_told_goes_by_age_and_what_they_posted_after_a_week(
    session: Session, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO noti.receipts (account, provider, event, kind, at, created_at)"
        " SELECT 'mail', 'ses', n::text, 'delivered', now(), now() - n * interval '1 day' FROM generate_series(1, 12) n"
    )
    connection.execute(
        "INSERT INTO noti.receipts_raw (account, provider, body, received_at, read_at)"
        " SELECT 'mail', 'ses', '', now() - n * interval '1 day', CASE WHEN n <> 9 THEN now() END"
        "   FROM generate_series(12, 1, -1) n"
    )
    connection.execute(
        "INSERT INTO noti.provider_references (reference, account, notification_id, created_at)"
        " SELECT n::text, 'mail', n, now() - n * interval '30 days' FROM generate_series(4, 1, -1) n"
    )
    ages = Ages(receipts=10 * DAY)
    expected = {"receipts": 3, "receipts_raw": 5, "provider_references": 2}
    assert run(session, ages, dry_run=True).deleted == expected
    assert run(session, ages).deleted == expected
    assert left(connection, "receipts", "event::int") == list(range(1, 10))
    assert connection.execute("SELECT count(*) FROM noti.receipts_raw WHERE read_at IS NULL").fetchone() == (1,)
    assert run(session, Ages()).deleted == {}
    assert len(left(connection, "receipts", "event")) == 9, "kept for ever unless somebody says so"


def test_what_endpoints_were_told_goes_after_two_weeks_but_where_each_stands(
    session: Session, connection: Connection
) -> None:
    connection.execute("INSERT INTO noti.endpoints (name, url) VALUES ('a', 'https://a.b/'), ('b', 'https://a.b/')")
    connection.execute("UPDATE noti.envelopes SET made_at = now() - interval '20 days'")
    connection.execute(
        "INSERT INTO noti.envelopes (endpoint_id, after_place, last_place, made_at)"
        " SELECT min(endpoint_id), n, n, now() - (20 - n) * interval '1 day'"
        "   FROM noti.endpoints, generate_series(1, 3) n GROUP BY n ORDER BY n"
    )
    connection.execute(
        "INSERT INTO noti.events (tenant_id, notification_id, channel, event, source, at)"
        " SELECT 'default', n, 'email', 'sent', 'worker', now() - n * interval '1 day'"
        "   FROM generate_series(18, 1, -1) n"
    )
    expected = {"events": 5, "envelopes": 3}
    assert run(session, Ages(), dry_run=True).deleted == expected
    assert run(session, Ages()).deleted == expected
    assert connection.execute("SELECT last_place FROM noti.envelopes ORDER BY 1").fetchall() == [(0,), (3,)]


def test_messages_that_went_by_age_are_no_violation(
    session: Session, connection: Connection, queue: PostgresQueue
) -> None:
    insert(connection, channel="in_app", recipient="user:1")
    queue.record(1, [in_app(one) for one in claim(queue, lanes=[IN_APP])])
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE noti.notifications_log SET sent_at = sent_at - interval '2 days'")
    connection.execute("UPDATE noti.inbox SET created_at = created_at - interval '2 days'")
    assert run(session, Ages(inbox=DAY)).deleted == {"inbox": 1}
    assert violations(connection) == []


# ------------------------------------------------------------------------------------ the logs


@pytest.mark.parametrize("first", ["logs", "rows"])
def test_rows_and_their_logs_go_in_any_order_without_false_alarm(
    session: Session, connection: Connection, queue: PostgresQueue, first: str
) -> None:
    months_ago(connection, 6)
    insert(connection, 3)
    insert(connection, status="sent")
    old = claim(queue, 2)
    queue.record(1, [tried(one) for one in old])
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "UPDATE noti.notifications_log SET created_at = created_at - interval '120 days',"
            " finished_at = finished_at - interval '120 days', sent_at = sent_at - interval '120 days'"
        )
    age_logs(connection, 120)
    rows, logs = Ages({"sent": 90 * DAY}), Ages(logs=60 * DAY)
    for ages in (logs, rows) if first == "logs" else (rows, logs):
        dry = run(session, ages, dry_run=True)
        done = run(session, ages)
        assert (done.deleted, done.dropped) == (dry.deleted, dry.dropped)
        assert done.count > 0
        assert violations(connection) == []
    assert left(connection) == [3]  # never sent, and older than its logs
    assert connection.execute("SELECT count(*) FROM noti.audit_log").fetchone() == (0,)
    # What comes after is judged as ever.
    [new] = insert(connection)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM noti.audit_log WHERE entity_id = %s", [str(new)])
    assert [(name, number) for name, number, _ in violations(connection)] == [("inserted without audit line", new)]


def test_a_month_goes_when_its_last_line_is_past_the_age(session: Session, connection: Connection) -> None:
    months_ago(connection, 3)
    found = connection.execute(
        "SELECT partition FROM noti.log_partitions() WHERE to_at <= now() - interval '40 days' ORDER BY 1"
    ).fetchall()
    assert len(found) >= 2
    done = run(session, Ages(logs=40 * DAY))
    assert sorted(done.dropped) == [name for (name,) in found]


def test_missing_months_are_made_and_stray_lines_settled_and_what_cannot_be_is_told(
    session: Session, connection: Connection
) -> None:
    dropped = connection.execute("SELECT max(partition) FROM noti.log_partitions() WHERE to_at IS NOT NULL"
                                 " AND log = 'audit_log'").fetchone()  # fmt: skip
    assert dropped is not None
    connection.execute(f"DROP TABLE noti.{dropped[0]}".encode())
    line = (
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
        " VALUES ('default', 'test', '1', 'test', 'db', 'test', %s)"
    )
    connection.execute(line.encode(), ["2020-03-04"])
    assert run(session, Ages(), dry_run=True).stray == {"audit_log": 1}
    done = run(session, Ages())
    assert (done.made, done.settled, done.stray) == ((dropped[0],), ("audit_log_2020_03",), {})
    connection.execute(line.encode(), ["infinity"])
    assert run(session, Ages()).stray == {"audit_log": 1}


def test_a_report_over_a_log_postpones_its_partitions_and_nothing_else(
    session: Session, connection: Connection, database_url: str
) -> None:
    months_ago(connection, 3)
    finished(connection, "sent", 10)
    with psycopg.connect(database_url) as report:
        report.execute("SELECT count(*) FROM noti.audit_log")
        done = run(session, Ages({"sent": DAY}, logs=40 * DAY))
    assert done.deleted == {"sent": 1}
    assert {what.rsplit("_", 2)[0] for what in done.postponed} == {"dropping audit_log"}
    assert {name.rsplit("_", 2)[0] for name in done.dropped} == {"notification_attempts_log"}
    assert run(session, Ages(logs=40 * DAY)).postponed == ()


def test_several_at_once_do_not_collide(database: Database, session: Session, connection: Connection) -> None:
    """The command beside the chores of workers, or a duty that two believe to have."""
    months_ago(connection, 6)
    finished(connection, "sent", 10, 1000)
    connection.execute(
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
        " VALUES ('default', 'test', '1', 'test', 'db', 'test', '2040-03-04')"
    )
    connection.execute("SELECT noti.drop_log_partition(partition, 'infinity') FROM noti.log_partitions()"
                       " WHERE to_at > now() + interval '2 months'")  # fmt: skip
    ages = Ages({"sent": DAY}, logs=40 * DAY)
    done: list[Done] = []

    def go() -> None:
        with closing(database.session("another")) as another:
            done.append(run(another, ages))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.append(run(session, ages))
    assert [one.refusal for one in done] == [None] * 5
    assert sum(one.deleted.get("sent", 0) for one in done) == 1000
    made = [name for one in done for name in (*one.made, *one.settled)]
    assert len(made) == len(set(made))
    assert "audit_log_2040_03" in made
    assert run(session, ages).count == 0


# ------------------------------------------------------------------------------------ rights


@pytest.fixture
def ordinary(connection: Connection, database_url: str) -> Iterator[Session]:
    """The session of a worker's role that owns nothing."""
    name = f"noti_test_{uuid4().hex[:8]}"
    connection.execute(
        f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA noti TO {name};"
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA noti TO {name}".encode()
    )
    opened = Database(Secret(database_url.replace("//postgres@", f"//{name}@"))).session("retention")
    yield opened
    opened.close()
    connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def user_of(session: Session) -> str:
    who = Statement("who", "SELECT current_user AS name", frozenset())
    return str(session.run(who, {})[0]["name"])


def test_a_role_that_owns_nothing_deletes_rows_and_leaves_partitions_to_others(
    ordinary: Session, connection: Connection
) -> None:
    finished(connection, "sent", 10)
    done = run(ordinary, Ages({"sent": DAY}, logs=60 * DAY))
    assert (done.refusal, done.ours) == (NOT_DELETED, False)
    assert left(connection) == [1]
    connection.execute(f"GRANT DELETE ON noti.notifications_log TO {user_of(ordinary)}".encode())
    done = run(ordinary, Ages({"sent": DAY}, logs=60 * DAY))
    assert (done.deleted, done.refusal) == ({"sent": 1}, None)


def test_it_says_what_is_urgent_and_who_can_help(ordinary: Session, connection: Connection) -> None:
    connection.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    connection.execute(
        "SELECT noti.drop_log_partition(partition, 'infinity') FROM noti.log_partitions()"
        " WHERE log = 'audit_log' AND to_at > now()"
    )
    insert(connection)  # its audit line has no month
    done = run(ordinary, Ages(logs=60 * DAY))
    assert done.refusal == (
        "audit_log has no partition for next month; audit_log has 1 old partitions to drop; "
        "notification_attempts_log has 1 old partitions to drop; audit_log has lines in its default partition; "
        f"but {NOT_OURS}"
    )


def test_a_member_of_the_owner_may_do_everything_and_what_it_makes_is_the_owners(
    ordinary: Session, connection: Connection
) -> None:
    connection.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    made = f"noti_owner_{uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {made}; GRANT {made} TO {user_of(ordinary)}".encode())
    connection.execute(f"GRANT USAGE, CREATE ON SCHEMA noti TO {made}".encode())
    try:
        for (name,) in connection.execute(
            "SELECT log FROM noti.log_partitions() UNION SELECT partition FROM noti.log_partitions()"
            " UNION VALUES ('duties'), ('notifications_log')"
        ).fetchall():
            connection.execute(f"ALTER TABLE noti.{name} OWNER TO {made}".encode())
        last = connection.execute("SELECT max(partition) FROM noti.log_partitions() WHERE to_at > now()").fetchone()
        assert last is not None
        connection.execute("SELECT noti.drop_log_partition(%s, 'infinity')", last)
        done = run(ordinary, Ages(logs=60 * DAY))
        assert (done.refusal, len(done.dropped), done.made) == (None, 2, last)
        owner = connection.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = %s", last).fetchone()
        assert owner == (made,)
    finally:
        connection.execute(f"REASSIGN OWNED BY {made} TO postgres; DROP OWNED BY {made}; DROP ROLE {made}".encode())


# ------------------------------------------------------------------------------------ pace


def test_batches_follow_the_clock_and_leave_time_to_others(session: Session, connection: Connection) -> None:
    finished(connection, "sent", 10, 3000)
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    began = time.monotonic()
    done = retention.run(session, Ages({"sent": DAY}), wait=wait, seconds=60)
    took = time.monotonic() - began
    assert done.deleted == {"sent": 3000}
    assert len(pauses) >= 2
    assert 0 < sum(pauses) / 4 <= took  # a pause is four times as long as its batch


def test_a_run_ends_when_its_time_is_over_or_it_is_told_to(session: Session, connection: Connection) -> None:
    finished(connection, "sent", 10, 2000)
    for wait, seconds in ((no_wait, 0.0), (lambda _: True, 60.0)):
        done = retention.run(session, Ages({"sent": DAY}), wait=wait, seconds=seconds)
        assert (done.deleted, done.complete) == ({"sent": retention.FIRST}, False)
    assert run(session, Ages({"sent": DAY})).complete


@pytest.mark.fault("F50")
def test_claims_are_not_slower_while_old_rows_go(
    database: Database, connection: Connection, queue: PostgresQueue
) -> None:
    """Medians of one run, so that a busy machine slows both sides."""
    finished(connection, "sent", 10, 15_000)
    insert(connection, 4000)
    stop = threading.Event()
    done: list[Done] = []
    session = database.session("retention")

    def delete() -> None:
        done.append(retention.run(session, Ages({"sent": DAY}), wait=stop.wait, seconds=60))

    def claims() -> float:
        took = []
        for _ in range(40):
            began = time.perf_counter()
            claimed = claim(queue, 40)
            took.append(time.perf_counter() - began)
            queue.record(1, [tried(one) for one in claimed])
        return statistics.median(took)

    alone = claims()
    thread = threading.Thread(target=delete)
    thread.start()
    beside = claims()
    still = thread.is_alive()
    stop.set()
    thread.join()
    session.close()
    assert still or done[0].deleted["sent"] == 15_000
    assert done[0].deleted["sent"] >= retention.FIRST  # it did work meanwhile
    assert beside - alone < 0.010
    assert ids(claim(queue)) == left(connection)[-800:][:100]
    assert row(connection, left(connection)[-1])["status"] == "pending"
