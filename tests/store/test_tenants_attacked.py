# ruff: noqa: E501 (a statement stands on one line)
"""A role that is bound to one tenant tries everything against another: it reads, changes, learns and stops nothing.

What it is told must not depend on whether the other tenant exists: each statement is run twice, the second time without it.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.store.tenants import (
    MARK,
    MINE,
    ROLES,
    THEIRS,
    as_role,
    digest_of_theirs,
    furnish,
    purge,
    role,
    shared,
    told,
)

Connection = psycopg.Connection[Any]

LEAK = (
    "CREATE FUNCTION pg_temp.leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001"
    " AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;"
    "CREATE FUNCTION pg_temp.burst(text) RETURNS boolean LANGUAGE sql COST 0.0000001 AS 'SELECT $1::int > 0'"
)
STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""Locks of a table that would make a worker wait."""


@pytest.fixture
def theirs(connection: Connection, database_url: str) -> list[int]:
    """Two furnished tenants, roles that are bound to the first, and isolation; gives the ids of the second."""
    furnish(connection, database_url, "first", "of-first")  # others stay: that there are more is no secret, ids tell it
    furnish(connection, database_url, MINE, "of-acme")
    ids = furnish(connection, database_url, THEIRS, MARK)
    furnish(connection, database_url, "last", "of-last")
    connection.execute(
        "INSERT INTO noti.workers (worker_id, host, state, heartbeat) VALUES (7, 'h', '{}', now() + interval '1 day')"
    )
    for name, group in ROLES.items():
        role(connection, name, group, MINE)
    role(connection, "noti_unbound_app", "noti_app")
    assert connection.execute("SELECT noti.isolate_tenants(true)").fetchone() == (True,)
    return ids


# ---------------------------------------------------------------- the statements


def on_relations(connection: Connection) -> Iterator[str]:
    """What can be tried with a table, a view or a partition, whatever it is."""
    relations = connection.execute(
        "SELECT c.relname, c.relkind::text, c.relispartition, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind IN ('r', 'p', 'v') GROUP BY 1, 2, 3 ORDER BY 1"
    ).fetchall()
    for name, kind, partition, columns in relations:
        place = f"noti.{name}"
        theirs = f"tenant_id = '{THEIRS}'" if "tenant_id" in columns else "true"
        yield f"SELECT * FROM {place}"
        yield f"SELECT count(*) FROM {place}"
        yield f"SELECT t::text FROM {place} t WHERE pg_temp.leak(t::text)"
        yield f"SELECT FROM {place} WHERE {theirs} FOR UPDATE"
        yield f"SELECT FROM {place} FOR KEY SHARE"
        yield f"COPY {place} TO STDOUT"
        yield f"SELECT count(*) FROM {place} TABLESAMPLE SYSTEM (100)"
        yield f"SELECT tablename, attname, n_distinct, most_common_vals::text FROM pg_stats WHERE tablename = '{name}'"
        for column in () if partition else columns:
            yield f"SELECT {column} FROM {place} ORDER BY 1"
            yield f"SELECT count(*) FROM {place} WHERE pg_temp.leak({column}) AND pg_temp.burst({column}::text)"
        if kind == "v":
            continue
        yield f"LOCK TABLE {place} IN ACCESS EXCLUSIVE MODE"
        yield f"LOCK TABLE {place} IN SHARE MODE"
        yield f"TRUNCATE {place}"
        yield f"DELETE FROM {place}"
        yield f"DELETE FROM {place} WHERE {theirs} RETURNING *"
        yield f"UPDATE {place} SET {columns[-1]} = {columns[-1]}"
        yield f"ALTER TABLE {place} DISABLE ROW LEVEL SECURITY"
        yield f"CREATE POLICY mine ON {place} USING (true)"
        yield f"DROP POLICY tenant_reads ON {place}"
        yield f"ANALYZE {place}"
        if "tenant_id" in columns:
            yield f"UPDATE {place} SET tenant_id = '{MINE}' WHERE {theirs}"
            yield f"UPDATE {place} SET tenant_id = '{THEIRS}'"
            yield f"INSERT INTO {place} (tenant_id) VALUES ('{THEIRS}')"
            yield f"INSERT INTO {place} SELECT * FROM {place} WHERE {theirs}"
            yield f"MERGE INTO {place} t USING (SELECT '{THEIRS}' AS w) s ON t.tenant_id = s.w WHEN MATCHED THEN DELETE"
    for (sequence,) in connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'noti'").fetchall():
        yield f"SELECT * FROM noti.{sequence}"
        yield f"SELECT nextval('noti.{sequence}')"
        yield f"SELECT setval('noti.{sequence}', 1)"


