"""Pauses reach every worker within a second, by hint or without, and what is in flight ends as ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

WITHIN = 1.0
BUSY = 3.0
"""Seconds that a busy machine may add to the time between a look and the send that it let through."""


@contextmanager
def traffic(database_url: str) -> Iterator[None]:
    """Insert e-mails and texts without a break."""
    over = threading.Event()

    def insert() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.wait(0.01):
                connection.execute(
                    "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES"
                    " ('email', 'ada@example.com', 'x'), ('sms', '+4915112345678', 'x')"
                )

    thread = threading.Thread(target=insert)
    thread.start()
    yield
    over.set()
    thread.join()


def sent(connection: psycopg.Connection[Any], channel: str) -> int:
    found = connection.execute(
        "SELECT count(*) FROM noti.notifications_log WHERE channel = %s AND status = 'sent'", [channel]
    ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("wake", ["on", pytest.param("off", marks=pytest.mark.slow)])
def test_a_pause_stops_every_worker_within_a_second_and_others_go_on(
    daemons: Daemons,
    database_url: str,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
    wake: str,
) -> None:
    daemons.configure(SANDBOX)
    for _ in range(2):
        daemons.start_ready()
    connection.execute(f"SET noti.wake = '{wake}'".encode())
    with traffic(database_url):
        wait_for(lambda: sent(connection, "email") > 20)
        connection.execute("SELECT noti.pause('channel', 'email', 'a test', paused_by => 'ada')")
        threading.Event().wait(WITHIN + BUSY)
        emails, texts = sent(connection, "email"), sent(connection, "sms")
        wait_for(lambda: sent(connection, "sms") > texts + 50)  # the other channel goes on
        assert sent(connection, "email") == emails
        found = connection.execute(
            "SELECT count(*) FILTER (WHERE claimed_by IS NOT NULL), min(notification_id) FROM noti.notifications_log"
            " WHERE channel = 'email' AND finished_at IS NULL"
        ).fetchone()
        assert found is not None
        assert found[0] == 0
        told = connection.execute("SELECT detail FROM noti.why(%s) WHERE event = 'next'", [found[1]]).fetchone()
        assert told is not None
        assert "the channel email is paused by ada" in told[0]
        began = time.monotonic()
        connection.execute("SELECT noti.resume('channel', 'email')")
        wait_for(lambda: sent(connection, "email") > emails)
        assert time.monotonic() - began < WITHIN + BUSY
    wait_for(
        lambda: (
            not connection.execute("SELECT 1 FROM noti.notifications_log WHERE finished_at IS NULL LIMIT 1").fetchone()
        ),
        timeout=30,
    )
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_a_paused_account_leaves_its_route(
    daemons: Daemons, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure(
        '[accounts.one]\nprovider = "sandbox"\n[accounts.two]\nprovider = "sandbox"\n[routes]\n'
        + "".join(
            f'{channel} = ["one", "two"]\n'
            for channel in ("email", "sms", "whatsapp", "push", "voice", "chat", "webhook")
        )
    )
    connection.execute("SELECT noti.pause('account', 'one')")
    daemon = daemons.start_ready()
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, provider) VALUES"
        " ('email', 'ada@example.com', 'x', NULL), ('email', 'ada@example.com', 'x', 'one')"
    )
    wait_for(lambda: sent(connection, "email") == 1)
    wait_for(lambda: daemon.said("paused"))

    def tries() -> list[Any]:
        return connection.execute(
            "SELECT notification_id, account FROM noti.notification_attempts_log ORDER BY log_id"
        ).fetchall()

    assert tries() == [(1, "two")]
    connection.execute("SELECT noti.resume('account', 'one')")
    wait_for(lambda: sent(connection, "email") == 2)
    assert tries() == [(1, "two"), (2, "one")]
