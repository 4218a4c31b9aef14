"""The scaling page is true: two databases, a file and a process for each, and nothing between them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.providers.smtp_server import Inbox
from tests.system.daemon import ROOT

PAGE = (ROOT / "noti_worker" / "docs" / "scaling.md").read_text(encoding="utf-8")
NAMES = ("east", "west")


@pytest.fixture
def urls(cluster: Server) -> Iterator[dict[str, str]]:
    """Two databases that know nothing of each other, by the name of their instance."""
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as administrator:
        for name in NAMES:
            administrator.execute(f"CREATE DATABASE scaling_{name} TEMPLATE template0".encode())
            migrate.upgrade(cluster.url_of(f"scaling_{name}"))
        yield {name: cluster.url_of(f"scaling_{name}") for name in NAMES}
        for name in NAMES:
            administrator.execute(f"DROP DATABASE scaling_{name} WITH (FORCE)".encode())


@pytest.fixture
def plain_inbox() -> Iterator[Inbox]:
    with Inbox() as inbox:
        yield inbox


@pytest.fixture
def instances(tmp_path: Path, urls: dict[str, str], plain_inbox: Inbox) -> Iterator[dict[str, Any]]:
    """Both instances of the page, started as the unit starts them; only addresses are those of this machine."""
    with ExitStack() as stack:
        running = {}
        for name in NAMES:
            found = re.search(rf"^```toml\n(# /etc/noti-worker/{name}\.toml\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
            assert found is not None
            text = found[1].replace(
                'host = "smtp.example.com"', f'host = "127.0.0.1"\nport = {plain_inbox.port}\ntls = "none"'
            )
            text = re.sub(r'(?m)^url = ".*"$', f'url = "{urls[name]}"', text)
            text = re.sub(r'(?m)^listen = ".*"$', 'listen = "127.0.0.1:0"', text)
            (tmp_path / f"{name}.toml").write_text(text)
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            running[name] = subprocess.Popen(
                [sys.executable, "-m", "noti_worker", "run"],
                env={**os.environ, "NOTI_CONFIG": str(tmp_path / f"{name}.toml")},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
            stack.callback(running[name].wait)
            stack.callback(running[name].kill)
        yield running


def test_an_instance_for_each_database_delivers_its_rows_and_no_others(
    urls: dict[str, str], instances: dict[str, Any], plain_inbox: Inbox, wait_for: Callable[..., Any]
) -> None:
    with ExitStack() as stack:
        east, west = (stack.enter_context(psycopg.connect(urls[name], autocommit=True)) for name in NAMES)
        for name, database in (("east", east), ("west", west)):
            database.execute(
                "SELECT noti.send('email', %s, 'Hi', 'x', idempotency_key => 'k')", [f"{name}@example.com"]
            )
        wait_for(lambda: len(plain_inbox.mails) == 2, timeout=30, what="both are delivered")

        # The same key in both: they know nothing of each other.
        assert sorted(mail.recipients[0] for mail in plain_inbox.mails) == ["east@example.com", "west@example.com"]
        for name, database in (("east", east), ("west", west)):
            wait_for(lambda database=database: _one(database, "SELECT status FROM noti.notifications_log") == "sent")
            assert _one(database, "SELECT pid FROM noti.workers") == instances[name].pid
            assert database.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []

        # One may go away; the other goes on, and its rows are nobody else's.
        instances["west"].send_signal(signal.SIGTERM)
        assert instances["west"].wait(30) == 0
        for name, database in (("east", east), ("west", west)):
            database.execute("SELECT noti.send('email', %s, 'Hi', 'x')", [f"second-{name}@example.com"])
        wait_for(lambda: len(plain_inbox.mails) == 3, timeout=30, what="the one that runs delivers")
        assert plain_inbox.mails[-1].recipients == ("second-east@example.com",)
        assert _one(west, "SELECT status FROM noti.notifications_log ORDER BY 1 LIMIT 1") == "pending"


def test_a_worker_holds_as_many_connections_as_the_page_says(
    urls: dict[str, str], instances: dict[str, Any], plain_inbox: Inbox, wait_for: Callable[..., Any]
) -> None:
    said = re.search(r"A worker holds at most (\d+) connections", PAGE)
    assert said is not None
    with psycopg.connect(urls["east"], autocommit=True) as connection:
        many = (
            "INSERT INTO noti.notifications_log (channel, recipient, subject, body, on_uncertain)"
            " SELECT 'email', i || '@example.com', 'Hi', 'x', 'hold' FROM generate_series(1, 50) i"
        )
        connection.execute(many)
        wait_for(lambda: len(plain_inbox.mails) == 50, timeout=30, what="all are delivered")
        mine = "SELECT array_agg(application_name) FROM pg_stat_activity WHERE application_name LIKE 'noti-worker%'"
        mine += " AND datname = current_database()"
        # leases connects for the mark before a send that must not be repeated.
        parts = {
            f"noti-worker {part}" for part in ("claims", "chores", "digests", "leases", "results 1", "workers", "wake")
        }
        # Retention's comes and goes; the second one for results is made when two batches are recorded at a time.
        all_parts = parts | {"noti-worker retention", "noti-worker results 2"}
        wait_for(lambda: parts <= set(_one(connection, mine)), timeout=30, what="all parts have connected")
        there = _one(connection, mine)
        assert set(there) <= all_parts
        assert len(set(there)) == len(there)
        assert len(all_parts) == int(said[1])


def test_the_settings_that_the_page_names_are_those_of_the_table(urls: dict[str, str]) -> None:
    with psycopg.connect(urls["east"], autocommit=True) as connection:
        options = set(
            _one(connection, "SELECT reloptions FROM pg_class WHERE oid = 'noti.notifications_log'::regclass")
        )
    assert options >= {
        "fillfactor=45",
        "autovacuum_vacuum_threshold=5000",
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_insert_scale_factor=0.02",
        "autovacuum_analyze_scale_factor=0.02",
        "autovacuum_vacuum_cost_delay=0",
    }
    for words in ("after 5,000 dead rows", "2 % of new rows", "`fillfactor = 45`"):
        assert words in PAGE


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    [[value]] = connection.execute(query.encode()).fetchall()
    return value
