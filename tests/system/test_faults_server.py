"""The server goes away, falls silent, throws everybody out, or stands behind a pooler: nothing is lost or doubled."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.fault_proxy import FaultProxy, socket_of, through
from tests.pgbouncer import pgbouncer
from tests.replica import frozen
from tests.system.scene import BRISK, SOON, Scene, complaints
from tests.verdict import Verdict


@pytest.mark.fault("F12")
def test_backends_that_are_terminated_at_any_moment_cost_nothing(scene: Scene, verdict: Verdict) -> None:
    daemon = scene.start(BRISK + SOON)
    for _ in range(12):
        scene.insert("user#@example.com", 50)
        scene.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name ~ '^noti-worker'"
        )
        threading.Event().wait(0.15)
    scene.finished()
    assert scene.count("status = 'sent'") == 600
    assert scene.repeats() == 0
    assert scene.sound()
    assert len(daemon.said("database_lost")) <= 1
    assert daemon.stop() == 0
    verdict.say("its sessions terminated 12 times in 2 s: 600 rows sent", repeats=0)


def fast(server: Server) -> None:
    server.stop("fast")


def immediate(server: Server) -> None:
    server.stop("immediate")


def one_backend_killed(server: Server) -> None:
    """The postmaster throws everybody out, recovers, and goes on."""
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        [(pid,)] = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'noti-worker results 1'"
        ).fetchall()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):  # until we are thrown out
            connection.execute("SELECT pg_sleep(10)")


def postmaster_killed(server: Server) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(fast, marks=pytest.mark.fault("F11")),
        pytest.param(immediate, marks=pytest.mark.fault("F11")),
        pytest.param(one_backend_killed, marks=pytest.mark.fault("F12")),
        pytest.param(postmaster_killed, marks=pytest.mark.fault("F13")),
    ],
)
def test_an_end_of_the_database_in_the_middle_costs_nothing(
    own_scene: Scene, own_server: Server, verdict: Verdict, end: Callable[[Server], None]
) -> None:
    daemon = own_scene.start(BRISK + "[channels.email]\nconcurrency = 20\n")
    own_scene.insert("user#@example.com", 1000)
    own_scene.insert("slow#@example.com", 100)
    own_scene.wait_for(lambda: len(own_scene.ledger.begun()) > 200)
    end(own_server)
    own_server.start()
    own_scene.wait_for(own_scene.answers, 20)
    began = time.monotonic()
    own_scene.finished(40)
    seconds = time.monotonic() - began
    assert own_scene.count("status = 'sent'") == 1100
    assert own_scene.sound()
    # A crash of the server empties the (unlogged) register.
    own_scene.wait_for(lambda: own_scene.ask("SELECT FROM noti.workers"))
    assert own_scene.repeats() == 0
    assert daemon.stop() == 0
    verdict.say(f"{end.__name__.replace('_', ' ')}: the rest of 1,100 rows in {seconds:.1f} s", repeats=0)


@pytest.mark.fault("F11")
def test_after_an_outage_nobody_sends_again_what_a_neighbour_has_yet_to_record(
    own_scene: Scene, own_server: Server, verdict: Verdict
) -> None:
    url = own_scene.house.database_url
    with FaultProxy(socket_of(url)) as line:
        late = own_scene.start(BRISK, NOTI_DATABASE_URL=through(url, line.port))
        own_scene.insert("gated#@example.com", 5)
        own_scene.wait_for(lambda: len(own_scene.ledger.begun()) == 5)
        early = own_scene.house.start_ready()
        own_scene.insert("gated-too#@example.com", 5)
        own_scene.wait_for(lambda: len(own_scene.ledger.begun()) == 10)
        own_server.stop("immediate")
        line.refusing = True
        own_scene.ledger.open_gate()
        own_scene.wait_for(lambda: len(own_scene.ledger.accepted()) == 10)
        threading.Event().wait(2.5)  # all leases are over
        own_server.start()
        own_scene.wait_for(own_scene.answers, 20)
        own_scene.wait_for(lambda: own_scene.count("status = 'sent'") == 5, 20, "the early one has recorded its own")
        threading.Event().wait(2)  # which is time enough to sweep up what looks lost
        line.refusing = False
        own_scene.finished()
        assert own_scene.tries() == ["sent"] * 10
        assert own_scene.repeats() == 0
        assert own_scene.sound()
        assert [worker.stop() for worker in (early, late)] == [0, 0]
    verdict.say(
        "10 results in the hands of two workers, their leases over, one of them back 2 s later: each recorded its own",
        repeats=0,
    )


def test_a_stop_while_the_database_is_silent_ends_soon_and_says_what_is_left(
    own_scene: Scene, own_server: Server, verdict: Verdict
) -> None:
    daemon = own_scene.start('[worker]\ndrain_deadline = "1s"\n')
    own_scene.insert("gated#@example.com", 3)
    own_scene.wait_for(lambda: len(own_scene.ledger.begun()) == 3)
    with frozen(own_server.pid):
        own_scene.ledger.open_gate()
        own_scene.wait_for(lambda: len(own_scene.ledger.accepted()) == 3)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(40) == 0
        seconds = time.monotonic() - began
        assert seconds < 20
    assert daemon.said("worker_stopped")[0]["left"] == 3
    verdict.say(f"SIGTERM while nobody answers: the end after {seconds:.1f} s, 3 unrecorded results said")


def test_a_second_signal_ends_it_quickly_although_the_database_is_silent(
    own_scene: Scene, own_server: Server, verdict: Verdict
) -> None:
    daemon = own_scene.start("")
    own_scene.insert("gated#@example.com", 3)
    own_scene.wait_for(lambda: len(own_scene.ledger.begun()) == 3)
    with frozen(own_server.pid):
        daemon.signal(signal.SIGTERM)
        daemon.wait_for(lambda: daemon.said("worker_stopping"), 10)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(40) == 0
        seconds = time.monotonic() - began
        assert seconds < 15
    verdict.say(f"a second SIGTERM while nobody answers: the end after {seconds:.1f} s")


@pytest.mark.fault("F14")
@pytest.mark.slow
def test_an_hour_without_a_database_is_one_line_a_minute_and_the_watchdog_is_fed(
    own_scene: Scene, own_server: Server, tmp_path: Path, verdict: Verdict
) -> None:
    """Seventy seconds of it."""
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(30)
    daemon = own_scene.start(BRISK, NOTIFY_SOCKET=str(tmp_path / "notify"))
    own_scene.insert("slow#@example.com", 5)
    own_scene.wait_for(lambda: len(own_scene.ledger.begun()) == 5)
    own_server.stop("immediate")
    began = fed = time.monotonic()
    hungry = 0.0
    while time.monotonic() - began < 70:
        if b"WATCHDOG=1" in systemd.recv(4096):
            hungry, fed = max(hungry, time.monotonic() - fed), time.monotonic()
    assert hungry < 30
    assert daemon.get("/health/ready")[0] == 503
    assert daemon.get("/health/live")[0] == 200
    assert len(daemon.said("database_lost")) == 2
    own_server.start()
    began = time.monotonic()
    own_scene.finished(40)
    seconds = time.monotonic() - began
    assert seconds < 5 + 1
    assert own_scene.tries() == ["sent"] * 5
    assert own_scene.repeats() == 0
    assert daemon.stop() == 0
    systemd.close()
    verdict.say(
        f"70 s away: 2 lines, the watchdog never hungry for more than {hungry:.0f} s, recorded {seconds:.1f} s after",
        repeats=0,
    )


@pytest.fixture
def pooled_url(database_url: str, open_directory: Path, wait_for: Callable[..., Any]) -> Iterator[str]:
    """The test's database through PgBouncer in transaction mode."""
    with pgbouncer(open_directory, database_url, "transaction", wait_for) as url:
        yield url