def on_functions(connection: Connection, ids: list[int]) -> Iterator[str]:
    """Every function with what an attacker would give it: the other tenant, its rows, and whole rows made by hand."""
    made = (
        f'\'{{"notification_id": {ids[2]}, "tenant_id": "{THEIRS}", "channel": "email", "priority": "normal",'
        f' "status": "pending", "recipient": "x", "due_at": "2100-01-01", "created_at": "2020-01-01", "claim_count": 0,'
        f' "attempt_count": 1, "lost_count": 0, "retry_count": 0, "max_retries": 3}}\''
    )
    by_type = {
        "bigint": str(ids[0]),
        "integer": "1000",
        "text": f"'{THEIRS}'",
        "boolean": "false",
        "timestamp with time zone": "'2020-01-01'",
        "noti.notifications_log": f"jsonb_populate_record(NULL::noti.notifications_log, {made})",
        "jsonb": "'{}'",
        "json": "'[]'",
        "bytea": f"sha256('{MARK}@example.com')",
        "uuid": f"md5('{THEIRS}')::uuid",
        "name": f"'{THEIRS}'",
    }
    by_name = {"who": f"'{MARK}@example.com'", "log": "'audit_log'", "address": f"'{MARK}@example.com'",
               "channel": "'email'", "scope": "'tenant'", "after": "0", "category": f"'{MARK}'", "period": "'day'"}  # fmt: skip
    functions = connection.execute(
        "SELECT p.proname, coalesce(p.proargnames, '{}'), ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes)"
        " WITH ORDINALITY AS u (t, n) ORDER BY n) FROM pg_proc p"
        " WHERE p.pronamespace = 'noti'::regnamespace AND p.prorettype <> 'trigger'::regtype ORDER BY 1"
    ).fetchall()
    for name, names, types in functions:
        given = [
            by_name.get(argument, by_type.get(kind, "NULL"))
            for argument, kind in zip([*names, *[""] * len(types)], types, strict=False)
        ]
        call = f"noti.{name}({', '.join(f'{value}::{kind}' for value, kind in zip(given, types, strict=True))})"
        yield f"SELECT * FROM {call}"
        yield f"SELECT * FROM {call}".replace(f"'{THEIRS}'", "NULL")
        for number in ids:
            if "bigint" in types:
                yield f"SELECT * FROM {call}".replace(f"{ids[0]}::bigint", f"{number}::bigint")


