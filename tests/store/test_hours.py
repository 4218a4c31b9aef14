"""Quiet hours, send windows and caps: what the database says of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from noti_worker.domain.ages import Ages
from noti_worker.domain.hours import Full, Quiet, Shut
from noti_worker.domain.notification import Notification, Status
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.upkeep import retention
from tests.store.rows import Connection, claim, insert, tried

CHANGES = {
    "Europe/Berlin": ["2026-03-29 01:00", "2026-10-25 01:00"],
    "America/New_York": ["2026-03-08 07:00", "2026-11-01 06:00"],
    "Australia/Lord_Howe": ["2026-04-04 15:00", "2026-10-03 15:30"],
    "Asia/Beirut": ["2026-03-28 22:00", "2026-10-24 21:00"],
    "Africa/Casablanca": ["2026-02-15 02:00", "2026-03-22 02:00"],
    "Pacific/Apia": ["2011-12-30 10:00"],  # a day that does not exist
    "Asia/Kolkata": ["2026-06-01 00:00"],  # none
}
"""Instants (UTC) at which the clock of a zone is changed."""

MINUTE = timedelta(minutes=1)


def walk(zone: str, change: str) -> list[tuple[datetime, datetime]]:
    """Each minute of the days around it, and what the clock shows then."""
    start = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(hours=30)
    minutes = [start + number * MINUTE for number in range(5 * 24 * 60)]
    return [(at, at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for at in minutes]


def first(minutes: list[tuple[datetime, datetime]], wanted: list[bool]) -> list[datetime | None]:
    """For each minute the first from it on that is wanted."""
    found: list[datetime | None] = []
    last = None
    for (at, _), yes in zip(reversed(minutes), reversed(wanted), strict=True):
        last = at if yes else last
        found.append(last)
    return found[::-1]


def is_quiet(shown: time, since: time, until: time) -> bool:
    return since <= shown < until if since < until else shown >= since or shown < until


QUIET = ["22:00-07:00", "02:15-02:45", "01:30-02:30", "00:00-00:30", "12:00-14:00", "23:30-02:10", "01:59-03:01"]


@pytest.mark.parametrize("zone", CHANGES)
def test_quiet_hours_end_when_the_clock_says_so(connection: Connection, zone: str) -> None:
    for change in CHANGES[zone]:
        minutes = walk(zone, change)
        starts = range(0, 60 * 60, 17)
        for hours in QUIET:
            since, until = (time.fromisoformat(part) for part in hours.split("-"))
            ends = first(minutes, [not is_quiet(shown.time(), since, until) for _, shown in minutes])
            asked = [minutes[number][0] for number in starts]
            told = connection.execute(
                "SELECT noti.quiet_until(%s, %s, %s, w.at) FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS w (at, n)"
                " ORDER BY w.n",
                [zone, since, until, asked],
            ).fetchall()
            expected = [ends[number] if ends[number] != minutes[number][0] else None for number in starts]
            assert [(hours, at, said) for at, (said,) in zip(asked, told, strict=True)] == [
                (hours, at, end) for at, end in zip(asked, expected, strict=True)
            ]


WINDOWS = {
    "daily 8-20": (range(7), "08:00", "20:00"),
    "Daily 2:15-02:45": (range(7), "02:15", "02:45"),
    "sat,sun 0:30-16": ((5, 6), "00:30", "16:00"),
    "sat-mon 00:00 - 24:00": ((5, 6, 0), "00:00", "24:00"),
    "weekends 02-3": ((5, 6), "02:00", "03:00"),
}


@pytest.mark.parametrize("zone", CHANGES)
def test_windows_open_when_the_clock_says_so(connection: Connection, zone: str) -> None:
    for change in CHANGES[zone]:
        minutes = walk(zone, change)
        starts = range(0, 30 * 60, 61)
        for window, (days, since, until) in WINDOWS.items():
            opens = first(
                minutes,
                [
                    shown.weekday() in days and since <= f"{shown:%H:%M}" and f"{shown:%H:%M}" < until
                    for _, shown in minutes
                ],
            )
            asked = [minutes[number][0] for number in starts]
            told = connection.execute(
                "SELECT noti.window_opens(%s, %s, w.at) FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS w (at, n)"
                " ORDER BY w.n",
                [window, zone, asked],
            ).fetchall()
            expected = [opens[number] if opens[number] != minutes[number][0] else None for number in starts]
            known = [
                (window, at, one) for at, one, number in zip(asked, expected, starts, strict=True) if opens[number]
            ]
            assert [
                (window, at, said) for at, (said,), number in zip(asked, told, starts, strict=True) if opens[number]
            ] == known
            assert known


@pytest.mark.parametrize(
    ("window", "days", "since", "until"),
    [
        ("weekdays 9-18", [1, 2, 3, 4, 5], "09:00:00", "18:00:00"),
        ("MON-FRI 09:00-18:00", [1, 2, 3, 4, 5], "09:00:00", "18:00:00"),
        ("fri-mon 9-24", [5, 6, 7, 1], "09:00:00", "24:00:00"),
        ("mon, wed-thu 8:30-9", [1, 3, 4], "08:30:00", "09:00:00"),
        ("weekday 9-18", None, None, None),
        ("mon-tue-wed 9-18", None, None, None),
        ("daily 18-9", None, None, None),
        ("daily 9-25", None, None, None),
        ("9-18", None, None, None),
        ("", None, None, None),
    ],
)
def test_windows_are_read(connection: Connection, window: str, days: object, since: str, until: str) -> None:
    told = connection.execute("SELECT days, since::text, until::text FROM noti.window_parts(%s)", [window]).fetchone()
    assert told == (days, since, until)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("send_window = 'always'", "the send window 'always' cannot be read. Give days and hours"),
        ("mandatory = true, send_window = 'daily 8-20'", "a mandatory category goes out at any hour"),
        ("cap_amount = 3", "half a cap is none"),
        ("cap_amount = 0, cap_every = '7 days'", "a cap is at least 1 message"),
        ("cap_amount = 3, cap_every = '1 s'", "a cap counts over at least a minute"),
        ("cap_over = 'later'", "Give wait or drop"),
    ],
)
def test_what_no_category_can_obey_is_refused_in_words(connection: Connection, columns: str, words: str) -> None:
    connection.execute("INSERT INTO noti.categories (category) VALUES ('news')")
    with pytest.raises(psycopg.errors.CheckViolation, match=words):
        connection.execute(f"UPDATE noti.categories SET {columns}".encode())


@pytest.mark.parametrize("value", ["22-7", "22:00-22:00", "25:00-07:00", "22:00"])
def test_odd_quiet_hours_of_a_tenant_are_refused(connection: Connection, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="the quiet hours cannot be read"):
        connection.execute("INSERT INTO noti.settings VALUES ('default', 'quiet_hours', to_jsonb(%s::text))", [value])


# ------------------------------------------------------------------------------------------- what a batch is told


@pytest.fixture
def around() -> dict[str, str]:
    """Hours of the clock in Berlin: an hour that is now, and one that is not."""
    here = datetime.now(ZoneInfo("Europe/Berlin"))  # noqa: TID251
    return {
        "now": f"{here - timedelta(hours=1):%H:%M}-{here + timedelta(hours=2):%H:%M}",
        "later": f"{here + timedelta(hours=3):%H:%M}-{here + timedelta(hours=5):%H:%M}",
    }


def contact(
    connection: Connection, address: str, hours: str | None, zone: str | None = "Europe/Berlin", **more: Any
) -> None:
    since, until = hours.split("-") if hours else (None, None)
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address, quiet_from, quiet_to, zone)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [more.get("user", address[:3]), more.get("channel", "email"), address, since, until, zone],
    )


def setting(connection: Connection, key: str, value: str) -> None:
    connection.execute("INSERT INTO noti.settings VALUES ('default', %s, to_jsonb(%s::text))", [key, value])


def timed(queue: PostgresQueue) -> bool:
    queue.closures()
    return queue.timed


def kept(queue: PostgresQueue, connection: Connection) -> dict[str, tuple[str, ...]]:
    """By recipient what keeps the rows back that can be claimed."""
    found = {}
    queue.closures()
    rows = claim(queue)
    briefings = queue.brief(rows)
    for row in rows:
        known = briefings.get(row.notification_id)
        words = [str(one) for one in (known.quiet, known.shut, known.full) if one] if known else []
        found[row.recipient] = tuple(words)
    return found


def test_the_contacts_hours_go_before_the_tenants(
    queue: PostgresQueue, connection: Connection, around: dict[str, str]
) -> None:
    setting(connection, "zone", "Europe/Berlin")
    setting(connection, "quiet_hours", around["now"])
    contact(connection, "awake@example.com", around["later"])
    contact(connection, "always@example.com", "00:00-00:00")
    contact(connection, "plain@example.com", None, None)
    contact(connection, "far@example.com", None, "Pacific/Kiritimati")
    contact(connection, "gone@example.com", around["later"])
    connection.execute("UPDATE noti.contacts SET left_at = now(), left_because = 'x' WHERE user_ref = 'gon'")
    names = ["awake", "always", "plain", "far", "gone", "nobody"]
    for name in names:
        insert(connection, recipient=f"{name}@example.com")
    insert(connection, recipient="user:awa")
    insert(connection, recipient="user:pla")
    told = {name: bool(words) for name, words in kept(queue, connection).items()}
    assert told == {
        "awake@example.com": False,
        "always@example.com": False,
        "plain@example.com": True,
        "far@example.com": False,  # other hours there
        "gone@example.com": True,
        "nobody@example.com": True,
        "user:awa": False,
        "user:pla": True,
    }


def test_what_is_urgent_mandatory_or_loud_passes(
    queue: PostgresQueue, connection: Connection, around: dict[str, str]
) -> None:
    contact(connection, "ann@example.com", around["now"])
    connection.execute(
        "INSERT INTO noti.categories (tenant_id, category, mandatory, quiet) VALUES"
        " ('', 'bills', true, true), ('', 'alarms', false, false), ('', 'news', false, true),"
        " ('default', 'own', false, true), ('', 'own', true, true)"
    )
    ids = {insert(connection, category=name)[0]: name for name in ("bills", "alarms", "news", "own", "unknown")}
    queue.closures()
    briefings = queue.brief(claim(queue))
    assert {ids[id_] for id_, known in briefings.items() if known.quiet} == {"news", "own", "unknown"}
    [known] = {known.quiet for known in briefings.values() if known.quiet}
    assert isinstance(known, Quiet)
    assert (known.zone, known.hours) == ("Europe/Berlin", around["now"])


def test_a_zone_that_the_server_does_not_know_stops_nothing(
    queue: PostgresQueue, connection: Connection, around: dict[str, str]
) -> None:
    contact(connection, "ann@example.com", around["now"])
    contact(connection, "bea@example.com", around["now"])
    with connection.transaction():  # as after a restore onto a server with an older list of zones
        connection.execute("ALTER TABLE noti.contacts DISABLE TRIGGER contacts_zone")
        connection.execute("UPDATE noti.contacts SET zone = 'Mars/Base' WHERE user_ref = 'bea'")
        connection.execute("ALTER TABLE noti.contacts ENABLE TRIGGER contacts_zone")
    insert(connection)
    insert(connection, recipient="bea@example.com")
    told = {name: bool(words) for name, words in kept(queue, connection).items()}
    assert told == {"ann@example.com": True, "bea@example.com": False}


def test_a_shut_window_is_told_and_nobody_else_pays(queue: PostgresQueue, connection: Connection) -> None:
    assert not timed(queue)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    today = datetime.now(UTC).weekday()  # noqa: TID251
    others = ",".join(days[(today + number) % 7] for number in range(2, 7))
    connection.execute(
        "INSERT INTO noti.categories (category, send_window) VALUES ('news', %s), ('open', 'daily 0-24')",
        [f"{others} 0-24"],
    )
    [news], _ = insert(connection, category="news"), insert(connection, category="open")
    assert timed(queue)
    [(id_, known)] = queue.brief(claim(queue)).items()
    assert id_ == news
    assert isinstance(known.shut, Shut)
    assert (known.shut.category, known.shut.zone) == ("news", "UTC")
    assert known.shut.opens_at.time() == time(0, 0)


# -------------------------------------------------------------------------------------------------------------- caps


@pytest.fixture
def weekly(connection: Connection) -> None:
    """At most three messages of news a week, and the same of sales, where more are dropped."""
    connection.execute(
        "INSERT INTO noti.categories (category, cap_amount, cap_every, cap_over) VALUES ('news', 3, '7 days', 'wait'),"
        " ('sales', 3, '7 days', 'drop')"
    )


def sent_earlier(connection: Connection, by: str) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # past the guard
        connection.execute("UPDATE noti.notifications_log SET sent_at = sent_at - %s::interval", [by])


def full(queue: PostgresQueue, rows: Sequence[Notification]) -> dict[int, Full]:
    """What is over its cap."""
    queue.closures()
    return {id_: known.full for id_, known in queue.brief(rows).items() if known.full is not None}


@pytest.mark.usefixtures("weekly")
def test_a_cap_counts_the_messages_of_a_person_and_category(queue: PostgresQueue, connection: Connection) -> None:
    contact(connection, "ann@example.com", None, user="42")
    insert(connection, 4, category="news")
    insert(connection, 4, category="news", recipient="user:42")
    insert(connection, 4, category="sales")
    insert(connection, 2, category="news", recipient="bea@example.com")
    insert(connection, 2)
    rows = claim(queue)
    over = full(queue, rows)
    names = sorted((one.category, one.amount, one.every, one.drops) for one in over.values())
    week = timedelta(days=7)
    assert names == [("news", 3, week, False)] * 5 + [("sales", 3, week, False)]
    assert full(queue, rows).keys() == over.keys()  # asked again, it is the same
    queue.record(1, [tried(row) for row in rows if row.notification_id not in over])
    waiting = [row for row in rows if row.notification_id in over]
    assert {(one.category, one.drops) for one in full(queue, waiting).values()} == {("news", False), ("sales", True)}


@pytest.mark.usefixtures("weekly")
def test_what_was_not_sent_gives_its_place_back_and_what_was_keeps_it(
    queue: PostgresQueue, connection: Connection, database: Database
) -> None:
    insert(connection, 5, category="news")
    rows = claim(queue)
    over = full(queue, rows)
    assert len(over) == 2
    placed = [row for row in rows if row.notification_id not in over]
    waiting = [row for row in rows if row.notification_id in over]
    now = datetime.now(UTC)  # noqa: TID251
    assert all(one.again_at < now + timedelta(hours=1) for one in over.values())  # those in flight may fail yet
    queue.record(1, [tried(placed[0]), tried(placed[1], Status.FAILED), tried(placed[2], Status.FAILED)])
    assert full(queue, waiting) == {}
    queue.record(1, [tried(row) for row in waiting])
    sent_earlier(connection, "2 days")
    insert(connection, category="news")
    [late] = full(queue, claim(queue)).values()
    assert abs(late.again_at - now - timedelta(days=5)) < timedelta(hours=1)
    # what retention took counts from when it was placed; later than a week nothing does
    connection.execute("UPDATE noti.cap_places SET taken_at = taken_at - interval '8 days'")
    sent_earlier(connection, "8 days")
    [row] = insert(connection, category="news")
    assert full(queue, claim(queue)) == {}
    session = database.session("retention")
    done = retention.run(session, Ages(), wait=lambda _: False, seconds=60.0)
    session.close()
    assert done.deleted["cap_places"] >= 4
    assert connection.execute("SELECT notification_id FROM noti.cap_places").fetchall() == [(row,)]


@pytest.mark.usefixtures("weekly")
def test_a_cap_is_exact_whoever_asks_at_once(
    queue: PostgresQueue, other_queue: PostgresQueue, connection: Connection
) -> None:
    people = 20
    for _ in range(5):
        for number in range(people):
            insert(connection, 2, category="news", recipient=f"p{number}@example.com")
    rows = claim(queue, people * 5), claim(other_queue, people * 5, worker_id=2)
    assert [len(some) for some in rows] == [100, 100]
    with ThreadPoolExecutor(2) as pool:
        over = [one for some in pool.map(full, (queue, other_queue), rows) for one in some]
    placed = connection.execute("SELECT person, count(*) FROM noti.cap_places GROUP BY 1").fetchall()
    assert [count for _, count in placed] == [3] * people
    assert len(over) == people * 7
