"""Rows with a digest key gather, and go out as one message when their window is over."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from noti_worker.delivery.results import not_sent
from noti_worker.domain.choice import Frequency
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing
from noti_worker.domain.permits import permit
from noti_worker.store.connect import Database, Session
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.upkeep.digests import close_digests
from tests.store.rows import Connection, audit, claim, insert, row

ANN: dict[str, Any] = {"recipient": "ann@example.com", "digest_key": "news"}
Close = Callable[[], int]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    opened = database.session("digests")
    yield opened
    opened.close()


@pytest.fixture
def close(session: Session) -> Close:
    """Close what is due; gives how many digests that were."""
    return lambda: close_digests(session, 100).closed


def digest(**spec: object) -> dict[str, Any]:
    return ANN | {"options": Jsonb({"digest": spec})}


def ripen(connection: Connection, ids: list[int], by: str = "1 hour") -> None:
    """Time passes: the rows and their windows are that much older."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "UPDATE noti.notifications_log SET created_at = created_at - %(by)s::interval,"
            " send_at = send_at - %(by)s::interval, next_retry_at = next_retry_at - %(by)s::interval"
            " WHERE notification_id = ANY (%(ids)s)",
            {"by": by, "ids": ids},
        )


def story(connection: Connection, notification_id: int) -> list[tuple[str, str]]:
    rows = connection.execute("SELECT event, detail FROM noti.why(%s)", [notification_id]).fetchall()
    return [(event, detail) for event, detail in rows]


def messages(connection: Connection) -> list[dict[str, Any]]:
    """What was made of digests, in order."""
    found = connection.execute(
        "SELECT n.notification_id FROM noti.notifications_log n WHERE n.template_data ? 'items' ORDER BY 1"
    ).fetchall()
    return [row(connection, number) for (number,) in found]


def test_what_gathers_is_not_claimed_and_goes_out_as_one_message(
    queue: PostgresQueue, connection: Connection, close: Close
) -> None:
    ids = [
        insert(connection, **digest(subject="News"), template_data=Jsonb({"n": n}), body=f"no {n}")[0]
        for n in (1, 2, 3)
    ]
    first = row(connection, ids[0])
    assert first["status"] == "gathering"
    assert timedelta(minutes=14) < first["due_at"] - first["created_at"] <= timedelta(minutes=15)
    assert (claim(queue), close()) == ([], 0)
    event, detail = story(connection, ids[1])[-1]
    assert event == "next"
    assert "gathers until" in detail

    ripen(connection, ids)
    assert (close(), close()) == (1, 0)
    [made] = messages(connection)
    assert (made["subject"], made["body"]) == ("News", "Hello\nno 1\n\nHello\nno 2\n\nHello\nno 3")
    assert made["options"] is None
    assert [item["data"]["n"] for item in made["template_data"]["items"]] == [1, 2, 3]
    assert [item["id"] for item in made["template_data"]["items"]] == ids
    assert made["template_data"]["left_out"] == 0
    number = made["notification_id"]
    assert [n.notification_id for n in claim(queue)] == [number]
    for each in ids:
        assert row(connection, each)["status"] == "suppressed"
        assert ("suppressed", f"gathered: it goes out within notification {number}") in story(connection, each)
    assert f"it goes out within notification {number}" in story(connection, ids[0])[-1][1]
    assert ("gathered", f"made of 3 notifications: {ids[0]}, {ids[1]}, {ids[2]}") in story(connection, number)
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_one_alone_goes_out_as_it_is(queue: PostgresQueue, connection: Connection, close: Close) -> None:
    [alone] = insert(connection, **digest(after="5m"), template_data=Jsonb({"n": 1}))
    before = row(connection, alone)
    ripen(connection, [alone])
    assert close() == 1
    after = row(connection, alone)
    assert (after["status"], after["options"]) == ("pending", None)
    assert (after["message_id"], after["template_data"]) == (before["message_id"], {"n": 1})
    assert [n.notification_id for n in claim(queue)] == [alone]


