"""Databases as people have them: roles with any name, any setting, casts and publications. All of it works in each."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from noti_worker import enqueue
from noti_worker.domain.closures import Scope
from noti_worker.domain.notification import Status
from noti_worker.domain.secret import Secret
from noti_worker.embedded import Server
from noti_worker.store import migrate
from noti_worker.store.connect import Database
from noti_worker.store.people import listing, moves, overview, pausing, source
from noti_worker.store.people.doctor import Look, look, server, stuck, upkeep
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.moves import Move
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.upkeep import erasure
from noti_worker.store.upkeep.duties import Duties
from tests.pgbouncer import pgbouncer
from tests.store.rows import AT_ONCE, claim, insert, tried

_TYPES = (
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric",
    "date",
    "timestamptz",
    "interval",
    "oid",
)


def _casts() -> Iterator[str]:
    """What migrations from old servers and other products leave behind: everything is text, unasked."""
    for kind in _TYPES:
        yield f"CREATE CAST ({kind} AS text) WITH INOUT AS IMPLICIT"


DATABASES = {
    "plain": "",
    "strict PL/pgSQL": "ALTER DATABASE {db} SET plpgsql.extra_errors = 'all';"
    " ALTER DATABASE {db} SET plpgsql.extra_warnings = 'all'",
    "columns win": "ALTER DATABASE {db} SET plpgsql.variable_conflict = 'use_column'",
    "variables win": "ALTER DATABASE {db} SET plpgsql.variable_conflict = 'use_variable'",
    "abroad": "ALTER DATABASE {db} SET datestyle = 'German, DMY';"
    " ALTER DATABASE {db} SET timezone = 'Pacific/Auckland'; ALTER DATABASE {db} SET intervalstyle = 'sql_standard'",
    "old strings": "ALTER DATABASE {db} SET standard_conforming_strings = off;"
    " ALTER DATABASE {db} SET escape_string_warning = off; ALTER DATABASE {db} SET bytea_output = 'escape'",
    "odd nulls": "ALTER DATABASE {db} SET transform_null_equals = on; ALTER DATABASE {db} SET array_nulls = off",
    "quotes everywhere": "ALTER DATABASE {db} SET quote_all_identifiers = on",
    "serializable": "ALTER DATABASE {db} SET default_transaction_isolation = 'serializable'",
    "hurried": "ALTER DATABASE {db} SET statement_timeout = '100ms'; ALTER DATABASE {db} SET lock_timeout = '100ms';"
    " ALTER DATABASE {db} SET idle_in_transaction_session_timeout = '1s'",
    "nothing for everybody": "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
    " ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "unchecked bodies": "ALTER DATABASE {db} SET check_function_bodies = off",
    "latin clients": "ALTER DATABASE {db} SET client_encoding = 'LATIN1'",
    "another path": "CREATE SCHEMA app; ALTER DATABASE {db} SET search_path = app, public, pg_catalog",
    "our path": "ALTER DATABASE {db} SET search_path = noti, public",
    "casts": "; ".join(_casts()),
    "publication": "CREATE PUBLICATION everything FOR ALL TABLES",
    "odd plans": "ALTER DATABASE {db} SET enable_nestloop = off;"
    " ALTER DATABASE {db} SET plan_cache_mode = 'force_generic_plan'",
}  # fmt: skip
"""What was done to a database before noti-worker came."""

FEELS_MIGRATIONS = frozenset({"plain", "strict PL/pgSQL", "hurried", "casts", "publication"})
"""Those in which statements that change the schema may go otherwise; the slow suite asks the others, too."""

ODD = {
    "DateStyle": "German", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kolkata", "bytea_output": "escape",
    "standard_conforming_strings": "off", "extra_float_digits": "-10", "search_path": "nowhere",
    "default_transaction_isolation": "serializable", "client_encoding": "LATIN1", "statement_timeout": "100ms",
}  # fmt: skip
"""What a role's sessions begin with, whatever the database says."""


@contextmanager
def prepared(url: str, statements: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.format(db=f'"{connection.info.dbname}"').encode())
        yield


