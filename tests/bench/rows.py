"""The rows of the benchmark: 512 bytes of body, as they are inserted in bulk."""

from typing import Any

import psycopg

from tests.bench.server import scalar

BODY = "x" * 512
_AT_A_TIME = 50_000


def fill(connection: psycopg.Connection[Any], count: int, **columns: str) -> None:
    """Insert `count` plain e-mails; `columns` adds or replaces columns by SQL expressions over the number i."""
    values = {
        "channel": "'email'",
        "recipient": "'user' || i || '@example.com'",
        "subject": "'Subject ' || i",
        "body": f"'{BODY}'",
    } | columns
    for first in range(1, count + 1, _AT_A_TIME):
        last = min(count, first + _AT_A_TIME - 1)
        connection.execute(
            f"INSERT INTO noti.notifications_log ({', '.join(values)}) SELECT {', '.join(values.values())}"
            f" FROM generate_series({first}, {last}) AS i".encode()
        )


def settle(connection: psycopg.Connection[Any]) -> None:
    """Vacuum, analyze and checkpoint: what the bulk insert left to do is not to fall into the measurement."""
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def verify(connection: psycopg.Connection[Any], count: int) -> None:
    """Every row was sent exactly once, and all three tables say so; otherwise the figure does not count."""
    sent = scalar(connection, "SELECT count(*) FROM noti.notifications_log WHERE status = 'sent'")
    tries = scalar(connection, "SELECT count(*) FROM noti.notification_attempts_log WHERE status = 'sent'")
    lines = scalar(connection, "SELECT count(*) FROM noti.audit_log WHERE action = 'notification_sent'")
    rows = scalar(connection, "SELECT count(DISTINCT notification_id) FROM noti.notification_attempts_log")
    if not sent == tries == lines == rows == count:
        raise AssertionError(f"{count} rows: {sent} sent, {tries} tries of {rows} rows, {lines} audit lines")
    broken = connection.execute("SELECT * FROM noti.assert_invariants() LIMIT 3").fetchall()
    if broken:
        raise AssertionError(f"assert_invariants: {broken}")