def by_hand(ids: list[int]) -> Iterator[str]:
    """What the trial tried, and what is known to tell more than it should."""
    send = "SELECT noti.send('email', 'x@example.com', body => 'x', tenant_id => {0}, idempotency_key => {1})"
    put = "INSERT INTO noti.notifications_log (channel, recipient, body, {0}) VALUES ('email', 'a@b.c', 'x', {1})"
    for key in (1, 2, 99):  # used and unused: an application learns of neither
        yield send.format(f"'{THEIRS}'", f"'{MARK}{key}'")
        yield send.format(f"'{MINE}'", f"'{MARK}{key}'")
        yield put.format("tenant_id, idempotency_key", f"'{THEIRS}', '{MARK}{key}'")
        yield put.format("tenant_id, idempotency_key", f"'{THEIRS}', '{MARK}{key}') ON CONFLICT DO NOTHING --")
        yield put.format("idempotency_key", f"'{MARK}{key}'")
    yield from (put.format("tenant_id", f"'{tenant}'") for tenant in (THEIRS, "invented", "default", ""))
    yield put.format("message_id", "gen_random_uuid()")
    yield f"SET noti.tenant = '{THEIRS}'; " + put.format("subject", "'x'")
    yield f"SET noti.tenant = '{THEIRS}'; SELECT noti.send('email', 'a@b.c', body => 'x')"
    yield f"SET noti.tenant = '{THEIRS}'; SELECT * FROM noti.notifications_log"
    yield f"INSERT INTO noti.attachments (attachment_id, tenant_id, filename, content) VALUES (md5('{THEIRS}')::uuid, '{MINE}', 'x', 'x')"
    yield f"INSERT INTO noti.attachments (attachment_id, tenant_id, filename, content) VALUES (md5('{THEIRS}')::uuid, '{THEIRS}', 'x', 'x')"
    for number in ids:
        for move in (
            "cancel",
            "hold",
            "release",
            "requeue",
            "correct",
            "facts",
            "locked_by",
            "may_have_arrived",
            "end_of",
        ):
            yield f"SELECT * FROM noti.{move}({number})"
        yield f"SELECT event, detail FROM noti.why({number})"
        yield f"SELECT * FROM noti.erase('{MARK}@example.com', '{MINE}', {number - 1}, 1, true)"
        yield f"SELECT * FROM noti.erase('{MARK}@example.com', '{MINE}', {number - 1}, 1, false)"
        yield f"SELECT * FROM noti.erase('{MARK}@example.com', NULL, {number - 1}, 1, false)"
        yield f"UPDATE noti.notifications_log SET status = 'cancelled' WHERE notification_id = {number}"
        yield f"UPDATE noti.notifications_log SET priority = 'low' WHERE notification_id = {number} RETURNING *"
        yield f"UPDATE noti.inbox SET read_at = now() WHERE notification_id = {number}"
    for scope in ("everything", "channel", "account", "tenant", "template"):
        name = {"everything": "NULL", "channel": "'email'", "tenant": f"'{THEIRS}'"}.get(scope, f"'{MARK}'")
        for tenant in ("NULL", f"'{THEIRS}'"):
            yield f"SELECT noti.pause('{scope}', {name}, tenant => {tenant})"
            yield f"SELECT noti.resume('{scope}', {name}, tenant => {tenant})"
        yield f"INSERT INTO noti.pauses (scope, name) VALUES ('{scope}', coalesce({name}, ''))"
        yield (
            f"INSERT INTO noti.pauses (scope, name) VALUES ('{scope}', coalesce({name}, ''))"
            " ON CONFLICT ON CONSTRAINT pauses_pkey DO UPDATE SET reason = 'x' RETURNING *"
        )
    yield "SELECT noti.open_circuit('relay', 'x', 'x', interval '1 hour')"
    yield "SELECT noti.close_circuit('relay')"
    yield f"SELECT noti.suppress('', 'email', '{MARK}@example.com')"
    yield "SELECT noti.suppress('', 'email', 'someone@example.com')"
    yield f"SELECT noti.heard('', 'sms', '{MARK}', 'x', 'STOP')"
    yield f"SELECT noti.heard('{THEIRS}', 'whatsapp', '4915112340001', 'x', 'STOP', account => 'x')"
    yield "SELECT noti.lift(suppression_id, 'x', 'x') FROM generate_series(1, 9) AS suppression_id"
    yield f"SELECT noti.unlimit('tenant channel', '{THEIRS}', 'sms')"
    yield f"SELECT noti.unlimit('tenant channel', '{MINE}', 'sms')"
    yield f"INSERT INTO noti.limits (scope, tenant_id, name, amount, every) VALUES ('tenant channel', '{THEIRS}', 'sms', 1, '1 s')"
    yield f"INSERT INTO noti.limits (scope, tenant_id, name, amount, every) VALUES ('tenant channel', '{MINE}', 'sms', 1, '1 s')"
    yield f"INSERT INTO noti.tenant_members VALUES (current_user::regrole, '{THEIRS}')"
    yield "SELECT noti.isolate_tenants(false)"
    yield f"UPDATE noti.tenant_members SET tenant_id = '{THEIRS}'"
    yield "SET row_security = off; SELECT * FROM noti.notifications_log"
    yield "SET ROLE noti_worker; SELECT * FROM noti.notifications_log"
    yield "SET ROLE noti_app; SELECT * FROM noti.notifications_log"
    yield "SET ROLE noti_all_tenants; SELECT * FROM noti.notifications_log"
    yield "ALTER ROLE CURRENT_USER BYPASSRLS"
    yield "GRANT noti_all_tenants TO CURRENT_USER"
    yield "SELECT query FROM pg_stat_activity WHERE usename <> current_user AND query ~ 'hidden'"
    yield "SELECT lo_get(loid) FROM pg_largeobject_metadata AS l (loid)"
    yield "CREATE TABLE pg_temp.mine AS SELECT * FROM noti.notifications_log; SELECT * FROM pg_temp.mine"
    yield f"DECLARE c CURSOR FOR SELECT * FROM noti.audit_log WHERE tenant_id = '{THEIRS}'; FETCH ALL FROM c"
    yield f"PREPARE p AS SELECT * FROM noti.queue WHERE tenant_id = '{THEIRS}'; EXECUTE p; DEALLOCATE p"
    yield f"CREATE TEMP VIEW v AS SELECT * FROM noti.audit_log WHERE tenant_id = '{THEIRS}'; SELECT * FROM v"
    yield "SELECT query_to_xml('SELECT * FROM noti.notifications_log', true, false, '')"
    yield "SELECT table_to_xml('noti.audit_log', true, false, '')"
    yield "SELECT schema_to_xml('noti', true, false, '')"


