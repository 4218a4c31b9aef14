"""`noti.closures`: by function or plain SQL, with audit lines, in the words of `why`, and as the claim obeys it."""

import json
from typing import Any

import psycopg
import pytest

from noti_worker.domain.closures import Closure, Closures, Skip
from noti_worker.domain.lanes import Lane, Share
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.queue import PostgresQueue
from tests.domain.rows import claimed
from tests.store.changes import refusal
from tests.store.rows import LEASE, NORMAL, Connection, claim, ids, insert


def audit(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT tenant_id, entity_id, action, metadata->>'by', metadata->>'reason', metadata->>'until' IS NOT NULL"
        " FROM noti.audit_log WHERE entity_type = 'pause' ORDER BY audit_id"
    ).fetchall()


def next_step(connection: Connection, number: int) -> str:
    found = connection.execute("SELECT detail FROM noti.why(%s) WHERE event = 'next'", [number]).fetchone()
    assert found is not None
    return str(found[0])


def alive(connection: Connection, routes: str = '{"email": {"relay": "smtp", "spare": "ses"}}') -> None:
    connection.execute("INSERT INTO noti.workers (state) VALUES (jsonb_build_object('routes', %s::jsonb))", [routes])


def test_a_pause_is_known_until_it_is_resumed(connection: Connection, queue: PostgresQueue) -> None:
    assert queue.closures() == Closures()
    connection.execute("SELECT noti.pause('channel', 'email', reason => 'relay moves', paused_by => 'ada')")
    connection.execute("SELECT noti.pause('everything')")
    assert queue.closures() == Closures([Closure("channel", "email"), Closure("everything")])
    resume = "SELECT noti.resume('channel', 'email', resumed_by => 'bob'), noti.resume('tenant', 'acme')"
    assert connection.execute(resume).fetchone() == (True, False)
    assert queue.closures() == Closures([Closure("everything")])
    assert audit(connection) == [
        ("default", "channel:email", "paused", "ada", "relay moves", False),
        ("default", "everything", "paused", "postgres", None, False),
        ("default", "channel:email", "resumed", "bob", "relay moves", False),
    ]


def test_a_pause_ends_by_itself(connection: Connection, queue: PostgresQueue) -> None:
    connection.execute("SELECT noti.pause('tenant', 'acme', until => clock_timestamp() + interval '1 hour')")
    assert queue.closures()
    connection.execute("UPDATE noti.pauses SET until = clock_timestamp() - interval '1 second'")
    assert not queue.closures()
    assert connection.execute("SELECT noti.resume('tenant', 'acme')").fetchone() == (False,)
    assert [line[0] for line in audit(connection)] == ["acme"] * 2  # set and shortened; it ended by itself


def test_pausing_again_changes_reason_and_end(connection: Connection) -> None:
    connection.execute("SELECT noti.pause('template', 'welcome', 'typo')")
    connection.execute("SELECT noti.pause('template', 'welcome', 'wrong prices', now() + interval '1 day', 'ada')")
    found = connection.execute("SELECT reason, paused_by, until > now() FROM noti.pauses").fetchall()
    assert found == [("wrong prices", "ada", True)]


def test_plain_sql_does_it_too_and_is_audited(connection: Connection, queue: PostgresQueue) -> None:
    connection.execute("INSERT INTO noti.pauses (scope, name, reason) VALUES ('account', 'relay', 'bill')")
    assert queue.closures() == Closures([Closure("account", "relay")])
    connection.execute("DELETE FROM noti.pauses")
    assert [line[2] for line in audit(connection)] == ["paused", "resumed"]


def test_a_pause_wakes_the_workers(connection: Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN noti_wake")
        connection.execute("SELECT noti.pause('channel', 'email')")
        connection.execute("SELECT noti.resume('channel', 'email')")
        assert len(list(listener.notifies(timeout=5, stop_after=2))) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("'planet', 'x'", "what to pause is unknown. Give everything, channel, account, tenant or template."),
        ("'channel'", "the name is missing. Say which channel to pause."),
        ("'everything', 'x'", "everything has no name. Leave the name out, or say what it is the name of."),
        (
            "'channel', 'pigeon'",
            "the channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.",
        ),
        ("'tenant', 'a', until => now()", "the pause would have ended already. Give an instant to come, or none."),
        ("'tenant', 'a', until => 'infinity'", "the end is too far ahead. Leave it out for a pause without an end."),
    ],
)
def test_what_cannot_be_paused_is_refused_in_words(connection: Connection, call: str, words: str) -> None:
    assert refusal(connection, f"SELECT noti.pause({call})") == ("23514", f"noti: {words}")


