"""The ledger server does what it is told, and its book outlives it."""

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system.daemon import Daemons
from tests.system.judge import gather, judge
from tests.system.ledger_server import ROOT, SLOW, LedgerServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LedgerServer]:
    with LedgerServer(tmp_path) as server:
        yield server


def send(server: LedgerServer, key: str, timeout: float = 5.0) -> int | type[Exception]:
    """The status, or how the line ended."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        line.request("POST", f"/to/{key}", b"x", {"webhook-id": key})
        return line.getresponse().status
    except (TimeoutError, http.client.RemoteDisconnected, ConnectionResetError) as error:
        return type(error)
    finally:
        line.close()


def test_it_behaves_as_it_is_told_and_books_what_it_accepts(server: LedgerServer) -> None:
    assert send(server, "ok") == 200
    server.behave("slow")
    began = time.monotonic()
    assert send(server, "slow") == 200
    assert time.monotonic() - began >= SLOW
    server.behave("broken")
    assert send(server, "broken") == 500
    server.behave("throttled")
    assert send(server, "throttled") == 429
    server.behave("cut")
    assert send(server, "cut") is http.client.RemoteDisconnected
    server.behave("hang")
    assert send(server, "hang", timeout=0.3) is TimeoutError
    server.behave("ok", "broken")
    assert {send(server, f"mixed-{n}") for n in range(40)} == {200, 500}
    accepted = [accept.key for accept in server.accepts() if not accept.key.startswith("mixed")]
    assert accepted == ["ok", "slow", "cut"]
    assert server.accepts()[0].to == "to/ok"


def test_what_it_answered_is_in_the_book_whenever_it_is_killed(server: LedgerServer) -> None:
    answered: list[str] = []
    killed = threading.Event()

    def ask(asker: int) -> None:
        n = 0
        while not killed.is_set():
            n += 1
            try:
                if send(server, f"{asker}-{n}") == 200:
                    answered.append(f"{asker}-{n}")
            except ConnectionError:  # refused, reset, or broken in the middle of the question
                return

    askers = [threading.Thread(target=ask, args=[asker]) for asker in range(8)]
    for asker in askers:
        asker.start()
    while len(answered) < 200:
        threading.Event().wait(0.01)
    server.kill()
    killed.set()
    for asker in askers:
        asker.join()
    with server.book.open("ab") as book:
        book.write(b'{"key": "to')  # as a kill in the middle of a write leaves it
    assert set(answered) <= {accept.key for accept in server.accepts()}
    server.start()
    assert send(server, "next") == 200
    keys = [accept.key for accept in server.accepts()]
    assert keys[-1] == "next"
    assert set(answered) <= set(keys)


ORPHAN = """
import os, signal, sys
from pathlib import Path
from tests.system.ledger_server import LedgerServer
server = LedgerServer(Path(sys.argv[1]))
server.start()
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, wait_for: Callable[..., Any]) -> None:
    orphaned = subprocess.run([sys.executable, "-c", ORPHAN, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    address = ("127.0.0.1", int(orphaned.stdout))

    def gone() -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(address) != 0

    wait_for(gone, what="the server has ended")


def test_the_judge_reads_the_books_of_a_real_run(
    server: LedgerServer,
    daemons: Daemons,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    daemons.configure(
        server.account
        + "[channels.webhook]\nsend_timeout = '500ms'\nretry = { initial_delay = '100ms', multiplier = 1.0 }\n"
    )
    server.behave("ok", "broken", "cut", "hang")
    ids = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries, on_uncertain)"
        " SELECT 'webhook', %s || n, '{}', 100, CASE WHEN n > 40 THEN 'hold' END FROM generate_series(1, 50) n"
        " RETURNING notification_id",
        [server.url("to/")],
    ).fetchall()
    daemon = daemons.start_ready()
    finished()
    assert daemon.stop() == 0
    case = gather(connection, [row[0] for row in ids], server.accepts())
    judgement = judge(case)
    assert judgement.findings == []
    assert judgement.statuses.keys() == {"sent", "unknown"}
    assert judgement.repeats.keys() == {"uncertain outcome"}  # what was cut was accepted, and sent again
    assert judgement.accepts == judgement.repeats.total() + len({accept.key for accept in case.accepts})
    assert invariants() == []
