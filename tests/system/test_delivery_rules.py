"""What becomes of a row, told by one daemon with accounts that answer as they are told to."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from noti_worker.embedded import Server
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons, Ledger

ACCOUNTS: dict[str, dict[str, object]] = {
    "good": {"answer": "ok"},
    "weak": {"answer": "transient"},
    "locked": {"answer": "config"},
    "vague": {"answer": "uncertain"},
    "busy": {"answer": "throttled", "retry_after": 0.4},
}
SETTINGS = """
[accounts.hooks]
provider = "webhook"
unsigned = true
allow_http = true
allow_networks = ["127.0.0.0/8"]
[routes]
email = ["weak", "good"]
sms = ["locked", "good"]
push = ["vague", "good"]
whatsapp = ["weak"]
chat = ["good"]
voice = ["busy"]
webhook = ["hooks"]
"""
BACKOFF = '[channels.{}]\nretry = {{ initial_delay = "200ms", multiplier = 2.0, jitter = 0.0 }}\n'


@dataclass
class Shop:
    """A running daemon and everything around it."""

    connection: psycopg.Connection[Any]
    database_url: str
    ledger: Ledger
    wait_for: Callable[..., Any]

    def insert(self, channel: str, recipient: str, **columns: Any) -> int:
        """A row; a timedelta for an instant counts from now."""
        fields = {"channel": channel, "recipient": recipient, "body": "x", **columns}
        values = [
            sql.SQL("clock_timestamp() + {}").format(value) if isinstance(value, timedelta) else sql.Literal(value)
            for value in fields.values()
        ]
        row = self.connection.execute(
            sql.SQL("INSERT INTO noti.notifications_log ({}) VALUES ({}) RETURNING notification_id").format(
                sql.SQL(", ").join(map(sql.Identifier, fields)), sql.SQL(", ").join(values)
            )
        ).fetchone()
        assert row is not None
        return int(row[0])

    def get(self, number: int, *columns: str) -> Any:
        """One value, or a tuple of several."""
        row = self.connection.execute(
            f"SELECT {', '.join(columns)} FROM noti.notifications_log WHERE notification_id = %s", [number]
        ).fetchone()
        assert row is not None
        return row[0] if len(row) == 1 else row

    def ends(self, number: int, timeout: float = 10.0) -> tuple[str, int]:
        """Wait until it rests: its status and retry_count."""
        self.wait_for(lambda: self.get(number, "finished_at IS NOT NULL OR held_at IS NOT NULL"), timeout)
        status, retry_count = self.get(number, "status", "retry_count")
        return status, retry_count

    def tries(self, number: int) -> list[tuple[str, str]]:
        """(account, kind) of each try."""
        return self.connection.execute(
            "SELECT account, kind FROM noti.notification_attempts_log WHERE notification_id = %s ORDER BY log_id",
            [number],
        ).fetchall()

    def call(self, function: str, number: int) -> None:
        """noti.cancel, hold, release or requeue."""
        self.connection.execute(f"SELECT noti.{function}(%s)", [number])

    def why(self, number: int) -> str:
        """The story in one piece."""
        return str(self.connection.execute("SELECT * FROM noti.why(%s)", [number]).fetchall())


@pytest.fixture(scope="module")
def shop(
    cluster: Server,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    wait_for: Callable[..., Any],
) -> Iterator[Shop]:
    name = sql.Identifier(f"rules_{uuid4().hex}")
    url = cluster.url_of(name.as_string(None).strip('"'))
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template_database)))
        directory: Path = tmp_path_factory.mktemp("rules")
        ledger = Ledger(directory)
        with psycopg.connect(url, autocommit=True) as connection, Daemons(directory, url) as daemons:
            daemons.environ |= ledger.environ
            accounts = "".join(ledger.account(name, **settings) for name, settings in ACCOUNTS.items())
            channels = ("email", "sms", "push", "whatsapp", "voice", "webhook")
            daemons.configure(accounts + SETTINGS + "".join(BACKOFF.format(channel) for channel in channels))
            daemon = daemons.start_ready()
            yield Shop(connection, url, ledger, wait_for)
            assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
            assert daemon.stop() == 0
            assert [line for line in daemon.log if line.get("level") == "error"] == []
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_after_a_passing_fault_the_next_account_of_the_route_tries(shop: Shop) -> None:
    number = shop.insert("email", "failover@example.com")
    assert shop.ends(number) == ("sent", 1)
    assert shop.tries(number) == [("weak", "transient"), ("good", "ok")]
    assert len(set(shop.ledger.message_ids("failover@example.com"))) == 1


def test_when_our_account_is_refused_the_next_one_tries_at_once_and_no_try_is_spent(shop: Shop) -> None:
    number = shop.insert("sms", "+15550100", max_retries=0)
    assert shop.ends(number) == ("sent", 0)
    assert shop.tries(number) == [("locked", "config"), ("good", "ok")]


def test_what_may_have_been_sent_is_never_tried_by_another_account(shop: Shop) -> None:
    number = shop.insert("push", "token-vague", max_retries=2)
    assert shop.ends(number) == ("failed", 2)
    assert shop.tries(number) == [("vague", "uncertain")] * 3
    assert len(set(shop.ledger.message_ids("token-vague"))) == 1


def test_uncertainty_is_held_or_failed_where_the_row_says_so(shop: Shop) -> None:
    hold = shop.insert("push", "token-hold", on_uncertain="hold")
    fail = shop.insert("push", "token-fail", on_uncertain="fail")
    assert [shop.ends(hold), shop.ends(fail)] == [("unknown", 0), ("failed", 0)]
    assert len(shop.tries(hold)) == len(shop.tries(fail)) == 1


@pytest.mark.fault("F33")
def test_throttling_spends_no_try_and_ends_at_the_expiry(shop: Shop) -> None:
    number = shop.insert("voice", "+15550101", max_retries=0, expires_at=timedelta(seconds=1.5))
    assert shop.ends(number) == ("expired", 0)
    assert 2 <= len(shop.tries(number)) <= 4
    assert {kind for _, kind in shop.tries(number)} == {"throttled"}


def test_without_retries_there_is_one_try(shop: Shop) -> None:
    number = shop.insert("whatsapp", "+15550102", max_retries=0)
    assert shop.ends(number) == ("failed", 0)
    assert len(shop.tries(number)) == 1


def test_each_retry_waits_twice_as_long(shop: Shop) -> None:
    number = shop.insert("whatsapp", "+15550103", max_retries=3)
    assert shop.ends(number) == ("failed", 3)
    starts = [
        row[0]
        for row in shop.connection.execute(
            "SELECT started_at FROM noti.notification_attempts_log WHERE notification_id = %s ORDER BY 1", [number]
        )
    ]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
    for gap, wanted in zip(gaps, (0.2, 0.4, 0.8), strict=True):
        assert wanted - 0.02 <= gap < wanted + 0.6


def test_a_row_that_names_its_account_goes_through_that_one_only(shop: Shop) -> None:
    good = shop.insert("email", "forced@example.com", provider="good")
    weak = shop.insert("email", "weakly@example.com", provider="weak", max_retries=1)
    none = shop.insert("email", "nobody@example.com", provider="nobody")
    assert [shop.ends(good), shop.ends(weak), shop.ends(none)] == [("sent", 0), ("failed", 1), ("failed", 0)]
    assert shop.ledger.accounts("forced@example.com") == ["good"]
    assert shop.ledger.accounts("weakly@example.com") == ["weak", "weak"]
    assert shop.tries(none) == []
    assert "name one of weak, good" in shop.get(none, "error_message")


@pytest.mark.fault("F33")
def test_retry_after_is_honoured(shop: Shop) -> None:
    with MisbehavingServer() as receiver:
        soon = shop.insert("webhook", receiver.url("/status/500?retry-after=2"), max_retries=1)
        late = shop.insert("webhook", receiver.url("/status/429?retry-after=90"))
        shop.wait_for(lambda: shop.get(late, "status") == "retrying")
        wait = "extract(epoch FROM next_retry_at - updated_at)::float8"
        seconds, retry_count = shop.get(late, wait, "retry_count")
        assert seconds == pytest.approx(90, abs=1)
        assert retry_count == 0
        shop.call("cancel", late)
        assert shop.ends(soon) == ("failed", 1)
    rows = shop.connection.execute(
        "SELECT started_at FROM noti.notification_attempts_log WHERE notification_id = %s ORDER BY 1", [soon]
    ).fetchall()
    assert 1.9 < (rows[1][0] - rows[0][0]).total_seconds() < 10


def test_an_expired_row_is_not_sent(shop: Shop) -> None:
    late = shop.insert("chat", "late-room", expires_at=timedelta(seconds=-1))
    between = shop.insert("whatsapp", "+15550104", expires_at=timedelta(seconds=0.5))
    assert shop.ends(late) == ("expired", 0)
    assert shop.ends(between)[0] == "expired"
    assert shop.tries(late) == []
    assert 1 <= len(shop.tries(between)) <= 2
    assert shop.ledger.begun().count("late-room") == 0


def test_a_scheduled_row_is_sent_when_it_is_due(shop: Shop) -> None:
    numbers = [shop.insert("chat", f"room-{n}", send_at=timedelta(seconds=0.7 + 0.3 * n)) for n in range(3)]
    assert [shop.ends(number)[0] for number in numbers] == ["sent"] * 3
    for number in numbers:
        assert 0 <= shop.get(number, "extract(epoch FROM sent_at - send_at)::float8") < 1


def test_a_wish_that_comes_in_flight_wins_over_the_next_try_and_not_over_the_end(shop: Shop) -> None:
    shop.ledger.close_gate()
    cancel = shop.insert("email", "gated-cancel@example.com")
    hold = shop.insert("email", "gated-hold@example.com")
    late = shop.insert("chat", "gated-room")
    wanted = {"gated-cancel@example.com", "gated-hold@example.com", "gated-room"}
    shop.wait_for(lambda: wanted <= set(shop.ledger.begun()))
    shop.call("cancel", cancel)
    shop.call("hold", hold)
    shop.call("cancel", late)
    assert {shop.get(number, "status") for number in (cancel, hold, late)} == {"sending"}
    shop.ledger.open_gate()
    assert [shop.ends(number)[0] for number in (cancel, hold, late)] == ["cancelled", "held", "sent"]
    shop.call("release", hold)
    shop.wait_for(lambda: shop.get(hold, "status") == "sent")
    assert shop.tries(hold) == [("weak", "transient"), ("good", "ok")]


def test_a_held_row_waits_until_it_is_released(shop: Shop) -> None:
    number = shop.insert("chat", "held-room", send_at=timedelta(seconds=0.5))
    shop.call("hold", number)
    other = shop.insert("chat", "other-room", send_at=timedelta(seconds=0.8))
    assert shop.ends(other) == ("sent", 0)
    assert shop.get(number, "status") == "held"
    shop.call("release", number)
    shop.wait_for(lambda: shop.get(number, "status") == "sent")
    assert shop.ledger.begun().count("held-room") == 1


def test_of_messages_with_one_collapse_key_the_newest_is_sent_and_the_story_says_so(shop: Shop) -> None:
    later = timedelta(seconds=2)  # both wait, and the newer one may go when the older one is asked for
    older = shop.insert("chat", "room", collapse_key="order-17", send_at=later)
    newer = shop.insert("chat", "room", collapse_key="order-17")
    assert shop.ends(newer) == ("sent", 0)
    assert shop.ends(older) == ("suppressed", 0)
    assert f"superseded by notification {newer}" in shop.why(older)
    assert len(shop.ledger.message_ids("room")) == 1


def test_a_template_that_cannot_be_filled_in_fails_its_row_with_the_reason(shop: Shop) -> None:
    shop.connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('greeting', 'Hello {{ name }}')")
    missing = shop.insert("chat", "room", body=None, template_id="no-such-template")
    undefined = shop.insert("chat", "room", body=None, template_id="greeting", template_data='{"nom": "Ada"}')
    filled = shop.insert("chat", "room", body=None, template_id="greeting", template_data='{"name": "Ada"}')
    assert [shop.ends(missing), shop.ends(undefined), shop.ends(filled)] == [("failed", 0), ("failed", 0), ("sent", 0)]
    assert "no-such-template" in shop.get(missing, "error_message")
    assert "name" in shop.get(undefined, "error_message")
    assert "Ada" not in shop.get(undefined, "error_message")
    shop.connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('no-such-template', 'Here')")
    shop.call("requeue", missing)
    assert shop.ends(missing) == ("sent", 0)


def test_two_sessions_with_one_key_send_one_message(shop: Shop) -> None:
    send = "SELECT noti.send('chat', 'key-room', NULL, 'x', idempotency_key => 'order-17')"
    answers: list[int] = []
    with psycopg.connect(shop.database_url) as first:
        answers.append(first.execute(send).fetchone()[0])  # type: ignore[index]

        def second() -> None:
            with psycopg.connect(shop.database_url, autocommit=True) as connection:
                answers.append(connection.execute(send).fetchone()[0])  # type: ignore[index]

        thread = threading.Thread(target=second)
        thread.start()
        shop.wait_for(
            lambda: shop.connection.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall(),
            what="the second session waits for the first",
        )
        first.commit()
        thread.join(10)
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert shop.ends(answers[0]) == ("sent", 0)
    assert shop.ledger.begun().count("key-room") == 1


@pytest.mark.fault("F39")
def test_a_quiet_tenant_is_served_beside_a_noisy_one(shop: Shop) -> None:
    shop.connection.execute(
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, body)"
        " SELECT 'noisy', 'chat', 'slow-room', 'x' FROM generate_series(1, 60)"
    )
    began = time.monotonic()
    quiet = shop.insert("chat", "quiet-room", tenant_id="quiet")
    assert shop.ends(quiet) == ("sent", 0)
    assert time.monotonic() - began < 4
    left = shop.connection.execute(
        "SELECT count(*) FROM noti.notifications_log WHERE tenant_id = 'noisy' AND finished_at IS NULL"
    ).fetchone()
    assert left is not None
    assert left[0] > 20
    shop.connection.execute(
        "UPDATE noti.notifications_log SET status = 'cancelled' WHERE tenant_id = 'noisy' AND finished_at IS NULL"
    )


def test_a_channel_that_nobody_serves_waits_and_says_so(
    daemons: Daemons, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure("")  # in_app alone
    daemons.start_ready()
    shop = Shop(connection, daemons.database_url, Ledger(daemons.directory), wait_for)
    number = shop.insert("sms", "+15550105")
    shop.ends(shop.insert("in_app", "user:1"))
    assert shop.get(number, "status") == "pending"
    assert "no running worker serves sms" in shop.why(number)


def test_an_attachment_goes_from_the_table_to_the_inbox(
    daemons: Daemons,
    relay: str,
    inbox: Inbox,
    connection: psycopg.Connection[Any],
    wait_for: Callable[..., Any],
) -> None:
    daemons.configure(relay)
    daemon = daemons.start_ready()
    shop = Shop(connection, daemons.database_url, Ledger(daemons.directory), wait_for)
    content = bytes(range(256)) * 40
    row = connection.execute(
        "INSERT INTO noti.attachments (filename, content_type, content)"
        " VALUES ('Rechnung März.pdf', 'application/pdf', %s) RETURNING attachment_id",
        [content],
    ).fetchone()
    assert row is not None
    number = shop.insert("email", "ada@example.com", subject="Rechnung", options=f'{{"attachments": ["{row[0]}"]}}')
    other = shop.insert("email", "bob@example.com", subject="x", options=f'{{"attachments": ["{uuid4()}"]}}')
    assert [shop.ends(number), shop.ends(other)] == [("sent", 0), ("failed", 0)]
    [mail] = inbox.mails
    [part] = [part for part in message_from_bytes(mail.content).walk() if part.get_filename()]
    assert part.get_content_type() == "application/pdf"
    assert part.get_payload(decode=True) == content
    assert daemon.stop() == 0
