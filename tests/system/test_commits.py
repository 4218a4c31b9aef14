"""What an application commits is sent, however late; what it rolls back is not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system.daemon import Daemons, Ledger
from tests.system.judge import gather, judge
from tests.system.ledger_server import LedgerServer
from tests.system.test_faults import BRISK, ROUTE, count, insert

Connection = psycopg.Connection[Any]


def test_a_row_that_commits_long_after_its_neighbours_were_sent_is_sent_too(
    daemons: Daemons, ledger: Ledger, connection: Connection, database_url: str, wait_for: Callable[..., Any]
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    daemons.start_ready()
    insert(connection, "gated@example.com")  # as long as it is in flight its lane is not forgotten
    wait_for(ledger.begun)
    with psycopg.connect(database_url) as slow:
        insert(slow, "late@example.com")
        insert(connection, "early#@example.com", 200)
        wait_for(lambda: count(connection, "status = 'sent'") == 200)
        threading.Event().wait(1.5)  # longer than the slack with which a lane is looked at
        insert(connection, "next@example.com")
        wait_for(lambda: count(connection, "status = 'sent'") == 201)
        slow.commit()
    wait_for(lambda: count(connection, "status = 'sent'") == 202, 5)
    ledger.open_gate()
    assert ledger.accepted().count("late@example.com") == 1


def test_what_is_rolled_back_is_never_sent(
    daemons: Daemons, ledger: Ledger, connection: Connection, database_url: str, finished: Callable[..., None]
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    daemons.start_ready()
    with psycopg.connect(database_url) as application:
        for _ in range(20):
            insert(application, "never@example.com", 5)
            application.rollback()
            insert(application, "always@example.com")
            application.commit()
    finished()
    assert set(ledger.begun()) == {"always@example.com"}
    assert count(connection, "status = 'sent'") == 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_a_fault_every_row_goes_out_once(
    daemons: Daemons,
    connection: Connection,
    tmp_path: Path,
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    with LedgerServer(tmp_path) as server:
        # Nothing else is a fault here: on a busy machine an answer may take its time.
        daemons.configure(server.account + "[channels.webhook]\nsend_timeout = '30s'\n")
        workers = [daemons.start_ready() for _ in range(8)]
        ids = connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body)"
            " SELECT 'webhook', %s || n, '{}' FROM generate_series(1, 100000) n RETURNING notification_id",
            [server.url("to/")],
        ).fetchall()
        finished(800)
        assert [worker.stop() for worker in workers] == [0] * 8
        judgement = judge(gather(connection, [row[0] for row in ids], server.accepts()))
    assert judgement.findings == []
    assert judgement.statuses == {"sent": 100_000}
    assert judgement.accepts == 100_000
    shares = connection.execute("SELECT count(DISTINCT worker) FROM noti.notification_attempts_log").fetchone()
    assert shares == (8,)
    assert invariants() == []