def test_others_of_another_tenant_person_channel_or_key_do_not_join(connection: Connection, close: Close) -> None:
    ids = insert(connection, 2, **ANN)
    for other in ({"tenant_id": "acme"}, {"recipient": "bea@example.com"}, {"channel": "chat"}, {"digest_key": "olds"}):
        ids += insert(connection, 2, **ANN | other)
    ripen(connection, ids)
    assert close() == 5
    made = messages(connection)
    assert {(m["tenant_id"], m["recipient"], m["channel"]) for m in made} == {
        ("default", "ann@example.com", "email"),
        ("acme", "ann@example.com", "email"),
        ("default", "bea@example.com", "email"),
        ("default", "ann@example.com", "chat"),
    }
    for each in made:
        carried = {item["id"] for item in each["template_data"]["items"]}
        rows = [row(connection, number) for number in carried]
        assert {r["tenant_id"] for r in rows} == {each["tenant_id"]}
        assert len(rows) == 2


def test_the_window_begins_with_the_first_or_with_the_last(connection: Connection, close: Close) -> None:
    early = insert(connection, **digest(after="2h"))
    ripen(connection, early, "90 minutes")
    late = insert(connection, **digest(after="2h"))
    assert row(connection, late[0])["due_at"] == row(connection, early[0])["created_at"] + timedelta(hours=2)

    quiet = digest(quiet_for="10m", after="3h") | {"digest_key": "quiet"}
    old = insert(connection, **quiet)
    ripen(connection, old, "30 minutes")
    new = insert(connection, **quiet)
    assert close() == 0, "the last came just now"
    end = row(connection, new[0])["due_at"]
    assert row(connection, old[0])["due_at"] == end == row(connection, new[0])["created_at"] + timedelta(minutes=10)
    ripen(connection, old + new, "11 minutes")
    assert close() == 1

    forever = digest(quiet_for="10m", after="1h") | {"digest_key": "forever"}
    old = insert(connection, **forever)
    ripen(connection, old, "55 minutes")
    [new_one] = insert(connection, **forever)
    assert row(connection, new_one)["due_at"] == row(connection, old[0])["created_at"] + timedelta(hours=1)


@pytest.mark.parametrize(
    ("at", "zone", "since", "then"),
    [
        ("08:00", "Europe/Berlin", "2026-03-28 08:00", "2026-03-29 06:00"),  # summer time began in between
        ("08:00", "Europe/Berlin", "2026-10-24 07:00", "2026-10-25 07:00"),
        ("02:30", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:30"),  # left out that night: 03:30
        ("02:30", "Europe/Berlin", "2026-10-25 00:00", "2026-10-25 01:30"),  # twice that night: the second
        ("02:30", "Europe/Berlin", "2026-10-25 01:30", "2026-10-26 01:30"),
        ("mon 09:00", "America/New_York", "2026-11-01 05:00", "2026-11-02 14:00"),
        ("mon 09:00", "America/New_York", "2026-11-02 14:00", "2026-11-09 14:00"),
        ("07:00", "Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-04 20:30"),
        ("23:59", "UTC", "2026-01-01 23:59", "2026-01-02 23:59"),
    ],
)
def test_the_time_of_a_place_comes_once_a_day(
    connection: Connection, at: str, zone: str, since: str, then: str
) -> None:
    found = connection.execute("SELECT noti.next_local(%s, %s, %s)", [at, zone, since + "+00"]).fetchone()
    assert found == (datetime.fromisoformat(then).replace(tzinfo=UTC),)


def test_the_local_time_is_that_of_the_person(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address, zone)"
        " VALUES ('42', 'email', 'ann@example.com', 'Asia/Tokyo')"
    )
    for changes, zone in (
        ({}, "Asia/Tokyo"),
        ({"recipient": "user:42"}, "Asia/Tokyo"),
        ({"recipient": "x@y.de"}, "UTC"),
    ):
        [made] = insert(connection, **digest(at="08:00") | changes)
        found = connection.execute(
            "SELECT to_char(due_at AT TIME ZONE %s, 'HH24:MI') FROM noti.notifications_log WHERE notification_id = %s",
            [zone, made],
        ).fetchone()
        assert found == ("08:00",)


