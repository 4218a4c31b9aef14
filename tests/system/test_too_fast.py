"""Who is too slow, or finds us too fast, holds up nobody else."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import Any

import psycopg

from tests.providers.api import ApiServer
from tests.system.daemon import Daemons
from tests.system.test_failover import SETTINGS, account

Connection = psycopg.Connection[Any]


def insert(connection: Connection, channel: str, rows: int) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT %s, '+1555' || 1000 + n, 'Your code' FROM generate_series(1, %s) n",
        [channel, rows],
    )


def count(connection: Connection, condition: str) -> int:
    query = f"SELECT count(*) FROM noti.notifications_log WHERE {condition}"
    return int(connection.execute(query.encode()).fetchall()[0][0])


def test_an_account_without_a_rate_that_is_asked_to_wait_is_closed_for_all_workers_and_no_other_is(
    daemons: Daemons, connection: Connection, invariants: Callable[[], list[Any]], wait_for: Callable[..., Any]
) -> None:
    with ApiServer() as busy, ApiServer() as free:
        busy.answers(429, {"code": "slow", "error": "too many"}, **{"Retry-After": "200"})()
        free.answers(202, {"id": "m-1"})()
        other = account("free", free.url).replace('["sms"]', '["voice"]')
        daemons.configure(f'{account("busy", busy.url)}{other}[routes]\nsms = ["busy"]\nvoice = ["free"]\n{SETTINGS}')
        started = [daemons.start_ready() for _ in range(2)]
        insert(connection, "sms", 60)
        closed = "SELECT scope, name, reason FROM noti.closures WHERE cause = 'limit'"
        wait_for(lambda: connection.execute(closed).fetchall(), timeout=60, what="it is closed")
        assert connection.execute(closed).fetchall() == [("account", "busy", "it found us too fast")]
        wait_for(lambda: all(daemon.said("paused") for daemon in started), timeout=60, what="each worker knows it")
        wait_for(lambda: not count(connection, "claimed_by IS NOT NULL"), timeout=60, what="nothing is in hand")
        asked = len(busy.asked)
        assert asked < 60, "what waited was not tried"
        insert(connection, "sms", 30)
        insert(connection, "voice", 60)
        wait_for(lambda: count(connection, "channel = 'voice' AND status = 'sent'") == 60, timeout=60)
        assert len(busy.asked) == asked
        waiting = "channel = 'sms' AND status = 'pending' AND attempt_count = 0 AND claim_count = 0"
        assert count(connection, waiting) >= 30
        [newest] = connection.execute("SELECT max(notification_id) FROM noti.notifications_log WHERE channel = 'sms'")
        told = " ".join(detail for (detail,) in connection.execute("SELECT detail FROM noti.why(%s)", newest))
        assert "the account busy is closed since" in told
        assert "(it found us too fast)" in told
        busy.answers(202, {"id": "m-1"})()
        untried = count(connection, "channel = 'sms' AND attempt_count = 0")
        connection.execute(
            "INSERT INTO noti.limits (scope, name, amount, every) VALUES ('account', 'busy', 1000, '1 s')"
        )
        wait_for(lambda: count(connection, "channel = 'sms' AND status = 'sent'") == untried, timeout=60)
        assert {daemon.stop() for daemon in started} == {0}
    assert invariants() == []


def test_two_hundred_destinations_do_not_wait_for_one_that_hangs(
    daemons: Daemons, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    taken: list[socket.socket] = []

    def take(deaf: socket.socket) -> None:
        try:
            while True:
                taken.append(deaf.accept()[0])  # and never a word
        except OSError:
            pass

    with ExitStack() as stack:
        service = stack.enter_context(ApiServer())
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        Thread(target=take, args=(deaf,), daemon=True).start()
        daemons.configure(
            '[accounts.hooks]\nprovider = "webhook"\nunsigned = true\nallow_http = true\n'
            'allow_networks = ["127.0.0.0/8"]\n[channels.webhook]\nsend_timeout = "10m"\n[worker]\nlease = "20m"\n'
        )
        daemons.start_ready()
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body)"
            " SELECT 'webhook', CASE d WHEN 7 THEN %s ELSE %s || d END, '{}'"
            " FROM generate_series(1, 5), generate_series(1, 200) d",
            [f"http://127.0.0.1:{deaf.getsockname()[1]}/", f"{service.url}/d"],
        )
        wait_for(lambda: count(connection, "status = 'sent'") == 199 * 5, timeout=90, what="all others are sent")
        assert count(connection, "status = 'sending' AND attempt_count = 0") == 5, "while the one still hangs"
        assert len(taken) == 5
        for line in taken:
            line.close()
        deaf.shutdown(socket.SHUT_RDWR)
