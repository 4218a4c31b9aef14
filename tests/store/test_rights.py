"""How our roles come to their rights: by the migration, by an administrator, whatever the defaults of a database."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from noti_worker import enqueue
from noti_worker.domain.closures import Scope
from noti_worker.domain.notification import Status
from noti_worker.domain.secret import Secret
from noti_worker.embedded import Server
from noti_worker.store import migrate
from noti_worker.store.connect import Database
from noti_worker.store.people import listing, moves, overview, pausing, source
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.moves import Move
from noti_worker.store.queue import PostgresQueue
from tests.migrations.describe import describe
from tests.store.rows import claim, insert, tried
from tests.store.test_roles import GROUPS, PEOPLE, login, sends_steers_and_reads
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]


def test_a_migrator_without_powers_migrates_when_an_administrator_has_made_the_roles(
    empty_database_url: str, connection: Connection
) -> None:
    """The whole way of a cautious installation: roles first, then every migration as a plain member."""
    with psycopg.connect(empty_database_url, autocommit=True) as administrator:
        administrator.execute(migrate.roles_sql().encode())
        deploy = member_of("noti_migrator", empty_database_url)
        migrate.upgrade(deploy)
        owners = administrator.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'noti'::regnamespace"
            " UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'noti'"
        ).fetchall()
        assert owners == [("noti_migrator",)]
        assert _granted(administrator) == _granted(connection)
        assert migrate.missing_roles(deploy) == []
    with login(empty_database_url, "noti_app") as app:
        assert enqueue(app, channel="sms", recipient="+4915112340001", body="x") == 1
    migrate.downgrade(deploy, "base")
    migrate.upgrade(deploy)


def _granted(connection: Connection) -> list[Any]:
    """What our roles may do here."""
    return connection.execute(
        """
        SELECT r.role, r.wanted, CASE WHEN r.columns IS NULL AND r.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                                      THEN has_table_privilege(r.role, 'noti.' || r.object, r.privilege) END
          FROM noti.rights_of_roles() r ORDER BY 1, 2
        """
    ).fetchall()


@pytest.fixture
def strange_server(open_directory: Path) -> Iterator[Server]:
    """A server on which none of our roles exists."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, {"fsync": "off"}) as server:
        yield server


def test_who_may_not_make_roles_migrates_all_the_same_and_an_administrator_adds_them(
    strange_server: Server,
) -> None:
    with psycopg.connect(strange_server.url, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE owner LOGIN; CREATE ROLE hr LOGIN CREATEROLE")
        administrator.execute(f"GRANT CREATE ON DATABASE {administrator.info.dbname} TO owner".encode())
        url = make_conninfo(strange_server.url, user="owner")
        migrate.upgrade(url)
        assert migrate.missing_roles(url) == sorted(GROUPS)
        for user in ("hr", "owner"):  # one may make roles, the other owns what they get rights on
            with psycopg.connect(make_conninfo(strange_server.url, user=user), autocommit=True) as connection:
                connection.execute(migrate.roles_sql().encode())
        assert migrate.missing_roles(url) == []
        assert administrator.execute(
            "SELECT has_table_privilege('noti_worker', 'noti.workers', 'INSERT')"
        ).fetchone() == (True,)
        assert administrator.execute("SELECT has_schema_privilege('noti_app', 'noti', 'USAGE')").fetchone() == (True,)


def test_down_takes_every_right_and_leaves_the_roles(connection: Connection, database_url: str) -> None:
    migrate.downgrade(database_url, "0005")
    assert connection.execute(
        "SELECT count(*) FROM pg_class, aclexplode(relacl) a JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE relnamespace = 'noti'::regnamespace AND r.rolname = ANY (%s)",
        [list(GROUPS)],
    ).fetchone() == (0,)
    assert connection.execute(
        "SELECT count(*) FROM pg_attribute"
        " WHERE attacl::text ~ 'noti_' AND attrelid::regclass::text ~ '^noti' AND NOT attisdropped"
    ).fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), login(database_url, "noti_app") as app:
        insert(app)


