"""SIGTERM, a second one, a database that goes away: the daemon as a process."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons
from tests.system.judge import gather, judge
from tests.system.ledger_server import Accept
from tests.system.scene import Scene
from tests.verdict import Verdict

EMAIL = SANDBOX + '[routes]\nemail = ["box"]\n'


def insert(connection: psycopg.Connection[Any], recipient: str, rows: int = 1, on_uncertain: str | None = None) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, on_uncertain)"
        " SELECT 'email', %s, 'x', %s FROM generate_series(1, %s)",
        [recipient, on_uncertain, rows],
    )


def in_flight(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM noti.notifications_log WHERE claimed_by IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.fault("F07")
def test_an_idle_worker_stops_at_once_and_leaves_the_register(
    daemons: Daemons, connection: psycopg.Connection[Any]
) -> None:
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 6
    assert connection.execute("SELECT count(*) FROM noti.workers").fetchone() == (0,)
    assert daemon.said("worker_stopped")


@pytest.mark.fault("F07")
def test_a_busy_worker_finishes_what_it_began_and_gives_back_the_rest(
    daemons: Daemons,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
    invariants: Callable[[], list[Any]],
) -> None:
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    insert(connection, "slow@example.com", 20, "hold")  # so that a begun send leaves its mark
    begun = "SELECT count(*) >= 5 FROM noti.notifications_log WHERE dispatched_at IS NOT NULL"
    wait_for(lambda: connection.execute(begun).fetchone() == (True,))
    assert daemon.stop() == 0
    rows = dict(connection.execute("SELECT status, count(*) FROM noti.notifications_log GROUP BY 1").fetchall())
    assert rows.get("sending") is None
    assert rows["sent"] >= 5
    assert rows["pending"] + rows["sent"] == 20
    uncharged = connection.execute(
        "SELECT count(*) FROM noti.notifications_log"
        " WHERE status = 'pending' AND (retry_count > 0 OR attempt_count > 0)"
    )
    assert uncharged.fetchone() == (0,)
    assert invariants() == []


@pytest.mark.parametrize(("on_uncertain", "status"), [("hold", "unknown"), ("retry", "retrying"), ("fail", "failed")])
@pytest.mark.fault("F08")
def test_a_hanging_send_is_recorded_as_uncertain_at_the_drain_deadline(
    scene: Scene, on_uncertain: str, status: str
) -> None:
    daemon = scene.start('[worker]\ndrain_deadline = "1s"\n')
    scene.insert("gated@example.com", 1, on_uncertain)
    scene.wait_for(scene.ledger.begun)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert 0.8 < time.monotonic() - began < 10
    assert scene.ask("SELECT status FROM noti.notifications_log") == [status]
    assert scene.ask("SELECT kind, account FROM noti.notification_attempts_log") == [("uncertain", "book")]
    assert scene.sound()


@pytest.mark.fault("F07")
def test_a_second_sigterm_ends_it_quickly(
    daemons: Daemons,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
    invariants: Callable[[], list[Any]],
) -> None:
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    insert(connection, "hanging@example.com", 8, "hold")
    wait_for(lambda: in_flight(connection) >= 5)
    daemon.signal(signal.SIGTERM)
    wait_for(lambda: daemon.said("worker_stopping"))
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    assert in_flight(connection) == 0
    assert invariants() == []


@pytest.mark.fault("F14")
def test_a_database_that_goes_away_is_normal_weather(
    own_scene: Scene, own_server: Server, wait_for: Callable[..., Any]
) -> None:
    daemon = own_scene.start('[worker]\npoll_interval = "200ms"\n')
    own_scene.insert("gated#@example.com", 3)
    wait_for(lambda: len(own_scene.ledger.begun()) == 3)
    assert daemon.get("/health/ready")[0] == 200
    own_server.stop()
    wait_for(lambda: daemon.said("database_lost"))
    wait_for(lambda: daemon.get("/health/ready")[0] == 503)
    assert daemon.get("/health/live")[0] == 200
    own_scene.ledger.open_gate()
    # Long enough for a worker that logged each failed call to say so often.
    with pytest.raises(AssertionError, match="not within"):
        daemon.wait_for(lambda: len(daemon.said("database_lost")) > 1, 6)
    assert "noti_worker_unrecorded_results 3.0\n" in daemon.get("/metrics")[1]
    own_server.start()
    own_scene.finished()
    own_scene.insert("later@example.com")
    own_scene.finished()
    assert own_scene.tries() == ["sent"] * 4
    assert own_scene.sound()
    assert len(daemon.said("database_lost")) == 1
    assert len(daemon.said("database_back")) == 1
    wait_for(lambda: daemon.get("/health/ready")[0] == 200)
    assert daemon.stop() == 0


@pytest.mark.fault("F07")
def test_a_worker_waits_for_a_database_that_is_not_there_yet(tmp_path: Path, wait_for: Callable[..., Any]) -> None:
    with Daemons(tmp_path, "postgresql://noti@127.0.0.1:1/app") as house:
        house.configure(EMAIL)
        daemon = house.start()
        wait_for(lambda: daemon.said("database_lost"), timeout=20)
        assert daemon.stop() == 0


@pytest.mark.fault("F45")
def test_a_missing_schema_is_said_with_what_to_do(tmp_path: Path, empty_database_url: str) -> None:
    with Daemons(tmp_path, empty_database_url) as house:
        house.configure(EMAIL)
        daemon = house.start()
        assert daemon.wait() != 0
        assert "noti-worker migrate" in daemon.log_file.read_text()


@pytest.mark.fault("F07", "F67")
def test_a_result_that_a_lock_keeps_from_the_books_until_the_stop_is_sent_again_and_counted(
    scene: Scene, database_url: str, verdict: Verdict
) -> None:
    daemon = scene.start('[worker]\ndrain_deadline = "1s"\nlease = "2s"\n')
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun, what="it is in flight")
    with psycopg.connect(database_url) as application:
        application.execute("SELECT FROM noti.notifications_log FOR UPDATE")
        scene.ledger.open_gate()
        scene.wait_for(scene.ledger.accepted, what="it is accepted")
        assert daemon.stop() == 0
        [stopped] = daemon.said("worker_stopped")
        assert stopped["left"] == 1
    second = scene.house.start_ready()
    scene.finished(60)
    accepts = [Accept(key, "gated@example.com", 0.0) for key in scene.ledger.message_ids_of_all()]
    judgement = judge(gather(scene.connection, [1], accepts))
    assert judgement.findings == []
    assert judgement.repeats == {"lost claim": 1}
    assert scene.sound()
    assert second.stop() == 0
    verdict.say("locked by an application over the stop: exit 0, its result lost, sent again", scene.repeats())
