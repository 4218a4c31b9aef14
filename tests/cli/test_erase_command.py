"""`erase` from the command line, as an operator without any other right on content."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read
from tests.store.rows import insert, row
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
ADA = "ada@example.com"


@pytest.fixture
def operator(bare: Invoke, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("NOTI_DATABASE_URL", member_of("noti_operator", database_url))
    return bare


def test_it_tells_what_it_would_do_then_does_it_then_finds_nothing(operator: Invoke, connection: Connection) -> None:
    insert(connection, 2, recipient=ADA)
    insert(connection, recipient=ADA, status="sent")
    [other] = insert(connection, recipient="bob@example.com", options=f'{{"cc": ["{ADA}"]}}')
    dry = operator("erase", ADA, "--dry-run")
    assert dry.stdout == (
        "3 notifications would be erased\n2 of them would be cancelled first\n"
        "1 copies would be taken off the messages of others\n"
    )
    assert connection.execute("SELECT count(*) FROM noti.notifications_log WHERE recipient = %s", [ADA]).fetchone() == (
        3,
    )
    done = read(operator("erase", ADA.upper(), "--yes", "--json"))
    assert (done["erased"], done["cancelled"], done["copies"], done["in_flight"]) == (3, 2, 1, [])
    assert row(connection, other)["options"] == {"cc": []}
    again = operator("erase", ADA)
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "nothing names this recipient\n")
    lines = connection.execute(
        "SELECT action_by, count(*) FROM noti.audit_log WHERE action = 'notification_erased' GROUP BY 1"
    ).fetchall()
    assert lines == [("noti_operator_member", 4)]


def test_the_name_comes_from_standard_input_and_a_tenant_can_be_named(operator: Invoke, connection: Connection) -> None:
    here, there = (insert(connection, recipient=ADA, tenant_id=tenant)[0] for tenant in ("acme", "other"))
    result = operator("erase", "-", "--tenant", "acme", "--yes", stdin=f"{ADA}\n")
    assert result.stdout == "1 notifications erased\n1 of them cancelled first\n"
    assert (row(connection, here)["recipient"], row(connection, there)["recipient"]) == ("[erased]", ADA)
    assert operator("erase", "-", stdin="\n").exit_code == 2


def test_what_stays_in_flight_is_named(operator: Invoke, connection: Connection) -> None:
    [one] = insert(connection, recipient=ADA)
    connection.execute(
        "UPDATE noti.notifications_log"
        " SET status = 'sending', claimed_by = 1, claim_count = 1, lease_until = now() + interval '1 h'"
    )
    result = operator("erase", ADA, "--yes", "--wait", "1")
    assert result.exit_code == 1
    assert result.stderr == f"1 in flight, not erased yet: {one}; call again\n"
    assert row(connection, one)["requested"] == "cancelled"


def test_off_a_terminal_it_wants_a_yes_beforehand(operator: Invoke, connection: Connection) -> None:
    [one] = insert(connection, recipient=ADA)
    for words, given in (((ADA,), ""), (("-",), f"{ADA}\n"), ((ADA,), "y\n")):
        refused = operator("erase", *words, stdin=given)
        assert refused.exit_code == 2
        assert "will lose its content for good, and nobody can be asked: --yes does it" in refused.stderr
    assert row(connection, one)["recipient"] == ADA
    assert operator("erase", ADA, "--dry-run").exit_code == 0


def test_it_asks_first_on_a_terminal(
    in_terminal: Callable[..., str], connection: Connection, database_url: str
) -> None:
    [one] = insert(connection, recipient=ADA)
    shown = in_terminal("erase", ADA, keys="n\n", NOTI_DATABASE_URL=database_url)
    assert "1 notification will lose its content for good. Go on?" in shown
    assert row(connection, one)["recipient"] == ADA


@pytest.mark.parametrize("role", ["noti_app", "noti_worker", "noti_readonly"])
def test_only_operators_may(bare: Invoke, connection: Connection, database_url: str, role: str) -> None:
    [one] = insert(connection, recipient=ADA)
    result = bare("--database-url", member_of(role, database_url), "erase", ADA, "--yes")
    assert result.exit_code == 1
    assert "42501" in result.stderr
    assert row(connection, one)["recipient"] == ADA


def test_the_roles_are_printed_without_a_database(bare: Invoke) -> None:
    printed = bare("--database-url", "host=/nowhere", "migrate", "--roles-sql")
    assert printed.exit_code == 0
    assert "CREATE ROLE %I NOLOGIN" in printed.stdout
