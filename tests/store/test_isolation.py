"""The switch that isolates tenants: what it covers, who is told of it, and what comes after it."""

import threading
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState

from noti_worker import enqueue, enqueue_many
from noti_worker.store import migrate
from noti_worker.store.people import isolation
from noti_worker.store.people.doctor.tenants import tenants
from noti_worker.store.people.source import for_people
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import claim, insert, row, tried
from tests.store.tenants import MARK, MINE, THEIRS, as_role, furnish, role, shared

Connection = psycopg.Connection[Any]


def test_every_table_is_shared_by_rule_or_the_installations_own(connection: Connection) -> None:
    """A new table is decided about: noti.tenant_tables says how tenants share it, or why it holds nothing of theirs."""
    assert connection.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind IN ('r', 'p', 'm')"
        " AND NOT c.relispartition AND NOT EXISTS (SELECT FROM noti.tenant_tables t WHERE t.name = c.relname)"
    ).fetchall() == []  # fmt: skip
    assert (
        connection.execute(
            "SELECT name FROM noti.tenant_tables WHERE to_regclass('noti.' || quote_ident(name)) IS NULL"
        ).fetchall()
        == []
    )
    assert connection.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind = 'v'"
        " AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)"
    ).fetchall() == []  # fmt: skip
    assert connection.execute(
        "SELECT t.name FROM noti.tenant_tables t"
        " JOIN pg_attribute a ON a.attrelid = format('noti.%I', t.name)::regclass"
        " WHERE a.attname = 'tenant_id' AND t.reads IS NULL"
    ).fetchall() == []  # fmt: skip


def test_every_table_that_is_shared_is_attacked(connection: Connection, database_url: str) -> None:
    furnish(connection, database_url, THEIRS, MARK)
    connection.execute("INSERT INTO noti.tenant_members VALUES (current_user::regrole, %s)", [THEIRS])
    for name, told in shared(connection):
        where = f"WHERE tenant_id = '{THEIRS}'" if told else ""
        assert connection.execute(f"SELECT count(*) > 0 FROM noti.{name} {where}".encode()).fetchone() == (True,), name


def test_everything_that_runs_as_the_owner_asks_for_the_tenant(connection: Connection) -> None:
    """Triggers run for a row that the policies let through; the rest asks, or is a worker's."""
    silent = connection.execute(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'noti'::regnamespace AND p.prosecdef"
        " AND p.prorettype <> 'trigger'::regtype AND p.prosrc !~ 'noti.(check|sees)_tenant'"
        " AND EXISTS (SELECT FROM noti.rights r WHERE r.object = p.proname AND r.role <> 'noti_worker')"
    ).fetchall()
    assert silent == []


@pytest.mark.usefixtures("connection")
def test_on_and_off_and_on_again(connection: Connection, database_url: str, queue: PostgresQueue) -> None:
    role(connection, "noti_acme_app", "noti_app", MINE)
    insert(connection, 2, tenant_id=MINE)
    insert(connection, 3, tenant_id=THEIRS)
    seen = "SELECT count(*) FROM noti.notifications_log"
    with as_role(database_url, "noti_acme_app") as app:
        for isolated, count in ((True, 2), (False, 5), (True, 2)):
            assert connection.execute("SELECT noti.isolate_tenants(%s)", [isolated]).fetchone() == (True,)
            assert connection.execute("SELECT noti.isolate_tenants(%s)", [isolated]).fetchone() == (False,)
            assert app.execute(seen.encode()).fetchone() == (count,)
        connection.execute("DELETE FROM noti.tenant_members")
        assert app.execute(seen.encode()).fetchone() == (0,)  # it fails closed
    lines = connection.execute(
        "SELECT action FROM noti.audit_log WHERE entity_type <> 'notification' ORDER BY audit_id"
    ).fetchall()
    assert [action for (action,) in lines] == [
        "role_bound", "tenants_isolated", "tenants_opened", "tenants_isolated", "role_unbound"
    ]  # fmt: skip