@pytest.mark.fault("F69")
@pytest.mark.parametrize("kind", DATABASES)
def test_it_is_at_home_in_every_database(empty_database_url: str, kind: str) -> None:
    url = empty_database_url
    with prepared(url, DATABASES[kind]):
        comes_of_age(url)
        live(url)
        if kind in FEELS_MIGRATIONS:
            again(url)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in DATABASES if kind not in FEELS_MIGRATIONS])
def test_it_goes_and_comes_again_in_every_other_database(empty_database_url: str, kind: str) -> None:
    url = empty_database_url
    with prepared(url, DATABASES[kind]):
        comes_of_age(url)
        live(url)
        again(url)


ROLES = ("Ada", "ada@example.com", "app.owner", "the owner", 'O"Neil', "select", "Ünal", "-1", "noti")


@pytest.mark.fault("F69")
@pytest.mark.parametrize("name", ROLES)
def test_whoever_has_any_name_may_own_it(empty_database_url: str, name: str) -> None:
    url = empty_database_url
    role = f"{name} {uuid4().hex[:8]}" if name in {"noti", "select"} else name + uuid4().hex[:8]
    owner = sql.Identifier(role)
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE ROLE {} LOGIN").format(owner))
        try:
            for setting, value in ODD.items():
                administrator.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(owner, sql.SQL(setting), value))
            database = sql.Identifier(administrator.info.dbname)
            administrator.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, owner))
            mine = make_conninfo(url, user=role)
            comes_of_age(mine)
            live(mine)
            again(mine)
        finally:
            administrator.execute(sql.SQL("DROP OWNED BY {} CASCADE; DROP ROLE {}").format(owner, owner))


def test_it_is_at_home_however_a_database_sorts(sorted_databases: list[str]) -> None:
    for url in sorted_databases:
        live(url)
        again(url)


_NAMES = ("search_path", "datestyle", "timezone", "transaction_isolation", "role", "enable_seqscan")
_SHOWN = ("SELECT " + ", ".join(f"current_setting('{name}')" for name in _NAMES)).encode()


def settings(url: str) -> set[tuple[Any, ...]]:
    """What sessions of somebody else begin with, on whichever connections the pooler has for them."""
    found: set[tuple[Any, ...]] = set()
    for _ in range(4):
        with psycopg.connect(url, prepare_threshold=None) as connection:
            found.update(connection.execute(_SHOWN).fetchall())
    return found


@pytest.mark.parametrize("kind", ["plain", "abroad", "our path", "serializable", "hurried"])
def test_it_is_at_home_behind_a_pooler(
    empty_database_url: str, open_directory: Path, wait_for: Callable[..., Any], kind: str
) -> None:
    """There no session is ours for longer than a transaction, and whoever comes next finds nothing of ours."""
    url = empty_database_url
    with prepared(url, DATABASES[kind]), pgbouncer(open_directory, url, "transaction", wait_for) as pooled:
        before = settings(pooled)
        comes_of_age(pooled)
        assert migrate.pending(pooled) == migrate.missing_roles(pooled) == []
        live(pooled, pgbouncer=True)
        again(pooled)
        assert settings(pooled) == before


_PRINTED = ("plain", "serializable", "casts", "strict PL/pgSQL", "old strings", "another path", "latin clients")


@pytest.mark.parametrize("kind", _PRINTED)
def test_the_printed_sql_works_there_too(cluster: Server, empty_database_url: str, kind: str) -> None:
    url = empty_database_url
    psql = [str(cluster.bin / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]
    with prepared(url, DATABASES[kind]):
        for statements in (migrate.sql(), migrate.roles_sql()):
            done = subprocess.run(psql, input=statements.encode(), capture_output=True, timeout=60, check=False)
            assert (done.returncode, done.stderr.decode()) == (0, "")
        assert migrate.current(url) == migrate.head()
        live(url)


def comes_of_age(url: str) -> None:
    """Migrate with rows and lines in it, which some migrations move."""
    migrate.upgrade(url, "0002")
    with theirs(url) as connection:
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) SELECT 'sms', '+4915112340001', 'x'"
            " FROM generate_series(1, 3)"
        )
        connection.execute(
            "INSERT INTO noti.audit_log"
            " (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
            " VALUES ('default', 'test', '1', 'test', 'db', 'test', '2190-01-01')"
        )  # beyond the month that the first partition ends with
    migrate.upgrade(url)


