"""The server goes away, falls silent, throws everybody out, or stands behind a pooler: nothing is lost or doubled."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.pgbouncer import pgbouncer
from tests.system.daemon import Daemons, Ledger
from tests.system.test_faults import (
    BRISK,
    ROUTE,
    SOON,
    Connection,
    Finished,
    Invariants,
    WaitFor,
    count,
    insert,
    statuses,
)


def test_backends_that_are_terminated_at_any_moment_cost_nothing(
    daemons: Daemons, ledger: Ledger, connection: Connection, finished: Finished, invariants: Invariants
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK + SOON)
    daemon = daemons.start_ready()
    for _ in range(12):
        insert(connection, "user#@example.com", 50)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name ~ '^noti-worker'"
        )
        threading.Event().wait(0.15)
    finished()
    assert Counter(statuses(connection).values()) == {"sent": 50}
    assert count(connection, "status = 'sent'") == 600
    assert max(Counter(ledger.message_ids_of_all()).values()) == 1
    assert invariants() == []
    assert len(daemon.said("database_lost")) <= 1
    assert daemon.stop() == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_database_in_the_middle_costs_nothing(
    own_server: Server, tmp_path: Path, wait_for: WaitFor, mode: Literal["fast", "immediate"]
) -> None:
    ledger = Ledger(tmp_path)
    with Daemons(tmp_path, own_server.url) as house:
        house.environ |= ledger.environ
        house.configure(ledger.account() + ROUTE + BRISK + "[channels.email]\nconcurrency = 20\n")
        daemon = house.start_ready()
        with psycopg.connect(own_server.url, autocommit=True) as connection:
            insert(connection, "user#@example.com", 1000)
            insert(connection, "slow#@example.com", 100)
        wait_for(lambda: len(ledger.begun()) > 200)
        own_server.stop(mode)
        own_server.start()
        with psycopg.connect(own_server.url, autocommit=True) as connection:
            wait_for(lambda: not count(connection, "finished_at IS NULL"), 40)
            assert Counter(statuses(connection).values()) == {"sent": 1100}
            assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
            # A crash of the server empties the (unlogged) register.
            wait_for(lambda: connection.execute("SELECT FROM noti.workers").fetchall())
        assert max(Counter(ledger.message_ids_of_all()).values()) == 1
        assert daemon.stop() == 0


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """All processes of the server stand still: connections stay open, nobody answers."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)  # first: from here on nobody is born
    family = [server.pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server.pid:
            family.append(int(stat.parent.name))
    try:
        for pid in family:
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_stop_while_the_database_is_silent_ends_soon_and_says_what_is_left(
    own_server: Server, tmp_path: Path, wait_for: WaitFor
) -> None:
    ledger = Ledger(tmp_path)
    with Daemons(tmp_path, own_server.url) as house:
        house.environ |= ledger.environ
        house.configure(ledger.account() + ROUTE + '[worker]\ndrain_deadline = "1s"\n')
        daemon = house.start_ready()
        with psycopg.connect(own_server.url, autocommit=True) as connection:
            insert(connection, "gated#@example.com", 3)
            wait_for(lambda: len(ledger.begun()) == 3)
        with frozen(own_server):
            ledger.open_gate()
            wait_for(lambda: len(ledger.accepted()) == 3)
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            assert daemon.wait(40) == 0
            assert time.monotonic() - began < 20
        assert daemon.said("worker_stopped")[0]["left"] == 3


def test_a_second_signal_ends_it_quickly_although_the_database_is_silent(
    own_server: Server, tmp_path: Path, wait_for: WaitFor
) -> None:
    ledger = Ledger(tmp_path)
    with Daemons(tmp_path, own_server.url) as house:
        house.environ |= ledger.environ
        house.configure(ledger.account() + ROUTE)
        daemon = house.start_ready()
        with psycopg.connect(own_server.url, autocommit=True) as connection:
            insert(connection, "gated#@example.com", 3)
            wait_for(lambda: len(ledger.begun()) == 3)
        with frozen(own_server):
            daemon.signal(signal.SIGTERM)
            daemon.wait_for(lambda: daemon.said("worker_stopping"), 10)
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            assert daemon.wait(40) == 0
            assert time.monotonic() - began < 15


@pytest.fixture
def pooled_url(database_url: str, open_directory: Path, wait_for: WaitFor) -> Iterator[str]:
    """The test's database through PgBouncer in transaction mode."""
    with pgbouncer(open_directory, database_url, "transaction", wait_for) as url:
        yield url


_NAMES = ("statement_timeout", "lock_timeout", "enable_seqscan", "jit", "plan_cache_mode")
SHOWN = "SELECT " + ", ".join(f"current_setting('{name}')" for name in _NAMES)


@pytest.mark.parametrize("listening", [True, False])
def test_behind_a_pooler_everything_is_delivered_and_no_setting_leaks(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    pooled_url: str,
    database_url: str,
    finished: Finished,
    invariants: Invariants,
    wait_for: WaitFor,
    listening: bool,
) -> None:
    listen = f'listen_url = "{database_url}"' if listening else ""
    daemons.configure(
        f"[database]\npgbouncer = true\n{listen}\n"
        + ledger.account()
        + ROUTE
        + '[worker]\npoll_interval = "600ms"\nlease = "3s"\n'
    )
    daemon = daemons.start_ready(NOTI_DATABASE_URL=pooled_url)
    insert(connection, "user#@example.com", 300)
    insert(connection, "careful#@example.com", 20, "hold")
    finished()
    assert count(connection, "status = 'sent'") == 320
    assert len(ledger.accepted()) == 320
    seconds = []
    for n in range(321, 327):
        began = time.monotonic()
        insert(connection, "one@example.com")
        wait_for(lambda n=n: count(connection, "status = 'sent'") == n)
        seconds.append(time.monotonic() - began)
    assert max(seconds) < 0.66 + 0.3  # the poll alone finds it in 1.1 intervals
    if listening:
        assert sorted(seconds)[3] < 0.3
    # Whoever gets a connection of the pool after the worker finds it as the server made it.
    plain = connection.execute(SHOWN).fetchone()
    clients = [psycopg.connect(pooled_url, autocommit=True, prepare_threshold=None) for _ in range(4)]
    for client in clients:
        assert client.execute(SHOWN).fetchone() == plain
        assert client.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        client.close()
    assert invariants() == []
    assert [line for line in daemon.log if line.get("level") in {"warning", "error"}] == []
    assert daemon.stop() == 0