def test_the_claim_leaves_rows_of_paused_templates_and_accounts_untouched(
    connection: Connection, queue: PostgresQueue
) -> None:
    paused = insert(connection, 3, template_id="welcome") + insert(connection, 2, provider="relay")
    free = insert(connection) + insert(connection, template_id="other", provider="spare")
    before = connection.execute("SELECT xmin::text, ctid::text FROM noti.notifications_log WHERE notification_id = 1")
    was = before.fetchall()
    skip = Skip((("", "relay"),), (("", "welcome"),))
    assert ids(queue.claim(1, [Share(NORMAL, 100)], 100, LEASE, [], skip=skip)) == free
    assert (
        connection.execute(
            "SELECT xmin::text, ctid::text FROM noti.notifications_log WHERE notification_id = 1"
        ).fetchall()
        == was
    )
    assert ids(claim(queue)) == paused


@pytest.mark.parametrize(
    ("scope", "name", "words"),
    [
        ("everything", None, "everything"),
        ("channel", "email", "the channel email"),
        ("tenant", "default", "the tenant default"),
        ("template", "welcome", "the template welcome"),
        ("account", "relay", "the account relay"),
    ],
)
def test_why_says_by_whom_why_and_until_when(connection: Connection, scope: str, name: str | None, words: str) -> None:
    [number] = insert(connection, template_id="welcome", provider="relay")
    alive(connection)
    connection.execute("SELECT noti.pause(%s, %s, 'maintenance', '2090-01-01 00:00+00', 'ada')", [scope, name])
    said = next_step(connection, number)
    assert said.startswith(f"try 1 waits: {words} is paused by ada since 20")
    assert " until 2090-01-01 00:00:00 UTC (maintenance); due since 20" in said
    connection.execute("SELECT noti.resume(%s, %s)", [scope, name])
    assert "paused" not in next_step(connection, number)


def test_why_names_accounts_only_when_no_other_can_send_it(connection: Connection) -> None:
    [number] = insert(connection)
    alive(connection)
    connection.execute("SELECT noti.pause('account', 'relay')")
    assert "paused" not in next_step(connection, number)
    connection.execute("SELECT noti.pause('account', 'spare')")
    assert "the account relay is paused" in next_step(connection, number)
    assert "and the account spare is paused" in next_step(connection, number)
    [asks] = insert(connection, provider="ses")
    connection.execute("SELECT noti.resume('account', 'relay')")
    assert "paused" not in next_step(connection, number)
    assert "the account spare is paused" in next_step(connection, asks)


def test_why_says_nothing_of_pauses_for_what_is_in_flight_held_or_over(
    connection: Connection, queue: PostgresQueue
) -> None:
    [flies] = insert(connection)
    claim(queue)
    [held] = insert(connection, status="held")
    [sent] = insert(connection, status="sent")
    connection.execute("SELECT noti.pause('everything')")
    for number in (flies, held, sent):
        assert "paused" not in next_step(connection, number)


def test_who_could_read_why_before_the_migration_can_read_it_afterwards(
    connection: Connection, database_url: str
) -> None:
    from noti_worker.store import migrate

    migrate.downgrade(database_url, "0001")
    connection.execute("CREATE ROLE noti_reader")
    try:
        connection.execute("GRANT USAGE ON SCHEMA noti TO noti_reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA noti TO noti_reader")
        [number] = insert(connection)
        migrate.upgrade(database_url)
        connection.execute("SET ROLE noti_reader")
        assert next_step(connection, number)
        connection.execute("RESET ROLE")
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY noti_reader; DROP ROLE noti_reader")


# ------------------------------------------------------------------------ one table, two definitions and the claim

