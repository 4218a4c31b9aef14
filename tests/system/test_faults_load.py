"""Many rows, many tenants, and a schema that changes under the workers. All of these take their time."""

import statistics
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from noti_worker.store import migrate
from tests.system.scene import BRISK, Scene
from tests.verdict import Verdict

pytestmark = pytest.mark.slow


@pytest.mark.fault("F39")
@pytest.mark.timeout(300)
def test_a_flood_of_one_tenant_does_not_delay_another(scene: Scene, verdict: Verdict) -> None:
    scene.configure(BRISK)
    workers = [scene.house.start_ready(), scene.house.start_ready()]
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
        " SELECT 'email', 'user@example.com', 'x', 'noisy' FROM generate_series(1, 600000)"
    )
    for _ in range(25):
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
            " VALUES ('email', 'quiet@example.com', 'x', 'quiet')"
        )
        threading.Event().wait(1)
    scene.wait_for(lambda: scene.count("tenant_id = 'quiet' AND status <> 'sent'") == 0, 20)
    left = scene.count("tenant_id = 'noisy' AND status <> 'sent'")
    waits = sorted(
        float(wait)
        for wait in scene.ask(
            "SELECT extract(epoch FROM a.started_at - n.created_at) FROM noti.notifications_log n"
            " JOIN noti.notification_attempts_log a USING (notification_id) WHERE tenant_id = 'quiet'"
        )
    )
    assert left > 0, "the flood was over before the quiet one was done"
    assert waits[-1] < 5
    for worker in workers:
        assert worker.stop() == 0
    verdict.say(
        f"{left:,} of 600,000 rows still wait: a quiet tenant waited {statistics.median(waits):.2f} s,"
        f" {waits[-1]:.2f} s at most"
    )


@pytest.mark.fault("F40")
def test_a_tenant_with_a_slow_provider_leaves_the_others_their_pace(scene: Scene, verdict: Verdict) -> None:
    """Nine brisk tenants, and one whose every send takes a second; it is paused to see their pace without it."""

    def pace(change: str, settle: float) -> float:
        """Rows a second of the brisk ones after `change`, once it is known and what was in flight has ended."""
        scene.ask(f"SELECT noti.{change}('tenant', 'slow')")
        threading.Event().wait(settle)
        [begins] = scene.ask("SELECT clock_timestamp()")
        threading.Event().wait(1.3)
        [(ends, rows)] = scene.ask(
            "SELECT clock_timestamp(), (SELECT count(*) FROM noti.notification_attempts_log"
            f" WHERE duration_ms < 500 AND started_at > '{begins}')"
        )
        return float(rows / (ends - begins).total_seconds())

    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
        " SELECT 'email', 'slower@example.com', 'x', 'slow' FROM generate_series(1, 1000)"
        " UNION ALL SELECT 'email', 'user@example.com', 'x', 'brisk' || n % 9 FROM generate_series(1, 200000) n"
    )
    daemon = scene.start(BRISK + "[channels.email]\nconcurrency = 20\n")
    pairs = [(pace("pause", 1.2), pace("resume", 0.2)) for _ in range(6)]
    alone, beside = map(statistics.median, zip(*pairs, strict=True))
    assert scene.count("tenant_id <> 'slow' AND finished_at IS NULL") > 0, "the brisk ones were done too soon"
    assert scene.count("tenant_id = 'slow' AND status = 'sent'") > 0
    verdict.say(f"{alone:,.0f} rows a second alone, {beside:,.0f} beside a slow one ({beside / alone:.0%})")
    assert beside >= 0.9 * alone
    assert daemon.stop() == 0


@pytest.mark.fault("F43")
def test_migrations_down_and_up_under_two_workers_lose_nothing(scene: Scene, verdict: Verdict) -> None:
    scene.configure(BRISK)
    workers = [scene.house.start_ready(), scene.house.start_ready()]
    ends, inserted, refused = threading.Event(), [0], [0]

    def insert() -> None:
        with psycopg.connect(scene.database_url, autocommit=True) as application:
            while not ends.wait(0.01):
                try:
                    application.execute(
                        "INSERT INTO noti.notifications_log (channel, recipient, body)"
                        " SELECT 'email', 'user@example.com', 'x' FROM generate_series(1, 5)"
                    )
                except psycopg.Error:
                    refused[0] += 1
                else:
                    inserted[0] += 5

    def seconds(move: Callable[[str, str], None], revision: str) -> float:
        began = time.monotonic()
        move(scene.database_url, revision)
        return time.monotonic() - began

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        threading.Event().wait(2)
        down = seconds(migrate.downgrade, "-1")
        threading.Event().wait(2)
        up = seconds(migrate.upgrade, "head")
        threading.Event().wait(2)
    finally:
        ends.set()
        thread.join()
    scene.finished(40)
    assert migrate.pending(scene.database_url) == []
    assert scene.count("status = 'sent'") == inserted[0]
    assert scene.repeats() == 0
    assert scene.sound()
    for worker in workers:
        assert worker.process.poll() is None
        assert worker.stop() == 0
    verdict.say(
        f"one down in {down:.1f} s, up in {up:.1f} s under load:"
        f" all {inserted[0]} rows sent, {refused[0]} inserts refused",
        repeats=0,
    )


@pytest.mark.fault("F26")
def test_an_old_snapshot_that_is_held_open_does_not_slow_the_claims_down(scene: Scene, verdict: Verdict) -> None:
    scene.house.configure('[accounts.box]\nprovider = "sandbox"\n' + BRISK + "[channels.email]\nconcurrency = 20\n")
    daemon = scene.house.start_ready()

    def claims() -> tuple[float, float]:
        values = dict(line.rsplit(" ", 1) for line in daemon.get("/metrics")[1].splitlines() if line[:1] != "#")
        return float(values["noti_worker_claim_seconds_sum"]), float(values["noti_worker_claim_seconds_count"])

    with psycopg.connect(scene.database_url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM noti.notifications_log")
        for _ in range(5):
            scene.connection.execute(
                "INSERT INTO noti.notifications_log (channel, recipient, body)"
                " SELECT 'email', 'user@example.com', 'x' FROM generate_series(1, 10000)"
            )
            scene.finished(100)
        before = claims()
        scene.insert("user@example.com", 5000)
        scene.finished(60)
        after = claims()
    mean = (after[0] - before[0]) / (after[1] - before[1])
    assert mean < 0.1
    assert daemon.stop() == 0
    verdict.say(f"after 50,000 rows under one open snapshot a claim took {mean * 1000:.1f} ms on average")
