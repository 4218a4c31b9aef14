"""What the suppression list does to rows: answers make entries as they are recorded, and each batch asks."""

import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.settings.regions import Regions
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import NORMAL, Connection, claim, decided, insert, row, tried

SMS = Lane(Channel.SMS, Priority.NORMAL, "default")
ACME = Lane(Channel.EMAIL, Priority.NORMAL, "acme")

DEAD = Outcome(Kind.DEAD, Scope.RECIPIENT, code="550 5.1.1", error="no such user")
OPTOUT = Outcome(Kind.OPTOUT, Scope.RECIPIENT, code="400 21610", error="STOP")


def entries(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT tenant_id, channel, address, category, reason, source, hits"
        " FROM noti.suppressions ORDER BY channel, category, address"
    ).fetchall()


def stopped(queue: PostgresQueue, rows: list[Notification]) -> list[str | None]:
    """The reason of the entry that speaks of each row."""
    briefings = queue.brief(rows)
    found = [briefings[n.notification_id].suppression if n.notification_id in briefings else None for n in rows]
    return [None if entry is None else entry.reason for entry in found]


def test_a_dead_address_and_an_optout_are_kept_as_they_are_recorded(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, recipient="Ann <Ann@Example.com>", category="news")
    insert(connection, channel="sms", recipient="+4915112345", subject=None)
    mail, text = claim(queue, lanes=[NORMAL, SMS])
    queue.record(1, [tried(mail, Status.FAILED, outcome=DEAD), tried(text, Status.FAILED, outcome=OPTOUT)])
    assert entries(connection) == [
        ("default", "email", "ann@example.com", "", "dead", "answer", 1),
        ("default", "sms", "+4915112345", "", "optout", "answer", 1),
    ]
    named = connection.execute("SELECT notification_id FROM noti.suppressions ORDER BY channel").fetchall()
    assert named == [
        (mail.notification_id,),
        (text.notification_id,),
    ]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Kind.DEAD, Scope.RECIPIENT, code="550 5.7.1", error="policy"),
        Outcome(Kind.DEAD, Scope.RECIPIENT, code="550 5.7.17"),
        Outcome(Kind.DEAD, Scope.RECIPIENT, code="554 4.7.1"),
        Outcome(Kind.OPTOUT, Scope.RECIPIENT, code="550 5.7.1"),
        Outcome(Kind.DEAD, Scope.RECIPIENT),
        Outcome(Kind.PERMANENT, Scope.RECIPIENT, code="550 5.1.1"),
        Outcome(Kind.CONFIG, Scope.SENDER, code="550 5.7.1"),
    ],
)
def test_what_speaks_of_us_makes_no_entry_whatever_a_rule_makes_of_it(
    queue: PostgresQueue, connection: Connection, outcome: Outcome
) -> None:
    insert(connection)
    [n] = claim(queue)
    queue.record(1, [tried(n, Status.FAILED, outcome=outcome)])
    assert entries(connection) == []
    assert row(connection, n.notification_id)["status"] == "failed"


