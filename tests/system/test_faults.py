"""The daemon is hit where it hurts: every committed row still ends once, and the books agree."""

import signal
import statistics
import threading
import time
from collections import Counter

import psycopg
import pytest

from tests.system.scene import SOON, Scene, complaints
from tests.verdict import Verdict


@pytest.mark.fault("F09")
def test_a_worker_that_was_paused_past_its_lease_changes_nothing_any_more(scene: Scene, verdict: Verdict) -> None:
    scene.configure()
    zombie = scene.house.start_ready()
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    zombie.signal(signal.SIGSTOP)
    other = scene.house.start_ready()
    scene.finished()
    before = scene.connection.execute("SELECT * FROM noti.notifications_log").fetchone()
    scene.ledger.open_gate()
    zombie.signal(signal.SIGCONT)
    scene.wait_for(lambda: scene.tries() == ["lost", "sent", "stale"], what="the late result is kept as stale")
    assert scene.connection.execute("SELECT * FROM noti.notifications_log").fetchone() == before
    assert len(set(scene.ledger.message_ids("gated@example.com"))) == 1
    assert len(scene.ledger.accepted()) == 2
    assert scene.sound()
    scene.insert("next@example.com")  # and it goes on as before
    scene.finished()
    assert [zombie.stop(), other.stop()] == [0, 0]
    verdict.say("paused past its lease: its late result is kept as stale and changed nothing", repeats=scene.repeats())


@pytest.mark.fault("F02")
def test_after_a_kill_what_must_not_go_out_twice_does_not(scene: Scene, verdict: Verdict) -> None:
    scene.configure()
    victim = scene.house.start_ready()
    for policy in ("hold", "fail", "retry"):
        scene.insert(f"gated-{policy}@example.com", 1, policy)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 3)
    victim.signal(signal.SIGKILL)
    victim.wait()
    scene.house.start_ready()
    scene.finished()
    assert scene.statuses() == {
        "gated-hold@example.com": "unknown",
        "gated-fail@example.com": "failed",
        "gated-retry@example.com": "sent",
    }
    assert scene.ledger.accepted() == ["gated-retry@example.com"]
    assert Counter(scene.ledger.begun())["gated-hold@example.com"] == 1
    assert len(set(scene.ledger.message_ids("gated-retry@example.com"))) == 1
    story = scene.connection.execute(
        "SELECT y.detail FROM noti.notifications_log n, noti.why(n.notification_id) y WHERE status = 'unknown'"
    ).fetchall()
    assert "a worker was lost while sending it" in str(story)
    assert scene.sound()
    verdict.say(
        "killed in the middle of a send: hold is parked, fail failed, retry sent again with the same key",
        repeats=scene.repeats(),
    )


@pytest.mark.fault("F01")
def test_a_row_whose_worker_died_before_the_mark_was_surely_not_sent_and_is_sent_now(
    scene: Scene, verdict: Verdict
) -> None:
    scene.configure()
    victim = scene.house.start_ready()
    scene.stall("old.dispatched_at IS NULL AND new.dispatched_at IS NOT NULL")
    scene.insert("once@example.com", 1, "hold")
    scene.kill_stalled(victim)
    scene.house.start_ready()
    scene.finished()
    assert scene.statuses() == {"once@example.com": "sent"}
    assert scene.ledger.accepted() == ["once@example.com"]
    assert scene.sound()
    verdict.say(
        "killed before the dispatch mark: surely not sent, so sent once by the next worker", repeats=scene.repeats()
    )


@pytest.mark.fault("F03")
def test_what_was_accepted_and_not_recorded_goes_out_again_with_the_same_key_or_is_parked(
    scene: Scene, verdict: Verdict
) -> None:
    scene.configure()
    victim = scene.house.start_ready()
    scene.stall("old.claimed_by IS NOT NULL AND new.claimed_by IS NULL")
    for policy in ("retry", "hold"):
        scene.insert(f"{policy}@example.com", 1, policy)
    scene.wait_for(lambda: len(scene.ledger.accepted()) == 2)
    scene.kill_stalled(victim)
    scene.house.start_ready()
    scene.finished()
    assert scene.statuses() == {"retry@example.com": "sent", "hold@example.com": "unknown"}
    assert Counter(scene.ledger.accepted()) == {"retry@example.com": 2, "hold@example.com": 1}
    assert len(set(scene.ledger.message_ids("retry@example.com"))) == 1
    assert scene.sound()
    verdict.say("killed between the answer and its record: retry goes out again, same key; hold is parked", repeats=1)


