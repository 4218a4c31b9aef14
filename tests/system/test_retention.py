"""A worker lets old rows go while it delivers; what its role may not do, it says and goes on."""

from collections.abc import Callable
from typing import Any

import psycopg

from noti_worker.store.upkeep.retention import NOT_OURS
from tests.system.daemon import Daemons

KEEP = '[retention]\nsent = "1d"\nlogs = "1d"\n'
OLD = (
    "INSERT INTO noti.notifications_log (channel, recipient, body, status, finished_at)"
    " SELECT 'email', 'a', 'x', 'sent', now() - interval '2 days' FROM generate_series(1, 700)"
)
NEW = "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('in_app', 'user:1', 'Hi')"


def test_old_rows_and_months_go_while_new_rows_are_delivered(
    daemons: Daemons,
    database_url: str,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    connection.cursor().execute(OLD.encode())
    connection.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    connection.execute(NEW.encode())
    daemons.database_url = database_url  # as the owner of the logs
    daemons.configure(KEEP)
    daemon = daemons.start_ready()
    finished()
    daemon.wait_for(lambda: daemon.said("retention"), 30)
    [line] = daemon.said("retention")
    assert (line["level"], line["deleted"], line["stray"]) == ("info", 700, 0)
    assert line["dropped"] == ["audit_log_2020_01", "notification_attempts_log_2020_01"]
    assert 'noti_worker_retention_deleted_total{what="sent"} 700.0' in daemon.get("/metrics")[1]
    assert connection.execute("SELECT status FROM noti.notifications_log").fetchall() == [("sent",)]
    assert daemon.stop() == 0
    assert invariants() == []


def test_a_worker_that_owns_nothing_delivers_deletes_and_says_what_others_have_to_do(
    daemons: Daemons, connection: psycopg.Connection[Any], finished: Callable[..., None]
) -> None:
    connection.cursor().execute(OLD.encode())
    connection.execute("SELECT noti.add_log_partitions('2020-01-01', 0)")
    daemons.configure(KEEP)
    daemon = daemons.start_ready()
    daemon.wait_for(lambda: daemon.said("trouble"), 30)
    [trouble] = daemon.said("trouble")
    assert trouble["where"] == "chore retention"
    assert trouble["error"] == (
        "audit_log has 1 old partitions to drop; notification_attempts_log has 1 old partitions to drop; "
        f"but {NOT_OURS}"
    )
    connection.execute(NEW.encode())
    finished()
    assert connection.execute("SELECT status FROM noti.notifications_log").fetchall() == [("sent",)]
    assert daemon.get("/health/ready")[0] == 200
    assert daemon.stop() == 0
