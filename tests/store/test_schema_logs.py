"""What may not be deleted, and the audit log that only the retention role may change."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.changes import refusal
from tests.store.rows import claim, insert, tried

Connection = psycopg.Connection[Any]

APPEND_ONLY = (
    "42501",
    "noti: the audit log is append-only. Only the role noti_retention may change it.",
)


def test_an_unfinished_notification_cannot_be_deleted(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    insert(connection, status="held")
    insert(connection)
    claim(queue, 1)
    for number in (1, 2, 3):
        assert refusal(connection, f"DELETE FROM noti.notifications_log WHERE notification_id = {number}") == (
            "23514",
            (
                f"noti: notification {number}: it is not finished and cannot be deleted. "
                "Cancel it instead, or add AND finished_at IS NOT NULL to the DELETE."
            ),
        )


def test_a_finished_notification_can_be_deleted(connection: Connection) -> None:
    insert(connection, status="sent")
    insert(connection)
    deleted = connection.execute("DELETE FROM noti.notifications_log WHERE finished_at IS NOT NULL")
    assert deleted.rowcount == 1


@pytest.mark.parametrize("status", ["pending", "held"])
def test_a_table_with_unfinished_rows_cannot_be_truncated(connection: Connection, status: str) -> None:
    insert(connection, status="sent")
    insert(connection, status=status)
    assert refusal(connection, "TRUNCATE noti.notifications_log") == (
        "23514",
        "noti: there are unfinished notifications, and the table cannot be truncated. Cancel them first.",
    )


def test_a_table_of_finished_rows_can_be_truncated(connection: Connection) -> None:
    insert(connection, status="sent")
    connection.execute("TRUNCATE noti.notifications_log")
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE noti.audit_log SET action = 'x'", "DELETE FROM noti.audit_log", "TRUNCATE noti.audit_log"],
)
def test_the_audit_log_is_append_only_even_for_a_superuser(connection: Connection, statement: str) -> None:
    insert(connection)
    assert refusal(connection, statement) == APPEND_ONLY


@pytest.fixture
def retention(connection: Connection) -> Iterator[Connection]:
    """A transaction in which the retention role, a member of it and a stranger exist; it is rolled back."""
    insert(connection, 3, status="sent")
    with connection.transaction(force_rollback=True):
        connection.execute(
            """
            CREATE ROLE noti_retention;
            CREATE ROLE noti_member IN ROLE noti_retention;
            CREATE ROLE noti_stranger;
            GRANT USAGE ON SCHEMA noti TO noti_retention, noti_stranger;
            GRANT SELECT, UPDATE, DELETE, TRUNCATE ON noti.audit_log TO noti_retention, noti_stranger;
            """
        )
        yield connection


@pytest.mark.parametrize("role", ["noti_retention", "noti_member"])
def test_the_retention_role_and_its_members_may_change_the_audit_log(retention: Connection, role: str) -> None:
    retention.execute(f"SET LOCAL ROLE {role}".encode())
    assert retention.execute("UPDATE noti.audit_log SET metadata = NULL").rowcount == 3
    assert retention.execute("DELETE FROM noti.audit_log WHERE audit_id = 1").rowcount == 1
    retention.execute("TRUNCATE noti.audit_log")


@pytest.mark.parametrize("role", ["noti_stranger", "postgres"])
def test_where_the_retention_role_exists_nobody_else_may(retention: Connection, role: str) -> None:
    retention.execute(f"SET LOCAL ROLE {role}".encode())
    with retention.transaction(force_rollback=True):
        assert refusal(retention, "DELETE FROM noti.audit_log") == APPEND_ONLY


@pytest.mark.parametrize("function", ["on_insert", "on_update", "on_truncate"])
def test_nobody_can_forge_audit_lines_with_the_trigger_functions(connection: Connection, function: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE noti_test_forger; GRANT USAGE ON SCHEMA noti TO noti_test_forger")
        connection.execute("SET LOCAL ROLE noti_test_forger")
        connection.execute("CREATE TEMP TABLE forged (tenant_id text, notification_id bigint)")
        assert refusal(
            connection, f"CREATE TRIGGER forged AFTER UPDATE ON forged EXECUTE FUNCTION noti.{function}()"
        ) == ("42501", f"permission denied for function noti.{function}")


def test_attempts_know_only_their_statuses(connection: Connection) -> None:
    add = """
    INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, claim_count, status)
    VALUES (1, 1, 1, %s)
    """
    for status in ("sent", "retrying", "failed", "held", "unknown", "lost", "stale"):
        connection.execute(add, [status])
    for status in set(Status) - {"sent", "retrying", "failed", "held", "unknown"}:
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(add, [status.value])


def test_an_application_may_point_a_foreign_key_at_a_notification(connection: Connection, queue: PostgresQueue) -> None:
    connection.execute("CREATE TABLE orders (id int, notification_id bigint REFERENCES noti.notifications_log)")
    [number] = insert(connection)
    with connection.transaction():
        connection.execute("INSERT INTO orders VALUES (1, %s)", [number])
        [claimed] = claim(queue)
        assert queue.record(1, [tried(claimed)]) == {number: "applied"}
