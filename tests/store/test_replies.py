"""What recipients write back: STOP and START, and since when WhatsApp takes free text."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import claim, insert

Connection = psycopg.Connection[Any]

PHONE = "+491512345678"


def heard(
    connection: Connection, words: str | None, *, channel: str = "sms", at: object = None, **more: object
) -> str | None:
    given = {
        "tenant_id": "default",
        "channel": channel,
        "from_address": PHONE,
        "to_address": "+4930123",
        "words": words,
        "at": at,
    } | more
    named = ", ".join(f"{name} => %({name})s" for name in given)
    row = connection.execute(f"SELECT noti.heard({named})".encode(), given).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def live(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT tenant_id, channel, address, reason, source, hits FROM noti.suppressions WHERE lifted_at IS NULL"
    ).fetchall()


@pytest.mark.parametrize(
    "words",
    [
        "STOP", "stop", " Stop.\n", "STOP!", "«stop»", "ARRET", "Arrêt", "ARRE\u0302T", "STOPP", "UNSUBSCRIBE",
        "StopAll", "Stop all", "opt-out", "Abmelden", "BAJA", "PARAR", "FERMA", "afmelden", "SAIR", "AVSLUTA", "td",
    ],
)  # fmt: skip
def test_a_word_of_the_carriers_is_an_optout(connection: Connection, words: str) -> None:
    assert heard(connection, words) == "stop"
    assert live(connection) == [("default", "sms", PHONE, "optout", "reply", 1)]


@pytest.mark.parametrize("words", [
    "please stop", "stop it", "nonstop", "stopped", "don't stop", "yes", "", None, "...", "STOP " * 30, "bus stop",
    "start again",
])  # fmt: skip
def test_a_sentence_is_no_optout(connection: Connection, words: str | None) -> None:
    assert heard(connection, words) is None
    assert live(connection) == []


def test_start_takes_it_back_and_nothing_else(connection: Connection) -> None:
    heard(connection, "STOP")
    heard(connection, "STOP", channel="whatsapp")
    heard(connection, "STOP", from_address="+491600000000")
    heard(connection, "STOP", tenant_id="acme")
    for reason, category in (("dead", None), ("complaint", None), ("optout", "news")):
        connection.execute("SELECT noti.suppress('default', 'sms', %s, %s, %s)", (PHONE, reason, category))
    assert heard(connection, "Start") == "start"
    lifted = connection.execute(
        "SELECT tenant_id, channel, address, reason, lifted_by, requested_by"
        " FROM noti.suppressions WHERE lifted_at IS NOT NULL"
    ).fetchall()
    assert lifted == [("default", "sms", PHONE, "optout", "reply", "the person, by a reply to +4930123")]
    assert len(live(connection)) == 6


def test_replies_count_in_the_order_in_which_they_were_written(connection: Connection) -> None:
    heard(connection, "START", at="2026-01-01 10:05+00")
    heard(connection, "STOP", at="2026-01-01 10:10+00")
    heard(connection, "START", at="2026-01-01 10:07+00")  # told late
    assert [line[5] for line in live(connection)] == [1]
    heard(connection, "UNSTOP", at="2026-01-01 10:20+00")
    heard(connection, "STOP", at="2026-01-01 10:15+00")  # told late
    assert live(connection) == []


def test_a_number_of_several_tenants_stops_for_all_of_them(connection: Connection) -> None:
    heard(connection, "STOP", tenant_id=None)
    assert live(connection) == [("", "sms", PHONE, "optout", "reply", 1)]
    heard(connection, "START", tenant_id=None)
    assert live(connection) == []


def test_the_last_reply_is_kept_for_whatsapp_alone(connection: Connection) -> None:
    last = wrote(connection, "wa", 2)
    wrote(connection, "wa", 3)
    other = wrote(connection, "other", 1, "whatsapp:" + PHONE)
    heard(connection, "hello", channel="sms", account="wa")
    heard(connection, "hello", channel="whatsapp")  # nobody knows of which account
    found = "SELECT account, heard_at, address_hash = noti.address_hash('whatsapp', %s) FROM noti.replies ORDER BY 1"
    assert connection.execute(found, (PHONE,)).fetchall() == [("other", other, True), ("wa", last, True)]


def test_what_was_written_more_than_a_week_ago_is_forgotten(connection: Connection) -> None:
    for number, (account, hours) in enumerate([("wa", 8 * 24), ("wa", 6 * 24), ("other", 8 * 24), ("wa", 1)]):
        wrote(connection, account, hours, f"+49160000000{number}")
    found = connection.execute("SELECT account, count(*) FROM noti.replies GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [("other", 1), ("wa", 2)]


def test_a_reply_from_nowhere_is_refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="a reply comes from an address"):
        heard(connection, "STOP", from_address="anonymous")


WHATSAPP = Lane(Channel.WHATSAPP, Priority.NORMAL, "default")


def wrote(
    connection: Connection, account: str, hours: float, phone: str = PHONE, tenant: str | None = "default"
) -> datetime:
    row = connection.execute("SELECT now() - %s", [timedelta(hours=hours)]).fetchone()
    assert row is not None
    at: datetime = row[0]
    more = {"account": account, "from_address": phone, "tenant_id": tenant}
    heard(connection, "hello", channel="whatsapp", at=at, **more)
    return at


def replies(queue: PostgresQueue, connection: Connection) -> dict[str, datetime | None]:
    """What the briefing of a message to PHONE says."""
    [id_] = insert(connection, channel="whatsapp", recipient=PHONE, subject=None)
    briefings = queue.brief(claim(queue, lanes=[WHATSAPP]))
    return dict(briefings[id_].replies) if id_ in briefings else {}


def test_an_account_that_surely_hears_tells_the_last_reply(queue: PostgresQueue, connection: Connection) -> None:
    assert replies(queue, connection) == {}
    mine = wrote(connection, "wa", 1)
    assert replies(queue, connection) == {}  # whoever wrote before it could hear is not known
    wrote(connection, "wa", 25, "+491600000000")
    assert replies(queue, connection) == {"wa": mine}
    wrote(connection, "quiet", 25)  # perhaps it hears no more
    assert replies(queue, connection) == {"wa": mine}


def test_somebody_who_never_wrote_is_told_apart(queue: PostgresQueue, connection: Connection) -> None:
    for hours in (1, 25):
        wrote(connection, "wa", hours, f"+49160000000{hours}")
    assert replies(queue, connection) == {"wa": None}


def test_accounts_are_those_of_the_tenant_and_of_everybody(queue: PostgresQueue, connection: Connection) -> None:
    for tenant, account in ((None, "ours"), ("acme", "theirs"), ("default", "a"), ("default", "b")):
        for hours in (2, 26):
            wrote(connection, account, hours, f"+4916000000{hours}", tenant)
    latest = wrote(connection, "ours", 3, tenant=None)
    wrote(connection, "ours", 4, tenant="default")
    wrote(connection, "ours", 27, "+491600000099", tenant="default")
    assert replies(queue, connection) == {"ours": latest, "a": None, "b": None}
