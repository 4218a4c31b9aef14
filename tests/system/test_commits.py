"""What an application commits is sent, however late; what it rolls back is not."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tests.system.daemon import Daemons, Ledger
from tests.system.test_faults import BRISK, ROUTE, count, insert

Connection = psycopg.Connection[Any]


def test_a_row_that_commits_long_after_its_neighbours_were_sent_is_sent_too(
    daemons: Daemons, ledger: Ledger, connection: Connection, database_url: str, wait_for: Callable[..., Any]
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    daemons.start_ready()
    with psycopg.connect(database_url) as slow:
        insert(slow, "late@example.com")
        insert(connection, "early#@example.com", 200)
        wait_for(lambda: count(connection, "status = 'sent'") == 200)
        # The others of its lane keep coming, so it lies behind all that was claimed, and longer than a moment.
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:
            insert(connection, "meanwhile@example.com")
            threading.Event().wait(0.1)
        slow.commit()
    insert(connection, "after@example.com")
    wait_for(lambda: not count(connection, "finished_at IS NULL"), 5)
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
