"""One login for many tenants, as the page `tenants` shows it: its own snippets are run."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

import noti_worker
from noti_worker import enqueue
from tests.store.rows import insert
from tests.store.tenants import as_role

Connection = psycopg.Connection[Any]
PAGE = (Path(noti_worker.__file__).parent / "docs" / "tenants.md").read_text(encoding="utf-8")


def snippet(language: str, holds: str) -> str:
    [found] = [
        text for text in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE) if holds in text
    ]
    return str(found)


@pytest.fixture
def saas(connection: Connection, database_url: str) -> Iterator[Connection]:
    """The login of the example, in a session of its own."""
    insert(connection, tenant_id="globex")
    connection.execute(snippet("sql", "CREATE ROLE saas").encode())
    with as_role(database_url, "saas") as session:
        yield session
    connection.execute("SELECT noti.isolate_tenants(false)")
    connection.execute("DROP OWNED BY tenant_acme, tenant_globex, saas; DROP ROLE tenant_acme, tenant_globex, saas")


@pytest.fixture
def send_for() -> Callable[..., int]:
    module: dict[str, Any] = {}
    exec(compile(snippet("python", "def send_for"), "snippet", "exec", dont_inherit=True), module)
    found: Callable[..., int] = module["send_for"]
    return found


def test_each_transaction_is_of_one_tenant(
    connection: Connection, saas: Connection, send_for: Callable[..., int]
) -> None:
    first = send_for(saas, "acme", channel="email", recipient="a@example.com", body="x")
    second = send_for(saas, "globex", channel="email", recipient="a@example.com", body="x")
    whose = connection.execute(
        "SELECT tenant_id FROM noti.notifications_log WHERE notification_id = ANY (%s) ORDER BY notification_id",
        [[first, second]],
    ).fetchall()
    assert whose == [("acme",), ("globex",)]
    with saas.transaction():  # a forgotten WHERE
        saas.execute("SET LOCAL ROLE tenant_acme")
        assert saas.execute("SELECT DISTINCT tenant_id FROM noti.notifications_log").fetchall() == [("acme",)]
        assert saas.execute("UPDATE noti.notifications_log SET status = 'cancelled'").rowcount == 1
    assert connection.execute(
        "SELECT action_by FROM noti.audit_log WHERE entity_id = %s AND action = 'notification_cancelled'", [str(first)]
    ).fetchone() == ("saas as tenant_acme",)


def test_a_mixed_up_or_forgotten_role_fails(saas: Connection) -> None:
    with pytest.raises(InsufficientPrivilege, match="permission denied"):
        saas.execute("SELECT FROM noti.notifications_log")
    with pytest.raises(InsufficientPrivilege, match="permission denied"):
        enqueue(saas, channel="email", recipient="a@example.com", body="x")
    with saas.transaction(force_rollback=True):
        saas.execute("SET LOCAL ROLE tenant_acme")
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            enqueue(saas, tenant_id="globex", channel="email", recipient="a@example.com", body="x")


def test_it_does_not_guard_against_who_may_run_sql_of_his_own(saas: Connection) -> None:
    """The limit that the page names."""
    with saas.transaction():
        saas.execute("SET LOCAL ROLE tenant_acme")
        injected = "SELECT 1; SET LOCAL ROLE tenant_globex"
        saas.execute(injected.encode())
        assert saas.execute("SELECT DISTINCT tenant_id FROM noti.notifications_log").fetchall() == [("globex",)]
