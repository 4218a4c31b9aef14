"""Two servers: failover to a replica, a standby by mistake, a synchronous standby that stands still."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.replica import Replica, frozen
from tests.system.daemon import Daemon
from tests.system.scene import BRISK, Scene
from tests.verdict import Verdict


@pytest.fixture
def replica(own_server: Server) -> Iterator[Replica]:
    directory = own_server.directory.parent / "replica"
    directory.mkdir()
    with Replica(own_server, directory) as replica:
        yield replica


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def start_beside_a_synchronous_standby(scene: Scene, more: str) -> Daemon:
    """A daemon with three sends under way; from here on each COMMIT waits for the replica."""
    scene.wait_for(lambda: scene.ask("SELECT FROM pg_stat_replication WHERE state = 'streaming'"), 20)
    daemon = scene.start(more)
    scene.insert("gated#@example.com", 3)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 3)
    scene.connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    scene.connection.execute("SELECT pg_reload_conf()")
    scene.wait_for(lambda: scene.ask("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"))
    return daemon


@pytest.mark.fault("F15")
def test_after_a_failover_the_worker_goes_on_at_the_new_primary(
    own_scene: Scene, own_server: Server, replica: Replica, verdict: Verdict
) -> None:
    own_scene.wait_for(lambda: answers(replica.url()), 20, "the replica answers")
    own_scene.house.database_url = own_scene.database_url = replica.either()
    daemon = own_scene.start(BRISK)
    own_scene.insert("user#@example.com", 300)
    own_scene.insert("slow#@example.com", 30)
    own_scene.wait_for(lambda: len(own_scene.ledger.begun()) > 100)
    with psycopg.connect(replica.url("postgres"), autocommit=True) as standby:
        # Everything that was committed is there: what is asynchronous about it is another page.
        [position] = own_scene.ask("SELECT pg_current_wal_lsn()::text")
        own_scene.wait_for(
            lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]).fetchone() == (True,)
        )
        own_server.stop("fast")
        standby.execute("SELECT pg_promote()")
    began = time.monotonic()
    own_scene.finished(40)
    seconds = time.monotonic() - began
    assert own_scene.count("status = 'sent'") == 330
    assert own_scene.sound()
    assert own_scene.repeats() == 0
    assert len(daemon.said("database_lost")) <= 2
    assert daemon.stop() == 0
    verdict.say(f"330 rows, half of them after the promotion, done {seconds:.1f} s later", repeats=own_scene.repeats())


@pytest.mark.fault("F58")
def test_a_worker_that_was_led_to_a_standby_waits_and_says_why(
    own_scene: Scene, replica: Replica, verdict: Verdict
) -> None:
    own_scene.wait_for(lambda: answers(replica.url()), 20, "the replica answers")
    own_scene.configure(BRISK)
    daemon = own_scene.house.start(NOTI_DATABASE_URL=replica.url())
    own_scene.wait_for(lambda: daemon.said("database_lost"), 20)
    threading.Event().wait(3)
    assert daemon.process.poll() is None
    [said] = daemon.said("database_lost")
    assert "25006" in said["error"]
    with psycopg.connect(replica.url("postgres"), autocommit=True) as standby:
        standby.execute("SELECT pg_promote()")
    own_scene.wait_for(lambda: daemon.said("worker_started"), 20)  # and once it is no standby any more, it works
    assert daemon.stop() == 0
    verdict.say("waits, says 25006 once, and works when the standby is promoted")


@pytest.mark.fault("F16")
@pytest.mark.slow
def test_a_commit_that_hangs_for_a_frozen_standby_hangs_nobody(
    own_scene: Scene, replica: Replica, verdict: Verdict
) -> None:
    daemon = start_beside_a_synchronous_standby(own_scene, BRISK)
    with frozen(replica.pid):
        own_scene.ledger.open_gate()
        own_scene.wait_for(
            lambda: own_scene.ask("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 10, "a COMMIT hangs"
        )
        began = time.monotonic()
        own_scene.wait_for(lambda: daemon.said("database_lost"), 25)
        seconds = time.monotonic() - began
        assert seconds < 15 + 2
        assert daemon.get("/health/live")[0] == 200
        threading.Event().wait(3)
        own_scene.connection.execute("SELECT FROM noti.notifications_log")
    own_scene.finished(40)
    assert own_scene.tries() == ["sent"] * 3
    assert own_scene.repeats() == 0
    assert own_scene.sound()
    assert daemon.stop() == 0
    verdict.say(f"the COMMIT was given up after {seconds:.1f} s, and recorded once", repeats=0)


@pytest.mark.fault("F16")
def test_a_stop_while_a_commit_hangs_ends_soon(own_scene: Scene, replica: Replica, verdict: Verdict) -> None:
    daemon = start_beside_a_synchronous_standby(own_scene, '[worker]\ndrain_deadline = "1s"\n')
    with frozen(replica.pid):
        own_scene.ledger.open_gate()
        own_scene.wait_for(lambda: own_scene.ask("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 10)
        began = time.monotonic()
        assert daemon.stop() == 0
        seconds = time.monotonic() - began
        assert seconds < 15
    verdict.say(f"SIGTERM while a COMMIT hangs: the end after {seconds:.1f} s, exit 0")
