"""`doctor`: each thing that can be wrong is found in a real database, and told with what to do."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker import __version__
from noti_worker.cli.checking import PROXIES
from noti_worker.embedded import Server
from noti_worker.store import migrate
from noti_worker.store.people.doctor import PATIENCE, server, stuck, upkeep
from tests.certificates import Authority
from tests.cli.conftest import Invoke
from tests.pgbouncer import pgbouncer
from tests.providers.api import Answer, ApiServer
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.store.lives import claim, life
from tests.store.rows import insert
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
Told = list[tuple[str, str, str, str]]


@pytest.fixture
def doctor(noti: Invoke) -> Callable[..., Told]:
    """`doctor("--config", …, exits=1)`: its findings as (level, area, what, todo)."""

    def ask(*options: str, exits: int = 0) -> Told:
        result = noti(*options, "doctor", "--json")
        assert result.exit_code == exits, result.output
        told = json.loads(result.stdout)
        assert PASSWORD not in result.output
        assert all(finding["todo"] for finding in told["findings"] if finding["level"] != "ok")
        return [(f["level"], f["area"], f["what"], f["todo"]) for f in told["findings"]]

    return ask


@pytest.fixture
def worker(connection: Connection) -> None:
    """A living worker that serves e-mail."""
    register(connection)


def register(connection: Connection, channels: str = '["email", "in_app"]', version: str = __version__) -> None:
    connection.execute(
        "INSERT INTO noti.workers (host, pid, version, state) VALUES ('h', 1, %s, %s)",
        [version, f'{{"channels": {channels}}}'],
    )


def told(findings: Told, area: str, level: str | None = None) -> list[str]:
    """What was found in an area, with what to do."""
    return [f"{what} → {todo}" for lv, ar, what, todo in findings if ar == area and level in {lv, None}]


@pytest.mark.usefixtures("worker")
def test_all_is_well_in_a_fresh_database_with_a_worker(doctor: Callable[..., Told]) -> None:
    findings = [finding for finding in doctor() if finding[1] != "durability"]  # the tests' server has fsync off
    assert [finding for finding in findings if finding[0] != "ok"] == []
    assert {area for _, area, _, _ in findings} == {
        *("configuration", "database", "pgbouncer", "version", "encoding", "clock", "rights", "schema"),
        *("roles", "snapshots", "autovacuum", "indexes", "workers", "rows"),
    }


def test_categories_that_can_be_left_want_links(
    doctor: Callable[..., Told], connection: Connection, tmp_path: Path
) -> None:
    connection.execute("INSERT INTO noti.categories VALUES ('', 'news', false, true), ('', 'orders', false, false)")
    [found] = told(doctor(), "unsubscribe", "warning")
    assert found.startswith("recipients may leave news, and no mail says how: there is no key for the links → set web.")
    (tmp_path / "key").write_text("k" * 32)
    file = tmp_path / "noti.toml"
    file.write_text(f'[web]\nurl = "https://a.example"\nunsubscribe_keys = ["file:{tmp_path}/key"]\n')
    assert told(doctor("--config", str(file)), "unsubscribe") == []


def test_a_view_of_contacts_is_read(doctor: Callable[..., Told], connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text('[contacts]\nview = "app.people"\n')

    def found(exits: int = 1) -> str:
        [finding] = told(doctor("--config", str(file), exits=exits), "contacts")
        return finding

    assert found().startswith("the view app.people does not exist: rows that name persons wait → create it, or name")
    connection.execute("CREATE SCHEMA app; CREATE VIEW app.people AS SELECT c.*, 1 / 0 AS x FROM noti.contacts c")
    assert found().startswith(
        "noti_worker may not read the view app.people → GRANT USAGE ON SCHEMA app TO noti_worker; GRANT"
    )
    connection.execute("GRANT USAGE ON SCHEMA app TO noti_worker; GRANT SELECT ON app.people TO noti_worker")
    assert found(exits=0) == "persons are looked up in app.people → "
    connection.execute("DROP VIEW app.people; CREATE TABLE app.people (LIKE noti.contacts)")
    connection.execute("GRANT SELECT ON app.people TO noti_worker; ALTER TABLE app.people DROP zone, DROP place")
    assert found().startswith("the view app.people lacks place, zone: rows that name persons wait → add it")
    connection.execute("ALTER TABLE app.people ADD zone text, ADD place int, DROP tenant_id, ADD tenant_id uuid")
    assert found().startswith("the view app.people cannot be read: the database refused (42883 UndefinedFunction")


def test_it_reads_well_and_ends_with_a_count(noti: Invoke) -> None:
    result = noti("doctor")
    assert result.exit_code == 0  # warnings alone are no failure
    assert "warning  workers       no worker is running\n" in result.stdout
    assert "\n                      → start one: noti-worker run\n" in result.stdout
    assert result.stdout.endswith("\nproblems: 0, warnings: 2\n")


# ---------------------------------------------------------------- configuration and reach


def test_a_wrong_configuration_ends_with_78(bare: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text("[worker]\nbatchsize = 5\n")
    result = bare("--config", str(file), "doctor", "--json")
    assert result.exit_code == 78
    [finding] = json.loads(result.stdout)["findings"]
    assert finding["level"] == "problem"
    assert "batch_size" in finding["what"]
    assert "noti-worker docs configuration" in finding["todo"]


def test_a_proxy_of_the_environment_is_passed_by(
    doctor: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "noti.toml"
    file.write_text('[accounts.hooks]\nprovider = "webhook"\nunsigned = true\n')
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://user:hush@proxy:3128")
    [said, _] = told(doctor("--config", str(file)), "account", "ok")
    assert said.startswith("HTTP_PROXY is set and not used, hooks goes out directly")


def test_a_wrong_account_ends_with_78_and_the_database_is_looked_at_all_the_same(
    doctor: Callable[..., Told], tmp_path: Path
) -> None:
    file = tmp_path / "noti.toml"
    file.write_text('[accounts.hooks]\nprovider = "webhook"\nsecret = "env:NOT_SET"\n')
    findings = doctor("--config", str(file), exits=78)
    assert "NOT_SET" in told(findings, "configuration", "problem")[0]
    assert told(findings, "schema", "ok")


def test_a_database_that_is_away_is_a_problem(bare: Invoke) -> None:
    result = bare("--database-url", "postgresql://noti:hush@127.0.0.1:1/noti", "doctor")
    assert result.exit_code == 1
    assert "not reached" in result.stdout
    assert "hush" not in result.output


def test_an_unmigrated_database_is_told_to_migrate(doctor: Callable[..., Told], empty_database_url: str) -> None:
    findings = doctor("--database-url", empty_database_url, exits=1)
    assert told(findings, "schema") == ["the schema noti is missing in this database → run noti-worker migrate"]


def test_an_older_and_a_newer_schema_are_told_apart(
    doctor: Callable[..., Told], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "pending", lambda url: ["0002"])
    assert "older than this program: 0002 is pending" in told(doctor(exits=1), "schema", "problem")[0]
    monkeypatch.undo()
    connection.execute("UPDATE noti.alembic_version SET version_num = '9999'")
    monkeypatch.setenv("NOTI_DATABASE_URL", connection_url(connection))
    monkeypatch.setattr("noti_worker.settings.DEFAULT_PATH", Path("/nowhere"))
    [newer] = told(doctor(), "schema")
    assert "9999, newer than this program" in newer
    assert "install the newer" in newer


def connection_url(connection: Connection) -> str:
    info = connection.info
    return f"postgresql://postgres@/{info.dbname}?host={info.host}&port={info.port}"


def test_another_encoding_is_a_problem(cluster: Server, connection: Connection, doctor: Callable[..., Told]) -> None:
    connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        findings = doctor("--database-url", cluster.url_of("latin"), exits=1)
        assert "SQL_ASCII" in told(findings, "encoding", "problem")[0]
    finally:
        connection.execute("DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize(
    ("number", "level"),
    [(140023, "problem"), (150017, "warning"), (150018, "ok"), (180003, "warning"), (180004, "ok"), (190000, "ok")],
)
def test_the_version_of_the_server_is_judged(number: int, level: str) -> None:
    assert server._version(number).level == level


def test_a_server_that_may_forget_what_was_committed_is_noticed(
    doctor: Callable[..., Told], connection: Connection, open_directory: Path
) -> None:
    [finding] = told(doctor(), "durability", "warning")
    assert finding.startswith("fsync, full_page_writes: off, so a crash of the server may take back")
    assert "ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET full_page_writes = on; SELECT" in finding
    connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off".encode())
    assert "synchronous_commit: off" in told(doctor(), "durability")[0]
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None) as safe:
        migrate.upgrade(safe.url)
        assert told(doctor("--database-url", safe.url), "durability") == []


@pytest.mark.parametrize(("ahead", "words"), [(7.5, "7.5 s ahead of this"), (-7.5, "7.5 s behind this")])
def test_clocks_that_differ_are_noticed(
    ahead: float, words: str, doctor: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    true = server._now
    monkeypatch.setattr(server, "_now", lambda: true() - timedelta(seconds=ahead))
    assert words in told(doctor(), "clock", "warning")[0]


def test_a_database_that_takes_no_writes_is_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET default_transaction_read_only = on')
    assert "primary" in told(doctor(exits=1), "database", "problem")[0]


# ---------------------------------------------------------------- PgBouncer


@pytest.mark.parametrize(
    ("mode", "configured", "level", "exits", "words"),
    [
        ("transaction", "false", "problem", 1, "set database.pgbouncer = true"),
        ("transaction", "true", "ok", 0, "as database.pgbouncer says"),
        ("session", "false", "warning", 0, "only while it pools whole sessions"),
    ],
)
@pytest.mark.usefixtures("worker")
def test_a_pooler_in_front_of_the_database_is_recognised(
    mode: Any,
    configured: str,
    level: str,
    exits: int,
    words: str,
    doctor: Callable[..., Told],
    database_url: str,
    open_directory: Path,
    wait_for: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTI_DATABASE__PGBOUNCER", configured)
    with pgbouncer(open_directory, database_url, mode, wait_for) as through:
        findings = doctor("--database-url", through, exits=exits)
        assert words in told(findings, "pgbouncer", level)[0]
        assert told(findings, "rows", "ok")  # everything else is looked at through it
        if configured == "true":
            monkeypatch.setenv("NOTI_DATABASE__LISTEN_URL", through)
            wrong = doctor("--database-url", through, exits=1)
            assert "leads to a pooler" in told(wrong, "pgbouncer", "problem")[0]
            monkeypatch.setenv("NOTI_DATABASE__LISTEN_URL", database_url)
            assert "directly" in told(doctor("--database-url", through), "pgbouncer", "ok")[1]


def test_a_pooler_that_is_not_there_is_noticed(doctor: Callable[..., Told], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTI_DATABASE__PGBOUNCER", "true")
    assert "database.pgbouncer = false" in told(doctor(), "pgbouncer", "warning")[0]


# ---------------------------------------------------------------- rights and triggers


@pytest.fixture
def role(connection: Connection) -> Iterator[str]:
    connection.execute("CREATE ROLE noti_small LOGIN")
    yield "noti_small"
    connection.execute("DROP OWNED BY noti_small")
    connection.execute("DROP ROLE noti_small")


@pytest.mark.usefixtures("worker")
def test_doing_what_it_says_about_rights_is_enough(
    doctor: Callable[..., Told], connection: Connection, role: str, database_url: str
) -> None:
    mine = database_url.replace("postgres@", f"{role}@")
    for wanted in (2, 66):  # first, to look at what is missing
        findings = doctor("--database-url", mine, exits=1)
        grants = [todo for level, area, _, todo in findings if (level, area) == ("problem", "rights")]
        assert len(grants) == wanted
        for todo in grants:
            connection.execute(todo.removeprefix("as the owner of the schema: ").encode())
    assert {area for level, area, *_ in doctor("--database-url", mine) if level != "ok"} == {"durability"}


def test_a_right_that_is_missing_is_named(
    doctor: Callable[..., Told], connection: Connection, role: str, database_url: str
) -> None:
    connection.execute("GRANT USAGE ON SCHEMA noti TO noti_small; GRANT ALL ON ALL TABLES IN SCHEMA noti TO noti_small")
    connection.execute("GRANT USAGE ON SEQUENCE noti.worker_ids TO noti_small")
    connection.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA noti TO noti_small")
    connection.execute("REVOKE UPDATE ON noti.notifications_log FROM noti_small")
    findings = doctor("--database-url", database_url.replace("postgres@", f"{role}@"), exits=1)
    *others, lacking = sorted(told(findings, "rights"))
    assert any("lacks UPDATE (receipt, receipt_at) ON noti.notifications_log → " in other for other in others)
    assert lacking.startswith('the role "noti_small" lacks UPDATE (status, requested, claimed_by, ')
    assert lacking.endswith(', error_message) ON noti.notifications_log TO "noti_small";')


def test_a_function_that_a_worker_may_not_call_is_named(
    doctor: Callable[..., Told], connection: Connection, database_url: str
) -> None:
    connection.execute("REVOKE EXECUTE ON FUNCTION noti.sound FROM PUBLIC, noti_worker")
    findings = doctor("--database-url", member_of("noti_worker", database_url), exits=1)
    assert "lacks EXECUTE ON FUNCTION noti.sound(record) → " in told(findings, "rights", "problem")[0]
    assert "noti_worker lacks EXECUTE ON FUNCTION noti.sound(record)" in told(findings, "roles", "warning")[0]


@pytest.mark.usefixtures("worker")
def test_a_member_of_the_workers_may_do_everything_and_others_are_no_workers(
    doctor: Callable[..., Told], database_url: str
) -> None:
    findings = doctor("--database-url", member_of("noti_worker", database_url))
    assert "may do all that a worker does" in told(findings, "rights", "ok")[0]
    for role in ("noti_operator", "noti_readonly"):
        findings = doctor("--database-url", member_of(role, database_url))
        assert f"is a member of {role}: it is no worker's" in told(findings, "rights", "ok")[0]


def test_a_right_that_one_of_our_roles_lacks_is_named(doctor: Callable[..., Told], connection: Connection) -> None:
    connection.execute(
        "REVOKE SELECT ON noti.pauses FROM noti_worker; REVOKE UPDATE (status) ON noti.notifications_log FROM noti_app"
    )
    connection.execute(
        "REVOKE EXECUTE ON FUNCTION noti.erase FROM noti_operator; REVOKE USAGE ON SCHEMA noti FROM noti_readonly"
    )
    found = told(doctor(), "roles", "warning")
    assert found[0].startswith(
        "noti_app lacks UPDATE (status, requested, priority, send_at, expires_at, category, metadata)"
    )
    assert found[1].startswith("noti_operator lacks EXECUTE ON FUNCTION noti.erase(")
    assert found[2].startswith("noti_readonly lacks USAGE ON SCHEMA noti →")
    assert found[3].startswith("noti_worker lacks SELECT ON noti.pauses →")
    connection.execute(migrate.roles_sql().encode())
    assert told(doctor(), "roles", "warning") == []


def test_a_guard_that_is_switched_off_is_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    connection.execute("ALTER TABLE noti.notifications_log DISABLE TRIGGER notifications_log_insert")
    [finding] = told(doctor(exits=1), "schema", "problem")
    assert "notifications_log_insert" in finding
    connection.execute(finding.split(" → ")[1].encode())
    doctor()


# ---------------------------------------------------------------- snapshots, vacuum, indexes


def test_a_transaction_that_holds_an_old_snapshot_is_named(
    doctor: Callable[..., Told], connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "OLD_SNAPSHOT", 0.0)
    with closing(psycopg.connect(database_url, application_name="reports")) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")
        [finding] = told(doctor(), "snapshots", "warning")
        assert "reports, role postgres, idle in transaction" in finding
        assert f"pg_terminate_backend({other.info.backend_pid})" in finding
        connection.execute(f"SELECT pg_terminate_backend({other.info.backend_pid}, 5000)")
    assert "no transaction is open" in told(doctor(), "snapshots", "ok")[0]


def test_sessions_that_the_role_cannot_see_are_told(
    doctor: Callable[..., Told], connection: Connection, role: str, database_url: str
) -> None:
    connection.execute(f"GRANT ALL ON SCHEMA noti TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA noti TO {role}")
    connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA noti TO {role}")
    connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA noti TO {role}")
    mine = database_url.replace("postgres@", f"{role}@")
    assert "1 sessions of other roles cannot be seen" in told(doctor("--database-url", mine), "snapshots", "ok")[0]
    connection.execute(f"GRANT pg_read_all_stats TO {role}")
    assert "cannot be seen" not in told(doctor("--database-url", mine), "snapshots", "ok")[0]


@pytest.fixture
def logical(open_directory: Path) -> Iterator[str]:
    """A server with two-phase commit and logical slots."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    settings = {"wal_level": "logical", "max_prepared_transactions": "2", "fsync": "off"}
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, settings) as own:
        migrate.upgrade(own.url)
        yield own.url


