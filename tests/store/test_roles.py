"""What each role may do is enough for its work, and everything else is refused: played through as an attacker would."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, ObjectInUse

from noti_worker import enqueue, enqueue_many
from noti_worker.domain.closures import Scope
from noti_worker.domain.notification import Status
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.people import gauges, listing, moves, overview, pausing, source
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.moves import Move
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import claim, insert, row, tried
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
GROUPS = ("noti_app", "noti_worker", "noti_operator", "noti_readonly", "noti_all_tenants", "noti_migrator")
PEOPLE = ("noti_operator", "noti_readonly")


@contextmanager
def login(url: str, role: str) -> Iterator[Connection]:
    with psycopg.connect(member_of(role, url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def history(connection: Connection, database_url: str) -> dict[str, int]:
    """Notifications by status, with a try, a template, an attachment, an in-app message and a pause beside them."""
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('t', 'b')")
    connection.execute("INSERT INTO noti.attachments (filename, content) VALUES ('cv.pdf', 'x')")
    connection.execute("SELECT noti.pause('channel', 'voice')")
    ids = dict(zip(("sent", "failed", "sending"), insert(connection, 3), strict=True))
    with closing(PostgresQueue(Database(Secret(database_url)))) as queue:
        first, second, _ = claim(queue)
        queue.record(1, [tried(first), tried(second, Status.FAILED)])
    connection.execute(
        "INSERT INTO noti.inbox (notification_id, tenant_id, recipient, body) VALUES (%s, 'default', 'user:1', 'x')",
        [ids["sent"]],
    )
    return ids | {"waiting": insert(connection)[0]}


# ---------------------------------------------------------------- what must work


def test_groups_cannot_log_in_and_have_no_powers(connection: Connection) -> None:
    found = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND NOT (rolcanlogin OR rolsuper OR rolcreaterole"
        " OR rolcreatedb OR rolreplication OR rolbypassrls)",
        [list(GROUPS)],
    ).fetchall()
    assert {name for (name,) in found} == set(GROUPS)
    assert connection.execute(
        "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'noti'::regnamespace AND grantee = 0"
    ).fetchone() == (0,)  # nothing is granted to everybody


def test_an_application_sends_steers_and_reads_the_story(connection: Connection, database_url: str) -> None:
    sends_steers_and_reads(connection, database_url)


def sends_steers_and_reads(connection: Connection, database_url: str) -> None:
    """All that an application does."""
    with login(database_url, "noti_app") as app:
        first = enqueue(app, channel="email", recipient="a@example.com", body="x", idempotency_key="k")
        assert enqueue(app, channel="email", recipient="a@example.com", body="x", idempotency_key="k") == first
        with pytest.raises(psycopg.errors.UniqueViolation, match="belongs to another message"):
            enqueue(app, channel="email", recipient="b@example.com", body="y", idempotency_key="k")
        many = enqueue_many(app, [{"channel": "sms", "recipient": "+4915112340001", "body": "x"}] * 3)
        insert(app)
        app.execute("SELECT noti.send('email', 'a@example.com', body => 'x')")
        assert app.execute("SELECT noti.hold(%s)", [first]).fetchone() == ("held",)
        assert app.execute("SELECT noti.release(%s)", [first]).fetchone() == ("pending",)
        app.execute(
            "UPDATE noti.notifications_log SET send_at = now() + interval '1 h' WHERE notification_id = %s", [first]
        )
        app.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE notification_id = ANY (%s)", [many])
        assert app.execute("SELECT noti.cancel(%s)", [first]).fetchone() == ("cancelled",)
        assert app.execute("SELECT noti.requeue(%s)", [first]).fetchone() == ("pending",)
        events = [event for (event,) in app.execute("SELECT event FROM noti.why(%s)", [first])]
        assert events == ["queued", "held", "released", "changed", "cancelled", "requeued", "next"]
        assert app.execute("SELECT count(*) FROM noti.queue").fetchone() == (3,)
        app.execute("INSERT INTO noti.attachments (filename, content) VALUES ('a', 'x') RETURNING attachment_id")
        app.execute("UPDATE noti.inbox SET seen_at = now(), read_at = now()")
        app.execute("SELECT * FROM noti.dead, noti.templates")
    assert connection.execute(
        "SELECT DISTINCT action_by FROM noti.audit_log WHERE entity_id = %s", [str(first)]
    ).fetchall() == [("noti_app_member",)]


@pytest.mark.parametrize("role", PEOPLE)
def test_people_read_what_happened_without_its_content(database_url: str, history: dict[str, int], role: str) -> None:
    with source.for_people(member_of(role, database_url)) as person:
        assert len(listing.list_notifications(person, Filter())) == 4
        assert [event.event for event in listing.why(person, history["failed"]).events][:3] == [
            "queued",
            "try 1",
            "failed",
        ]
        assert "waits" not in overview.overview(person).waiting[0].why
        assert overview.failures(person)[0].error == "no such user"
        assert gauges.status(person).channels[0].channel == "email"
        assert [line.name for line in pausing.pauses(person)] == ["voice"]
        assert person.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
        person.execute("SELECT * FROM noti.queue, noti.dead, noti.duties, noti.templates")


def test_an_operator_steers(connection: Connection, database_url: str, history: dict[str, int]) -> None:
    with source.for_people(member_of("noti_operator", database_url)) as operator:
        assert moves.carry_out(operator, Move.REQUEUE, Filter(ids=(history["failed"],))).done == 1
        assert moves.carry_out(operator, Move.HOLD, Filter(status=(Status.PENDING,))).done == 2
        assert moves.carry_out(operator, Move.RELEASE, Filter(status=(Status.HELD,))).done == 2
        assert moves.carry_out(operator, Move.CANCEL, Filter(ids=(history["sending"],))).noted == 1
        assert pausing.pause(operator, Scope.EVERYTHING, None, reason="stop").scope == "everything"
        assert pausing.pause(operator, Scope.EVERYTHING, None, reason="go on").reason == "go on"
        assert pausing.resume(operator, Scope.EVERYTHING, None)
        assert listing.why(operator, history["failed"], full=True).answers[0].status == "failed"
        operator.execute("SELECT * FROM noti.erase('ann@example.com', NULL, 0, 1000, false)")
    assert row(connection, history["sent"])["recipient"] == "[erased]"


def test_every_column_is_a_fact_or_content(connection: Connection) -> None:
    """A new column of these tables is decided about: whoever reads facts may read it, or it stands here."""
    hidden = connection.execute(
        """
        SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'noti'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
           AND a.attnum > 0 AND NOT a.attisdropped
           AND NOT has_column_privilege('noti_readonly', c.oid, a.attnum, 'SELECT')
         ORDER BY 1
        """
    ).fetchall()
    assert [name for (name,) in hidden] == [
        "account_versions.tenant_id",
        "account_versions.version",
        "attachments.content",
        "attachments.filename",
        "inbox.body",
        "inbox.html",
        "inbox.recipient",
        "inbox.subject",
        *("kept_contents." + name for name in ("body", "html", "options", "recipient", "subject")),
        "notification_attempts_log.response_data",
        "notifications_log.body",
        "notifications_log.metadata",
        "notifications_log.options",
        "notifications_log.subject",
        "notifications_log.template_data",
        *(
            "provider_references." + name
            for name in ("account", "created_at", "notification_id", "reference", "reference_id")
        ),
        *(
            "receipts_raw." + name
            for name in ("account", "body", "error", "headers", "provider", "query", "raw_id", "read_at", "received_at")
        ),
        "secrets.sealed",
    ]


# ---------------------------------------------------------------- what must not work

_TABLES = ("notifications_log", "notification_attempts_log", "audit_log", "inbox", "templates", "attachments")
_INSERT = "INSERT INTO noti.notifications_log (channel, recipient, body, {0}) VALUES ('email', 'a@b.c', 'x', {1})"

EVERYBODY = [
    *(f"DELETE FROM noti.{table}" for table in (*_TABLES, "workers", "duties", "alembic_version")),
    *(f"TRUNCATE noti.{table}" for table in (*_TABLES, "workers", "duties", "pauses")),
    *(f"DROP TABLE noti.{table} CASCADE" for table in _TABLES),
    *(f"LOCK TABLE noti.{table} IN SHARE MODE" for table in _TABLES),
    *(f"ALTER TABLE noti.{table} DISABLE TRIGGER ALL" for table in _TABLES),
    *(f"CREATE TRIGGER t AFTER INSERT ON noti.{table} EXECUTE FUNCTION noti.on_truncate()" for table in _TABLES),
    *(
        f"UPDATE noti.notifications_log SET {change}"
        for change in (
            "claimed_by = 1",
            "claim_count = claim_count + 1",
            "lease_until = now()",
            "dispatched_at = now()",
            "attempt_count = 0",
            "retry_count = 0",
            "lost_count = 0",
            "finished_at = NULL",
            "held_at = NULL",
            "sent_at = now()",
            "created_at = now()",
            "updated_at = now()",
            "message_id = gen_random_uuid()",
            "tenant_id = 'other'",
            "recipient = 'mallory@example.com'",
            "subject = 'forged'",
            "body = 'forged'",
            "template_id = 'forged'",
            "template_data = '{}'",
            "options = '{}'",
            "provider = 'mallory'",
            "error_message = ''",
            # the whole pattern of a claim, of a result, of an extension
            "claim_count = claim_count + 1, claimed_by = 1, lease_until = now(), status = 'sending'",
            "status = 'sent', claimed_by = NULL, lease_until = NULL, finished_at = now(), sent_at = now()",
            "lease_until = lease_until + interval '1 day'",
        )
    ),
    "INSERT INTO noti.audit_log (entity_type, entity_id, action) VALUES ('notification', '1', 'notification_sent')",
    "UPDATE noti.audit_log SET action_by = 'somebody else'",
    "INSERT INTO noti.notification_attempts_log (notification_id, status) VALUES (1, 'sent')",
    "UPDATE noti.notification_attempts_log SET status = 'sent'",
    "SELECT response_data FROM noti.notification_attempts_log",
    "INSERT INTO noti.inbox (notification_id, tenant_id, recipient) VALUES (1, 'default', 'user:2')",
    "UPDATE noti.inbox SET body = 'forged'",
    "INSERT INTO noti.templates (template_id, body) VALUES ('evil', '{{ 9 }}')",
    "UPDATE noti.templates SET body = 'forged'",
    "UPDATE noti.attachments SET content = 'forged'",
    "INSERT INTO noti.workers (host) VALUES ('mallory')",
    "UPDATE noti.workers SET heartbeat = 'infinity'",
    "SELECT nextval('noti.worker_ids')",
    "INSERT INTO noti.duties (duty) VALUES ('mine')",
    "UPDATE noti.alembic_version SET version_num = '0001'",
    "SELECT noti.drop_log_partition(partition, 'infinity') FROM noti.log_partitions() WHERE to_at IS NOT NULL",
    "SELECT noti.add_log_partitions('2030-01-01', 1)",
    "SELECT noti.attach_log_partition('audit_log', 'mine', 'DEFAULT')",
    "CREATE TABLE public.t (); CREATE TRIGGER t AFTER INSERT ON public.t EXECUTE FUNCTION noti.on_insert()",
    "CREATE TEMP TABLE t (); CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION noti.on_insert()",
    "CREATE TEMP TABLE t (); CREATE TRIGGER t BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION noti.on_update()",
    "CREATE TABLE noti.t ()",
    "CREATE FUNCTION noti.fault(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
    "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
    "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
    "CREATE OR REPLACE FUNCTION noti.fault(n noti.notifications_log) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
    "ALTER FUNCTION noti.on_update() SET search_path = public",
    "CREATE RULE r AS ON INSERT TO noti.audit_log DO INSTEAD NOTHING",
    "ALTER TABLE noti.notifications_log DROP CONSTRAINT notifications_log_sane",
    "ALTER ROLE noti_app SUPERUSER",
    "CREATE ROLE mallory",
    "GRANT noti_worker TO CURRENT_USER",
    "SET ROLE noti_worker",
    "SET session_replication_role = replica",
    "COPY noti.notifications_log TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
]
"""What neither an application nor a reader may do."""

APPLICATION = [
    _INSERT.format("status", "'sent'"),
    _INSERT.format("status", "'held'"),
    _INSERT.format("claimed_by", "1"),
    _INSERT.format("claim_count", "7"),
    _INSERT.format("attempt_count", "7"),
    _INSERT.format("lease_until", "now()"),
    _INSERT.format("next_retry_at", "now()"),
    _INSERT.format("sent_at", "now()"),
    _INSERT.format("created_at", "'2001-01-01'"),
    _INSERT.format("message_id", "gen_random_uuid()"),  # a copy with the id of another message would pass for that one
    _INSERT.format("error_message", "''"),
    _INSERT.format("subject", "'s') ON CONFLICT (notification_id) DO UPDATE SET body = coalesce('forged'"),
    "COPY noti.notifications_log (channel, recipient, status) FROM STDIN",
    "SELECT noti.pause('everything')",
    "SELECT noti.resume('channel', 'voice')",
    "SELECT host, pid FROM noti.workers",
    "SELECT * FROM noti.erase('ann@example.com', NULL, 0, 1000, false)",
]

READER = [
    *(f"SELECT {column} FROM noti.notifications_log" for column in ("subject", "body", "template_data", "options")),
    "SELECT metadata FROM noti.notifications_log",
    "SELECT * FROM noti.notifications_log",
    "SELECT n FROM noti.notifications_log n",
    "SELECT count(*) FROM noti.notifications_log WHERE body LIKE '%secret%'",
    "SELECT notification_id FROM noti.notifications_log ORDER BY subject",
    "COPY noti.notifications_log TO STDOUT",
    "SELECT content FROM noti.attachments",
    "SELECT filename FROM noti.attachments",
    "SELECT body, recipient FROM noti.inbox",
    _INSERT.format("subject", "'s'"),
    "SELECT noti.send('email', 'a@example.com', body => 'x')",
    "UPDATE noti.notifications_log SET status = 'cancelled' WHERE finished_at IS NULL",
    "SELECT noti.cancel(notification_id) FROM noti.notifications_log WHERE finished_at IS NULL",
    "SELECT noti.requeue(notification_id) FROM noti.notifications_log WHERE status = 'failed'",
    "SELECT notification_id FROM noti.notifications_log FOR UPDATE",
    "SELECT notification_id FROM noti.notifications_log FOR KEY SHARE",
    "LOCK TABLE noti.notifications_log IN ROW EXCLUSIVE MODE",
    "SELECT noti.pause('everything')",
    "DELETE FROM noti.pauses",
    "SELECT * FROM noti.erase('ann@example.com', NULL, 0, 1000, true)",
]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("role", "attacks"),
    [("noti_app", EVERYBODY + APPLICATION), ("noti_readonly", EVERYBODY + READER)],
    ids=["application", "reader"],
)
def test_every_attack_is_refused(connection: Connection, database_url: str, role: str, attacks: list[str]) -> None:
    before = _state(connection)
    through = []
    with login(database_url, role) as attacker:
        for attack in attacks:
            try:
                with attacker.transaction(force_rollback=True):
                    attacker.execute(attack.encode())
            except InsufficientPrivilege:
                continue
            except psycopg.Error as error:
                through.append((attack, type(error).__name__))
            else:
                through.append((attack, "went through"))
    assert "\n".join(map(str, through)) == ""
    assert _state(connection) == before


def _state(connection: Connection) -> list[Any]:
    return [
        connection.execute(f"SELECT t::text FROM noti.{table} t ORDER BY 1".encode()).fetchall()
        for table in (*_TABLES, "workers", "pauses", "duties")
    ]


@pytest.mark.parametrize("role", ["noti_app", "noti_operator"])
@pytest.mark.parametrize("status", ["sent", "failed", "sending", "retrying", "unknown", "expired", "suppressed"])
def test_a_status_that_only_a_worker_reaches_is_refused_by_the_guard(
    database_url: str, history: dict[str, int], role: str, status: str
) -> None:
    """They may write the column: it is how one cancels and holds."""
    with login(database_url, role) as attacker:
        for was, notification_id in history.items():
            if was == status:
                continue
            with pytest.raises((CheckViolation, ObjectInUse)):
                attacker.execute(
                    "UPDATE noti.notifications_log SET status = %s WHERE notification_id = %s",
                    [status, notification_id],
                )


def test_what_lies_in_the_way_of_a_name_is_not_found(connection: Connection, database_url: str) -> None:
    """Temporary tables, functions and operators, and a search_path that leads there, change nothing."""
    with login(database_url, "noti_app") as attacker:
        attacker.execute(
            """
            CREATE TEMP TABLE audit_log (LIKE noti.audit_log);
            CREATE TEMP TABLE notifications_log (LIKE noti.notifications_log);
            CREATE TEMP TABLE pg_roles (rolname name, rolsuper bool);
            CREATE FUNCTION pg_temp.actor() RETURNS text LANGUAGE sql AS 'SELECT ''somebody else''';
            CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql
              AS 'SELECT ''2001-01-01''::timestamptz';
            CREATE FUNCTION pg_temp.same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.same);
            SET search_path = pg_temp, noti, pg_catalog;
            """
        )
        one = enqueue(attacker, channel="email", recipient="a@example.com", body="x")
        attacker.execute("SELECT noti.cancel(%s)", [one])
        with pytest.raises(CheckViolation):
            attacker.execute("UPDATE noti.notifications_log SET status = 'sent' WHERE notification_id = %s", [one])
        assert attacker.execute("SELECT count(*) FROM pg_temp.audit_log").fetchone() == (0,)
    lines = connection.execute("SELECT action, action_by, created_at > '2020-01-01' FROM noti.audit_log").fetchall()
    assert lines == [
        ("notification_triggered", "noti_app_member", True),
        ("notification_cancelled", "noti_app_member", True),
    ]


def test_nobody_hands_on_what_he_may(connection: Connection, database_url: str) -> None:
    """PostgreSQL only warns of such a GRANT, and grants nothing."""
    with login(database_url, "noti_app") as attacker:
        attacker.execute("GRANT ALL ON noti.notifications_log TO PUBLIC")
    everybodys = "SELECT count(*) FROM pg_class WHERE relnamespace = 'noti'::regnamespace AND relacl::text ~ '[{,]='"
    assert connection.execute(everybodys.encode()).fetchone() == (0,)


def test_a_worker_cannot_change_what_is_sent_nor_to_whom(connection: Connection, database_url: str) -> None:
    [one] = insert(connection)
    with login(database_url, "noti_worker") as worker:
        for change in (
            "recipient = 'm@example.com'",
            "body = ''",
            "options = '{}'",
            "template_id = 't'",
            "subject = ''",
        ):
            with pytest.raises(InsufficientPrivilege):
                worker.execute(f"UPDATE noti.notifications_log SET {change}".encode())
        for attack in (
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'm@example.com', 'x')",
            "UPDATE noti.templates SET body = 'forged'",
            "UPDATE noti.audit_log SET action_by = ''",
            "DELETE FROM noti.audit_log",
            "DELETE FROM noti.notification_attempts_log",
            "UPDATE noti.inbox SET body = 'forged'",
            "DELETE FROM noti.pauses",
            "SELECT * FROM noti.erase('a', NULL, 0, 1, true)",
        ):
            with pytest.raises(InsufficientPrivilege):
                worker.execute(attack.encode())
        with pytest.raises(CheckViolation, match="it is not finished"):
            worker.execute("DELETE FROM noti.notifications_log")
    assert row(connection, one)["recipient"] == "ann@example.com"
