"""What providers told afterwards: taken over once, found by what went out, and told by the story."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Written
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.receipts import Letterbox, Raw, ReceiptDesk, waiting
from noti_worker.store.receipts.desk import Said
from tests.store.rows import Connection, claim, insert, row, tried

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def letterbox(database: Database) -> Iterator[Letterbox]:
    opened = Letterbox(database)
    yield opened
    opened.close()


@pytest.fixture
def desk(database: Database) -> Iterator[ReceiptDesk]:
    session = database.session("tasks")
    yield ReceiptDesk(session)
    session.close()


@pytest.fixture
def tell(letterbox: Letterbox, desk: ReceiptDesk) -> Callable[..., list[str]]:
    """Have the account `mail` told something; gives what became of each thing."""

    def told(*said: Receipt | Written, account: str = "mail") -> list[str]:
        letterbox.keep(account, "sendgrid", Posted(b"[]"))
        _, counts = desk.read(0, lambda _: said)
        return sorted(fate for (_, _, fate), count in counts.items() for _ in range(count))

    return told


def message_id(connection: Connection, notification_id: int) -> UUID:
    found: UUID = row(connection, notification_id)["message_id"]
    return found


def receipt(connection: Connection, notification_id: int, kind: ReceiptKind, **changes: Any) -> Receipt:
    """A receipt for a notification, as a provider gives it that gives our ids back."""
    said = Receipt(
        kind,
        uuid4().hex,
        AT,
        notification_id=notification_id,
        message_id=message_id(connection, notification_id),
        code="5.1.1",
        words="no such user",
    )
    return replace(said, **changes)


def sent(connection: Connection, **columns: Any) -> int:
    """A notification that went out."""
    (found,) = insert(connection, status="sent", **columns)
    return found


def look_now(connection: Connection) -> None:
    """Have parked receipts be due."""
    connection.execute("UPDATE noti.receipts SET look_at = clock_timestamp() WHERE look_at IS NOT NULL")


def suppressed(connection: Connection) -> list[tuple[Any, ...]]:
    """What is suppressed: channel, address, category, reason, whether it ends."""
    return connection.execute(
        "SELECT channel, address, category, reason, expires_at IS NOT NULL FROM noti.suppressions"
        " WHERE lifted_at IS NULL ORDER BY suppression_id"
    ).fetchall()


def story(connection: Connection, notification_id: int) -> list[tuple[str, str]]:
    return connection.execute("SELECT event, detail FROM noti.why(%s)", [notification_id]).fetchall()


Tell = Callable[..., list[str]]


def test_a_delivery_is_told_and_leaves_the_notification_as_it_is(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection)
    version = "SELECT xmin::text, ctid::text FROM noti.notifications_log"
    before = connection.execute(version).fetchone()
    assert tell(receipt(connection, id_, ReceiptKind.DELIVERED, code="250", words="OK")) == ["matched"]
    assert connection.execute(version).fetchone() == before
    assert [line for line in story(connection, id_) if line[0] == "delivered"] == [
        ("delivered", "mail (sendgrid) tells it (250): OK")
    ]


def test_what_is_told_again_counts_once(connection: Connection, tell: Tell) -> None:
    bounce = receipt(connection, sent(connection), ReceiptKind.BOUNCED)
    assert tell(bounce) == ["matched"]
    assert tell(bounce, bounce) == ["known", "known"]
    assert tell(bounce, account="another") == ["matched"], "its events have ids of their own"
    assert connection.execute("SELECT count(*) FROM noti.receipts").fetchone() == (2,)
    assert connection.execute("SELECT hits FROM noti.suppressions").fetchone() == (2,)


def test_the_same_twice_in_one_request_counts_once(connection: Connection, tell: Tell) -> None:
    bounce = receipt(connection, sent(connection), ReceiptKind.BOUNCED)
    assert tell(bounce, bounce) == ["known", "matched"]


def test_bad_news_stands_in_the_notification_and_the_worst_stays(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection)
    for kind, stands in (
        (ReceiptKind.DEFERRED, None),
        (ReceiptKind.SOFT_BOUNCED, None),
        (ReceiptKind.UNSUBSCRIBED, "unsubscribed"),
        (ReceiptKind.FAILED, "failed"),
        (ReceiptKind.BOUNCED, "bounced"),
        (ReceiptKind.DELIVERED, "bounced"),
        (ReceiptKind.FAILED, "bounced"),
        (ReceiptKind.COMPLAINED, "complained"),
    ):
        assert tell(receipt(connection, id_, kind)) == ["matched"]
        assert row(connection, id_)["receipt"] == stands, kind
    assert row(connection, id_)["receipt_at"] == AT
    assert row(connection, id_)["status"] == "sent"


def test_what_suppresses_an_address(connection: Connection, tell: Tell) -> None:
    for number, kind in enumerate(ReceiptKind):
        tell(receipt(connection, sent(connection, recipient=f"{number}@example.com", category="news"), kind))
    assert suppressed(connection) == [
        ("email", "4@example.com", "news", "optout", False),
        ("email", "6@example.com", "", "dead", True),
        ("email", "7@example.com", "", "complaint", False),
    ]


def test_soft_bounces_suppress_on_the_third_day(connection: Connection, tell: Tell) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the entry must not be over already

    def bounce(days_ago: float) -> None:
        said = receipt(connection, sent(connection), ReceiptKind.SOFT_BOUNCED, at=now - timedelta(days=days_ago))
        assert tell(said) == ["matched"]

    bounce(40)  # too long ago to count
    bounce(8)
    bounce(8)
    bounce(6)
    assert suppressed(connection) == []
    bounce(1)
    assert suppressed(connection) == [("email", "ann@example.com", "", "dead", True)]
    (ends,) = connection.execute("SELECT expires_at FROM noti.suppressions").fetchone() or (None,)
    assert ends == now + timedelta(days=13)


def test_a_copy_that_bounces_is_not_the_notifications_fault(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection, recipient="Ann <ann@example.com>", options='{"cc": ["bo@example.com"]}')
    tell(receipt(connection, id_, ReceiptKind.BOUNCED, recipient="Bo@EXAMPLE.com"))
    assert row(connection, id_)["receipt"] is None
    assert suppressed(connection) == [("email", "bo@example.com", "", "dead", True)]
    assert ("bounced", "mail (sendgrid) tells it of Bo@EXAMPLE.com (5.1.1): no such user") in story(connection, id_)
    tell(receipt(connection, id_, ReceiptKind.BOUNCED, recipient="ANN@example.com"))
    assert row(connection, id_)["receipt"] == "bounced"
    kept = connection.execute("SELECT recipient FROM noti.receipts ORDER BY receipt_id").fetchall()
    assert kept == [("Bo@EXAMPLE.com",), (None,)], "the notification knows its own recipient"


def test_a_number_as_it_is_dialled_in_its_region_is_stopped_as_it_went_out(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection, channel="sms", recipient="0171 2345678")
    assert tell(receipt(connection, id_, ReceiptKind.BOUNCED, recipient="+491712345678")) == ["matched"]
    assert row(connection, id_)["receipt"] == "bounced"
    assert [address for _, address, *_ in suppressed(connection)] == ["+491712345678"]


def test_a_receipt_of_another_message_is_never_matched(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection)
    assert tell(receipt(connection, id_, ReceiptKind.BOUNCED, message_id=uuid4())) == ["parked"]
    assert row(connection, id_)["receipt"] is None
    assert "bounced" not in dict(story(connection, id_)), "the number alone may be one of another database"
    for _ in range(17):
        look_now(connection)
        tell()
    assert connection.execute("SELECT looks, look_at, tenant_id FROM noti.receipts").fetchone() == (17, None, None)


def refer(connection: Connection, notification_id: int, account: str = "mail", reference: str = "abc") -> None:
    query = "INSERT INTO noti.provider_references (reference, account, notification_id) VALUES (%s, %s, %s)"
    connection.execute(query, [reference, account, notification_id])


def test_a_receipt_before_its_reference_waits_for_it(connection: Connection, tell: Tell) -> None:
    id_ = sent(connection)
    refer(connection, id_, "another")
    assert tell(Receipt(ReceiptKind.BOUNCED, "e1", AT, reference="abc", recipient="ann@example.com")) == ["parked"]
    look_now(connection)
    assert tell() == ["parked"], "another account's reference is another message's"
    refer(connection, id_)
    assert tell() == [], "not looked at again yet"
    look_now(connection)
    assert tell() == ["matched"]
    assert row(connection, id_)["receipt"] == "bounced"
    assert suppressed(connection) == [("email", "ann@example.com", "", "dead", True)]
    assert tell() == []


def test_bad_news_of_a_row_in_flight_waits_for_its_result(
    connection: Connection, queue: PostgresQueue, tell: Tell
) -> None:
    (id_,) = insert(connection)
    (claimed,) = claim(queue)
    assert tell(receipt(connection, id_, ReceiptKind.DELIVERED)) == ["matched"]
    assert tell(receipt(connection, id_, ReceiptKind.BOUNCED)) == ["parked"]
    queue.record(1, [tried(claimed)])
    look_now(connection)
    assert tell() == ["matched"]
    assert row(connection, id_)["receipt"] == "bounced"
    events = [event for event, _ in story(connection, id_)]
    assert events == ["queued", "try 1", "sent", "delivered", "bounced", "next"], "in the order of what happened"


def test_nobody_is_waited_for_who_holds_the_row(connection: Connection, database_url: str, tell: Tell) -> None:
    id_ = sent(connection)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT FROM noti.notifications_log FOR UPDATE")
        assert tell(receipt(connection, id_, ReceiptKind.BOUNCED)) == ["parked"]
    look_now(connection)
    assert tell() == ["matched"]


def test_a_reply_counts_once_and_for_every_tenant(connection: Connection, tell: Tell) -> None:
    stop = Written(Channel.SMS, "SM1", "+491701234567", "Stop!", AT)
    assert tell(stop) == ["heard"]
    assert tell(stop, Written(Channel.SMS, "SM2", "+491701234567", "thank you", AT)) == ["heard", "known"]
    assert suppressed(connection) == [("sms", "+491701234567", "", "optout", False)]
    assert connection.execute("SELECT tenant_id, hits FROM noti.suppressions").fetchone() == ("", 1)
    assert connection.execute("SELECT count(*) FROM noti.receipts WHERE kind = 'replied'").fetchone() == (2,)
    text = connection.execute("SELECT string_agg(r::text, '') FROM noti.receipts r").fetchone()
    assert text is not None
    assert "4917" not in text[0], "what is kept of it names nobody"
    assert tell(Written(Channel.SMS, "SM3", "+491701234567", "START", AT + timedelta(days=1))) == ["heard"]
    assert suppressed(connection) == []


def test_a_reply_from_nobody_is_counted_only(connection: Connection, tell: Tell) -> None:
    assert tell(Written(Channel.SMS, "SM1", "ACME", "STOP", AT)) == ["heard"]
    assert suppressed(connection) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"words": "\0\ud800" + "x" * 100_000, "code": "\0" * 1000, "recipient": "\ud800@" + "ä" * 10_000},
        {"at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"at": datetime(1, 1, 1, tzinfo=UTC)},
        {"at": None},
        {"event": "ä" * 5_000},
        {"event": "\0\ud800"},
        {"reference": "x" * 5_000},
        {"notification_id": 10**18 - 1},
        {"recipient": ""},
        {"recipient": "no address at all"},
    ],
)
def test_whatever_a_provider_says_is_taken_over(connection: Connection, tell: Tell, changes: dict[str, Any]) -> None:
    id_ = sent(connection)
    for kind in ReceiptKind:
        said = replace(receipt(connection, id_, kind), **({"event": f"{kind}"} | changes))
        assert tell(said)[0] in {"matched", "parked", "known"}
    times = "SELECT bool_and(at BETWEEN '2000-01-01' AND clock_timestamp()) FROM noti.receipts"
    assert connection.execute(times).fetchone() == (True,)


def test_many_who_are_told_the_same_at_once_take_it_over_once(
    connection: Connection, database: Database, desk: ReceiptDesk
) -> None:
    ids = insert(connection, 20, status="sent")
    said = [receipt(connection, id_, ReceiptKind.BOUNCED) for id_ in ids]
    letterbox = Letterbox(database)
    for _ in range(6):
        letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    ready = threading.Barrier(6)

    def read(number: int) -> list[str]:
        session = database.session(f"tasks {number}")
        ready.wait(60)
        _, counts = ReceiptDesk(session).read(0, lambda _: said if number % 2 else said[::-1])
        session.close()
        return [fate for (_, _, fate), count in counts.items() for _ in range(count)]

    with ThreadPoolExecutor(6) as threads:
        fates = [fate for told in threads.map(read, range(6)) for fate in told]
    # Who comes while another holds the row parks what it was told.
    assert Counter(fate.replace("parked", "matched") for fate in fates) == {"known": 100, "matched": 20}
    look_now(connection)
    desk.read(0, lambda _: [])
    letterbox.close()
    assert connection.execute("SELECT hits FROM noti.suppressions").fetchall() == [(20,)], "one address, 20 bounces"
    assert connection.execute("SELECT count(*) FROM noti.notifications_log WHERE receipt = 'bounced'").fetchone() == (
        20,
    )


# ------------------------------------------------------------------------------ requests as they came


def test_a_request_is_kept_as_it_came_but_for_its_secrets(
    letterbox: Letterbox, desk: ReceiptDesk, connection: Connection
) -> None:
    headers = {"content-type": "application/json", "authorization": "Basic c2VjcmV0", "cookie": "a=b", "svix-id": "m\0"}
    letterbox.keep("mail", "resend", Posted(b"\x00\xff{}", headers, "a=%2B1&b=2"))
    taken: list[Raw] = []

    def read(raw: Raw) -> Said:
        taken.append(raw)
        return ()

    kept_at = connection.execute("SELECT raw_id, received_at FROM noti.receipts_raw").fetchone()
    assert kept_at is not None
    raw_id, received_at = kept_at
    assert desk.read(0, read) == (raw_id, {})
    kept = {"content-type": "application/json", "svix-id": "m\ufffd"}
    assert taken == [Raw(raw_id, "mail", "resend", Posted(b"\x00\xff{}", kept, "a=%2B1&b=2"), received_at)]
    assert desk.read(0, read) == (None, {}), "it is read"


def test_a_request_that_cannot_be_read_says_why(
    letterbox: Letterbox, desk: ReceiptDesk, connection: Connection
) -> None:
    letterbox.keep("mail", "sendgrid", Posted(b"<html>"))
    desk.read(0, lambda _: "it is no JSON")
    assert connection.execute("SELECT error, read_at IS NOT NULL FROM noti.receipts_raw").fetchone() == (
        "it is no JSON",
        True,
    )


def test_what_breaks_while_it_is_read_is_read_again(letterbox: Letterbox, desk: ReceiptDesk) -> None:
    letterbox.keep("mail", "sendgrid", Posted(b"[]"))

    def broken(_: Raw) -> Said:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.read(0, broken)
    assert desk.read(0, lambda _: ())[0] is not None


def test_each_request_is_read_by_one(letterbox: Letterbox, desk: ReceiptDesk, database: Database) -> None:
    for _ in range(2):
        letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    session = database.session("another worker")
    others: list[int | None] = []

    def meanwhile(_: Raw) -> Said:
        others.append(ReceiptDesk(session).read(0, lambda _: ())[0])
        return ()

    first, _ = desk.read(0, meanwhile)
    session.close()
    assert first is not None
    assert others == [first + 1]


def test_what_waits_is_counted(letterbox: Letterbox, database: Database, connection: Connection, tell: Tell) -> None:
    session = database.session("chores")
    assert waiting(session) == {"unread": 0, "parked": 0, "oldest_seconds": 0.0}
    tell(Receipt(ReceiptKind.DELIVERED, "e1", AT, reference="unknown"))
    letterbox.keep("mail", "sendgrid", Posted(b"[]"))
    connection.execute("UPDATE noti.receipts_raw SET received_at = received_at - interval '1 hour'")
    now = waiting(session)
    session.close()
    assert (now["unread"], now["parked"]) == (1, 1)
    assert 3600 <= now["oldest_seconds"] < 3700


# ------------------------------------------------------------------------------ references


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("referenced", [True, False])
def test_what_the_provider_calls_a_message_is_kept_only_where_receipts_need_it(
    connection: Connection, queue: PostgresQueue, referenced: bool
) -> None:
    insert(connection, 9)
    results = [
        tried(
            row,
            outcome=Outcome(Kind.OK, code="200", provider_message_id=None if not number else f"m{number}"),
            referenced=referenced,
        )
        for number, row in enumerate(claim(queue))
    ]
    queue.record(1, results)
    kept = connection.execute("SELECT account, reference FROM noti.provider_references ORDER BY 2").fetchall()
    assert kept == ([("relay", f"m{number}") for number in range(1, 9)] if referenced else [])
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
