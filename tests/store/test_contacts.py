"""Rows that name a person go to the address that noti.contacts has for the channel."""

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.contact import Contact, People
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import FurtherAddress
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.store.briefing import contacts
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, insert, tried

PUSH = Lane(Channel.PUSH, Priority.NORMAL, "default")


def contact(connection: Connection, address: str, user: str = "42", channel: str = "email", **columns: Any) -> None:
    values = {"user_ref": user, "channel": channel, "address": address} | columns
    connection.execute(
        f"INSERT INTO noti.contacts ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})".encode(),
        [*values.values()],
    )


def reached(queue: PostgresQueue, **lanes: Any) -> dict[int, Contact | str]:
    """Of each row that names a person: the contact, or why there is none."""
    found: dict[int, Contact | str] = {}
    for id_, briefing in queue.brief(claim(queue, **lanes)).items():
        if briefing.contact is not None:
            found[id_] = briefing.contact
        elif briefing.unreached is not None:
            found[id_] = briefing.unreached.words
    return found


def test_a_person_is_reached_at_the_first_address_by_place(queue: PostgresQueue, connection: Connection) -> None:
    contact(connection, "second@example.com", place=2)
    contact(connection, "ann@example.com", place=1, locale="pt-BR", zone="America/Sao_Paulo")
    contact(connection, "gone@example.com", left_at="2026-01-01", left_because="dead")
    contact(connection, "other@example.com", tenant_id="acme")
    [id_] = insert(connection, recipient="user:42")
    insert(connection)
    found = reached(queue)
    assert list(found) == [id_]
    ann = found[id_]
    assert isinstance(ann, Contact)
    assert (ann.address, ann.locale, ann.zone, ann.others) == ("ann@example.com", "pt-BR", "America/Sao_Paulo", ())


def test_what_follows_from_the_address_is_looked_up_by_it(queue: PostgresQueue, connection: Connection) -> None:
    contact(connection, "Ann@example.com", locale="de-AT")
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@EXAMPLE.com')")
    connection.execute(
        "INSERT INTO noti.template_versions (tenant_id, template_id, channel, locale, version, body)"
        " VALUES ('default', 'hello', '', 'de', 1, 'Hallo'), ('default', 'hello', '', '', 1, 'Hello'),"
        " ('default', 'hello', '', 'fr', 1, 'Bonjour')"
    )
    [asks] = insert(connection, recipient="user:42", template_id="hello", body=None)
    [says] = insert(connection, recipient="user:42", template_id="hello", body=None, locale="fr")
    found = queue.brief(claim(queue))
    assert [found[id_].suppression is not None for id_ in (asks, says)] == [True, True]
    texts = [found[id_].template for id_ in (asks, says)]
    assert [text.body for text in texts if text is not None] == ["Hallo", "Bonjour"]


def test_who_has_no_address_is_told_so(queue: PostgresQueue, connection: Connection) -> None:
    contact(connection, "gone@example.com", "43", left_at="2026-01-01", left_because="dead")
    [nobody], [gone], [nameless] = (insert(connection, recipient=f"user:{who}") for who in ("42", "43", ""))
    assert reached(queue) == {
        nobody: "the person whom it names has no address for email: add it to noti.contacts, then"
        " requeue the notification",
        gone: "the person whom it names has no address for email any more, the last left on 2026-01-01: dead",
        nameless: "the recipient is user: without a name: write user:42, then requeue it",
    }


def test_every_device_is_an_address(queue: PostgresQueue, connection: Connection) -> None:
    for token in ("one", "two", "three"):
        contact(connection, token, channel="push")
    [id_] = insert(connection, channel="push", recipient="user:42")
    phone = reached(queue, lanes=[PUSH])[id_]
    assert isinstance(phone, Contact)
    assert (phone.address, [other.address for other in phone.others]) == ("one", ["two", "three"])


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("app.addresses", None),
        ("app.without_zone", "42703"),
        ("app.broken", "22012"),
        ("app.slow", "longer than it may"),
        ("app.nowhere", "does not exist"),
    ],
)
def test_a_view_of_the_application_harms_only_its_rows(
    database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch, view: str, words: str | None
) -> None:
    monkeypatch.setattr(contacts, "VIEW_WITHIN", timedelta(seconds=1.1))
    columns = "1 AS contact_id, 'default'::varchar AS tenant_id, id::text AS user_ref, 'email' AS channel, address"
    more = "0 AS place, NULL::timestamptz AS verified_at, NULL AS locale, NULL::time AS quiet_from,"
    more += " NULL::time AS quiet_to, NULL::timestamptz AS left_at, NULL::text AS left_because"
    rows = "FROM (VALUES (42, 'ann@example.com'::varchar)) AS people (id, address)"
    connection.execute("CREATE SCHEMA app")
    for name, selected in (
        ("addresses", f"{columns}, {more}, 'UTC' AS zone"),
        ("without_zone", f"{columns}, {more}"),
        ("broken", f"{columns}, {more}, (1 / (id - 42))::text AS zone"),
        ("slow", f"{columns}, {more}, pg_sleep(5)::text AS zone"),
    ):
        connection.execute(f"CREATE VIEW app.{name} AS SELECT {selected} {rows}".encode())
    queue = PostgresQueue(database, people=lambda: People(view=view))
    try:
        [id_] = insert(connection, recipient="user:42")
        [plain] = insert(connection, options='{"cc": ["bea@example.com"]}')
        found = queue.brief(claim(queue))
    finally:
        queue.close()
    assert found[plain].options is not None
    if words is None:
        ann = found[id_].contact
        assert ann is not None
        assert ann.address == "ann@example.com"
    else:
        why = found[id_].unreached
        assert why is not None
        assert not why.asked
        assert words in why.words