def test_prepared_transactions_and_abandoned_slots_are_named(
    logical: str, doctor: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "OLD_SNAPSHOT", 0.0)
    with psycopg.connect(logical, autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('forgotten', 'test_decoding')")
        connection.execute("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'left behind'")
        found = " ".join(told(doctor("--database-url", logical), "snapshots", "warning"))
        assert "the prepared transaction left behind (role postgres)" in found
        assert "ROLLBACK PREPARED 'left behind';" in found
        assert "the replication slot forgotten (logical, used by nobody)" in found
        assert "pg_drop_replication_slot('forgotten')" in found


def test_autovacuum_that_is_switched_off_is_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    connection.execute("ALTER TABLE noti.notifications_log SET (autovacuum_enabled = off)")
    [finding] = told(doctor(exits=1), "autovacuum", "problem")
    for statement in finding.split(" → ")[1].split("; "):
        connection.execute(statement.encode())
    assert told(doctor(), "autovacuum", "ok")


@pytest.mark.parametrize(
    ("row", "level", "words"),
    [
        ({"dead": 60_000, "live": 10}, "warning", "60000 dead rows beside 10 living ones, last vacuumed never"),
        ({"frozen_age": 1_500_000_000}, "problem", "VACUUM (FREEZE"),
    ],
)
def test_vacuum_that_is_late_is_told(row: dict[str, Any], level: str, words: str) -> None:
    whole = {"relation": "t", "off": False, "live": 0, "dead": 0, "vacuumed_seconds": None, "frozen_age": 0, **row}
    [finding] = upkeep._table(whole)
    assert finding.level == level
    assert words in f"{finding.what} {finding.todo}"


def test_invalid_missing_and_bloated_indexes_are_told(
    doctor: Callable[..., Told], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'noti.notifications_log_entity'::regclass"
    )
    [invalid] = told(doctor(exits=1), "indexes", "problem")
    assert "noti.notifications_log_entity is invalid" in invalid
    connection.execute(invalid.split(" → ")[1].encode())
    monkeypatch.setattr(upkeep, "BLOATED_FROM", 0)
    [bloated] = told(doctor(), "indexes", "warning")
    assert "is bloated: " in bloated
    connection.execute("DROP INDEX noti.notifications_log_hot")
    assert "notifications_log_hot is missing" in told(doctor(exits=1), "indexes", "problem")[0]


# ---------------------------------------------------------------- accounts


def accounts(tmp_path: Path, inbox: Inbox, authority: Authority, password: str = PASSWORD) -> str:
    (tmp_path / "password").write_text(password)
    file = tmp_path / "noti.toml"
    file.write_text(
        f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\nusername = "{USERNAME}"\n'
        f'password = "file:{tmp_path}/password"\nca_file = "{authority.ca_file}"\nfrom = "a@example.com"\n'
        '[accounts.box]\nprovider = "sandbox"\n[routes]\nemail = ["relay"]\nwebhook = ["box"]\n'
    )
    return str(file)


def test_an_account_is_asked_to_let_us_in_and_nothing_is_sent(
    doctor: Callable[..., Told], inbox: Inbox, authority: Authority, tmp_path: Path
) -> None:
    findings = told(doctor("--config", accounts(tmp_path, inbox, authority)), "account", "ok")
    assert f"relay (smtp): 127.0.0.1 port {inbox.port}, TLSv1.3, logged in as {USERNAME}" in findings[0]
    assert "box (sandbox): its settings are complete" in findings[1]
    assert inbox.mails == []


def test_an_account_that_is_refused_is_a_problem(
    doctor: Callable[..., Told], inbox: Inbox, authority: Authority, tmp_path: Path
) -> None:
    config = accounts(tmp_path, inbox, authority, password="wrong")
    [refused] = told(doctor("--config", config, exits=1), "account", "problem")
    assert "the server refused the login" in refused
    assert "noti-worker release --account relay" in refused
    assert "noti-worker provider check relay shows all that was said" in refused


def test_an_account_that_does_not_answer_is_a_problem(
    doctor: Callable[..., Told], inbox: Inbox, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = accounts(tmp_path, inbox, authority)
    monkeypatch.setenv("NOTI_ACCOUNTS__RELAY__PORT", "1")
    assert "cannot connect" in told(doctor("--config", config, exits=1), "account", "problem")[0]


def test_safe_mode_is_a_warning(
    doctor: Callable[..., Told], inbox: Inbox, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = accounts(tmp_path, inbox, authority)
    monkeypatch.setenv("NOTI_DELIVERY__MODE", "redirect")
    monkeypatch.setenv("NOTI_ACCOUNTS__BOX__MODE", "dry")
    redirect, dry = told(doctor("--config", config), "configuration", "warning")
    assert redirect.startswith("safe mode: redirect for in_app, relay;")
    assert dry.startswith("safe mode: dry for box;")


# ---------------------------------------------------------------- rows and workers


def test_due_rows_without_a_worker_are_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    life(connection, "pending")
    assert told(doctor(exits=1), "workers") == ["no worker is running, and 1 row is due → start one: noti-worker run"]


@pytest.mark.usefixtures("worker")
def test_a_channel_that_no_living_worker_serves_is_a_problem(
    doctor: Callable[..., Told], connection: Connection
) -> None:
    life(connection, "pending", channel="sms", recipient="+4915112345678")
    life(connection, "pending")
    [finding] = told(doctor(exits=1), "rows")
    assert finding.startswith("1 sms row waits, and no living worker serves sms")


def test_digests_that_nobody_closes_are_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    life(connection, "gathering")
    assert told(doctor(), "rows", "problem") == []
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE noti.notifications_log SET send_at = now() - interval '20 minutes'")
    [found] = told(doctor(exits=1), "rows", "problem")
    assert found.startswith("1 row gathers although the first digest was due 20")
    assert "noti-worker run" in found


def test_a_lapsed_lease_is_a_problem(doctor: Callable[..., Told], connection: Connection) -> None:
    claim(connection, life(connection, "pending"), lease="-1 hour")
    assert "start a worker" in told(doctor(exits=1), "rows", "problem")[0]
    register(connection)
    assert "should have taken them over" in told(doctor(exits=1), "rows", "problem")[0]


@pytest.mark.usefixtures("worker")
def test_rows_that_wait_for_a_person_are_told_with_the_command(
    doctor: Callable[..., Told], connection: Connection, noti: Invoke
) -> None:
    life(connection, "held")
    life(connection, "unknown")
    held, unknown = sorted(told(doctor(), "rows", "warning"))
    assert "1 email row is held" in held
    assert "may have been sent or not" in unknown
    released = noti(*held.split("noti-worker ")[1].split(), "--yes")
    assert released.exit_code == 0, released.output
    assert len(told(doctor(), "rows", "warning")) == 1


@pytest.mark.usefixtures("worker")
def test_many_dead_addresses_are_told(doctor: Callable[..., Told], connection: Connection) -> None:
    ids = insert(connection, 520, status="failed")

    def tried(numbers: list[int], kind: str) -> None:
        connection.execute(
            "INSERT INTO noti.notification_attempts_log"
            " (notification_id, attempt_number, status, account, kind, claim_count, worker, started_at)"
            " SELECT id, 1, 'failed', 'relay', %s, 1, '1', now() FROM unnest(%s::bigint[]) AS id",
            [kind, numbers],
        )

    tried(ids[:49], "dead")
    tried(ids[49:500], "permanent")
    assert told(doctor(), "rows", "warning") == []
    tried(ids[500:501], "dead")
    assert told(doctor(), "rows", "warning") == []  # less than a tenth
    tried(ids[501:], "dead")
    [found] = told(doctor(), "rows", "warning")
    assert found.startswith("69 of the last 520 email tries of the account relay were answered dead")


@pytest.mark.usefixtures("worker")
def test_limits_that_are_felt_are_told(doctor: Callable[..., Told], connection: Connection) -> None:
    life(connection, "pending")
    connection.execute(
        "INSERT INTO noti.worker_routes SELECT worker_id, 'email', 1, 'relay', 'smtp', 'live' FROM noti.workers;"
        "INSERT INTO noti.limits (scope, name, amount, every) VALUES ('account', 'reley', 5, '1 s'),"
        " ('account', 'relay', 5, '1 s');"
        "INSERT INTO noti.buckets VALUES"
        " ('account', '', 'relay', 1, 5, 1, 1, clock_timestamp(), 0.25, clock_timestamp() + interval '1 hour');"
        "INSERT INTO noti.usage VALUES ('tenant channel', 'default', 'email', 'day', 1, current_date,"
        " clock_timestamp() + interval '1 hour', 7, 7, current_date)"
    )
    slowed, unknown, spent = told(doctor(), "limits", "warning")
    assert re.search(r"account relay has \d\d% of its rate", slowed)  # it recovers while we look
    assert "the account reley is limited, and no running worker has it" in unknown
    assert "the 7 of this day of the tenant channel email are used up, and 1 due message waits" in spent


def test_endpoints_that_hear_nothing_are_told(doctor: Callable[..., Told], connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.endpoints (tenant_id, name, url, state, state_reason, failing_since, error) VALUES"
        " ('acme', 'well', 'https://a.example', 'enabled', NULL, NULL, NULL),"
        " ('acme', 'ill', 'https://b.example', 'enabled', NULL, '2026-11-01', 'it answered 500'),"
        " ('acme', 'gone', 'https://c.example', 'failed', 'it failed for five days', NULL, NULL),"
        " ('acme', 'off', 'https://d.example', 'disabled', NULL, NULL, NULL)"
    )
    told_ = doctor(exits=1)
    [unserved] = told(told_, "endpoints", "problem")
    assert "2 wait to be told, and no account sends webhooks" in unserved
    gone, ill = sorted(told(told_, "endpoints", "warning"))
    assert "gone of tenant acme hears nothing any more: it failed for five days" in gone
    assert "ill of tenant acme takes nothing since 2026-11-01" in ill


@pytest.mark.usefixtures("worker")
def test_falling_behind_is_told(
    doctor: Callable[..., Told], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "BEHIND", 0.0)
    life(connection, "pending")
    assert "raise channels.email.concurrency" in told(doctor(), "rows", "warning")[0]


def test_workers_of_another_version_and_dead_ones_are_told(doctor: Callable[..., Told], connection: Connection) -> None:
    register(connection, version="0.0.9")
    connection.execute(
        "INSERT INTO noti.workers (host, pid, version, heartbeat) VALUES ('h', 7, '0', now() - interval '1 minute')"
    )
    mixed, dead = told(doctor(), "workers", "warning")
    assert f"workers run version 0.0.9, this program is {__version__}" in mixed
    assert "process 7 on h" in dead


def test_a_look_that_takes_too_long_is_a_warning_and_the_others_go_on(
    doctor: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(connection: Connection) -> list[Any]:
        limit = connection.execute("SELECT current_setting('statement_timeout') AS limit").fetchone()
        assert limit == {"limit": PATIENCE}
        connection.execute("SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(10)")  # it need not last so long here
        return []

    monkeypatch.setattr(upkeep, "indexes", slow)
    findings = doctor()
    assert "could not be looked at" in told(findings, "indexes", "warning")[0]
    assert told(findings, "rows", "ok")


REFUSED = (
    '{"channels": ["email"], "unable": {"record": "the database refused (42501 InsufficientPrivilege)"}, "refused": 30,'
    ' "refused_rows": [{"id": 17, "what": "claim", "why": "no"}, {"id": 18, "what": "claim", "why": "no"}, 7, {}]}'
)


def test_what_the_database_refuses_to_a_worker_is_a_problem(
    doctor: Callable[..., Told], connection: Connection
) -> None:
    connection.execute("INSERT INTO noti.workers (host, pid, version, state) VALUES ('h', 1, 'x', %s)", [REFUSED])
    [number] = connection.execute("SELECT worker_id FROM noti.workers").fetchone() or []
    found = doctor(exits=1)
    [unable] = told(found, "workers", "problem")
    assert unable.startswith(
        f"worker {number} (process 1 on h) is not ready, it cannot record: the database refused (42501 "
    )
    [rows] = told(found, "rows", "problem")
    assert rows.startswith(
        f"30 rows are refused to worker {number}, the others go on: 17, 18 (claim: no) and 28 more → mend"
    )


def test_what_a_worker_says_in_another_form_is_not_believed(
    doctor: Callable[..., Told], connection: Connection
) -> None:
    odd = '{"channels": ["email"], "unable": ["x"], "refused": "many", "refused_rows": {"a": 1}}'
    connection.execute("INSERT INTO noti.workers (host, pid, version, state) VALUES ('h', 1, 'x', %s)", [odd])
    assert told(doctor(), "rows", "problem") == []


def test_rows_that_nobody_sees_and_lines_without_a_place_are_problems(
    doctor: Callable[..., Told], connection: Connection
) -> None:
    connection.execute("ALTER TABLE noti.templates ENABLE ROW LEVEL SECURITY")
    connection.execute("DROP TABLE noti.audit_log_default")
    for [name] in connection.execute("SELECT partition FROM noti.log_partitions() WHERE log = 'audit_log'").fetchall():
        connection.execute(f"DROP TABLE noti.{name}".encode())
    closed, hidden = told(doctor(exits=1), "schema", "problem")
    assert closed.startswith("noti.audit_log has no partition for today and no default one: nothing can be recorded")
    assert hidden.startswith("row-level security is on for noti.templates, and no policy shows anybody a row of it")
    connection.execute("CREATE POLICY all_of_it ON noti.templates USING (true)")
    assert len(told(doctor(exits=1), "schema", "problem")) == 1


# ---------------------------------------------------------------- receipts


RECEIPTS = """[accounts.mail]
provider = "postmark"
server_token = "env:TEST_TOKEN"
from = "a@example.com"
receipt_token = "env:TEST_TOKEN"
api_url = "{api}"
[web]
url = "{url}"
"""


@pytest.fixture
def taking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """A configuration in which an account takes receipts at a public address; its path."""
    monkeypatch.setenv("TEST_TOKEN", "0123456789abcdef")

    def at(url: str) -> str:
        (tmp_path / "noti.toml").write_text(RECEIPTS.format(url=url, api=service.url))
        return str(tmp_path / "noti.toml")

    with ApiServer() as service:
        service.answers(200, {"ID": 1, "Name": "Production"})()
        yield at


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (b"noti-worker\n", "ok", "leads to noti-worker web"),
        (b"Welcome to nginx", "warning", "does not lead to noti-worker web as seen from here: it answered 200"),
    ],
)
def test_the_public_address_is_asked(
    doctor: Callable[..., Told], taking: Callable[[str], str], answer: bytes, level: str, words: str
) -> None:
    with ApiServer() as public:
        public.by_path["/x/"] = Answer(200, answer)
        findings = doctor("--config", taking(f"{public.url}/x"))
        assert words in told(findings, "receipts", level)[0]
        assert public.last.path == "/x/"


def test_a_provider_that_tells_nothing_is_noticed(
    doctor: Callable[..., Told], taking: Callable[[str], str], connection: Connection
) -> None:
    file = taking("http://127.0.0.1:1")
    findings = doctor("--config", file)
    assert "does not lead to noti-worker web" in told(findings, "receipts", "warning")[0]
    assert "mail: nothing was posted yet" in told(findings, "receipts", "ok")[0]
    connection.execute(
        "INSERT INTO noti.notification_attempts_log"
        " (notification_id, attempt_number, claim_count, status, account, provider, kind, created_at)"
        " VALUES (1, 1, 1, 'sent', 'mail', 'postmark', 'ok', now() - interval '2 hours')"
    )
    assert "its provider posted nothing within a week" in told(doctor("--config", file), "receipts", "warning")[1]
    connection.execute("INSERT INTO noti.receipts_raw (account, provider, body) VALUES ('mail', 'postmark', '{}')")
    assert "posted something 0 min ago" in told(doctor("--config", file), "receipts", "ok")[0]
