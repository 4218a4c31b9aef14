"""Tenants in the database: suspended, bounded at the insert, audited; and what a tenant without a row pays."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from noti_worker.domain.bounds import Bounds
from noti_worker.domain.closures import Closure, Closures
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.limits import PostgresLimits
from noti_worker.store.upkeep.quotas import watch_quotas
from tests.domain.test_tenants import HOST_CASES, HOSTS, SENDER_CASES, SENDERS
from tests.store.changes import refusal
from tests.store.rows import Connection

INSERT = (
    "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id) VALUES ('email', 'a@b.example', 'x', %s)"
)


@pytest.fixture
def limits(database: Database) -> Iterator[PostgresLimits]:
    with closing(database.session("claims")) as session, closing(PostgresLimits(database, session)) as opened:
        yield opened


def audit(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT tenant_id, entity_id, action, metadata - 'by' FROM noti.audit_log"
        " WHERE entity_type IN ('tenant', 'setting') ORDER BY audit_id"
    ).fetchall()


def test_a_suspended_tenant_is_closed_until_it_is_resumed_and_the_story_says_so(
    connection: Connection, queue: PostgresQueue
) -> None:
    connection.execute("SELECT set_config('noti.person', 'ada', false)")
    connection.execute(INSERT, ["acme"])
    connection.execute("INSERT INTO noti.tenants (tenant_id, status, reason) VALUES ('acme', 'suspended', 'unpaid')")
    assert queue.closures() == Closures([Closure("tenant", "acme", cause="suspended")])
    connection.execute(INSERT, ["acme"])  # it is taken, and waits
    told = connection.execute(
        "SELECT noti.next_step(n), o.cause, o.by FROM noti.notifications_log n, noti.obstacles(n) o LIMIT 1"
    ).fetchone()
    assert told is not None
    assert "try 1 waits: the tenant acme is suspended by ada since " in told[0]
    assert " until it is resumed (unpaid)" in told[0]
    assert told[1:] == ("suspended", "ada")
    connection.execute("UPDATE noti.tenants SET status = 'active'")
    assert queue.closures() == Closures()
    assert connection.execute("SELECT reason FROM noti.tenants").fetchone() == (None,)
    assert audit(connection) == [
        ("acme", "acme", "tenant_suspended", {"reason": "unpaid"}),
        ("acme", "acme", "tenant_resumed", {}),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tenant_id = 'other'", "the name of a tenant never changes. Add another one."),
        ("status = 'gone'", "the status is unknown. Give active or suspended."),
        ("waiting_rows = 0", "a bound on what waits is at least 1. Suspend who is to send nothing."),
        ("channels = '{mail}'", "a channel is unknown. Give some of email, sms, "),
        ("hosts = '{}'", "an empty list would allow nothing. Suspend who is to send nothing, or leave the list out."),
        ("hosts = '{https://a.example}'", "a host is a name in small letters, or *.domain. Leave out https:// "),
        ("senders = ARRAY['a', NULL]", "an entry of a list is empty. Leave it out."),
        ("highest_priority = 'top'", "the priority is unknown. Give low, normal, high or urgent."),
    ],
)
def test_a_tenant_that_makes_no_sense_is_refused_in_words(connection: Connection, change: str, words: str) -> None:
    connection.execute("INSERT INTO noti.tenants (tenant_id) VALUES ('acme')")
    state, said = refusal(connection, f"UPDATE noti.tenants SET {change}")
    assert (state, said.startswith(f"noti: {words}")) == ("23514", True), said


@pytest.mark.parametrize(
    ("bound", "row", "words"),
    [
        ("channels = '{push,sms}'", {}, "may not use the channel email. Use push, sms, or ask for more."),
        ("highest_priority = 'low'", {}, "may not use the priority normal. Use low at most, or ask for more."),
        (
            "hosts = '{a.example}'",
            {"channel": "webhook", "recipient": "https://b.example"},
            "may not send webhooks to that host. Use a.example, or ask for more.",
        ),
        (
            "senders = '{a@a.example}'",
            {"options": '{"from": "b@b.example"}'},
            "may not send from that address. Use one of a@a.example, or ask for more.",
        ),
        (
            "providers = '{relay}'",
            {"provider": "ses"},
            "may not use the provider ses. Use relay, or ask for more.",
        ),
        ("status = 'removing'", {}, "is being removed. Nothing of it is taken any more."),
    ],
)
def test_what_a_tenant_may_not_do_is_refused_at_the_insert_and_others_may(
    connection: Connection, bound: str, row: dict[str, str], words: str
) -> None:
    connection.execute(
        "INSERT INTO noti.workers (state) VALUES"
        ' (\'{"routes": {"email": {"relay": "smtp", "spare": "ses", "third": "other"}}}\')'
    )
    connection.execute("INSERT INTO noti.tenants (tenant_id) VALUES ('acme')")
    connection.execute(f"UPDATE noti.tenants SET {bound}")
    values = {"channel": "email", "recipient": "ada@example.com", "body": "x", "tenant_id": "acme"} | row
    text = "INSERT INTO noti.notifications_log ({}) VALUES ({})".format(
        ", ".join(values), ", ".join(f"'{value}'" for value in values.values())
    )
    assert refusal(connection, text) == ("23514", f"noti: the tenant acme {words}")
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)
    connection.execute(text.replace("'acme'", "'other'"))
    connection.execute(  # history may be brought along
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, status)"
        " VALUES ('email', 'a@b.example', 'x', 'acme', 'sent')"
    )
    connection.execute("DELETE FROM noti.tenants")
    connection.execute(text)


def test_the_database_and_the_worker_agree_on_hosts_and_senders(connection: Connection) -> None:
    for url, allowed in HOST_CASES:
        said = connection.execute(
            "SELECT noti.host_among(noti.destination('webhook', %s), %s)", [url, list(HOSTS)]
        ).fetchone()
        assert (url, said) == (url, (allowed,))
    for channel, sender, allowed in SENDER_CASES:
        said = connection.execute("SELECT noti.sender_among(%s, %s, %s)", [channel, sender, list(SENDERS)]).fetchone()
        assert (sender, said) == (sender, (allowed,))


@pytest.mark.parametrize(
    ("bound", "words"), [("waiting_rows = 3", "has 3 messages waiting"), ("waiting_bytes = 30", "has 30 bytes waiting")]
)
def test_what_waits_is_counted_and_more_is_refused_until_some_is_sent(
    database: Database, connection: Connection, bound: str, words: str
) -> None:
    connection.execute("INSERT INTO noti.tenants (tenant_id) VALUES ('acme')")
    connection.execute(f"UPDATE noti.tenants SET {bound}")
    insert = (
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, status, send_at)"
        " VALUES ('email', 'a@b.example', 'ten bytes.', 'acme', %s, %s)"
    )
    with closing(database.session("chores")) as session:
        connection.execute(insert, ["pending", None])
        connection.execute(insert, ["pending", "2190-01-01"])
        assert watch_quotas(session) == 0
        connection.execute(insert, ["held", None])
        connection.execute(INSERT, ["other"])
        assert watch_quotas(session) == 1
        state, said = refusal(connection, INSERT.replace("%s", "'acme'"))
        assert (state, said.startswith(f"noti: the tenant acme {words}, as many as it may. Try again when")) == (
            "23514",
            True,
        ), said
        connection.execute(INSERT, ["other"])
        connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE status = 'held'")
        assert watch_quotas(session) == 0
        connection.execute(INSERT, ["acme"])
        assert [line[2] for line in audit(connection)] == ["tenant_added", "tenant_set"]  # not what workers write


def test_bounds_are_told_once_and_again_when_one_changes(limits: PostgresLimits, connection: Connection) -> None:
    assert limits.news() == ([], [])
    connection.execute("INSERT INTO noti.tenants (tenant_id) VALUES ('free')")
    connection.execute("UPDATE noti.tenants SET status = 'suspended'")
    assert limits.news() is None  # a closure, and no bound
    connection.execute(
        "INSERT INTO noti.tenants (tenant_id, channels, waiting_rows, highest_priority)"
        " VALUES ('acme', '{sms}', 9, 'low')"
    )
    assert limits.news() == ([], [Bounds("acme", "low", ["sms"], waiting=True)])
    assert limits.news() is None
    connection.execute("UPDATE noti.tenants SET channels = NULL, waiting_rows = NULL, highest_priority = NULL")
    assert limits.news() == ([], [])


def test_settings_are_typed_and_audited_and_read_by_applications(connection: Connection) -> None:
    connection.execute("INSERT INTO noti.settings (tenant_id, key, value) VALUES ('acme', 'flag.beta', 'true')")
    connection.execute("INSERT INTO noti.settings (tenant_id, key, value) VALUES ('acme', 'retention_days', '30')")
    connection.execute("UPDATE noti.settings SET value = 'false' WHERE key = 'flag.beta'")
    connection.execute("SET ROLE noti_app")
    assert connection.execute("SELECT noti.setting('acme', 'flag.beta'), noti.setting('b', 'zone')").fetchone() == (
        False,
        None,
    )
    connection.execute("RESET ROLE")
    connection.execute("DELETE FROM noti.settings WHERE key = 'flag.beta'")
    assert audit(connection) == [
        ("acme", "flag.beta", "setting_set", {"value": True}),
        ("acme", "retention_days", "setting_set", {"value": 30}),
        ("acme", "flag.beta", "setting_set", {"value": False, "before": True}),
        ("acme", "flag.beta", "setting_removed", {"before": False}),
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "retentiondays",
            "30",
            "there is no setting retentiondays. Give retention_days, zone, locale or quiet_hours; ",
        ),
        ("flag.", "true", "there is no setting flag.. Give"),
        ("flag.A", "true", "there is no setting flag.A. Give"),
        ("flag.a", "[1]", "a setting is one text, number or true or false"),
        ("flag.a", "null", "a setting is one text, number or true or false"),
        ("retention_days", '"30"', "retention_days is a whole number of days. Give from 1 to 36500."),
        ("retention_days", "0", "retention_days is a whole number of days."),
        ("retention_days", "1.5", "retention_days is a whole number of days."),
        ("zone", '"Mars/Base"', "the time zone is unknown."),
        ("zone", "1", "the time zone is unknown."),
        ("locale", '"not a tag"', "the locale is no language tag."),
    ],
)
def test_a_setting_that_nothing_would_heed_is_refused_in_words(
    connection: Connection, key: str, value: str, words: str
) -> None:
    state, said = refusal(connection, f"INSERT INTO noti.settings (key, value) VALUES ('{key}', '{value}')")
    assert (state, said.startswith(f"noti: {words}")) == ("23514", True), said


def test_usage_counts_what_was_sent_in_a_month_of_the_tenants_own_clock(
    connection: Connection, insert_sent: Callable[..., None]
) -> None:
    insert_sent("acme", "2026-03-01 05:00+00")  # still February in New York
    insert_sent("acme", "2026-03-01 05:00:00.1+00")
    insert_sent("acme", "2026-03-31 23:00+00")
    insert_sent("acme", "2026-04-01 03:59+00", status="failed")
    insert_sent("other", "2026-03-15 00:00+00")
    report = "SELECT channel, account, sent, tries FROM noti.usage_report('acme', '2026-03-20')"
    assert connection.execute(report).fetchall() == [("email", "relay", 3, 3)]
    connection.execute("INSERT INTO noti.settings VALUES ('acme', 'zone', '\"America/New_York\"')")
    assert connection.execute(report).fetchall() == [("email", "relay", 3, 4)]


@pytest.fixture
def insert_sent(connection: Connection) -> Callable[..., None]:
    """One message whose only try was at that instant."""

    def insert(tenant: str, at: str, status: str = "sent") -> None:
        connection.execute(
            "WITH n AS (INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, status,"
            " created_at) VALUES ('email', 'a@b.example', 'x', %(tenant)s, %(status)s, '2026-01-01')"
            " RETURNING notification_id)"
            " INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, claim_count, status,"
            " account, provider, created_at) SELECT notification_id, 1, 1, %(status)s, 'relay', 'smtp', %(at)s FROM n",
            {"tenant": tenant, "status": status, "at": at},
        )

    return insert
