"""Disks, descriptors, connections and memory run out, clocks are wrong: the daemon as a process goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Channel
from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.needs import needs
from tests.system.daemon import ROOT, Daemons, Ledger
from tests.system.scene import BRISK, SOON, Scene
from tests.verdict import Verdict


@pytest.fixture
def small_disk(open_directory: Path) -> Iterator[Path]:
    """A file system of 160 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = open_directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path, but: int) -> None:
    """Take all space of the disk but so many bytes; what others take meanwhile is looked at anew."""
    with (disk / "ballast").open("wb") as ballast:
        while True:
            free = os.statvfs(disk)
            rest = free.f_bavail * free.f_bsize - but
            if rest <= 0:
                return
            with suppress(OSError):  # somebody was quicker
                os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, rest)
                return


@pytest.mark.fault("F23")
def test_a_full_disk_of_the_database_loses_nothing(
    small_disk: Path, tmp_path: Path, wait_for: Callable[..., Any], verdict: Verdict
) -> None:
    settings = {"max_wal_size": "64MB", "min_wal_size": "32MB", "fsync": "off"}
    ledger = Ledger(tmp_path)
    with Server(small_disk / "postgres", None, settings) as server, Daemons(tmp_path, server.url) as house:
        migrate.upgrade(server.url)
        house.environ |= ledger.environ
        scene = Scene(house, ledger, server.url, wait_for)
        daemon = scene.start(BRISK + "[channels.email]\nconcurrency = 20\n")
        scene.insert("user#@example.com", 1000)
        scene.insert("gated#@example.com", 10)
        wait_for(lambda: len(ledger.begun()) >= 300)
        _fill(small_disk, 1 << 20)
        committed = 1010
        try:
            for _ in range(200):
                scene.connection.execute(
                    "INSERT INTO noti.notifications_log (channel, recipient, body)"
                    " SELECT 'email', 'more@example.com', repeat('x', 1000) FROM generate_series(1, 100)"
                )
                committed += 100
        except psycopg.Error as error:
            full = type(error).__name__
        else:
            pytest.fail("the disk is not full")
        ledger.open_gate()
        wait_for(lambda: daemon.said("database_lost"), 20)
        threading.Event().wait(2)
        assert daemon.process.poll() is None
        (small_disk / "ballast").unlink()
        server.start()  # where it went down; it finds everything that was committed
        scene.finished(60)
        assert scene.count("status = 'sent'") == scene.count("true") >= committed
        assert scene.repeats() == 0
        assert scene.sound()
        assert daemon.stop() == 0
        scene.close()
    verdict.say(f"the server ended with {full}; with space again all {committed} committed rows went out", repeats=0)


@pytest.mark.fault("F24")
def test_a_full_disk_under_the_log_stops_no_message(scene: Scene, verdict: Verdict) -> None:
    scene.configure(BRISK, answer="transient")
    with Path("/dev/full").open("wb") as full:
        worker = subprocess.Popen(
            [sys.executable, "-m", "noti_worker", "--config", str(scene.house.directory / "noti-worker.toml"), "run"],
            cwd=ROOT,
            env={**os.environ, **scene.house.environ, "NOTI_DATABASE_URL": scene.house.database_url},
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=full,
        )
    try:
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries)"
            " SELECT 'email', 'user@example.com', 'x', 0 FROM generate_series(1, 50)"
        )
        scene.finished()  # fifty failures, each worth a line that cannot be written
        assert scene.tries() == ["failed"] * 50
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    verdict.say("50 failures whose lines could not be written: recorded, exit 0")


@pytest.mark.fault("F28")
def test_too_few_connections_are_waited_for(scene: Scene, verdict: Verdict) -> None:
    role = f"noti_few_{os.getpid()}"
    scene.connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1".encode())
    try:
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            scene.connection.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA noti TO {role}".encode())
        scene.connection.execute(f"GRANT USAGE ON SCHEMA noti TO {role}".encode())
        scene.configure(BRISK)
        daemon = scene.house.start(NOTI_DATABASE_URL=scene.database_url.replace("postgres@", f"{role}@"))
        scene.insert("user#@example.com", 20)
        scene.wait_for(lambda: daemon.said("database_lost"), 20)
        threading.Event().wait(4)
        lines = len(daemon.log)
        assert daemon.process.poll() is None
        assert "53300" in str(daemon.said("database_lost")) or "too many connections" in str(daemon.log)
        scene.connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1".encode())
        scene.finished()
        assert scene.tries() == ["sent"] * 20
        assert scene.repeats() == 0
        assert daemon.stop() == 0
    finally:
        scene.connection.execute(f"DROP OWNED BY {role}".encode())
        scene.connection.execute(f"DROP ROLE {role}".encode())
    verdict.say(f"one connection for a worker that wants more: waits ({lines} log lines), then all 20 rows", repeats=0)