def test_at_most_so_many_go_out_together_and_as_soon_as_they_are(connection: Connection, close: Close) -> None:
    ids = [insert(connection, **digest(most=3, after="1h"))[0] for _ in range(7)]
    assert [close() for _ in range(3)] == [1, 1, 0]
    assert [len(m["template_data"]["items"]) for m in messages(connection)] == [3, 3]
    assert row(connection, ids[-1])["status"] == "gathering"
    assert row(connection, ids[-1])["due_at"] > row(connection, ids[0])["created_at"] + timedelta(minutes=50)


def test_six_at_once_make_exactly_one_message(database: Database, connection: Connection) -> None:
    ids = [number for group in range(20) for number in insert(connection, 5, **ANN | {"digest_key": f"g{group}"})]
    ripen(connection, ids)
    sessions = [database.session(f"closer {n}") for n in range(6)]
    try:
        with ThreadPoolExecutor(6) as pool:
            closed = list(pool.map(lambda session: close_digests(session, 1000).closed, sessions))
    finally:
        for session in sessions:
            session.close()
    assert sum(closed) == 20
    assert [len(m["template_data"]["items"]) for m in messages(connection)] == [5] * 20


def test_a_close_that_is_rolled_back_leaves_all_as_it_was(
    database_url: str, connection: Connection, close: Close
) -> None:
    ids = insert(connection, 3, **ANN)
    ripen(connection, ids)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT noti.close_digests(100, '-infinity')")
        assert close() == 0, "the other has it"
        other.rollback()
    assert {row(connection, each)["status"] for each in ids} == {"gathering"}
    assert messages(connection) == []
    assert close() == 1


def test_what_does_not_fit_is_counted(connection: Connection, close: Close) -> None:
    ids = insert(connection, 10, **ANN, template_data=Jsonb({"text": "x" * 50_000}))
    ripen(connection, ids)
    assert close() == 1
    [made] = messages(connection)
    assert (made["template_data"]["count"], made["template_data"]["left_out"]) == (10, 7)
    assert [item["id"] for item in made["template_data"]["items"]] == ids[7:], "the newest are listed"
    assert "the 7 oldest did not fit" in audit(connection, made["notification_id"])[0]["metadata"]["reason"]


def test_what_cannot_be_one_message_goes_out_one_by_one(
    queue: PostgresQueue, connection: Connection, close: Close
) -> None:
    bad = insert(connection, 2, **ANN)
    good = insert(connection, 2, **ANN | {"recipient": "bea@example.com"})
    ripen(connection, bad + good)
    connection.execute(
        "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'not to ann@example.com'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON noti.notifications_log FOR EACH ROW"
        " WHEN (NEW.recipient = 'ann@example.com') EXECUTE FUNCTION public.no()"
    )
    assert close() == 2
    assert len(claim(queue)) == 3
    assert "its digest could not be made" in audit(connection, bad[0])[0]["metadata"]["reason"]
    assert "ann@" not in audit(connection, bad[0])[0]["metadata"]["reason"]


