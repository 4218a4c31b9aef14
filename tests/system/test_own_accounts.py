"""Tenants' own accounts, in the database: the daemon sends through them, and one that is broken harms itself alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from noti_worker.domain.secret import Secret
from noti_worker.domain.tenants import Place
from noti_worker.secrets.sealed import Keys
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

OLD, NEW = "2026-01 " + "1f" * 32, "2026-02 " + "a7" * 32


class House:
    """Daemons with keys, whose configuration has no account but a sandbox, and tenants who have accounts."""

    def __init__(self, daemons: Daemons, connection: psycopg.Connection[Any], directory: Path) -> None:
        self.daemons, self.connection = daemons, connection
        self.keys_file = directory / "keys"
        self.keys(OLD)
        self.configure("")

    def keys(self, *lines: str) -> None:
        self.keys_file.write_text("".join(f"{line}\n" for line in lines))

    def configure(self, more: str) -> None:
        self.daemons.configure(
            f'{SANDBOX}[secrets]\nkeys = "file:{self.keys_file}"\n'
            f'[database]\naccount_networks = ["127.0.0.0/8"]\n{more}'
        )

    def sealed(self, tenant: str, account: str, secret: str = PASSWORD, purpose: str = "password") -> None:
        sealed = Keys(Secret(self.keys_file.read_text())).seal(Place(tenant, account, purpose), secret)
        self.connection.execute(
            "INSERT INTO noti.secrets AS s (tenant_id, account, purpose, key_id, sealed) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT ON CONSTRAINT secrets_pkey DO UPDATE"
            " SET key_id = EXCLUDED.key_id, sealed = EXCLUDED.sealed, version = s.version + 1",
            [tenant, account, purpose, sealed.key_id, sealed.data],
        )

    def account(self, tenant: str, inbox: Inbox, name: str = "mail", password: str = PASSWORD) -> None:
        settings = {"host": "127.0.0.1", "port": inbox.port, "tls": "none", "username": USERNAME}
        with self.connection.transaction():
            self.connection.execute(
                "INSERT INTO noti.accounts (tenant_id, name, provider, channels, settings)"
                " VALUES (%s, %s, 'smtp', '{email}', %s)",
                [tenant, name, Jsonb({**settings, "from": f"{tenant}@example.com"})],
            )
            self.sealed(tenant, name, password)

    def mail(self, tenant: str, **columns: object) -> int:
        given = {"tenant_id": tenant, "channel": "email", "recipient": "ann@example.com", "body": "hello", **columns}
        row = self.connection.execute(
            f"INSERT INTO noti.notifications_log ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})"
            " RETURNING notification_id".encode(),
            list(given.values()),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def status(self, notification: int) -> str:
        row = self.connection.execute(
            "SELECT status FROM noti.notifications_log WHERE notification_id = %s", [notification]
        ).fetchone()
        assert row is not None
        return str(row[0])

    def tries(self, notification: int) -> list[tuple[Any, ...]]:
        return self.connection.execute(
            "SELECT account, provider, choice, status FROM noti.notification_attempts_log"
            " WHERE notification_id = %s ORDER BY log_id",
            [notification],
        ).fetchall()

    def next_step(self, notification: int) -> str:
        row = self.connection.execute("SELECT noti.next_step(noti.facts(%s))", [notification]).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture
def house(daemons: Daemons, connection: psycopg.Connection[Any], tmp_path: Path) -> House:
    return House(daemons, connection, tmp_path)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox(auth=True) as inbox:
        yield inbox


def test_a_tenant_sends_through_its_own_account_and_the_others_through_the_installations(
    house: House, inbox: Inbox, wait_for: Callable[..., Any]
) -> None:
    """The account comes while the worker runs, is changed, disabled, and gone again."""
    daemon = house.daemons.start_ready()
    house.account("acme", inbox)
    one, other = house.mail("acme"), house.mail("globex")
    wait_for(lambda: house.status(one) == house.status(other) == "sent")
    assert house.tries(one) == [("acme/mail", "smtp", None, "sent")]
    assert house.tries(other) == [("box", "sandbox", None, "sent")]
    assert [mail.sender for mail in inbox.mails] == ["acme@example.com"]

    house.connection.execute('UPDATE noti.accounts SET settings = settings || \'{"from": "new@example.com"}\'')
    wait_for(lambda: house.status(house.mail("acme")) and inbox.mails[-1].sender == "new@example.com")

    house.connection.execute("UPDATE noti.accounts SET enabled = false, set_by = 'ann'")
    daemon.wait_for(
        lambda: daemon.said("paused")[-1:] and "account acme/mail" in daemon.said("paused")[-1]["pauses"], 20
    )
    waits = house.mail("acme")
    assert "the account acme/mail is paused by ann since" in house.next_step(waits)
    later = house.mail("globex")
    wait_for(lambda: house.status(later) == "sent")
    assert house.status(waits) == "pending"
    house.connection.execute("DELETE FROM noti.accounts")
    wait_for(lambda: house.status(waits) == "sent")
    assert house.tries(waits) == [("box", "sandbox", None, "sent")]
    assert daemon.stop() == 0