def test_a_roles_list_is_what_it_is_bound_to(connection: Connection, database_url: str) -> None:
    """Policies read the list, so nothing may leave it behind: two who bind at once, a move, an emptied table."""

    def both() -> list[Any]:
        members = "SELECT role::text, array_agg(tenant_id ORDER BY tenant_id) FROM noti.tenant_members GROUP BY 1"
        lists = (
            "SELECT role::text, ARRAY(SELECT unnest(tenants) ORDER BY 1) FROM noti.tenant_lists WHERE tenants <> '{}'"
        )
        found = [connection.execute(f"{each} ORDER BY 1".encode()).fetchall() for each in (members, lists)]
        assert found[0] == found[1]
        return found[0]

    role(connection, "noti_acme_app", "noti_app", MINE, "second")
    role(connection, "noti_passing", "noti_app", MINE)
    with psycopg.connect(database_url) as first, psycopg.connect(database_url, autocommit=True) as second:
        bind = "INSERT INTO noti.tenant_members VALUES ('noti_acme_app', %s)"
        first.execute(bind, ["third"])
        waiting = threading.Thread(target=second.execute, args=(bind, ["fourth"]))
        waiting.start()
        first.execute("DELETE FROM noti.tenant_members WHERE tenant_id = 'second'")
        first.commit()
        waiting.join()
    assert both() == [("noti_acme_app", [MINE, "fourth", "third"]), ("noti_passing", [MINE])]
    connection.execute("UPDATE noti.tenant_members SET tenant_id = 'fifth' WHERE tenant_id = 'third'")
    connection.execute("DELETE FROM noti.tenant_members WHERE role = 'noti_passing'::regrole")
    assert both() == [("noti_acme_app", [MINE, "fifth", "fourth"])]
    connection.execute("TRUNCATE noti.tenant_members")
    assert both() == []


def test_who_comes_later_by_the_same_name_inherits_nothing(connection: Connection, database_url: str) -> None:
    insert(connection, tenant_id=MINE)
    role(connection, "noti_passing", "noti_app", MINE)
    connection.execute("SELECT noti.isolate_tenants(true); DROP ROLE noti_passing")
    role(connection, "noti_passing", "noti_app")
    with as_role(database_url, "noti_passing") as app:
        assert app.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)
    with for_people(database_url) as person:
        [gone] = isolation.members(person)
        assert not gone.exists
        assert [finding.what for finding in tenants(person) if gone.role in finding.what] == [
            f"the role {gone.role} was dropped and is still bound to {MINE}"
        ]
        assert isolation.unbind(person, gone.role, [MINE]) == [MINE]
        assert isolation.members(person) == []


def test_a_new_month_is_isolated_too(connection: Connection, database_url: str) -> None:
    """Whoever was granted a partition itself reads nothing there."""
    role(connection, "noti_acme_app", "noti_app", MINE)
    connection.execute("SELECT noti.isolate_tenants(true)")
    for (name,) in connection.execute("SELECT noti.add_log_partitions(now() + interval '20 months', 0)").fetchall():
        connection.execute(f"GRANT SELECT ON noti.{name} TO noti_acme_app".encode())
        if name.startswith("audit"):
            connection.execute(
                "INSERT INTO noti.audit_log"
                " (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
                " VALUES (%s, 'x', '1', 'x', 'db', 'x', now() + interval '20 months')",
                [MINE],
            )
        with as_role(database_url, "noti_acme_app") as app:
            assert app.execute(f"SELECT count(*) FROM noti.{name}".encode()).fetchone() == (0,)
    connection.execute("INSERT INTO noti.audit_log"
                       " (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
                       " VALUES ('x', 'x', '1', 'x', 'db', 'x', now() + interval '40 months')")  # fmt: skip
    connection.execute("SELECT noti.settle_default_partition('audit_log')")
    with for_people(database_url) as person:
        assert [finding.what for finding in tenants(person) if "not isolated" in finding.what] == []


def test_tries_of_before_are_their_notifications(
    connection: Connection, database_url: str, queue: PostgresQueue
) -> None:
    [one] = insert(connection)
    queue.record(1, [tried(claim(queue)[0])])
    assert connection.execute("SELECT tenant_id FROM noti.notification_attempts_log").fetchall() == [("default",)]
    connection.execute("UPDATE noti.notification_attempts_log SET tenant_id = NULL; SELECT noti.isolate_tenants(true)")
    role(connection, "noti_default_app", "noti_app", "default")
    role(connection, "noti_acme_app", "noti_app", MINE)
    for name, count in (("noti_default_app", 1), ("noti_acme_app", 0)):
        with as_role(database_url, name) as app:
            assert app.execute("SELECT count(notification_id) FROM noti.notification_attempts_log").fetchone() == (
                count,
            )
            assert (app.execute("SELECT count(*) FROM noti.why(%s)", [one]).fetchone() or [0])[0] > 0 or not count