def test_a_code_that_only_looks_like_policy_is_none(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [n] = claim(queue)
    queue.record(1, [tried(n, Status.FAILED, outcome=Outcome(Kind.DEAD, Scope.RECIPIENT, code="550 5.1.15.7.1"))])
    assert len(entries(connection)) == 1


def test_a_late_result_teaches_nothing(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [lost] = claim(queue, lease=timedelta(0))
    claim(queue)
    assert queue.record(1, [tried(lost, Status.FAILED, outcome=DEAD)]) == {lost.notification_id: "stale"}
    assert entries(connection) == []


def test_a_decision_without_a_try_teaches_nothing(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [n] = claim(queue)
    queue.record(1, [decided(n, Status.SUPPRESSED, kind="optout")])
    assert entries(connection) == []


def test_the_answer_and_its_entry_are_recorded_together_or_not_at_all(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, 2, channel="sms", recipient="+4915112345", subject=None)
    insert(connection, channel="sms", recipient="+4915167890", subject=None)
    rows = claim(queue, lanes=[SMS])
    refuse = "ADD CONSTRAINT not_this_one CHECK (address <> '+4915112345') NOT VALID"
    connection.execute(f"ALTER TABLE noti.suppressions {refuse}".encode())
    fates = queue.record(1, [tried(n, Status.FAILED, outcome=OPTOUT) for n in rows])
    assert [fates[n.notification_id] == "applied" for n in rows] == [False, False, True]
    assert [row(connection, n.notification_id)["status"] for n in rows] == ["sending", "sending", "failed"]
    connection.execute("ALTER TABLE noti.suppressions DROP CONSTRAINT not_this_one")
    fates = queue.record(1, [tried(n, Status.FAILED, outcome=OPTOUT) for n in rows])
    assert [fates[n.notification_id] for n in rows] == ["applied", "applied", "again"]
    assert [(address, hits) for _, _, address, _, _, _, hits in entries(connection)] == [
        ("+4915112345", 2),
        ("+4915167890", 1),
    ]


def test_an_optout_from_the_message_is_one_from_its_category(queue: PostgresQueue, connection: Connection) -> None:
    marketing = Outcome(Kind.OPTOUT, Scope.MESSAGE, code="400 131050")
    for category in ("news", None):
        insert(connection, category=category)
    for n in claim(queue):
        queue.record(1, [tried(n, Status.FAILED, outcome=marketing)])
    assert [entry[3] for entry in entries(connection)] == ["", "news"]


def test_rows_are_asked_for_only_when_the_list_has_entries(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 3)
    assert [n.listed for n in claim(queue, 1)] == [False]
    first = connection.execute("SELECT noti.suppress('acme', 'sms', '+4915112345')").fetchone()
    assert first is not None
    assert [n.listed for n in claim(queue, 1)] == [True]
    connection.execute("SELECT noti.lift(%s)", first)
    assert [n.listed for n in claim(queue, 1)] == [False]


def test_the_entry_in_force_stops_whatever_the_spelling(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@bücher.example', 'complaint')")
    connection.execute(
        "SELECT noti.suppress('default', 'email', 'old@example.com', expires_at => now() - interval '1 s')"
    )
    for recipient in ("Ann <ANN@xn--bcher-kva.example>", "bea@example.com", "old@example.com"):
        insert(connection, recipient=recipient)
    assert stopped(queue, claim(queue)) == ["complaint", None, None]


def test_a_number_as_it_is_dialled_in_its_country_is_the_same_number(
    database: Database, connection: Connection
) -> None:
    with closing(PostgresQueue(database, international=Regions({Channel.SMS: "DE"}).international)) as queue:
        insert(connection, 2, channel="sms", recipient="01512 3456789", subject=None)
        insert(connection, channel="sms", recipient="no number", subject=None)
        [first, _, _] = claim(queue, lanes=[SMS])
        response = {"dialled": "+4915123456789", "code": "21610"}
        queue.record(1, [tried(first, Status.FAILED, outcome=replace(OPTOUT, response=response))])
        assert [entry[2] for entry in entries(connection)] == ["+4915123456789"]
        insert(connection, channel="sms", recipient="(01512) 345-6789", subject=None)
        insert(connection, channel="sms", recipient="01512 345", subject=None)
        assert stopped(queue, claim(queue, lanes=[SMS])) == ["optout", None]


def test_another_tenant_and_another_channel_are_not_stopped(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("SELECT noti.suppress('acme', 'email', 'ann@example.com', 'dead')")
    connection.execute("SELECT noti.suppress('default', 'chat', 'ann@example.com')")
    connection.execute("SELECT noti.suppress('default', 'email', 'bea@example.com')")
    insert(connection)
    insert(connection, tenant_id="acme")
    rows = claim(queue, lanes=[NORMAL, ACME])
    assert stopped(queue, rows) == [None, "dead"]


def test_an_entry_of_all_tenants_stops_each(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("SELECT noti.suppress('', 'email', 'ann@example.com', 'manual')")
    insert(connection, tenant_id="acme")
    assert stopped(queue, claim(queue, lanes=[ACME])) == ["manual"]


def test_an_entry_of_a_category_stops_that_alone(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout', 'news')")
    for category in ("news", "orders", None):
        insert(connection, category=category)
    assert stopped(queue, claim(queue)) == ["optout", None, None]


def test_copies_are_looked_up_by_their_place(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("INSERT INTO noti.categories (category, mandatory) VALUES ('security', true)")
    for address, reason in (("ann@example.com", "dead"), ("bea@example.com", "optout"), ("cid@example.com", "manual")):
        connection.execute("SELECT noti.suppress('default', 'email', %s, %s)", [address, reason])
    options = '{"cc": ["eve@example.com", "Ann <ANN@example.com>", 7], "bcc": ["bea@example.com", "cid@example.com"]}'
    [plain] = insert(connection, recipient="x@example.com", options=options)
    [mandatory] = insert(connection, recipient="x@example.com", options=options, category="security")
    [one] = insert(connection, recipient="x@example.com", options='{"cc": "cid@example.com"}')
    [none] = insert(connection, recipient="x@example.com", options='{"reply_to": "ann@example.com"}')
    briefings = queue.brief(claim(queue))
    assert briefings[plain].left_out == {"cc[1]": 1, "bcc[0]": 2, "bcc[1]": 3}
    assert briefings[mandatory].left_out == {"cc[1]": 1, "bcc[1]": 3}
    assert briefings[one].left_out == {"cc[0]": 3}
    assert briefings[none].left_out == {}
    assert {briefing.suppression for briefing in briefings.values()} == {None}


def test_mandatory_is_told_of_an_optout_and_the_stronger_reason_comes_first(
    queue: PostgresQueue, connection: Connection
) -> None:
    connection.execute("INSERT INTO noti.categories (category, mandatory) VALUES ('security', true), ('news', false)")
    connection.execute("INSERT INTO noti.categories (tenant_id, category) VALUES ('acme', 'security')")
    for tenant in ("default", "acme"):
        connection.execute("SELECT noti.suppress(%s, 'email', 'ann@example.com', 'optout')", [tenant])
        insert(connection, tenant_id=tenant, category="security")
    insert(connection, category="news")
    insert(connection, recipient="bea@example.com", category="security")
    for reason in ("optout", "dead"):
        connection.execute("SELECT noti.suppress('default', 'email', 'bea@example.com', %s)", [reason])
    rows = claim(queue, lanes=[NORMAL, ACME])
    briefings = queue.brief(rows)
    told = {}
    for n in rows:
        entry = briefings[n.notification_id].suppression
        assert entry is not None
        told[n.tenant_id, n.recipient[:3], n.category] = (entry.reason, entry.mandatory)
    assert told == {
        ("default", "ann", "security"): ("optout", True),
        ("default", "ann", "news"): ("optout", False),
        ("default", "bea", "security"): ("dead", False),
        ("acme", "ann", "security"): ("optout", False),  # the tenant's own word counts
    }


def test_two_workers_that_learn_of_the_same_addresses_crosswise_count_each_report(
    queue: PostgresQueue, other_queue: PostgresQueue, connection: Connection
) -> None:
    rounds, addresses = 10, 20
    fates: list[set[str]] = []

    def learn(desk: PostgresQueue, worker_id: int, rows: list[Notification]) -> None:
        results = [tried(n, Status.FAILED, outcome=DEAD) for n in rows]
        fates.append({str(fate) for fate in desk.record(worker_id, results).values()})

    for _ in range(rounds):
        for number in [*range(addresses), *reversed(range(addresses))]:
            insert(connection, recipient=f"a{number}@example.com")
        desks = ((queue, 1), (other_queue, 2))
        halves = [(desk, number, claim(desk, addresses, worker_id=number)) for desk, number in desks]
        threads = [threading.Thread(target=learn, args=half) for half in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert fates == [{"applied"}] * (2 * rounds)
    assert connection.execute("SELECT count(*), min(hits), max(hits) FROM noti.suppressions").fetchone() == (
        addresses,
        2 * rounds,
        2 * rounds,
    )