@pytest.mark.fault("F06")
def test_a_row_that_kills_its_worker_five_times_ends_alone_and_its_mates_are_sent(
    scene: Scene, verdict: Verdict
) -> None:
    scene.configure('[worker]\nlease = "1s"\npoll_interval = "50ms"\n')
    scene.insert("mate#@example.com", 20)
    scene.insert("deadly@example.com")
    scene.insert("slow-mate#@example.com", 20)
    deaths = 0
    daemon = scene.house.start()
    ends = time.monotonic() + 90
    while scene.count("finished_at IS NULL") and time.monotonic() < ends:
        if daemon.process.poll() is not None:
            assert daemon.process.returncode == 9
            deaths += 1
            daemon = scene.house.start()
        threading.Event().wait(0.02)
    row = scene.connection.execute(
        "SELECT status, error_message FROM noti.notifications_log WHERE recipient ~ '^deadly'"
    )
    status, error = row.fetchone() or ("", "")
    assert status == "failed"
    assert "its claim was lost 5 times" in error
    assert deaths == 5
    assert Counter(scene.statuses().values()) == {"failed": 1, "sent": 40}
    kind = scene.connection.execute(
        "SELECT metadata ->> 'kind' FROM noti.audit_log WHERE action = 'notification_failed'"
    )
    assert kind.fetchall() == [("lost",)]
    # From the second loss on it had no company: nobody else was blamed a third time.
    worst = scene.connection.execute(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM noti.notification_attempts_log a"
        " JOIN noti.notifications_log USING (notification_id)"
        " WHERE a.status = 'lost' AND recipient !~ '^deadly' GROUP BY a.notification_id) AS losses"
    ).fetchone()
    assert worst is not None
    assert (worst[0] or 0) <= 2
    assert scene.sound()
    verdict.say(
        f"failed as lost after {deaths} deaths, its 40 mates sent, none of them lost more than {worst[0] or 0} times",
        repeats=scene.repeats(),
    )


def test_a_worker_that_the_register_forgot_enters_it_again_and_keeps_its_rows(scene: Scene) -> None:
    scene.configure("")
    workers = [scene.house.start_ready(), scene.house.start_ready()]
    numbers = {worker.said("worker_started")[0]["worker_id"] for worker in workers}
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    scene.connection.execute("TRUNCATE noti.workers")

    def registered() -> set[int]:
        return {row[0] for row in scene.connection.execute("SELECT worker_id FROM noti.workers").fetchall()}

    scene.wait_for(lambda: registered() == numbers, what="both are registered again")
    scene.ledger.open_gate()
    scene.finished()
    assert scene.tries() == ["sent"]


def test_a_row_locked_by_an_application_waits_and_holds_up_nobody(scene: Scene) -> None:
    scene.configure()
    daemon = scene.house.start_ready()
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    with psycopg.connect(scene.database_url) as application:
        application.execute("SELECT FROM noti.notifications_log FOR UPDATE")
        scene.ledger.open_gate()
        scene.wait_for(scene.ledger.accepted)
        scene.insert("other#@example.com", 100)
        scene.wait_for(lambda: scene.count("status = 'sent'") == 100, 5, "the others are sent and recorded")
        # Longer than the lease: it cannot be prolonged, and still nobody sends it a second time.
        threading.Event().wait(2.5)
        application.rollback()
    scene.finished()
    assert Counter(scene.ledger.begun())["gated@example.com"] == 1
    assert scene.count("status = 'sent'") == 101
    assert scene.sound()
    assert complaints(daemon) == []


