"""The logs in monthly partitions: what was there is kept, months are made ahead, stray lines find their place."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from noti_worker.domain.errors import DatabaseRefused
from noti_worker.store import migrate
from tests.store.changes import refusal

Connection = psycopg.Connection[Any]

LOGS = ("notification_attempts_log", "audit_log")


def partitions(connection: Connection, log: str) -> dict[str, tuple[Any, Any]]:
    found = connection.execute(
        "SELECT partition, from_at::text, to_at::text FROM noti.log_partitions() WHERE log = %s", [log]
    )
    return {name.removeprefix(log): (since, until) for name, since, until in found}


def line(connection: Connection, at: str, entity: str = "1") -> None:
    """One audit line of another time."""
    connection.execute(
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, created_at)"
        " VALUES ('default', 'test', %s, 'test', 'db', 'test', %s)",
        [entity, at],
    )


def where(connection: Connection, entity: str = "1") -> list[str]:
    """The partitions in which the audit lines of an entity are."""
    found = connection.execute(
        "SELECT tableoid::regclass::text FROM noti.audit_log WHERE entity_id = %s ORDER BY created_at", [entity]
    )
    return [name.removeprefix("noti.audit_log") for (name,) in found]


@pytest.fixture
def utc(connection: Connection) -> Connection:
    connection.execute("SET timezone = 'UTC'")
    return connection


@pytest.fixture
def role(empty_database_url: str) -> Iterator[str]:
    """A role that is gone afterwards: roles are the cluster's, not the database's."""
    name = f"noti_test_{uuid4().hex[:8]}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        yield name
        connection.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}".encode())


@pytest.mark.parametrize("log", LOGS)
def test_this_month_and_four_ahead_are_there_and_a_default_partition(utc: Connection, log: str) -> None:
    months = utc.execute(
        "SELECT to_char(m, '_YYYY_MM'), m::text, (m + interval '1 month')::text FROM generate_series("
        "date_trunc('month', now()), date_trunc('month', now()) + interval '4 months', '1 month') m"
    )
    expected = {name: (since, until) for name, since, until in months} | {"_default": (None, None)}
    assert partitions(utc, log) == expected


def test_partitions_are_made_ahead_across_the_turn_of_the_year(utc: Connection) -> None:
    # There it is tomorrow already, dates look otherwise, and a backslash escapes.
    utc.execute("SET timezone = 'Pacific/Auckland'; SET datestyle = 'German'; SET standard_conforming_strings = off")
    made = utc.execute("SELECT noti.add_log_partitions('2031-11-30 23:59:59+00', 2)").fetchall()
    utc.execute("SET timezone = 'UTC'; SET datestyle = 'ISO'")
    assert [name for (name,) in made] == [
        f"{log}_{month}" for log in LOGS for month in ("2031_11", "2031_12", "2032_01")
    ]
    for log in LOGS:
        there = partitions(utc, log)
        assert there["_2031_12"] == ("2031-12-01 00:00:00+00", "2032-01-01 00:00:00+00")
        assert there["_2032_01"] == ("2032-01-01 00:00:00+00", "2032-02-01 00:00:00+00")
    for at in ("2031-12-31 23:59:59.999999+00", "2032-01-01 00:00+00"):
        line(utc, at)
    assert where(utc) == ["_2031_12", "_2032_01"]
    assert utc.execute("SELECT noti.add_log_partitions('2031-12-01', 1)").fetchall() == []  # nothing to do


def test_every_partition_has_what_its_log_has(utc: Connection) -> None:
    """Indexes, checks and triggers, also in one made later and in one that was the default partition."""
    line(utc, "2020-05-05")
    utc.execute("SELECT noti.settle_default_partition('audit_log')")
    utc.execute("SELECT noti.add_log_partitions('2040-01-01', 0)")
    found = utc.execute(
        """
        SELECT p.log, p.partition,
               (SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
                 WHERE i.indrelid = c.oid),
               (SELECT array_agg(o.conname::text) FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'c'),
               (SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid)
          FROM noti.log_partitions() p JOIN pg_class c ON c.relname = p.partition
        """
    ).fetchall()
    assert len(found) >= 2 * 7
    for log, partition, indexes, checks, triggers in found:
        audit = log == "audit_log"
        assert (partition, indexes) == (partition, 2)
        assert checks == (None if audit else ["notification_attempts_log_status"])
        assert triggers == (["audit_log_append_only", "audit_log_no_truncate"] if audit else None)


def test_no_way_around_the_append_only_rule_leads_through_a_partition(connection: Connection) -> None:
    line(connection, "2020-01-01")
    line(connection, "infinity", "2")
    connection.execute("SELECT noti.add_log_partitions('2040-01-01', 0)")
    for partition in ("audit_log_default", "audit_log_2040_01"):
        assert refusal(connection, f"TRUNCATE noti.{partition}")[0] == "42501"
    for change in ("DELETE FROM noti.audit_log_default", "UPDATE noti.audit_log_default SET action = 'x'"):
        assert refusal(connection, change)[0] == "42501"


def test_the_default_partition_catches_what_has_no_month_and_gets_empty_again(utc: Connection) -> None:
    for at in ("2020-11-30", "2020-12-01", "2021-01-31 23:59"):
        line(utc, at)
    assert where(utc) == ["_default"] * 3
    # While they are there, none of these months can be made.
    assert utc.execute("SELECT noti.add_log_partitions('2020-12-05', 0)").fetchall() == [
        ("notification_attempts_log_2020_12",)
    ]
    settled = utc.execute("SELECT noti.settle_default_partition('audit_log')").fetchone()
    assert settled == ("audit_log_2020_11_to_2021_01",)
    assert where(utc) == ["_2020_11_to_2021_01"] * 3
    assert partitions(utc, "audit_log")["_2020_11_to_2021_01"] == ("2020-11-01 00:00:00+00", "2021-02-01 00:00:00+00")
    line(utc, "2019-02-03", "2")
    assert where(utc, "2") == ["_default"]
    assert utc.execute("SELECT noti.settle_default_partition('audit_log')").fetchone() == ("audit_log_2019_02",)
    assert utc.execute("SELECT noti.settle_default_partition('audit_log')").fetchone() == (None,)


@pytest.mark.parametrize("stray", [("infinity",), ("-infinity",), ("2020-01-01", "2199-01-01")])
def test_stray_lines_that_fit_no_free_months_stay_where_they_are(utc: Connection, stray: tuple[str, ...]) -> None:
    for at in stray:
        line(utc, at)
    assert utc.execute("SELECT noti.settle_default_partition('audit_log')").fetchone() == (None,)
    assert where(utc) == ["_default"] * len(stray)


def test_only_partitions_whose_every_line_is_old_are_dropped(utc: Connection) -> None:
    utc.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    for name in ("audit_log_2020_01", "audit_log_default", "audit_log", "notifications_log", "no such table"):
        dropped = utc.execute("SELECT noti.drop_log_partition(%s, '2020-01-31 23:59')", [name]).fetchone()
        assert (name, dropped) == (name, (False,))
    assert utc.execute("SELECT noti.drop_log_partition('audit_log_2020_01', '2020-02-01')").fetchone() == (True,)
    assert "_2020_01" not in partitions(utc, "audit_log")


def test_whoever_needs_a_log_in_use_gives_up_soon(connection: Connection, database_url: str) -> None:
    """A long report must not make the workers queue up behind a chore that waits for it."""
    with psycopg.connect(database_url) as report:
        report.execute("SELECT count(*) FROM noti.audit_log")
        connection.execute("SET statement_timeout = '30s'")
        partition = f"(SELECT max(partition) FROM noti.log_partitions() WHERE to_at IS NOT NULL AND log = '{LOGS[1]}')"
        code, _ = refusal(connection, f"SELECT noti.drop_log_partition({partition}, 'infinity')")
        assert code == "55P03"


# ------------------------------------------------------------------------------------ up and down with data


def story(url: str) -> list[tuple[Any, ...]]:
    """Both logs, without columns that came later, and what they tell."""
    with psycopg.connect(url) as connection:
        tries = connection.execute(
            "SELECT jsonb_strip_nulls(to_jsonb(t)) FROM noti.notification_attempts_log t ORDER BY log_id"
        ).fetchall()
        audit = connection.execute("SELECT a::text FROM noti.audit_log a ORDER BY audit_id").fetchall()
        why = connection.execute("SELECT w::text FROM noti.why(1) w WHERE w.event <> 'next'").fetchall()
        assert len(why) == 2
        return tries + audit + why


def test_up_and_down_keep_every_line_every_right_and_the_numbers(empty_database_url: str, role: str) -> None:
    url = empty_database_url
    migrate.upgrade(url, "0001")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) SELECT 'email', 'a', 'x'"
            " FROM generate_series(1, 3)"
        )
        connection.execute(
            "INSERT INTO noti.notification_attempts_log"
            " (notification_id, attempt_number, status, claim_count, created_at)"
            " VALUES (1, 1, 'sent', 1, '2020-02-02')"
        )
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")  # the guard does not look
            connection.execute(
                "UPDATE noti.notifications_log SET claim_count = 1, attempt_count = 1 WHERE notification_id = 1"
            )
        for at in ("2021-03-03", "infinity", "-infinity"):
            line(connection, at, "other")
        connection.execute(f"GRANT SELECT ON noti.audit_log TO {role}, PUBLIC".encode())
        connection.execute(f"GRANT INSERT (entity_id) ON noti.audit_log TO {role} WITH GRANT OPTION".encode())
    before = story(url)
    rights = (
        "SELECT array_agg(x::text ORDER BY x::text) FROM information_schema.column_privileges x"
        f" WHERE table_name = 'audit_log' AND grantee IN ('{role}', 'PUBLIC')"
    )
    with psycopg.connect(url) as connection:
        granted = connection.execute(rights.encode()).fetchone()

    def insert(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'b', 'y')"
            )
            assert connection.execute("SELECT max(audit_id) FROM noti.audit_log").fetchone() == (number,)
            assert connection.execute(rights.encode()).fetchone() == granted
            assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []

    for _ in range(2):
        migrate.upgrade(url)
        assert story(url) == before
        with psycopg.connect(url) as connection:
            assert partitions(connection, "audit_log")["_first"][0] == "-infinity"
            assert where(connection, "other") == ["_first", "_first", "_default"]
        migrate.downgrade(url, "0001")
        assert story(url) == before
    migrate.upgrade(url)
    insert(7)
    migrate.downgrade(url, "0001")
    insert(8)


def test_a_view_over_a_log_is_not_left_with_a_part_of_it(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0001")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE VIEW public.report AS SELECT count(*) FROM noti.audit_log")
    with pytest.raises(DatabaseRefused) as caught:
        migrate.upgrade(empty_database_url)
    assert str(caught.value) == (
        "2BP01: the view public.report reads noti.audit_log, which is about to become another table. "
        "Drop the view, migrate, and create it again."
    )
    assert migrate.current(empty_database_url) == "0001"


def test_the_logs_stay_with_their_owner_whoever_migrates(empty_database_url: str, role: str) -> None:
    url = empty_database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA noti AUTHORIZATION {role}".encode())
        owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^(audit_log|notification_att)'"
        migrate.upgrade(url.replace("//postgres@", f"//{role}@"), "0001")
        migrate.upgrade(url)
        connection.execute("SELECT noti.add_log_partitions('2040-01-01', 0)")
        assert connection.execute(owners.encode()).fetchall() == [(role,)]
        migrate.downgrade(url, "0001")
        assert connection.execute(owners.encode()).fetchall() == [(role,)]