def of_person(connection: Connection, queue: PostgresQueue, **columns: Any) -> Notification:
    """A message to person 42, as it was claimed."""
    channel = columns.get("channel", "email")
    insert(connection, recipient="user:42", **columns)
    [n] = claim(queue, lanes=[Lane(Channel(channel), Priority.NORMAL, "default")])
    return n


def answered(n: Notification, address: str, kind: Kind = Kind.OK, *others: str) -> Result:
    """What became of it at that address."""
    status = {Kind.OK: Status.SENT, Kind.TRANSIENT: Status.RETRYING}.get(kind, Status.FAILED)
    outcome = Outcome(kind, Scope.RECIPIENT, code="550 5.1.1", response={"address": address})
    return tried(n, status, outcome=outcome, follows=tuple(FurtherAddress(one, "de") for one in others))


def left(connection: Connection) -> dict[str, str | None]:
    return dict(connection.execute("SELECT address, left_because FROM noti.contacts ORDER BY contact_id").fetchall())


def story(connection: Connection, id_: int) -> list[str]:
    return [row[0] for row in connection.execute("SELECT detail FROM noti.why(%s)", [id_]).fetchall()]


def test_a_dead_address_leaves_and_a_new_one_is_clean(queue: PostgresQueue, connection: Connection) -> None:
    contact(connection, "Ann@example.com", verified_at="2026-01-01")
    contact(connection, "ann@example.com", tenant_id="acme")
    queue.record(1, [answered(of_person(connection, queue), "ann@example.com", Kind.DEAD)])
    assert left(connection) == {
        "Ann@example.com": "dead, as was answered to notification 1",
        "ann@example.com": None,
    }
    assert any("to a…@example.com" in line for line in story(connection, 1))
    assert connection.execute("SELECT address, reason FROM noti.suppressions").fetchall() == [
        ("ann@example.com", "dead")
    ]
    connection.execute("UPDATE noti.contacts SET address = 'new@example.com' WHERE contact_id = 1")
    clean = connection.execute("SELECT left_at, left_because, verified_at FROM noti.contacts WHERE contact_id = 1")
    assert clean.fetchone() == (None, None, None)


@pytest.mark.parametrize("named", ["token-of-a-phone-17", None])
def test_a_token_that_is_told_dead_later_leaves(
    queue: PostgresQueue, connection: Connection, named: str | None
) -> None:
    contact(connection, "token-of-a-phone-17", channel="push")
    n = of_person(connection, queue, channel="push")
    queue.record(1, [answered(n, "token-of-a-phone-17")])
    event = {"account": "a", "provider": "fcm", "event": "1", "kind": "bounced", "notification_id": n.notification_id}
    told = connection.execute(
        "SELECT fate FROM noti.receive(%s)", [json.dumps([event | {"recipient": named}])]
    ).fetchall()
    assert told == [("matched",)]
    assert left(connection) == {"token-of-a-phone-17": "dead, as was told later of notification 1"}
    assert any("to token-…e-17" in line for line in story(connection, 1))


@pytest.mark.parametrize("kind", [Kind.OK, Kind.TRANSIENT, Kind.DEAD])
def test_further_addresses_get_a_message_each_once(queue: PostgresQueue, connection: Connection, kind: Kind) -> None:
    n = of_person(connection, queue, channel="push", category="news", collapse_key="k")
    queue.record(1, [answered(n, "one", kind, "two", "three")])
    if kind is Kind.TRANSIENT:  # its next try
        connection.execute("UPDATE noti.notifications_log SET next_retry_at = NULL WHERE notification_id = 1")
        queue.record(1, [answered(claim(queue, 1, lanes=[PUSH])[0], "one", Kind.OK, "two", "three")])
    copies = "SELECT recipient, copy_of, status, locale, category, collapse_key FROM noti.notifications_log"
    assert connection.execute(f"{copies} WHERE copy_of > 0 ORDER BY notification_id".encode()).fetchall() == [
        (token, 1, "pending", "de", "news", "k") for token in ("two", "three")
    ]
    assert len({row[0] for row in connection.execute("SELECT message_id FROM noti.notifications_log").fetchall()}) == 3
    assert any("to two, notification 2: pending" in line for line in story(connection, 1))
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_nobody_else_makes_copies(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="copy_of belongs to the workers"):
        insert(connection, copy_of=1)