@pytest.mark.fault("F27")
def test_a_lock_on_the_whole_table_is_waited_for(scene: Scene, verdict: Verdict) -> None:
    scene.configure("")
    daemon = scene.house.start_ready()
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    with psycopg.connect(scene.database_url) as application:
        application.execute("LOCK TABLE noti.notifications_log")
        scene.ledger.open_gate()
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
    scene.finished()
    assert time.monotonic() - began < 5
    assert scene.tries() == ["sent", "sent"]
    assert scene.sound()
    assert len(daemon.said("database_lost")) <= 1
    assert [line["level"] for line in daemon.said("database_busy")] == ["warning"], "the lock is told of, once"
    assert daemon.said("trouble") == []
    assert daemon.stop() == 0
    verdict.say(f"locked for 5 s: {waiting[0]} waited at a time, then all was sent", repeats=scene.repeats())


def test_an_application_that_refers_to_a_row_in_an_open_transaction_does_not_hide_it(scene: Scene) -> None:
    scene.connection.execute("CREATE TABLE orders (notification_id bigint REFERENCES noti.notifications_log)")
    scene.configure("")
    with psycopg.connect(scene.database_url) as application:
        scene.insert("a@example.com")
        application.execute("INSERT INTO orders SELECT notification_id FROM noti.notifications_log")
        scene.house.start_ready()
        scene.wait_for(lambda: scene.count("status = 'sent'") == 1, 5)


def test_a_hint_beats_a_slow_poll(scene: Scene) -> None:
    scene.configure('[worker]\npoll_interval = "5s"\n')
    scene.house.start_ready()
    seconds = []
    for n in range(1, 21):
        began = time.monotonic()
        scene.insert(f"user{n}@example.com")
        scene.wait_for(lambda n=n: scene.count("status = 'sent'") == n)
        seconds.append(time.monotonic() - began)
    assert statistics.median(seconds) < 0.5
    assert max(seconds) < 4


@pytest.mark.fault("F38")
def test_a_hanging_channel_does_not_delay_another(scene: Scene, verdict: Verdict) -> None:
    scene.house.configure(scene.ledger.account() + '[routes]\nemail = ["book"]\nchat = ["book"]\n')
    scene.house.start_ready()
    scene.insert("gated#@example.com", 30)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 5)
    began = time.monotonic()
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'chat', 'room-' || n, 'x' FROM generate_series(1, 50) n"
    )
    scene.wait_for(lambda: scene.count("channel = 'chat' AND status = 'sent'") == 50)
    assert time.monotonic() - began < 5
    verdict.say(f"30 sends that hang in one channel: 50 rows of another in {time.monotonic() - began:.1f} s")
    scene.ledger.open_gate()


def test_log_and_metrics_tell_what_happened_and_nothing_of_anybody(scene: Scene) -> None:
    canary = "Canary7Q"
    scene.configure(SOON, answer="transient")
    daemon = scene.house.start_ready()
    scene.connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES ('t', 'Hello {{ nobody_' || %s || ' }}')", ["x"]
    )
    scene.connection.execute(
        "INSERT INTO noti.notifications_log"
        " (channel, recipient, subject, body, template_id, template_data, max_retries, options)"
        " SELECT 'email', n || %(c)s || '@example.com', %(c)s, CASE WHEN n > 5 THEN %(c)s END,"
        " CASE WHEN n <= 5 THEN 't' END, CASE WHEN n <= 5 THEN jsonb_build_object('name', %(c)s) END, 2,"
        " jsonb_build_object('reply_to', %(c)s || '@example.com') FROM generate_series(1, 10) n",
        {"c": canary},
    )
    scene.finished()
    assert len(daemon.said("try_failed")) == 15  # five rows with three tries each; five that were never tried
    metrics = daemon.get("/metrics")[1]
    assert 'notifications_failed_total{channel="email"' in metrics
    assert "noti_worker_unrecorded_results 0.0\n" in metrics
    assert daemon.stop() == 0
    audit = scene.connection.execute("SELECT string_agg(a::text, ' ') FROM noti.audit_log a").fetchone()
    for told in (daemon.log_file.read_text(), metrics, str(audit)):
        assert canary.lower() not in told.lower()
    assert scene.sound()
