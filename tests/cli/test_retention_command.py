"""`retention` from the command line."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from noti_worker.store.upkeep.retention import NOT_OURS
from tests.cli.conftest import Invoke, read
from tests.store.lives import life

Connection = psycopg.Connection[Any]


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> None:
    """Three old rows of two statuses, a new one, an old month; ages for all but failed rows."""
    for status in ("sent", "sent", "failed", "expired"):
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, status, finished_at)"
            " VALUES ('email', 'a', 'x', %s, now() - interval '40 days')",
            [status],
        )
    life(connection, "sent")
    connection.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    for name, age in (("SENT", "30d"), ("EXPIRED", "39d"), ("LOGS", "365d"), ("INBOX", "1d"), ("ATTACHMENTS", "1d")):
        monkeypatch.setenv(f"NOTI_RETENTION__{name}", age)


def count(connection: Connection) -> int:
    found = connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.usefixtures("aged")
def test_a_dry_run_counts_exactly_what_goes(noti: Invoke, connection: Connection) -> None:
    dry = read(noti("retention", "--dry-run", "--json"))
    assert (dry["deleted"], len(dry["dropped"]), count(connection)) == ({"sent": 2, "expired": 1}, 2, 5)
    done = read(noti("retention", "--json"))
    assert {name: done[name] for name in ("deleted", "dropped")} == {name: dry[name] for name in ("deleted", "dropped")}
    assert count(connection) == 2
    assert noti("retention").stdout == "nothing is old enough\n"
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


@pytest.mark.usefixtures("aged")
def test_it_says_what_goes_in_words(noti: Invoke) -> None:
    dropped = ["audit_log_2020_01 {}dropped", "notification_attempts_log_2020_01 {}dropped"]
    for words, options in (("would be ", ["--dry-run"]), ("", [])):
        result = noti("retention", *options)
        assert (result.exit_code, result.stderr) == (0, "")
        shown = [" ".join(line.split()) for line in result.stdout.splitlines()]
        assert shown == [
            "what rows",
            f"expired {words}deleted 1",
            f"sent {words}deleted 2",
            *(line.format(words) for line in dropped),
        ]


def test_without_settings_nothing_is_deleted(noti: Invoke, connection: Connection) -> None:
    life(connection, "sent")
    assert noti("retention").stdout == "nothing is old enough\n"
    assert count(connection) == 1


def test_a_role_that_does_not_own_the_logs_is_told_so(
    bare: Invoke, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    name = f"noti_test_{uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA noti TO {name}".encode())
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA noti TO {name}".encode())
    url = database_url.replace("//postgres@", f"//{name}@")
    result = bare("--database-url", url, "retention")
    assert (result.exit_code, result.stderr) == (1, f"Error: {NOT_OURS}\n")
    assert bare("--database-url", database_url, "retention").exit_code == 0
    connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_a_log_in_use_is_named_and_the_command_fails(noti: Invoke, connection: Connection, database_url: str) -> None:
    connection.execute("SELECT noti.drop_log_partition(max(partition), 'infinity') FROM noti.log_partitions()"
                       " WHERE log = 'audit_log' AND to_at IS NOT NULL")  # fmt: skip
    with psycopg.connect(database_url) as report:
        report.execute("LOCK TABLE noti.audit_log IN SHARE MODE")
        result = noti("retention")
    assert (result.exit_code, result.stderr) == (1, "not now: making partitions; somebody uses the log, try again\n")
    assert "audit_log" in noti("retention").stdout


def test_stray_lines_are_counted(noti: Invoke, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
        " VALUES ('default', 'test', '1', 'test', 'db', 'test', 'infinity')"
    )
    result = noti("retention")
    assert (result.exit_code, result.stderr) == (
        0,
        "1 line of audit_log has no month of its own (noti-worker docs retention)\n",
    )


def test_rows_that_are_pointed_at_are_counted(
    noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTI_RETENTION__SENT", "1h")
    assert noti("retention").exit_code == 78
    monkeypatch.setenv("NOTI_RETENTION__UNDER_A_DAY", "true")
    connection.execute("CREATE TABLE orders (notification_id bigint REFERENCES noti.notifications_log)")
    connection.execute(
        "WITH old AS (INSERT INTO noti.notifications_log (channel, recipient, body, status, finished_at)"
        " VALUES ('email', 'a', 'x', 'sent', '2020-01-01') RETURNING notification_id) SELECT FROM old"
    )
    connection.execute("INSERT INTO orders SELECT notification_id FROM noti.notifications_log")
    result = noti("retention")
    assert (result.exit_code, result.stderr) == (0, "1 stays: its id is a foreign key of other tables\n")


@pytest.mark.parametrize(
    ("age", "words"),
    [
        ("30m", "NOTI_RETENTION__SENT is '30m': allowed: from 1h to 36500d"),
        ("30", '(is it "30d"?)'),
        ("23h", "retention: sent (23h) is less than a day, and what is deleted is gone"),
        ("never", "NOTI_RETENTION__SENT is 'never': write a duration"),
    ],
)
def test_an_age_that_cannot_be_is_refused(noti: Invoke, monkeypatch: pytest.MonkeyPatch, age: str, words: str) -> None:
    monkeypatch.setenv("NOTI_RETENTION__SENT", age)
    result = noti("retention")
    assert result.exit_code == 78
    assert words in result.stderr
