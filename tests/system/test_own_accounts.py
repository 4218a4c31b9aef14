"""Tenants' own accounts, in the database: the daemon sends through them, and one that is broken harms itself alone."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from noti_worker.domain.own_accounts import Place
from noti_worker.domain.secret import Secret
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

    def configure(self, more: str, installations: str = SANDBOX) -> None:
        self.daemons.configure(
            f'{installations}[secrets]\nkeys = "file:{self.keys_file}"\n'
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
    wait_for(lambda: house.mail("acme") and inbox.mails)  # it was heard of
    inbox.mails.clear()
    one, other = house.mail("acme"), house.mail("globex")
    wait_for(lambda: house.status(one) == house.status(other) == "sent")
    assert house.tries(one) == [("acme/mail", "smtp", None, "sent")]
    assert house.tries(other) == [("box", "sandbox", None, "sent")]
    assert {mail.sender for mail in inbox.mails} == {"acme@example.com"}

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


def test_who_is_broken_harms_nobody_else_and_goes_on_once_it_is_mended(
    house: House, inbox: Inbox, wait_for: Callable[..., Any]
) -> None:
    """A secret of another row, a key that is not here, a provider that is not there, a wrong password."""
    house.configure("", installations="")
    daemon = house.daemons.start_ready()
    with house.connection.transaction():  # the worker never knows them otherwise
        for tenant in ("sound", "swapped", "strange", "unknown"):
            house.account(tenant, inbox)
        house.account("wrong", inbox, password="guessed")
        house.connection.execute(
            "UPDATE noti.secrets s SET sealed = o.sealed, version = s.version + 1 FROM noti.secrets o"
            " WHERE s.tenant_id = 'swapped' AND o.tenant_id = 'sound'"
        )
        house.connection.execute(
            "UPDATE noti.secrets SET key_id = 'lost', version = version + 1 WHERE tenant_id = 'strange'"
        )
        house.connection.execute("UPDATE noti.accounts SET provider = 'smtpp' WHERE tenant_id = 'unknown'")
    broken = {tenant: house.mail(tenant) for tenant in ("swapped", "strange", "unknown", "wrong")}

    def circuits() -> dict[str, str]:
        return dict(house.connection.execute("SELECT name, reason FROM noti.circuits WHERE state = 'open'").fetchall())

    wait_for(lambda: len(circuits()) == len(broken), timeout=60)
    sound = house.mail("sound")
    wait_for(lambda: house.status(sound) == "sent", timeout=60)
    reasons = circuits()
    assert "it was sealed for another tenant, account or purpose" in reasons["swapped/mail"]
    assert "sealed under the key lost, which secrets.keys does not hold" in reasons["strange/mail"]
    assert "provider 'smtpp' does not exist" in reasons["unknown/mail"]
    assert "535" in reasons["wrong/mail"]
    for tenant, row in broken.items():
        assert f"the account {tenant}/mail is in trouble since" in house.next_step(row)
        assert house.status(row) in {"pending", "retrying"}
    assert {line["account"] for line in daemon.said("circuit_opened")} == reasons.keys()
    logins = inbox.behaviour.logins

    for tenant in ("swapped", "strange", "wrong"):
        house.sealed(tenant, "mail")
    house.connection.execute("UPDATE noti.accounts SET provider = 'smtp' WHERE tenant_id = 'unknown'")
    house.connection.execute(
        "UPDATE noti.notifications_log SET next_retry_at = clock_timestamp() WHERE status = 'retrying'"
    )
    wait_for(lambda: all(house.status(row) == "sent" for row in broken.values()), timeout=60)
    assert inbox.behaviour.logins > logins
    wait_for(lambda: not circuits(), timeout=60)
    assert daemon.stop() == 0


def test_a_row_may_ask_and_the_route_goes_on_to_the_installation_only_where_it_says_so(
    house: House, inbox: Inbox, wait_for: Callable[..., Any]
) -> None:
    inbox.behaviour.answers["MAIL"] = "550 5.7.1 not you"
    house.configure('[worker]\ncircuit_wait_refused = "10m"\n')
    house.account("acme", inbox)
    house.account("globex", inbox)
    house.connection.execute(
        "INSERT INTO noti.accounts (tenant_id, name, provider, channels) VALUES"
        " ('acme', 'trial', 'sandbox', '{email,sms}'), ('globex', 'trial', 'sandbox', '{sms}')"
    )
    house.connection.execute(
        "INSERT INTO noti.routes VALUES ('acme', 'email', 1, 'mail'), ('acme', 'email', 2, 'trial'),"
        " ('globex', 'email', 1, 'mail'), ('globex', 'email', 2, NULL)"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        house.connection.execute("INSERT INTO noti.routes VALUES ('globex', 'sms', 1, 'mail2')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        house.connection.execute("INSERT INTO noti.routes VALUES ('initech', 'email', 1, 'mail')")
    daemon = house.daemons.start_ready()
    asks, by_provider, sms = (
        house.mail("acme", provider="trial"),
        house.mail("acme", provider="sandbox"),
        house.mail("globex", channel="sms", recipient="+491701234567"),
    )
    wait_for(lambda: all(house.status(row) == "sent" for row in (asks, by_provider, sms)), timeout=60)
    assert house.tries(asks) == house.tries(by_provider) == [("acme/trial", "sandbox", "row", "sent")]
    assert house.tries(sms) == [("globex/trial", "sandbox", None, "sent")]
    over, on = house.mail("acme"), house.mail("globex")
    wait_for(lambda: house.status(over) == house.status(on) == "sent", timeout=60)
    assert [line[0] for line in house.tries(over)][-1] == "acme/trial"
    assert [line[0] for line in house.tries(on)][-1] == "box"
    nobody = house.mail("acme", provider="box")
    wait_for(lambda: house.status(nobody) == "failed", timeout=60)
    assert house.tries(nobody) == []
    assert daemon.stop() == 0


def test_keys_are_rotated_while_messages_go_out(house: House, inbox: Inbox, wait_for: Callable[..., Any]) -> None:
    """New key, all sealed anew, old key gone: nothing waits, and what is built after that opens with the new one."""
    house.configure("", installations="")
    tenants = [f"tenant-{number}" for number in range(10)]
    daemon = house.daemons.start_ready()
    for tenant in tenants:
        house.account(tenant, inbox)

    def all_send() -> None:
        rows = [house.mail(tenant) for tenant in tenants for _ in range(3)]
        wait_for(lambda: all(house.status(row) == "sent" for row in rows), timeout=60)

    all_send()
    house.keys(NEW, OLD)
    during = [house.mail(tenant) for tenant in tenants]
    rotated = house.daemons.start(command="account rotate")
    assert rotated.wait(60) == 0
    assert "sealed anew under the key 2026-02: 10" in rotated.log_file.read_text()
    wait_for(lambda: all(house.status(row) == "sent" for row in during), timeout=60)
    house.keys(NEW)  # whoever still had to open with the old key could not
    all_send()
    house.connection.execute('UPDATE noti.accounts SET settings = settings || \'{"from": "new@example.com"}\'')
    later = house.mail(tenants[0])
    wait_for(lambda: house.status(later) == "sent", timeout=60)
    assert not daemon.said("circuit_opened")
    assert daemon.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_tenants_each_with_an_account(house: House, inbox: Inbox, wait_for: Callable[..., Any]) -> None:
    """The first message of a new tenant goes out soon, and memory does not grow with who has sent already."""
    house.configure("", installations="")  # so that nothing goes another way
    daemon = house.daemons.start_ready()
    waits, grown = [], []

    def memory() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    for turn in range(50):
        tenants = [f"tenant-{turn}-{number}" for number in range(20)]
        for tenant in tenants:
            house.account(tenant, inbox)
        began = time.monotonic()
        rows = [house.mail(tenant) for tenant in tenants]
        wait_for(lambda rows=rows: all(house.status(row) == "sent" for row in rows), timeout=60)
        waits.append(time.monotonic() - began)
        assert [house.tries(row)[-1][0] for row in rows] == [f"{tenant}/mail" for tenant in tenants]
        if turn in {30, 49}:  # the shelf is full by then: the one that was not used for longest leaves
            grown.append(memory())
    waits.sort()
    print(  # noqa: T201
        f"twenty first messages after {waits[25]:.2f} s in the middle, {waits[-1]:.2f} s at most; memory {grown} kB"
    )
    assert grown[1] < grown[0] * 1.15
    house.account("wrong", inbox, password="guessed")
    house.mail("wrong")
    wait_for(lambda: daemon.said("circuit_opened"), timeout=60)
    assert [line["account"] for line in daemon.said("circuit_opened")] == ["wrong/mail"]
    assert daemon.stop() == 0
