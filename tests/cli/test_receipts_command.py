"""`receipts`: what was told of messages, what found none, and what nobody could read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.receipts import Letterbox, Raw, ReceiptDesk
from tests.cli.conftest import Invoke, read

Connection = psycopg.Connection[Any]
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def told(connection: Connection, database_url: str) -> None:
    """A bounce of notification 1, a delivery of a message that nobody knows, one request unread, one unreadable."""
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, status, tenant_id)"
        " VALUES ('email', 'ada@example.com', 'Hi', 'sent', 'acme')"
    )
    (message_id,) = connection.execute("SELECT message_id FROM noti.notifications_log").fetchall()[0]
    said = [
        Receipt(ReceiptKind.BOUNCED, "a", AT, 1, message_id, code="5.1.1", words="no such\x1b[2Juser"),
        Receipt(ReceiptKind.DELIVERED, "b", AT + timedelta(minutes=1), reference="unknown"),
    ]

    def understood(raw: Raw) -> list[Receipt] | str:
        return said if raw.account == "mail" else "it is no JSON"

    database = Database(Secret(database_url))
    session = database.session("tasks")
    letterbox, desk = Letterbox(database), ReceiptDesk(session)
    for account in ("mail", "other", "late"):
        letterbox.keep(account, "sendgrid", Posted(b"body-of-the-request"))
    first, _ = desk.read(0, understood)
    assert first is not None
    desk.read(first, understood)
    letterbox.close()
    session.close()


@pytest.mark.usefixtures("told")
def test_what_was_told_is_listed_by_what_is_asked_for(noti: Invoke, connection: Connection) -> None:
    head, parked, bounced = noti("receipts", "list").stdout.splitlines()
    assert head.split()[:4] == ["id", "at", "account", "kind"]
    assert "parked, looked for again at 20" in parked
    assert "\x1b" not in bounced
    words = "2026-03-01 12:00:00Z mail bounced 1 - matched 5.1.1 no such\N{REPLACEMENT CHARACTER}[2Juser"
    assert bounced.split()[1:] == words.split()

    def listed(*words: str) -> list[tuple[str, str]]:
        return [(line["kind"], line["state"]) for line in read(noti("receipts", "list", *words, "--json"))]

    first, second = ("bounced", "matched"), ("delivered", "parked")
    assert listed() == [second, first]
    assert listed("--notification", "1") == [first]
    assert listed("--kind", "delivered", "--kind", "read") == [second]
    assert listed("--tenant", "acme") == [first]
    assert listed("--parked") == [second]
    assert listed("--account", "other") == listed("--provider", "smtp") == listed("--since", "2100-01-01T00:00Z") == []
    assert listed("--since", "1h", "--limit", "1") == [second]
    assert "there are more: these are the newest 1" in noti("receipts", "list", "--limit", "1").stderr
    connection.execute("UPDATE noti.receipts SET look_at = NULL")
    assert listed("--account", "mail") == [("delivered", "given up"), first]
    assert noti("receipts", "list", "--kind", "read").stderr == "nothing fits\n"


@pytest.mark.usefixtures("told")
def test_what_was_told_is_counted_by_kind(noti: Invoke) -> None:
    head, bounced, delivered = noti("receipts", "count").stdout.splitlines()
    assert head.split() == ["provider", "kind", "receipts", "parked", "given", "up", "newest"]
    assert bounced.split()[:5] == ["sendgrid", "bounced", "1", "0", "0"]
    assert delivered.split()[:5] == ["sendgrid", "delivered", "1", "1", "0"]
    assert read(noti("receipts", "count", "--since", "2100-01-01T00:00Z", "--json")) == []


@pytest.mark.usefixtures("told")
def test_requests_are_listed_without_what_they_hold(noti: Invoke) -> None:
    for words, accounts in ((), ["late", "other", "mail"]), (("--state", "unread"), ["late"]):
        result = noti("receipts", "requests", *words)
        assert [line.split()[1] for line in result.stdout.splitlines()[1:]] == accounts
        assert "body-of" not in result.output
    [unreadable] = read(noti("receipts", "requests", "--state", "unreadable", "--account", "other", "--json"))
    assert (unreadable["error"], unreadable["read_at"] is None) == ("it is no JSON", False)
