"""What a running worker shows to the outside: its port, metrics, health, log and exit codes."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.settings import load
from noti_worker.store import migrate, revisions
from tests.promtool import complaints
from tests.system.conftest import SANDBOX
from tests.system.daemon import ROOT, Daemons
from tests.system.scene import Scene
from tests.verdict import Verdict

FAST = """\
[channels.email]
concurrency = 20
send_timeout = "2500ms"
retry = { initial_delay = "200ms", jitter = 0.0 }
"""
LIVES = {  # recipient: status, kind of the last try; as the README's table of the sandbox says
    "delivered": ("sent", "ok"),
    "refused": ("failed", "dead"),
    "rejected": ("failed", "permanent"),
    "optout": ("failed", "optout"),
    "greylisted": ("sent", "ok"),
    "transient": ("failed", "transient"),
    "throttled": ("retrying", "throttled"),
    "misconfigured": ("held", "config"),
    "slow": ("sent", "ok"),
    "hanging": ("failed", "uncertain"),
    "broken": ("failed", "uncertain"),
}
BODY = "the-secret-body"
SUBJECT = "the-secret-subject"


def metrics(text: str) -> dict[str, float]:
    """Each series with its value."""
    return {
        series: float(value)
        for series, _, value in (line.rpartition(" ") for line in text.splitlines())
        if not series.startswith("#")
    }


def test_after_every_answer_of_the_sandbox_metrics_log_and_history_agree_and_keep_secrets(
    daemons: Daemons, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure(SANDBOX + FAST)
    for word in LIVES:
        connection.execute(
            "INSERT INTO noti.notifications_log"
            " (channel, recipient, subject, body, max_retries, entity_type, entity_id)"
            " VALUES ('email', %s, %s, %s, %s, 'word', %s)",
            [f"{word}@customer.example.com", SUBJECT, BODY, 1 if word == "greylisted" else 0, word],
        )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at, tenant_id)"
        " VALUES ('sms', '+4915112340001', %s, now() + interval '1 day', 'shop')",
        [BODY],
    )
    daemon = daemons.start_ready()

    def lives() -> dict[str, tuple[str, str]]:
        query = (
            "SELECT n.entity_id, n.status, (SELECT t.kind FROM noti.notification_attempts_log t"
            " WHERE t.notification_id = n.notification_id ORDER BY t.log_id DESC LIMIT 1)"
            " FROM noti.notifications_log n WHERE n.entity_id IS NOT NULL"
        )
        return {word: (status, kind) for word, status, kind in connection.execute(query).fetchall()}

    wait_for(lambda: lives() == LIVES, timeout=15, what="every answer is there")
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
    status, text = daemon.get("/metrics")
    assert status == 200
    assert complaints(text.encode()) == b""
    told = metrics(text)

    def failed(kind: str, what: str = "failed") -> float | None:
        return told.get(f'notifications_{what}_total{{channel="email",error_type="{kind}",provider="sandbox"}}')

    assert told['notifications_sent_total{channel="email",provider="sandbox",tenant_id="default"}'] == 3
    assert [failed(kind) for kind in ("dead", "permanent", "optout", "transient", "uncertain")] == [1, 1, 1, 1, 2]
    assert [failed("transient", "retried"), failed("throttled", "retried")] == [1, 1]
    assert told['notifications_not_sent_total{channel="email",status="held"}'] == 1
    assert told['notification_send_duration_seconds_count{channel="email",provider="sandbox"}'] == 12
    assert told['notification_pickup_delay_seconds_count{channel="email",priority="normal"}'] == 12
    assert told['notifications_queue_depth{channel="sms",state="scheduled"}'] == 1
    assert "# TYPE notifications_oldest_due_seconds gauge" in text
    assert told["noti_worker_in_flight"] == told["noti_worker_unrecorded_results"] == 0

    assert daemon.get("/health/live")[0] == daemon.get("/health/ready")[0] == 200
    assert daemon.get("/nothing")[0] == 404
    assert daemon.stop() == 0
    lines = daemon.log_file.read_text().splitlines()
    assert all({"timestamp", "level", "event"} <= set(json.loads(line)) for line in lines)
    assert len(daemon.said("try_failed")) == 9, "one for each try that was not accepted"
    assert daemon.said("sent") == []
    audited = connection.execute("SELECT string_agg(metadata::text, ' ') FROM noti.audit_log").fetchone()
    answered = connection.execute(
        "SELECT string_agg(concat_ws(' ', error_message, response_data), ' ') FROM noti.notification_attempts_log"
    ).fetchone()
    for shown in (daemon.log_file.read_text(), text, str(audited), str(answered)):
        for secret in (BODY, SUBJECT, "customer.example.com", "1511234"):
            assert secret not in shown


@pytest.fixture
def occupied() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_configured_port_in_use_is_a_wrong_configuration(daemons: Daemons, occupied: int) -> None:
    daemons.configure(SANDBOX)
    daemon = daemons.start(NOTI_HTTP__LISTEN=f"127.0.0.1:{occupied}")
    assert daemon.wait() == 78
    assert f"http.listen: 127.0.0.1:{occupied} cannot be used" in daemon.log_file.read_text()


def occupy(address: str, patience: float = 20.0) -> socket.socket:
    """Listen there, or nowhere when somebody else does so for longer than a test lasts."""
    host, _, port = address.rpartition(":")
    ends = time.monotonic() + patience
    while True:
        try:
            return socket.create_server((host, int(port)))
        except OSError:
            if time.monotonic() > ends:
                return socket.socket()
        threading.Event().wait(0.1)


def test_when_the_default_port_is_in_use_a_free_one_is_taken_and_said(daemons: Daemons) -> None:
    (daemons.directory / "noti-worker.toml").write_text(SANDBOX)
    default = load(None, {}).http.listen
    with occupy(default):
        daemon = daemons.start_ready()
        [said] = daemon.said("http_listening")
        assert (said["wanted"], said["level"]) == (default, "warning")
        assert said["listen"] != default
        assert daemon.get("/health/live")[0] == 200
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("config", "environ", "named"),
    [
        ("[worker]\nbatch_sise = 5\n", {}, 'worker.batch_sise: no such setting; did you mean "batch_size"?'),
        ("", {"NOTI_WORKER__LEASE": "soon"}, "NOTI_WORKER__LEASE is 'soon'"),
        ('[accounts.x]\nprovider = "smtp"\n', {}, "accounts.x.host"),
        ("", {"NOTI_DATABASE_URL": "env:NOT_SET"}, "NOTI_DATABASE_URL: env:NOT_SET"),
        ("", {"NOTI_DATABASE_URL": "mysql://me:hunter2@host/x"}, "database.url cannot be read"),
        (
            "",
            {"NOTI_DATABASE_URL": "postgresql://me:hunter2@host/x?connect_timeout=0"},
            "connect_timeout is 0; it must",
        ),
        (
            "",
            {"WATCHDOG_USEC": "9000000"},
            "WatchdogSec of the unit is 9s, and to connect to the database and ask it may take 30s",
        ),
    ],
)
def test_a_wrong_configuration_ends_the_worker_with_78_and_names_the_setting(
    daemons: Daemons, config: str, environ: dict[str, str], named: str
) -> None:
    daemons.configure(config)
    daemon = daemons.start(**environ)
    assert daemon.wait() == 78
    said = daemon.log_file.read_text()
    assert named in said
    assert "hunter2" not in said
    assert "Traceback" not in said


# Root's place for the embedded database is the system's, which is not for tests.
ELSEWHERE = """
import sys
import threading
import time
from pathlib import Path
from noti_worker import embedded
directory = Path(sys.argv.pop(1))
embedded.default_directory = lambda: directory
from noti_worker.cli.main import main
main()
"""


def test_a_worker_without_a_configured_database_makes_one_that_others_join_and_that_ends_with_it(
    open_directory: Path, tmp_path: Path, wait_for: Callable[..., Any]
) -> None:
    log = tmp_path / "log"

    def command(*words: str) -> list[str]:
        return [sys.executable, "-c", ELSEWHERE, str(open_directory / "postgres"), *words]

    with log.open("wb") as output:
        worker = subprocess.Popen(
            command("run"),
            cwd=ROOT,
            env={**os.environ, "NOTI_HTTP__LISTEN": "127.0.0.1:0"},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: "worker_started" in log.read_text(), timeout=60, what="the worker runs")
        send = command("send", "--channel", "in_app", "--recipient", "user:1", "--body", "Hello", "--wait")
        sent = subprocess.run(send, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert (sent.returncode, sent.stdout) == (0, "notification 1 is sent\n"), sent.stderr
        pid_file = open_directory / "postgres" / "data" / "postmaster.pid"
        assert pid_file.exists(), "the server outlives a command that only joined it"
        worker.terminate()
        assert worker.wait(30) == 0
        assert not pid_file.exists()
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.fault("F45")
def test_an_older_schema_is_refused_and_a_newer_one_is_worked_with(scene: Scene, verdict: Verdict) -> None:
    scene.configure()
    for revision in (revisions.known()[-2], "base"):
        migrate.downgrade(scene.database_url, revision)
        daemon = scene.house.start(NOTI_DATABASE_URL=scene.database_url)  # the rights of the role are gone with them
        assert daemon.wait() == 78, daemon.log_file.read_text()
        [line] = [line["line"] for line in daemon.log if line["event"] == "raw"]
        at = "none" if revision == "base" else revision
        assert line == (
            f"Error: the schema of the database is at revision {at}, and this version needs {migrate.head()}:"
            " run noti-worker migrate"
        )
    migrate.upgrade(scene.database_url)
    scene.connection.execute("UPDATE noti.alembic_version SET version_num = '9999'")
    daemon = scene.house.start_ready()
    [told] = daemon.said("schema_newer")
    assert (told["level"], told["revision"], told["known"]) == ("warning", "9999", migrate.head())
    scene.insert("user@example.com")
    scene.finished()
    assert scene.tries() == ["sent"]
    assert daemon.stop() == 0
    verdict.say("an older schema or none: exit 78 and a line with both revisions; a newer one: a warning, and it sends")