# ---------------------------------------------------------------- the judge


class Attacker:
    """Gives statements as somebody, one transaction each, and looks what each of them did."""

    def __init__(self, connection: Connection, other: Connection) -> None:
        self.connection, self.other, self.name = connection, other, ""
        self.connection.execute(f"PREPARE theirs AS {digest_of_theirs(shared(connection))}".encode())
        self.before = connection.execute("EXECUTE theirs").fetchone()
        self.said: list[str] = []
        self.watches = True
        connection.add_notice_handler(lambda notice: self.said.append(f"{notice.message_primary} {notice.context}"))

    def tries(self, attack: str) -> tuple[str, list[str]]:
        """What the attacker was told, and what is wrong with it."""
        self.said.clear()
        wrong = []
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(f"SET LOCAL SESSION AUTHORIZATION {self.name}; {LEAK}".encode())
            try:
                with self.connection.transaction():
                    self.said += self._answers(attack)
                    self.connection.execute("RESET ROLE; RESET SESSION AUTHORIZATION; SET row_security = on")
                    if self.watches:
                        if self.connection.execute("EXECUTE theirs").fetchone() != self.before:
                            wrong.append("changed")
                        wrong += self._stopped()
            except psycopg.Error as error:
                said = error.diag
                self.said += [str(error), str(said.message_detail), str(said.message_hint), str(said.context)]
        if MARK not in attack and any(MARK in line for line in self.said):
            wrong.append(f"read: {next(line for line in self.said if MARK in line)[:300]}")
        return told("\n".join(self.said)), wrong

    def _answers(self, attack: str) -> Iterator[str]:
        with self.connection.cursor() as cursor:
            if attack.startswith("COPY"):
                with cursor.copy(attack.encode()) as copy:
                    yield b"".join(bytes(part) for part in copy).decode()
                return
            cursor.execute(attack.encode())
            while True:
                yield str(cursor.statusmessage)
                if cursor.description is not None:
                    yield from (str(line) for line in cursor.fetchall())
                if not cursor.nextset():
                    return

    def _stopped(self) -> list[str]:
        """What a worker would wait for."""
        locked = self.connection.execute(
            "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'noti'::regnamespace AND l.mode = ANY (%s)",
            [list(STRONG)],
        ).fetchall()
        if locked:  # we would wait for it, too
            return [f"locked {relation} {mode}" for relation, mode in locked]
        of_them = " UNION ALL ".join(
            f"SELECT '{table}', (SELECT count(*) FROM (SELECT FROM noti.{table} WHERE tenant_id = '{THEIRS}' {lock}) AS x)"
            for table in ("notifications_log", "pauses", "suppressions", "limits", "circuits", "inbox")
            for lock in ("", "FOR UPDATE SKIP LOCKED")
        )
        with self.other.transaction(force_rollback=True):
            counted = self.other.execute(of_them.encode()).fetchall()
        return sorted({f"locked rows of {table}" for table, count in counted if counted.count((table, count)) == 1})


