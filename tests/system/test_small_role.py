"""A worker whose role has just the rights that doctor names."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from noti_worker import enqueue
from noti_worker.domain.finding import Level
from noti_worker.store.people.doctor.server import rights
from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

ROLE = "noti_worker_alone"


@pytest.fixture
def granted(connection: psycopg.Connection[Any], database_url: str) -> Iterator[None]:
    """A new role to which was granted what doctor says: first to look, then the rest."""
    connection.execute(f"CREATE ROLE {ROLE} LOGIN")
    for _ in range(2):
        with psycopg.connect(url_of(database_url), autocommit=True, row_factory=dict_row) as small:
            todos = [finding.todo for finding in rights(small) if finding.level is Level.PROBLEM]
        for todo in todos:
            connection.execute(todo.partition(": ")[2].encode())
    yield
    connection.execute(f"DROP OWNED BY {ROLE}")
    connection.execute(f"DROP ROLE {ROLE}")


def url_of(database_url: str) -> str:
    return database_url.replace("postgres@", f"{ROLE}@")


@pytest.mark.usefixtures("granted")
def test_the_rights_that_doctor_names_are_enough_for_a_worker(
    daemons: Daemons,
    database_url: str,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    connection.execute("INSERT INTO noti.templates (template_id, subject, body) VALUES ('t', 's', 'b')")
    [(attachment,)] = connection.execute(
        "INSERT INTO noti.attachments (filename, content) VALUES ('a.txt', 'x') RETURNING attachment_id::text"
    ).fetchall()
    daemons.configure(SANDBOX)
    daemon = daemons.start_ready(NOTI_DATABASE_URL=url_of(database_url))
    enqueue(connection, channel="in_app", recipient="user:1", body="x")
    enqueue(connection, channel="email", recipient="a@example.com", template_id="t", on_uncertain="hold")
    enqueue(connection, channel="email", recipient="a@example.com", body="x", options={"attachments": [attachment]})
    enqueue(connection, channel="sms", recipient="+4915112340001", body="x")
    finished()
    daemon.wait_for(lambda: connection.execute("SELECT 1 FROM noti.duties WHERE state IS NOT NULL").fetchone(), 30)
    assert daemon.stop() == 0
    rows = connection.execute("SELECT status FROM noti.notifications_log ORDER BY notification_id").fetchall()
    assert rows == [("sent",), ("sent",), ("sent",), ("failed",)]
    assert connection.execute("SELECT count(*) FROM noti.workers").fetchone() == (0,)
    assert "42501" not in daemon.log_file.read_text()  # insufficient_privilege
    assert invariants() == []
