"""Daemons, a real inbox and a real receiver for tests of the whole."""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.certificates import Authority
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.system.daemon import Daemons, Ledger, member_of
from tests.system.scene import ApplicationConnection, Scene

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
def daemons(tmp_path: Path, database_url: str) -> Iterator[Daemons]:
    """They run as a member of noti_worker."""
    with Daemons(tmp_path, member_of("noti_worker", database_url)) as house:
        yield house


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection to the test's database."""
    with ApplicationConnection.connect(database_url, autocommit=True) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path, daemons: Daemons) -> Ledger:
    """A provider that keeps book, known to the daemons."""
    ledger = Ledger(tmp_path)
    daemons.environ |= ledger.environ
    return ledger


@pytest.fixture
def own_server(open_directory: Path) -> Iterator[Server]:
    """A server that the test may stop."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    with Server(open_directory / "postgres", Path(bin_) if bin_ else None, {"fsync": "off"}) as server:
        migrate.upgrade(server.url)
        yield server


@pytest.fixture
def scene(daemons: Daemons, ledger: Ledger, database_url: str, wait_for: Callable[..., Any]) -> Iterator[Scene]:
    """Daemons, a ledger and the test's database."""
    scene = Scene(daemons, ledger, database_url, wait_for)
    yield scene
    scene.close()


@pytest.fixture
def own_scene(own_server: Server, tmp_path: Path, wait_for: Callable[..., Any]) -> Iterator[Scene]:
    """The same on a server that the test may stop."""
    ledger = Ledger(tmp_path)
    with Daemons(tmp_path, own_server.url) as house:
        house.environ |= ledger.environ
        scene = Scene(house, ledger, own_server.url, wait_for)
        yield scene
        scene.close()


@pytest.fixture
def inbox(authority: Authority) -> Iterator[Inbox]:
    """An SMTP server that demands STARTTLS and login."""
    with Inbox(authority.server_context("127.0.0.1", "localhost"), auth=True) as inbox:
        yield inbox


@pytest.fixture
def receiver() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        yield server


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, inbox: Inbox) -> str:
    """The account of the inbox, as TOML."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    return (
        f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\n'
        f'ca_file = "{authority.ca_file}"\nusername = "{USERNAME}"\npassword = "file:{password}"\n'
        'from = "Shop <no-reply@example.com>"\n'
    )


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> str:
    """A webhook account for receivers on this machine, as TOML."""
    monkeypatch.setitem(os.environ, "TEST_HOOK_SECRET", SECRET)
    return (
        '[accounts.hooks]\nprovider = "webhook"\nsecret = "env:TEST_HOOK_SECRET"\n'
        'allow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
    )


SANDBOX = '[accounts.box]\nprovider = "sandbox"\n'


@pytest.fixture
def finished(connection: psycopg.Connection[Any], wait_for: Callable[..., Any]) -> Callable[..., None]:
    """Wait until every row is finished or parked."""

    def wait(timeout: float = 30.0) -> None:
        def left() -> list[Any]:
            return connection.execute(
                "SELECT notification_id, status, error_message FROM noti.notifications_log"
                " WHERE finished_at IS NULL AND held_at IS NULL LIMIT 5"
            ).fetchall()

        wait_for(lambda: not left(), timeout=timeout, what="every row is finished")

    return wait


@pytest.fixture
def invariants(connection: psycopg.Connection[Any]) -> Callable[[], list[Any]]:
    return lambda: connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()
