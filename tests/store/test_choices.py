"""What categories and people's choices do to rows, and what the functions for applications say of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from noti_worker.domain.choice import Frequency
from noti_worker.domain.lanes import Lane
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Channel, Drop, Notification, Priority, Status
from noti_worker.domain.permits import permit
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, insert

IN_APP = Lane(Channel.IN_APP, Priority.NORMAL, "default")
SMS = Lane(Channel.SMS, Priority.NORMAL, "default")
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the database's date, whose clock is this machine's


def category(connection: Connection, name: str, tenant: str = "", **said: object) -> None:
    columns = {"tenant_id": tenant, "category": name} | said
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    connection.execute(f"INSERT INTO noti.categories ({names}) VALUES ({places})".encode(), list(columns.values()))


def contact(connection: Connection, who: str, address: str, channel: str = "email", **said: object) -> None:
    columns = {"user_ref": who, "channel": channel, "address": address} | said
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    connection.execute(f"INSERT INTO noti.contacts ({names}) VALUES ({places})".encode(), list(columns.values()))


def choose(connection: Connection, who: str, *choice: object, **more: object) -> None:
    named = "".join(f", {name} => %s" for name in more)
    asked = "SELECT noti.choose(" + ", ".join(["%s"] * (1 + len(choice))) + named + ")"
    connection.execute(asked.encode(), [who, *choice, *more.values()])


def told(queue: PostgresQueue, rows: list[Notification]) -> list[str | None]:
    """Why each row is not sent, in words; None where it is."""
    briefings = queue.brief(rows)
    now = datetime.now(UTC)  # noqa: TID251 - nothing of these rows ends
    stops = [permit(n, briefings.get(n.notification_id, Briefing()), Policy(), now) for n in rows]
    assert all(stop is None or (isinstance(stop, Drop) and stop.kind == "not_wanted") for stop in stops)
    return [stop.reason if isinstance(stop, Drop) else None for stop in stops]


def says(connection: Connection, who: str, *asked: object) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM noti.allowed(%s, %s, %s)", [who, *asked]).fetchall()
    [line] = found
    return line


@pytest.mark.parametrize(
    ("choices", "kind", "words"),
    [
        ([], "unsaid", None),
        ([("news", "email", False)], "not_wanted", f"user 42 chose no news by email on {TODAY}"),
        ([("news", "", False)], "not_wanted", f"user 42 chose no news on {TODAY}"),
        ([("", "email", False)], "not_wanted", f"user 42 chose no messages by email on {TODAY}"),
        ([("", "", False)], "not_wanted", f"user 42 chose no messages on {TODAY}"),
        ([("", "", False), ("", "email", True)], "wanted", None),
        ([("", "email", False), ("news", "", True)], "wanted", None),
        ([("news", "", True), ("news", "email", False)], "not_wanted", f"user 42 chose no news by email on {TODAY}"),
        ([("news", "", False), ("news", "email", True)], "wanted", None),
        ([("offers", "", False), ("news", "sms", False)], "unsaid", None),
        ([("news", "", False), ("news", "", None)], "unsaid", None),
    ],
)
def test_the_more_exact_choice_counts_and_the_function_says_what_the_worker_does(
    queue: PostgresQueue, connection: Connection, choices: list[Any], kind: str, words: str | None
) -> None:
    contact(connection, "42", "Ann@Example.com")
    for choice in choices:
        choose(connection, "42", *choice)
    insert(connection, category="news")
    insert(connection, category="news", recipient="user:42")
    assert told(queue, claim(queue)) == [words, words]
    line = says(connection, "42", "news", "email")
    assert (line["allowed"], line["kind"]) == (words is None, kind)
    if words is not None:
        assert line["reason"] == words


def test_what_asks_for_a_yes_goes_to_who_said_it_of_this_very_category(
    queue: PostgresQueue, connection: Connection
) -> None:
    category(connection, "offers", opt_in=True)
    for who in ("yes", "all", "no", "silent", "often"):
        contact(connection, who, f"{who}@example.com")
    choose(connection, "yes", "offers")
    choose(connection, "all", "", "", True)
    choose(connection, "no", "offers", "", False)
    choose(connection, "often", "", "email", True, "daily")
    for who in ("yes", "all", "no", "silent", "often", "stranger"):
        insert(connection, category="offers", recipient=f"{who}@example.com")
    missing = "offers goes only to who said yes, and user {} did not"
    assert told(queue, claim(queue)) == [
        None,
        missing.format("all"),
        f"user no chose no offers on {TODAY}",
        missing.format("silent"),
        missing.format("often"),
        "offers goes only to who said yes, and nobody is known who has this address",
    ]
    found = {who: says(connection, who, "offers", "email") for who in ("yes", "all", "silent", "stranger")}
    assert {who: (line["kind"], line["reason"]) for who, line in found.items()} == {
        "yes": ("wanted", f"user yes chose offers on {TODAY}"),
        "all": ("no_opt_in", missing.format("all")),
        "silent": ("no_opt_in", missing.format("silent")),
        "stranger": ("no_address", "user stranger has no address for email"),
    }


def test_the_tenants_own_category_counts_and_what_is_mandatory_passes(
    queue: PostgresQueue, connection: Connection
) -> None:
    category(connection, "orders", opt_in=True)
    category(connection, "orders", "default", mandatory=True)
    choose(connection, "42", "", "", False)
    with pytest.raises(psycopg.errors.CheckViolation, match="'orders' is mandatory and goes out whatever"):
        choose(connection, "42", "orders", "", False)
    insert(connection, category="orders", recipient="user:42")
    insert(connection, recipient="user:42")
    contact(connection, "42", "ann@example.com")
    assert told(queue, claim(queue)) == [None, f"user 42 chose no messages on {TODAY}"]
    assert says(connection, "42", "orders", "email")["kind"] == "mandatory"
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout')")
    assert says(connection, "42", "orders", "email")["kind"] == "mandatory"
    assert says(connection, "42", "", "email")["kind"] == "optout"
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', 'dead')")
    assert says(connection, "42", "orders", "email")["kind"] == "dead"
    contact(connection, "42", "ann@example.org", place=1)
    assert says(connection, "42", "orders", "email")["kind"] == "mandatory", "another address is open"
    connection.execute("UPDATE noti.contacts SET left_at = '2026-01-02 12:00+00', left_because = 'gone'")
    assert (
        says(connection, "42", "orders", "email")["reason"]
        == "user 42 has no address for email any more since 2026-01-02: gone"
    )


def test_in_the_application_the_inbox_is_the_person(queue: PostgresQueue, connection: Connection) -> None:
    choose(connection, "42", "news", "in_app", False)
    insert(connection, channel="in_app", recipient="user:42", category="news")
    insert(connection, channel="in_app", recipient="42", category="news")
    insert(connection, channel="in_app", recipient="43", category="news")
    refused = f"user 42 chose no news by in_app on {TODAY}"
    assert told(queue, claim(queue, lanes=[IN_APP])) == [refused, refused, None]
    assert says(connection, "42", "news", "in_app")["reason"] == refused


def test_nothing_is_asked_before_anybody_chose_or_any_category_asks(
    queue: PostgresQueue, connection: Connection
) -> None:
    category(connection, "orders", mandatory=True, title="Orders", channels=["email"])
    insert(connection, category="orders")
    insert(connection, recipient="user:42", template_id="hello", body=None)
    [plain, personal] = claim(queue)
    assert not plain.choosing
    assert plain.notification_id not in queue.brief([plain])
    choice = queue.brief([personal])[personal.notification_id].choice
    assert choice is not None
    assert choice.person == "42", "for the link in its template"
    contact(connection, "17", "ann@example.com")
    insert(connection, template_id="hello", body=None)
    [known] = claim(queue)
    assert (known.choosing, known.peopled) == (False, True)
    choice = queue.brief([known])[known.notification_id].choice
    assert choice is not None
    assert choice.person == "17"


def test_a_category_says_how_long_its_messages_are_worth_sending(queue: PostgresQueue, connection: Connection) -> None:
    category(connection, "codes", expires_after=timedelta(minutes=10))
    insert(connection, category="codes")
    insert(connection, category="codes", expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    insert(connection, category="other")
    rows = claim(queue)
    briefings = queue.brief(rows)
    late = rows[0].claimed_at + timedelta(minutes=11)
    stops = [permit(n, briefings.get(n.notification_id, Briefing()), Policy(), late) for n in rows]
    assert stops == [
        Drop(
            Status.EXPIRED,
            "it expired before it could be sent: messages of codes are worth sending for 10m",
        ),
        None,
        None,
    ]


def test_how_often_is_kept_and_told(queue: PostgresQueue, connection: Connection) -> None:
    choose(connection, "42", "news", "", True, "daily")
    choose(connection, "42", "news")
    insert(connection, category="news", recipient="user:42")
    [n] = claim(queue)
    assert queue.brief([n])[n.notification_id].frequency is Frequency.DAILY
    with pytest.raises(psycopg.errors.CheckViolation, match="no frequency 'weekly'"):
        choose(connection, "42", "news", "", True, "weekly")
    with pytest.raises(psycopg.errors.CheckViolation, match="no channel 'fax'"):
        choose(connection, "42", "news", "fax")
    with pytest.raises(psycopg.errors.CheckViolation, match="without user: in front"):
        choose(connection, "user:42", "news")


def test_a_page_of_the_application_gets_a_line_for_each_category_and_channel(connection: Connection) -> None:
    category(connection, "news", title="News", titles='{"de": "Neuigkeiten", "pt": "Novidades"}')
    category(connection, "offers", opt_in=True, channels=["push", "email"])
    category(connection, "orders", mandatory=True)
    contact(connection, "42", "ann@example.com")
    contact(connection, "42", "+4915112345678", "sms")
    choose(connection, "42", "news", "sms", False)
    choose(connection, "42", "offers", "push", True, "hourly")
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout', 'news')")
    asked = (
        "SELECT title, channel, mandatory, opt_in, allowed, frequency, left_out FROM noti.choices('42', locale => %s)"
    )
    assert connection.execute(asked, ["pt-BR"]).fetchall() == [
        ("Novidades", "email", False, False, True, "instant", "category"),
        ("Novidades", "sms", False, False, False, "instant", None),
        ("offers", "email", False, True, False, "instant", None),
        ("offers", "push", False, True, True, "hourly", None),
        ("orders", "email", True, False, True, "instant", None),
        ("orders", "sms", True, False, True, "instant", None),
    ]
    unknown = connection.execute("SELECT category, channel FROM noti.choices('nobody')").fetchall()
    assert unknown == [("news", ""), ("offers", "email"), ("offers", "push"), ("orders", "")]


def test_each_choice_is_in_the_audit_trail_once(connection: Connection) -> None:
    for allowed in (False, False, True, None, None):
        choose(connection, "42", "news", "email", allowed, chosen_by="the person, by telephone")
    lines = connection.execute(
        "SELECT action, metadata FROM noti.audit_log WHERE entity_type = 'user' AND entity_id = '42' ORDER BY audit_id"
    ).fetchall()
    of = {"by": "the person, by telephone", "category": "news", "channel": "email"}
    assert lines == [
        ("preference_set", of | {"allowed": False, "frequency": "instant"}),
        ("preference_set", of | {"allowed": True, "frequency": "instant"}),
        ("preference_removed", of),
    ]
    assert connection.execute("SELECT FROM noti.preferences").fetchall() == []


def test_an_application_chooses_for_people_and_asks(connection: Connection) -> None:
    connection.execute("SET ROLE noti_app")
    choose(connection, "42", "news", "", False)
    assert says(connection, "42", "news", "in_app")["kind"] == "not_wanted"
    assert connection.execute("SELECT count(*) FROM noti.choices('42')").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM noti.preferences")