@pytest.fixture
def attacker(connection: Connection, database_url: str, theirs: list[int]) -> Iterator[Attacker]:
    with psycopg.connect(database_url, autocommit=True) as other:
        yield Attacker(connection, other)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        "noti_acme_app",
        "noti_acme_operator",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("noti_acme_reader", "noti_unbound_app")),
    ],
)
def test_whoever_is_bound_to_one_tenant_gets_at_nothing_of_another(
    connection: Connection, attacker: Attacker, theirs: list[int], name: str
) -> None:
    attacks = [*dict.fromkeys([*on_relations(connection), *on_functions(connection, theirs), *by_hand(theirs)])]
    assert len(attacks) > 200
    attacker.name = name
    sequences = connection.execute(
        "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'noti' AND last_value IS NOT NULL"
    ).fetchall()
    answers: list[list[str]] = []
    wrong: list[tuple[str, str]] = []
    for there in (True, False):
        if not there:
            purge(connection)
        for sequence, value in sequences:
            connection.execute(f"SELECT setval('noti.{sequence}', {value})".encode())
        answers.append([])
        for attack in attacks:
            answer, found = attacker.tries(attack)
            answers[-1].append(answer)
            wrong += [(attack, each) for each in found if there]
    wrong += [
        (attack, f"learned: {with_[:300]!r} instead of {without[:300]!r}")
        for attack, with_, without in zip(attacks, *answers, strict=True)
        if sorted(with_.splitlines()) != sorted(without.splitlines())  # a plan gives them in the order that it likes
    ]
    assert "\n".join(f"{what}: {attack}" for attack, what in wrong) == ""


def test_the_judge_sees_what_goes_wrong(connection: Connection, attacker: Attacker, theirs: list[int]) -> None:
    """As somebody who may do all of it."""
    role(connection, "noti_everywhere", "noti_operator, noti_app, noti_all_tenants")
    attacker.name = "noti_everywhere"
    _, read = attacker.tries("SELECT subject FROM noti.notifications_log")
    _, changed = attacker.tries(f"SELECT noti.cancel({theirs[3]})")
    _, stopped = attacker.tries("LOCK TABLE noti.pauses IN ACCESS EXCLUSIVE MODE")
    assert read[0].startswith("read: ")
    assert changed == ["changed", "locked rows of notifications_log"]
    assert stopped[0] == "locked noti.pauses AccessExclusiveLock"


def test_a_login_cannot_leave_what_it_is_bound_to(database_url: str, theirs: list[int]) -> None:
    """As a real session: nothing that a session may set makes it another one."""
    with as_role(database_url, "noti_acme_app") as session:
        for attempt in ("RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION", "DISCARD ALL",
                        f"SET noti.tenant = '{THEIRS}'", "SET noti.person = 'noti_worker'", "SET search_path = noti"):  # fmt: skip
            session.execute(attempt.encode())
            assert session.execute("SELECT DISTINCT tenant_id FROM noti.notifications_log").fetchall() == [(MINE,)]
        for attempt in ("SET ROLE noti_worker", "SET ROLE noti_all_tenants", "SET SESSION AUTHORIZATION postgres"):
            with pytest.raises(InsufficientPrivilege):
                session.execute(attempt.encode())
        with pytest.raises(InsufficientPrivilege, match="query would be affected by row-level security"):
            session.execute("SET row_security = off; SELECT FROM noti.notifications_log")
        session.execute("SET row_security = on; LISTEN noti_wake")
        session.execute("SELECT noti.send('email', 'a@example.com', body => 'x', tenant_id => %s)", [MINE])
        assert {hint.payload for hint in session.notifies(timeout=5, stop_after=1)} == {""}