ROUTE = {"relay": "smtp", "spare": "ses", "second": "ses"}
ALL_ACCOUNTS = [("account", "relay", ""), ("account", "spare", ""), ("account", "second", "")]
CASES: list[tuple[list[tuple[str, str, str]], dict[str, str], bool]] = [
    ([], {}, False),
    ([("everything", "", "")], {}, True),
    ([("channel", "email", "")], {}, True),
    ([("channel", "sms", "")], {}, False),
    ([("tenant", "acme", "")], {"tenant_id": "acme"}, True),
    ([("tenant", "acme", "")], {}, False),
    ([("template", "welcome", "")], {"template_id": "welcome"}, True),
    ([("template", "welcome", "")], {"template_id": "bye"}, False),
    ([("template", "welcome", "")], {}, False),
    ([("tenant channel", "email", "acme")], {"tenant_id": "acme"}, True),
    ([("tenant channel", "email", "acme")], {}, False),
    ([("tenant channel", "sms", "acme")], {"tenant_id": "acme"}, False),
    ([("tenant template", "welcome", "acme")], {"tenant_id": "acme", "template_id": "welcome"}, True),
    ([("tenant template", "welcome", "acme")], {"template_id": "welcome"}, False),
    ([("account", "relay", "")], {}, False),
    ([("account", "relay", "")], {"provider": "relay"}, True),
    ([("account", "relay", "")], {"provider": "smtp"}, True),
    ([("account", "relay", "")], {"provider": "ses"}, False),
    ([("account", "spare", "")], {"provider": "ses"}, False),
    ([("account", "spare", ""), ("account", "second", "")], {"provider": "ses"}, True),
    ([("account", "spare", ""), ("tenant account", "second", "acme")], {"provider": "ses", "tenant_id": "acme"}, True),
    ([("account", "spare", ""), ("tenant account", "second", "acme")], {"provider": "ses"}, False),
    (ALL_ACCOUNTS, {}, True),
    (ALL_ACCOUNTS[:2], {}, False),
    ([*ALL_ACCOUNTS[:2], ("tenant account", "second", "acme")], {"tenant_id": "acme"}, True),
    ([*ALL_ACCOUNTS[:2], ("tenant account", "second", "acme")], {}, False),
    ([("tenant account", "relay", "acme")], {"tenant_id": "acme", "provider": "relay"}, True),
    ([("tenant account", "relay", "acme")], {"provider": "relay"}, False),
]


@pytest.mark.parametrize("cause", ["pause", "circuit"])
@pytest.mark.parametrize(("closed", "fields", "stays"), CASES)
def test_sql_python_and_the_claim_agree_on_what_is_closed(
    connection: Connection,
    queue: PostgresQueue,
    cause: str,
    closed: list[tuple[str, str, str]],
    fields: dict[str, str],
    stays: bool,
) -> None:
    alive(connection, f'{{"email": {json.dumps(ROUTE)}}}')
    for scope, name, tenant_id in closed:
        if cause == "circuit" and scope.endswith("account"):
            connection.execute(
                "INSERT INTO noti.circuits (scope, name, tenant_id, retry_at) VALUES (%s, %s, %s, now())",
                [scope, name, tenant_id],
            )
        else:
            connection.execute(
                "INSERT INTO noti.pauses (scope, name, tenant_id) VALUES (%s, %s, %s)", [scope, name, tenant_id]
            )
    (number,) = insert(connection, 1, **fields)
    told = connection.execute(
        "SELECT count(*) FROM noti.notifications_log n, noti.closed_by(n) WHERE n.notification_id = %s", [number]
    ).fetchone()
    assert told is not None
    assert bool(told[0]) is stays
    closures = queue.closures()
    row = claimed(**{"tenant_id": "default"} | fields)
    assert closures.closes(row, ROUTE) is stays
    lane = Lane(Channel.EMAIL, Priority.NORMAL, fields.get("tenant_id", "default"))
    shares = [] if closures.closes_lane(lane, ROUTE) else [Share(lane, 10)]
    taken = queue.claim(1, shares, 10, LEASE, [], skip=closures.skips(ROUTE))
    assert bool(taken) is not stays