def test_down_gives_the_functions_back_as_they_were(connection: Connection, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        migrate.upgrade(empty_database_url, "0005")
        before = describe(other)
        migrate.upgrade(empty_database_url)
        migrate.downgrade(empty_database_url, "0005")
        assert describe(other) == before


def test_the_facts_are_all_that_the_next_step_needs(connection: Connection) -> None:
    sources = connection.execute(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'noti'::regnamespace"
        " AND (proname IN ('facts', 'next_step', 'lost', 'accounts_for', 'after_end') OR proname ~ '^obstacle')"
    ).fetchall()
    named = {name: set(re.findall(r"\bn\.([a-z_]+)", source)) for name, source in sources}
    assert len(named) == 20
    assert set().union(*named.values()) <= named["facts"]


# ---------------------------------------------------------------- the functions


UNGRANTED = {
    "notify_inbox",  # the administrator's
    "within_quota", "within_tenant",  # asked by the trigger of inserts, which runs as the owner
    "host_among", "sender_among",
    "tables_of_tenant", "tenant_condition", "count_tenant", "remove_pages", "end_removal",  # the owner's
    "add_log_partitions", "attach_log_partition", "drop_log_partition", "settle_default_partition",  # the owner's
    "next_envelope",  # a part of what tells endpoints, which runs as the owner
    "digest_fault", "keep_version",  # of triggers that run as the owner
    "addresses", "concerns", "unnamed_json", "without",  # parts of the erasure, which runs as the owner
    "asker", "sees_tenant", "check_tenant",  # asked by what runs as the owner
    "isolate_tenants", "tenant_rule",  # the owner's
}  # fmt: skip
"""The functions, but for triggers, that none of our roles may call."""


def test_every_function_is_granted_to_whom_it_is_of_use(connection: Connection) -> None:
    functions = {
        name
        for (name,) in connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'noti'::regnamespace AND prorettype <> 'trigger'::regtype"
        )
    }
    granted = {name for (name,) in connection.execute("SELECT object FROM noti.rights WHERE privilege = 'EXECUTE'")}
    assert functions - granted == UNGRANTED
    assert granted <= functions
    assert connection.execute(
        "SELECT object FROM noti.rights r WHERE object <> 'noti' AND privilege <> 'EXECUTE'"
        " AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'noti'::regnamespace AND relname = r.object)"
    ).fetchall() == []  # fmt: skip


@pytest.fixture
def strict_url(empty_database_url: str) -> str:
    """A migrated database whose defaults leave functions to nobody."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        connection.execute("ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC")
        try:
            migrate.upgrade(empty_database_url)
        finally:  # they belong to the database, but their keeper is the role
            connection.execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")
            connection.execute("ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO PUBLIC")
    return empty_database_url


def test_where_functions_are_nobodys_everybody_may_do_what_is_his(strict_url: str) -> None:
    with psycopg.connect(strict_url, autocommit=True) as administrator:
        sends_steers_and_reads(administrator, strict_url)
        administrator.execute("INSERT INTO noti.attachments (filename, content) VALUES ('cv.pdf', 'x')")
        with closing(PostgresQueue(Database(Secret(member_of("noti_worker", strict_url))))) as queue:
            first = claim(queue)[0]
            assert queue.record(1, [tried(first, Status.FAILED)]) == {first.notification_id: "applied"}
        with login(strict_url, "noti_worker") as worker:
            worker.execute("SELECT noti.attachment_named(attachment_id) FROM noti.attachments")
            worker.execute("SELECT * FROM noti.log_partitions(), noti.assert_invariants()")
    for role in PEOPLE:
        with source.for_people(member_of(role, strict_url)) as person:
            assert listing.why(person, first.notification_id).events[-1].event == "next"
            assert overview.overview(person).failures[0].error == "no such user"
            person.execute("SELECT * FROM noti.assert_invariants()")
            person.execute("SELECT noti.paused(noti.facts(1)), noti.closure_words(c) FROM noti.closures c")
    with source.for_people(member_of("noti_operator", strict_url)) as operator:
        assert moves.carry_out(operator, Move.REQUEUE, Filter(ids=(first.notification_id,))).done == 1
        assert pausing.pause(operator, Scope.EVERYTHING, None).scope == "everything"
        assert pausing.resume(operator, Scope.EVERYTHING, None)
        operator.execute("SELECT * FROM noti.erase('a@example.com', NULL, 0, 1000, false)")


def test_who_may_ask_for_the_next_step_may_still_after_an_upgrade(empty_database_url: str) -> None:
    """A role of one's own, with rights granted by hand, in a database whose defaults leave functions to nobody."""
    url = empty_database_url
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE noti_own LOGIN")
        try:
            migrate.upgrade(url, "0007")
            administrator.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA noti FROM PUBLIC")
            administrator.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
            administrator.execute("GRANT USAGE ON SCHEMA noti TO noti_own")
            administrator.execute("GRANT ALL ON ALL TABLES IN SCHEMA noti TO noti_own")
            administrator.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA noti TO noti_own")
            migrate.upgrade(url)
            with psycopg.connect(make_conninfo(url, user="noti_own"), autocommit=True) as own:
                insert(own)
                assert own.execute("SELECT event FROM noti.why(1)").fetchall() == [("queued",), ("next",)]
                own.execute("INSERT INTO noti.worker_routes VALUES (1, 'email', 0, 'relay', 'smtp', 'live')")
                own.execute("SELECT noti.defer_copies(1, 1, NULL, '[]')")
        finally:
            administrator.execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")
            administrator.execute("DROP OWNED BY noti_own; DROP ROLE noti_own")