def test_a_template_gets_the_list_and_what_expired_does_not_go_out(connection: Connection, close: Close) -> None:
    asked = digest(template="summary", subject="Your week") | {"template_id": "comment", "body": None}
    ids = [insert(connection, **asked, entity_type="post", entity_id=str(n))[0] for n in range(3)]
    ids += insert(connection, **asked, expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    ripen(connection, ids)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("UPDATE noti.notifications_log SET expires_at = now() WHERE notification_id = %s", ids[-1:])
    assert close() == 1
    [made] = messages(connection)
    assert (made["template_id"], made["subject"], made["body"]) == ("summary", "Your week", None)
    assert [(item["entity_type"], item["entity_id"]) for item in made["template_data"]["items"]] == [
        ("post", "0"), ("post", "1"), ("post", "2"),
    ]  # fmt: skip
    assert row(connection, ids[-1])["status"] == "expired"


@pytest.mark.parametrize(
    ("move", "status"), [("cancel", "cancelled"), ("hold", "held"), ("release", "pending"), ("requeue", "gathering")]
)
def test_a_gathering_row_can_be_moved(connection: Connection, close: Close, move: str, status: str) -> None:
    moved, *others = insert(connection, 3, **digest(after="1h"))
    assert connection.execute(f"SELECT noti.{move}(%s)".encode(), [moved]).fetchone() == (status,)
    now = row(connection, moved)
    if status in {"held", "pending"}:
        assert now["options"] is None
        assert now["due_at"] <= now["updated_at"]
    if status == "held":
        connection.execute("SELECT noti.release(%s)", [moved])
        assert row(connection, moved)["status"] == "pending"
    ripen(connection, [moved, *others], "2 hours")
    assert close() == 1
    listed = [m["template_data"]["items"] for m in messages(connection)]
    assert [len(items) for items in listed] == [3 if move == "requeue" else 2]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("often", "options.digest is not a JSON object"),
        ({"every": "15m"}, "options.digest.every is unknown. Known are after,"),
        ({"after": 15}, "options.digest.after is no span of time"),
        ({"quiet_for": "0m"}, "options.digest.quiet_for is no span of time"),
        ({"after": "400d"}, "at most 366 days"),
        ({"at": "8:00"}, "options.digest.at is no time of day"),
        ({"at": "08:00", "zone": "Berlin"}, "options.digest.zone is no time zone"),
        ({"at": "08:00", "zone": "Europe/Atlantis"}, "options.digest.zone is not known"),
        ({"most": 1}, "options.digest.most is out of range"),
        ({"template": ""}, "options.digest.template is no text"),
    ],
)
def test_a_window_that_cannot_be_read_is_refused_at_the_insert(connection: Connection, spec: Any, words: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=words):
        insert(connection, **ANN, options=Jsonb({"digest": spec}))


def test_what_is_held_or_too_long_does_not_gather(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="what is held does not gather"):
        insert(connection, **ANN, status="held")
    with pytest.raises(psycopg.errors.CheckViolation, match="digest_key is larger than 256 bytes"):
        insert(connection, **ANN | {"digest_key": "x" * 257})
    [finished] = insert(connection, **ANN, status="sent")
    assert row(connection, finished)["status"] == "sent"
    [unsaid] = insert(connection, **ANN | {"digest_key": ""})
    assert (row(connection, unsaid)["status"], row(connection, unsaid)["digest_key"]) == ("pending", None)


def test_what_a_person_wants_daily_gathers_until_the_morning_of_that_person(
    queue: PostgresQueue, connection: Connection, close: Close
) -> None:
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address, zone)"
        " VALUES ('42', 'email', 'ann@example.com', 'Asia/Tokyo')"
    )
    insert(connection, 2, category="news")
    insert(connection, category="news", expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    rows = claim(queue)
    stops = [permit(n, Briefing(frequency=Frequency.DAILY), Policy(), n.claimed_at) for n in rows]
    wants = [not_sent(n, stop) for n, stop in zip(rows, stops, strict=True) if stop is not None]
    assert queue.record(1, wants) == dict.fromkeys((n.notification_id for n in rows), "applied")
    ids = [n.notification_id for n in rows]
    for each in ids:
        now = row(connection, each)
        assert (now["status"], now["digest_key"]) == ("gathering", "noti.daily:news")
        assert (now["due_at"] + timedelta(hours=9)).astimezone(UTC).strftime("%H:%M") == "08:00"
        assert audit(connection, each)[0]["metadata"]["reason"].startswith("its person wants such messages daily")
    assert (claim(queue), close()) == ([], 0)
    ripen(connection, ids, "25 hours")
    assert close() == 1
    [made] = claim(queue)
    assert permit(made, Briefing(frequency=Frequency.DAILY), Policy(), made.claimed_at) is None, "it has gathered"
    assert len(messages(connection)[0]["template_data"]["items"]) == 3
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