@contextmanager
def theirs(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of somebody else, with time enough."""
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        yield connection


def live(url: str, *, pgbouncer: bool = False) -> None:
    """Everything that applications, workers and people do."""
    ids = applies(url)
    works(url, pgbouncer=pgbouncer)
    looks(url, ids, pgbouncer=pgbouncer)
    keeps_house(url, pgbouncer=pgbouncer)


def applies(url: str) -> list[int]:
    """An application inserts and steers; gives the ids of five notifications."""
    with theirs(url) as application:
        ids = insert(application, 5, template_data="{}", max_retries=2)
        application.execute("SELECT noti.send('email', 'ann@example.com', body => 'Grüße', idempotency_key => 'k')")
        assert enqueue(application, channel="email", recipient="ann@example.com", body="x") > ids[-1]
        application.execute("UPDATE noti.notifications_log SET max_retries = 4 WHERE notification_id = %s", [ids[0]])
        application.execute("SELECT noti.hold(%s), noti.cancel(%s)", [ids[3], ids[4]])
    return ids


def works(url: str, *, pgbouncer: bool = False) -> None:
    """A worker claims and records: the first was sent, the second is tried again, the third failed."""
    database = Database(Secret(url), pgbouncer=pgbouncer)
    with closing(PostgresWorkers(database)) as workers, closing(PostgresQueue(database)) as queue:
        me = workers.register("test")
        assert workers.beat(me, {"channels": ["email"], "routes": {"email": {"relay": "smtp"}}}).known
        claim(queue, 1, worker_id=me, lease=AT_ONCE)
        first, second, third, *rest = claim(queue, worker_id=me)
        assert queue.extend(me, [third], timedelta(minutes=5)) == {}
        results = [tried(first), tried(second, Status.RETRYING), tried(third, Status.FAILED)]
        assert set(queue.record(me, results).values()) == {"applied"}
        assert set(queue.release(me, rest).values()) == {"released"}
    with closing(database.session("chores")) as session:
        duties = Duties(session, me)
        assert duties.take("test", timedelta(hours=1))
        duties.finish("test", {})


def looks(url: str, ids: Sequence[int], *, pgbouncer: bool = False) -> None:
    """People look at everything and steer, and doctor looks at the rest."""
    with source.for_people(url, pgbouncer=pgbouncer) as people:
        for one in ids:
            assert listing.why(people, one).events[-1].event == "next"
        assert overview.overview(people).workers[-1].alive
        assert pausing.pause(people, Scope.ACCOUNT, "relay", reason="ä").scope == "account"
        assert [one.cause for one in listing.why(people, ids[1]).blocked_by] == ["pause", "not_due"]
        assert pausing.resume(people, Scope.ACCOUNT, "relay")
        assert moves.carry_out(people, Move.REQUEUE, Filter(ids=(ids[2],))).done == 1
        assert moves.carry_out(people, Move.RELEASE, Filter(ids=(ids[3],))).done == 1
    checks: list[Look] = [server.server, server.rights, upkeep.snapshots, upkeep.tables, upkeep.indexes]
    with server.open_plain(Secret(url)) as plain:
        found = [one for check in [*checks, lambda c: stuck.work(c, "test")] for one in look(plain, "here", check)]
    # Whoever only owns the schema sees none of the server's sessions; that is no matter of this database.
    assert [one for one in found if one.area == "here" or (one.area in {"roles", "rights"} and one.level != "ok")] == []


def keeps_house(url: str, *, pgbouncer: bool = False) -> None:
    """The owner looks after the logs and the invariants, and erases somebody."""
    with theirs(url) as owner:
        owner.execute("SELECT noti.add_log_partitions('2040-01-01', 0), noti.settle_default_partition('audit_log')")
        assert owner.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
    with source.for_people(url, pgbouncer=pgbouncer) as people:
        assert erasure.erase(people, "ann@example.com", None)


def again(url: str) -> None:
    """Down as far as this release came, and up again."""
    migrate.downgrade(url, "0007")
    migrate.upgrade(url)