def test_the_tenant_of_a_role_is_a_default_and_no_wall(connection: Connection, database_url: str) -> None:
    role(connection, "noti_acme_app", "noti_app", MINE)
    database = connection.info.dbname
    connection.execute(f"ALTER ROLE noti_acme_app IN DATABASE {database} SET noti.tenant = '{MINE}'".encode())
    connection.execute("SELECT noti.isolate_tenants(true)")
    with as_role(database_url, "noti_acme_app") as app:
        rows = [{"channel": "sms", "recipient": "+4915112340001", "body": "x", "idempotency_key": "k"}] * 2
        ids = [
            *insert(app),
            enqueue(app, channel="email", recipient="a@example.com", body="x"),
            *enqueue_many(app, rows),  # type: ignore[arg-type]
        ]
        assert {row(connection, id_)["tenant_id"] for id_ in ids} == {MINE}
        assert ids[-1] == ids[-2]
        app.execute(f"SET noti.tenant = '{THEIRS}'".encode())
        for attempt in ("SELECT noti.send('email', 'a@example.com', body => 'x')",
                        "INSERT INTO noti.attachments (filename, content) VALUES ('x', 'x')",
                        "SELECT noti.suppress(NULL, 'email', 'a@example.com')"):  # fmt: skip
            with pytest.raises((InsufficientPrivilege, psycopg.errors.CheckViolation)):
                app.execute(attempt.encode())


def test_force_is_refused_and_found(connection: Connection, database_url: str) -> None:
    connection.execute("ALTER TABLE noti.inbox FORCE ROW LEVEL SECURITY")
    with pytest.raises(ObjectNotInPrerequisiteState, match=r"forced on the owner of noti\.inbox"):
        connection.execute("SELECT noti.isolate_tenants(true)")
    with for_people(database_url) as person:
        [found] = tenants(person)
    assert found.what.startswith("row-level security is forced on the owner of noti.inbox")


def test_doctor_tells_who_is_outside(connection: Connection, database_url: str) -> None:
    role(connection, "noti_unbound_app", "noti_app")
    role(connection, "noti_owner", "noti_app")
    with for_people(database_url) as person:
        assert list(tenants(person)) == []  # who has one tenant hears nothing
        connection.execute("SELECT noti.isolate_tenants(true)")
        connection.execute("ALTER TABLE noti.templates DISABLE ROW LEVEL SECURITY")
        connection.execute("ALTER TABLE noti.notifications_log OWNER TO noti_owner")
        told = [finding.what for finding in tenants(person)]
        connection.execute("ALTER TABLE noti.notifications_log OWNER TO CURRENT_USER")
    assert told[0] == "noti.templates is not isolated, while the notifications are"
    assert any("noti_unbound_app" in text and "bound to no tenant" in text for text in told)
    assert "the application's role noti_owner owns the tables: no policy binds it" in told


def test_a_worker_of_an_own_role_that_is_bound_to_nothing_knows_that_it_is_blind(
    connection: Connection, database_url: str
) -> None:
    from noti_worker.domain.secret import Secret
    from noti_worker.store.connect import Database
    from noti_worker.store.queue.workers import PostgresWorkers
    from tests.system.daemon import member_of

    connection.execute("SELECT noti.isolate_tenants(true)")
    workers = PostgresWorkers(Database(Secret(member_of("noti_worker", database_url))))
    assert workers.beat(workers.register("1"), {}).hidden == ()
    workers.close()


def test_down_takes_it_all_away(connection: Connection, database_url: str) -> None:
    connection.execute("SELECT noti.isolate_tenants(true)")
    migrate.downgrade(database_url, "0021")
    assert connection.execute("SELECT count(*) FROM pg_policies WHERE schemaname = 'noti'").fetchone() == (0,)
    assert connection.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'noti'::regnamespace AND relrowsecurity"
    ).fetchone() == (0,)
    migrate.upgrade(database_url)
