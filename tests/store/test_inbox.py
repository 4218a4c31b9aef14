"""What an application asks of the inbox, as a role of applications."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue

from tests.store.test_roles import login

Connection = psycopg.Connection[Any]


@pytest.fixture
def app(database_url: str) -> Iterator[Connection]:
    with login(database_url, "noti_app") as connection:
        yield connection


def came(connection: Connection, recipient: str, count: int = 1, tenant: str = "default") -> list[int]:
    """So many messages come into an inbox; gives their ids, the oldest first."""
    found = connection.execute(
        "INSERT INTO noti.inbox (notification_id, tenant_id, recipient, body)"
        " SELECT coalesce((SELECT max(notification_id) FROM noti.inbox), 0) + i, %s, %s, 'm' || i"
        " FROM generate_series(1, %s) i RETURNING inbox_id",
        [tenant, recipient, count],
    ).fetchall()
    return sorted(number for (number,) in found)


def page(app: Connection, *arguments: object) -> list[int]:
    asked = ", ".join(["%s"] * len(arguments))
    return [row[0] for row in app.execute(f"SELECT * FROM noti.inbox_page({asked})".encode(), arguments).fetchall()]


def asked(app: Connection, call: str, *arguments: object) -> Any:
    found = app.execute(f"SELECT noti.{call}".encode(), arguments).fetchone()
    assert found is not None
    return found[0]


def test_pages_go_from_the_newest_to_the_oldest(app: Connection, connection: Connection) -> None:
    ids = came(connection, "user:1", 5)
    came(connection, "user:2")
    came(connection, "user:1", tenant="acme")
    first = page(app, "user:1", None, 2)
    assert first == [ids[4], ids[3]]
    assert page(app, "user:1", first[-1], 2) == [ids[2], ids[1]]
    assert page(app, "user:1", ids[1], 2) == [ids[0]]
    assert page(app, "user:1", ids[0], 2) == []
    assert page(app, "nobody") == []


@pytest.mark.parametrize("most", [0, 1001, None])
def test_a_page_without_a_sensible_size_is_refused(app: Connection, most: int | None) -> None:
    with pytest.raises(InvalidParameterValue, match="1 to 1000 messages"):
        page(app, "user:1", None, most)


def test_what_was_read_is_counted_no_more_and_was_seen(app: Connection, connection: Connection) -> None:
    one, two, three = came(connection, "user:1", 3)
    came(connection, "user:1", tenant="acme")
    assert asked(app, "unread(%s)", "user:1") == 3
    assert asked(app, "mark_seen(%s, %s)", "user:1", [one]) == 1
    assert asked(app, "mark_seen(%s, %s)", "user:1", [one]) == 0
    assert asked(app, "unread(%s)", "user:1") == 3
    assert asked(app, "mark_read(%s, %s)", "user:1", [one, two]) == 2
    assert asked(app, "mark_read(%s, %s)", "user:1", [one, two]) == 0
    assert asked(app, "unread(%s)", "user:1") == 1
    marks = app.execute("SELECT inbox_id, seen_at <= read_at FROM noti.inbox WHERE tenant_id = 'default' ORDER BY 1")
    assert marks.fetchall() == [(one, True), (two, True), (three, None)]
    assert asked(app, "unread(%s, %s)", "user:1", "acme") == 1


def test_nobody_marks_what_is_another_persons(app: Connection, connection: Connection) -> None:
    mine, others = came(connection, "user:1"), came(connection, "user:2")
    foreign = came(connection, "user:1", tenant="acme")
    assert asked(app, "mark_read(%s, %s)", "user:1", [*mine, *others, *foreign]) == 1
    assert asked(app, "mark_seen(%s, %s)", "user:1", [*others, *foreign]) == 0
    assert asked(app, "unread(%s)", "user:2") == 1
    assert asked(app, "unread(%s, %s)", "user:1", "acme") == 1


def test_what_came_after_the_page_stays_unread(app: Connection, connection: Connection) -> None:
    shown = came(connection, "user:1", 2)
    came(connection, "user:1")
    assert asked(app, "mark_all_read(%s, %s)", "user:1", shown[-1]) == 2
    assert asked(app, "unread(%s)", "user:1") == 1
    assert asked(app, "mark_all_read(%s)", "user:1") == 1
    assert asked(app, "unread(%s)", "user:1") == 0


def test_each_question_goes_by_index(app: Connection, connection: Connection) -> None:
    came(connection, "user:1", 3000)
    came(connection, "user:2", 10)
    connection.execute("ANALYZE noti.inbox")
    connection.execute("SET enable_seqscan = off")
    for where, index in (
        ("read_at IS NULL", "inbox_unread"),
        ("inbox_id < 9223372036854775807 ORDER BY inbox_id DESC LIMIT 50", "inbox_pages"),
    ):
        whose = "tenant_id = 'default' AND recipient = 'user:2'"
        plan = connection.execute(f"EXPLAIN SELECT * FROM noti.inbox WHERE {whose} AND {where}".encode()).fetchall()
        text = "\n".join(line for (line,) in plan)
        assert index in text, text
        assert "Sort" not in text, text


def test_who_listens_hears_of_one_inbox_once_it_is_wished(app: Connection, connection: Connection) -> None:
    channel = asked(app, "inbox_channel(%s)", "user:1")
    assert "user" not in channel
    assert channel != asked(app, "inbox_channel(%s, %s)", "user:1", "acme")
    with pytest.raises(InsufficientPrivilege):
        asked(app, "notify_inbox(true)")
    app.execute(f"LISTEN {channel}".encode())
    came(connection, "user:1")
    connection.execute("SELECT noti.notify_inbox(true)")
    came(connection, "user:2")
    assert heard(app) == 0
    ids = came(connection, "user:1", 3)
    assert heard(app) == 1  # however many came at once
    asked(app, "mark_read(%s, %s)", "user:1", ids)
    assert heard(app) == 1
    connection.execute("SELECT noti.notify_inbox(false)")
    came(connection, "user:1")
    assert heard(app) == 0


def heard(app: Connection) -> int:
    """How often since the last question: what was committed before this statement is there after it."""
    app.execute("SELECT 1")
    return len(list(app.notifies(timeout=0)))