@pytest.mark.fault("F59")
def test_too_few_descriptors_lose_nothing(scene: Scene, receiver: Any, verdict: Verdict) -> None:
    scene.house.configure(
        '[accounts.hooks]\nprovider = "webhook"\nunsigned = true\nallow_http = true\n'
        'allow_networks = ["127.0.0.0/8"]\n[channels.webhook]\nconcurrency = 60\n'
        'retry = { initial_delay = "100ms", max_retries = 100 }\n' + BRISK
    )
    daemon = scene.house.start_ready("prlimit", "--nofile=40")
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries)"
        " SELECT 'webhook', %s, '{}', 100 FROM generate_series(1, 300)",
        [receiver.url("/ok")],
    )
    scene.finished(60)
    assert scene.count("status = 'sent' AND retry_count = 0") == 300
    keys = [request.headers["webhook-id"] for request in receiver.received]
    assert len(set(keys)) == 300
    assert daemon.process.poll() is None
    short = scene.tries().count("retrying")
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say(f"40 descriptors, 60 sends at a time: {short} tries in vain, all 300 sent", repeats=len(keys) - 300)


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.mark.fault("F21")
def test_wrong_clocks_of_the_workers_do_not_matter(scene: Scene, verdict: Verdict) -> None:
    library = needs(FAKETIME, "Debian package faketime")
    scene.configure(BRISK + SOON)
    rate = scene.house.directory / "clock"
    rate.write_text("+0")
    wrong = {"LD_PRELOAD": library, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    workers = [
        scene.house.start(**wrong, FAKETIME="+2h"),
        scene.house.start(**wrong, FAKETIME="-2h"),
        scene.house.start(**wrong, FAKETIME_TIMESTAMP_FILE=str(rate), FAKETIME_CACHE_DURATION="1"),
    ]
    for worker in workers:
        worker.wait_ready()
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at, expires_at)"
        " SELECT 'email', 'later@example.com', 'x', now() + interval '2 s', now() + interval '1 hour'"
        " FROM generate_series(1, 100)"
    )
    scene.insert("slow#@example.com", 60)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= 10)
    rate.write_text("-3h")  # one clock jumps in the middle
    scene.finished()
    assert scene.count("status = 'sent'") == 160
    assert scene.repeats() == 0
    early, late = scene.ask(
        "SELECT min(a.started_at - n.send_at) < interval '-50 ms', max(a.started_at - n.send_at) > interval '5 s'"
        " FROM noti.notification_attempts_log a JOIN noti.notifications_log n USING (notification_id)"
        " WHERE n.send_at IS NOT NULL"
    )[0]
    assert (early, late) == (False, False)
    assert scene.count("sent_at > now() OR sent_at < created_at") == 0
    for worker in workers:
        text = worker.get("/metrics")[1]
        total = sum(float(line.split()[-1]) for line in text.splitlines() if "pickup_delay_seconds_sum" in line)
        assert 0 <= total < 60 * 60
        assert worker.stop() == 0
    assert scene.sound()
    verdict.say("clocks 2 h ahead, 2 h behind, and one that jumps 3 h back: nothing early, late or twice", repeats=0)


@pytest.mark.fault("F22")
def test_the_settings_of_a_database_change_no_instant(scene: Scene, verdict: Verdict) -> None:
    [name] = scene.ask("SELECT current_database()")
    for setting in ("timezone = 'Asia/Kathmandu'", "datestyle = 'German'", "intervalstyle = 'sql_standard'"):
        scene.connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    scene.close()
    scene = Scene(scene.house, scene.ledger, scene.database_url, scene.wait_for)
    daemon = scene.start(BRISK + SOON)
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at)"
        " SELECT 'email', 'later@example.com', 'x', now() + interval '1.5 s' FROM generate_series(1, 20)"
    )
    scene.finished(10)
    [worst] = scene.ask(
        "SELECT max(extract(epoch FROM a.started_at - n.send_at))::float8 FROM noti.notification_attempts_log a"
        " JOIN noti.notifications_log n USING (notification_id)"
    )
    assert 0 <= worst < 2
    assert scene.sound()
    assert daemon.stop() == 0
    scene.close()
    verdict.say(f"Kathmandu, German dates: scheduled rows went out at most {worst:.2f} s late")


@pytest.mark.fault("F47")
def test_the_log_is_bounded_by_what_failed(scene: Scene, verdict: Verdict) -> None:
    scene.house.configure(
        scene.ledger.account()
        + '[accounts.box]\nprovider = "sandbox"\n'
        + BRISK
        + "[routes]\n"
        + "".join(f'{channel} = ["box"]\n' for channel in Channel if channel not in {"email", "in_app"})
        + 'email = ["book"]\n'
    )
    daemon = scene.house.start_ready()
    before = len(daemon.log)
    scene.insert("user#@example.com", 1600)
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'chat', 'rejected-' || n, 'x' FROM generate_series(1, 400) n"
    )
    scene.finished(60)
    lines = daemon.log_file.read_text().splitlines()[before:]
    size = sum(map(len, lines)) / 400
    assert scene.count("status = 'sent'") == 1600
    assert len(lines) <= 400 + 5
    assert size < 400
    assert daemon.stop() == 0
    verdict.say(f"2,000 rows, a fifth of them failed: {len(lines)} lines, {size:.0f} B for each failure")


@pytest.mark.fault("F48")
def test_many_tenants_and_errors_are_few_series(scene: Scene, verdict: Verdict) -> None:
    scene.house.configure('[accounts.box]\nprovider = "sandbox"\n' + BRISK + "[channels.email]\nconcurrency = 20\n")
    daemon = scene.house.start_ready()
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, entity_type, entity_id)"
        " SELECT 'email', CASE WHEN n % 5 = 0 THEN 'rejected' ELSE 'user' END || n || '@example.com', 'x',"
        " 'tenant-' || n, 'order', n::text FROM generate_series(1, 3000) n"
    )
    scene.finished(60)
    scene.wait_for(lambda: "notifications_queue_depth" in daemon.get("/metrics")[1], 30)
    began = time.monotonic()
    text = daemon.get("/metrics")[1]
    seconds = time.monotonic() - began
    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(series) < 2000
    assert seconds < 3
    assert daemon.stop() == 0
    verdict.say(f"3,000 tenants, 600 failures: {len(series)} series, read in {seconds * 1000:.0f} ms")