_NAMES = ("statement_timeout", "lock_timeout", "enable_seqscan", "jit", "plan_cache_mode")
SHOWN = "SELECT " + ", ".join(f"current_setting('{name}')" for name in _NAMES)


@pytest.mark.fault("F20")
@pytest.mark.parametrize("listening", [True, False])
def test_behind_a_pooler_everything_is_delivered_and_no_setting_leaks(
    scene: Scene, pooled_url: str, listening: bool, verdict: Verdict
) -> None:
    listen = f'listen_url = "{scene.house.database_url}"' if listening else ""
    scene.house.configure(
        f"[database]\npgbouncer = true\n{listen}\n"
        + scene.ledger.account()
        + '[routes]\nemail = ["book"]\n'
        + f'[worker]\npoll_interval = "{"5s" if listening else "600ms"}"\nlease = "3s"\n'
    )
    daemon = scene.house.start_ready(NOTI_DATABASE_URL=pooled_url)
    scene.insert("user#@example.com", 300)
    scene.insert("careful#@example.com", 20, "hold")
    scene.finished()
    assert scene.count("status = 'sent'") == 320
    assert len(scene.ledger.accepted()) == 320
    seconds = []
    for n in range(321, 327):
        began = time.monotonic()
        scene.insert("one@example.com")
        scene.wait_for(lambda n=n: scene.count("status = 'sent'") == n)
        seconds.append(time.monotonic() - began)
    assert sorted(seconds)[3] < 1  # a hint finds it at once, the poll alone within 1.1 intervals
    # Whoever gets a connection of the pool after the worker finds it as the server made it.
    plain = scene.connection.execute(SHOWN).fetchone()
    clients = [psycopg.connect(pooled_url, autocommit=True, prepare_threshold=None) for _ in range(4)]
    for client in clients:
        assert client.execute(SHOWN).fetchone() == plain
        assert client.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        client.close()
    assert scene.sound()
    assert complaints(daemon) == []
    assert daemon.stop() == 0
    how = "with a direct line to listen on" if listening else "by polling alone"
    verdict.say(f"two server connections, {how}: 326 rows, nothing leaks", repeats=scene.repeats())


@pytest.mark.fault("F71")
def test_a_time_limit_for_idle_sessions_is_no_loss_of_the_database(scene: Scene) -> None:
    [name] = scene.ask("SELECT current_database()")
    scene.connection.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '200ms'")
    daemon = scene.start()
    scene.insert("early#@example.com", 3)
    scene.finished()
    idle = (
        "SELECT FROM pg_stat_activity WHERE application_name ~ '^noti-worker results' AND datname = current_database()"
        " AND state_change < now() - interval '1 s'"
    )
    scene.wait_for(lambda: scene.ask(idle), what="a session has been idle for longer")
    scene.insert("late#@example.com", 3)
    scene.finished()
    assert complaints(daemon) == []
    assert daemon.stop() == 0
