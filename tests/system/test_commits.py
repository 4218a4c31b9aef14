"""What an application commits is sent, however late; what it rolls back is not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system.daemon import Daemons
from tests.system.judge import gather, judge
from tests.system.ledger_server import LedgerServer
from tests.system.scene import Scene

Connection = psycopg.Connection[Any]

INSERT = "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', %s, 'x')"


def test_a_row_that_commits_long_after_its_neighbours_were_sent_is_sent_too(scene: Scene, database_url: str) -> None:
    scene.start()
    scene.insert("gated@example.com")  # as long as it is in flight its lane is not forgotten
    scene.wait_for(scene.ledger.begun)
    with psycopg.connect(database_url) as slow:
        slow.execute(INSERT, ["late@example.com"])
        scene.insert("early#@example.com", 200)
        scene.wait_for(lambda: scene.count("status = 'sent'") == 200)
        threading.Event().wait(1.5)  # longer than the slack with which a lane is looked at
        scene.insert("next@example.com")
        scene.wait_for(lambda: scene.count("status = 'sent'") == 201)
        slow.commit()
    scene.wait_for(lambda: scene.count("status = 'sent'") == 202, 20)
    scene.ledger.open_gate()
    assert scene.ledger.accepted().count("late@example.com") == 1


def test_what_is_rolled_back_is_never_sent(scene: Scene, database_url: str) -> None:
    scene.start()
    with psycopg.connect(database_url) as application:
        for _ in range(20):
            for _ in range(5):
                application.execute(INSERT, ["never@example.com"])
            application.rollback()
            application.execute(INSERT, ["always@example.com"])
            application.commit()
    scene.finished()
    assert set(scene.ledger.begun()) == {"always@example.com"}
    assert scene.count("status = 'sent'") == 20


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
