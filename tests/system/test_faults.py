"""The daemon is hit where it hurts: every committed row still ends once, and the books agree."""

import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg

from tests.system.daemon import Daemons, Ledger

Connection = psycopg.Connection[Any]
Finished = Callable[..., None]
Invariants = Callable[[], list[Any]]
WaitFor = Callable[..., Any]

ROUTE = '[routes]\nemail = ["book"]\n'
BRISK = '[worker]\nlease = "2s"\npoll_interval = "100ms"\n'
SOON = '[channels.email]\nretry = { initial_delay = "100ms", jitter = 0.0 }\n'


def insert(connection: Connection, recipient: str, rows: int = 1, on_uncertain: str | None = None) -> None:
    """Rows to `recipient`, its `#` replaced by a number from 1."""
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, on_uncertain)"
        " SELECT 'email', replace(%s, '#', n::text), 'x', %s FROM generate_series(1, %s) n",
        [recipient, on_uncertain, rows],
    )


def statuses(connection: Connection) -> dict[str, str]:
    rows = connection.execute("SELECT recipient, status FROM noti.notifications_log").fetchall()
    return dict(rows)


def tries(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT status FROM noti.notification_attempts_log ORDER BY log_id").fetchall()
    return [row[0] for row in rows]


def count(connection: Connection, condition: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM noti.notifications_log WHERE {condition}").fetchone()
    assert row is not None
    return int(row[0])


def test_a_worker_that_was_paused_past_its_lease_changes_nothing_any_more(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    finished: Finished,
    wait_for: WaitFor,
    invariants: Invariants,
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    zombie = daemons.start_ready()
    insert(connection, "gated@example.com")
    wait_for(ledger.begun)
    zombie.signal(signal.SIGSTOP)
    other = daemons.start_ready()
    finished()
    before = connection.execute("SELECT * FROM noti.notifications_log").fetchone()
    ledger.open_gate()
    zombie.signal(signal.SIGCONT)
    wait_for(lambda: tries(connection) == ["lost", "sent", "stale"], what="the late result is kept as stale")
    assert connection.execute("SELECT * FROM noti.notifications_log").fetchone() == before
    assert len(set(ledger.message_ids("gated@example.com"))) == 1
    assert len(ledger.accepted()) == 2
    assert invariants() == []
    insert(connection, "next@example.com")  # and it goes on as before
    finished()
    assert [zombie.stop(), other.stop()] == [0, 0]


def test_after_a_kill_what_must_not_go_out_twice_does_not(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    finished: Finished,
    wait_for: WaitFor,
    invariants: Invariants,
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    victim = daemons.start_ready()
    for policy in ("hold", "fail", "retry"):
        insert(connection, f"gated-{policy}@example.com", 1, policy)
    wait_for(lambda: len(ledger.begun()) == 3)
    victim.signal(signal.SIGKILL)
    victim.wait()
    daemons.start_ready()
    finished()
    assert statuses(connection) == {
        "gated-hold@example.com": "unknown",
        "gated-fail@example.com": "failed",
        "gated-retry@example.com": "sent",
    }
    assert ledger.accepted() == ["gated-retry@example.com"]
    assert Counter(ledger.begun())["gated-hold@example.com"] == 1
    assert len(set(ledger.message_ids("gated-retry@example.com"))) == 1
    story = connection.execute(
        "SELECT y.detail FROM noti.notifications_log n, noti.why(n.notification_id) y WHERE status = 'unknown'"
    ).fetchall()
    assert "a worker was lost while sending it" in str(story)
    assert invariants() == []


def test_a_row_whose_worker_died_before_the_mark_was_surely_not_sent_and_is_sent_now(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    finished: Finished,
    wait_for: WaitFor,
    invariants: Invariants,
) -> None:
    connection.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_advisory_xact_lock(77); RETURN new; END $$"
    )
    connection.execute(
        "CREATE TRIGGER mark BEFORE UPDATE ON noti.notifications_log FOR EACH ROW"
        " WHEN (old.dispatched_at IS NULL AND new.dispatched_at IS NOT NULL) EXECUTE FUNCTION wait()"
    )
    daemons.configure(ledger.account() + ROUTE + BRISK)
    victim = daemons.start_ready()
    connection.execute("SELECT pg_advisory_lock(77)")
    insert(connection, "once@example.com", 1, "hold")
    wait_for(
        lambda: connection.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall(),
        what="the worker is about to write its mark",
    )
    victim.signal(signal.SIGKILL)
    victim.wait()
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^noti-worker'")
    connection.execute("SELECT pg_advisory_unlock(77)")
    daemons.start_ready()
    finished()
    assert statuses(connection) == {"once@example.com": "sent"}
    assert ledger.accepted() == ["once@example.com"]
    assert invariants() == []


def test_a_row_that_kills_its_worker_five_times_ends_alone_and_its_mates_are_sent(
    daemons: Daemons, ledger: Ledger, connection: Connection, invariants: Invariants
) -> None:
    daemons.configure(ledger.account() + ROUTE + '[worker]\nlease = "1s"\npoll_interval = "50ms"\n')
    insert(connection, "mate#@example.com", 20)
    insert(connection, "deadly@example.com")
    insert(connection, "slow-mate#@example.com", 20)
    deaths = 0
    daemon = daemons.start()
    ends = time.monotonic() + 90
    while count(connection, "finished_at IS NULL") and time.monotonic() < ends:
        if daemon.process.poll() is not None:
            assert daemon.process.returncode == 9
            deaths += 1
            daemon = daemons.start()
        threading.Event().wait(0.02)
    row = connection.execute("SELECT status, error_message FROM noti.notifications_log WHERE recipient ~ '^deadly'")
    status, error = row.fetchone() or ("", "")
    assert status == "failed"
    assert "its claim was lost 5 times" in error
    assert deaths == 5
    assert Counter(statuses(connection).values()) == {"failed": 1, "sent": 40}
    kind = connection.execute("SELECT metadata ->> 'kind' FROM noti.audit_log WHERE action = 'notification_failed'")
    assert kind.fetchall() == [("lost",)]
    # From the second loss on it had no company: nobody else was blamed a third time.
    worst = connection.execute(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM noti.notification_attempts_log a"
        " JOIN noti.notifications_log USING (notification_id)"
        " WHERE a.status = 'lost' AND recipient !~ '^deadly' GROUP BY a.notification_id) AS losses"
    ).fetchone()
    assert worst is not None
    assert (worst[0] or 0) <= 2
    assert invariants() == []


def test_a_worker_that_the_register_forgot_enters_it_again_and_keeps_its_rows(
    daemons: Daemons, ledger: Ledger, connection: Connection, wait_for: WaitFor, finished: Finished
) -> None:
    daemons.configure(ledger.account() + ROUTE)
    workers = [daemons.start_ready(), daemons.start_ready()]
    numbers = {worker.said("worker_started")[0]["worker_id"] for worker in workers}
    insert(connection, "gated@example.com")
    wait_for(ledger.begun)
    connection.execute("TRUNCATE noti.workers")

    def registered() -> set[int]:
        return {row[0] for row in connection.execute("SELECT worker_id FROM noti.workers").fetchall()}

    wait_for(lambda: registered() == numbers, what="both are registered again")
    ledger.open_gate()
    finished()
    assert tries(connection) == ["sent"]


def test_a_row_locked_by_an_application_waits_and_holds_up_nobody(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    database_url: str,
    wait_for: WaitFor,
    finished: Finished,
    invariants: Invariants,
) -> None:
    daemons.configure(ledger.account() + ROUTE + BRISK)
    daemon = daemons.start_ready()
    insert(connection, "gated@example.com")
    wait_for(ledger.begun)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT FROM noti.notifications_log FOR UPDATE")
        ledger.open_gate()
        wait_for(ledger.accepted)
        insert(connection, "other#@example.com", 100)
        wait_for(lambda: count(connection, "status = 'sent'") == 100, 5, "the others are sent and recorded")
        # Longer than the lease: it cannot be prolonged, and still nobody sends it a second time.
        threading.Event().wait(2.5)
        application.rollback()
    finished()
    assert Counter(ledger.begun())["gated@example.com"] == 1
    assert count(connection, "status = 'sent'") == 101
    assert invariants() == []
    assert [line for line in daemon.log if line.get("level") in {"warning", "error"}] == []


def test_a_lock_on_the_whole_table_is_waited_for(
    daemons: Daemons,
    ledger: Ledger,
    connection: Connection,
    database_url: str,
    wait_for: WaitFor,
    finished: Finished,
    invariants: Invariants,
) -> None:
    daemons.configure(ledger.account() + ROUTE)
    daemon = daemons.start_ready()
    insert(connection, "gated@example.com")
    wait_for(ledger.begun)
    with psycopg.connect(database_url) as application:
        application.execute("LOCK TABLE noti.notifications_log")
        ledger.open_gate()
        insert_in = (
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'b@example.com', 'x')"
        )
        application.execute(insert_in)
        threading.Event().wait(5)
        waiting = application.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        assert waiting is not None
        assert waiting[0] <= 4, "nobody piles up behind the lock"
        application.commit()
    began = time.monotonic()
    finished()
    assert time.monotonic() - began < 5
    assert tries(connection) == ["sent", "sent"]
    assert invariants() == []
    assert len(daemon.said("database_lost")) <= 1
    assert daemon.said("trouble") == []
    assert daemon.stop() == 0


def test_an_application_that_refers_to_a_row_in_an_open_transaction_does_not_hide_it(
    daemons: Daemons, ledger: Ledger, connection: Connection, database_url: str, wait_for: WaitFor
) -> None:
    connection.execute("CREATE TABLE orders (notification_id bigint REFERENCES noti.notifications_log)")
    daemons.configure(ledger.account() + ROUTE)
    with psycopg.connect(database_url) as application:
        insert(connection, "a@example.com")
        application.execute("INSERT INTO orders SELECT notification_id FROM noti.notifications_log")
        daemons.start_ready()
        wait_for(lambda: count(connection, "status = 'sent'") == 1, 5)


def test_a_hint_beats_a_slow_poll(daemons: Daemons, ledger: Ledger, connection: Connection, wait_for: WaitFor) -> None:
    daemons.configure(ledger.account() + ROUTE + '[worker]\npoll_interval = "5s"\n')
    daemons.start_ready()
    seconds = []
    for n in range(1, 21):
        began = time.monotonic()
        insert(connection, f"user{n}@example.com")
        wait_for(lambda n=n: count(connection, "status = 'sent'") == n)
        seconds.append(time.monotonic() - began)
    assert statistics.median(seconds) < 0.5
    assert max(seconds) < 2


def test_a_hanging_channel_does_not_delay_another(
    daemons: Daemons, ledger: Ledger, connection: Connection, wait_for: WaitFor
) -> None:
    daemons.configure(ledger.account() + '[routes]\nemail = ["book"]\nchat = ["book"]\n')
    daemons.start_ready()
    insert(connection, "gated#@example.com", 30)
    wait_for(lambda: len(ledger.begun()) == 5)
    began = time.monotonic()
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'chat', 'room-' || n, 'x' FROM generate_series(1, 50) n"
    )
    wait_for(lambda: count(connection, "channel = 'chat' AND status = 'sent'") == 50)
    assert time.monotonic() - began < 2
    ledger.open_gate()


def test_log_and_metrics_tell_what_happened_and_nothing_of_anybody(
    daemons: Daemons, ledger: Ledger, connection: Connection, finished: Finished, invariants: Invariants
) -> None:
    canary = "Canary7Q"
    daemons.configure(ledger.account(answer="transient") + ROUTE + SOON)
    daemon = daemons.start_ready()
    connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES ('t', 'Hello {{ nobody_' || %s || ' }}')", ["x"]
    )
    connection.execute(
        "INSERT INTO noti.notifications_log"
        " (channel, recipient, subject, body, template_id, template_data, max_retries, options)"
        " SELECT 'email', n || %(c)s || '@example.com', %(c)s, CASE WHEN n > 5 THEN %(c)s END,"
        " CASE WHEN n <= 5 THEN 't' END, CASE WHEN n <= 5 THEN jsonb_build_object('name', %(c)s) END, 2,"
        " jsonb_build_object('reply_to', %(c)s || '@example.com') FROM generate_series(1, 10) n",
        {"c": canary},
    )
    finished()
    assert len(daemon.said("try_failed")) == 15  # five rows with three tries each; five that were never tried
    metrics = daemon.get("/metrics")[1]
    assert 'notifications_failed_total{channel="email"' in metrics
    assert "noti_worker_unrecorded_results 0.0\n" in metrics
    assert daemon.stop() == 0
    audit = connection.execute("SELECT string_agg(a::text, ' ') FROM noti.audit_log a").fetchone()
    for told in (daemon.log_file.read_text(), metrics, str(audit)):
        assert canary.lower() not in told.lower()
    assert invariants() == []
