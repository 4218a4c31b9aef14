"""SIGHUP: the daemon takes over a new configuration while it works, or refuses it."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.providers.misbehaving_http import MisbehavingServer
from tests.system.conftest import SANDBOX, SECRET
from tests.system.daemon import Daemon, Daemons

OTHER_SECRET = "whsec_" + "b3RoZXIh" * 4
EMAIL = SANDBOX + '[routes]\nemail = ["box"]\n'
METRIC = "noti_worker_configuration_refused"


def hooks(secret: Path) -> str:
    return (
        f'[accounts.hooks]\nprovider = "webhook"\nsecret = "file:{secret}"\n'
        'allow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
    )


def reload(daemon: Daemon, event: str = "reloaded") -> dict[str, Any]:
    """Ask for a reload; the event that tells how it ended."""
    before = len(daemon.said(event))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: len(daemon.said(event)) > before, 20)
    return daemon.said(event)[-1]


def insert(connection: psycopg.Connection[Any], channel: str, recipient: str) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES (%s, %s, '{}')", [channel, recipient]
    )


def wait_of_last(connection: psycopg.Connection[Any]) -> float | None:
    row = connection.execute(
        "SELECT extract(epoch FROM next_retry_at - updated_at)::float FROM noti.notifications_log"
        " WHERE status = 'retrying' ORDER BY notification_id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else row[0]


def test_a_reload_changes_waits_level_and_what_is_on_uncertain(
    daemons: Daemons, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    insert(connection, "email", "transient@example.com")
    wait_for(lambda: wait_of_last(connection))
    assert (wait_of_last(connection) or 0) > 40
    daemons.configure(
        EMAIL
        + '[channels.email]\non_uncertain = "hold"\nconcurrency = 7\nretry = { initial_delay = "10s", jitter = 0.0 }\n'
        + '[worker]\nlease = "5m"\n'
    )
    config = daemons.directory / "noti-worker.toml"
    config.write_text(config.read_text().replace('format = "json"', 'format = "json"\nlevel = "debug"'))
    told = reload(daemon)
    assert (told["level"], told["restart"]) == ("warning", ["worker.lease", "channels.email.concurrency"])
    insert(connection, "email", "transient-too@example.com")
    wait_for(lambda: 5 < (wait_of_last(connection) or 0) < 15)
    insert(connection, "email", "broken@example.com")
    wait_for(lambda: connection.execute("SELECT FROM noti.notifications_log WHERE status = 'unknown'").fetchall())
    assert daemon.said("claimed")  # a line of the level debug
    daemons.configure(EMAIL)
    assert reload(daemon)["restart"] == []
    assert daemon.stop() == 0


def test_a_reload_changes_secrets_accounts_and_routes(
    daemons: Daemons,
    receiver: MisbehavingServer,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    tmp_path: Path,
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/ok"
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    daemons.configure(SANDBOX + hooks(secret) + '[routes]\nwebhook = ["hooks"]\n')
    daemon = daemons.start_ready()
    insert(connection, "webhook", url)
    finished()
    secret.write_text(OTHER_SECRET)
    assert reload(daemon)["level"] == "info"
    insert(connection, "webhook", url)
    finished()
    first, second = receiver.received
    assert Webhook(SECRET).verify(first.body, first.headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(second.body, second.headers)
    assert Webhook(OTHER_SECRET).verify(second.body, second.headers) == {}
    daemons.configure(SANDBOX + hooks(secret) + '[routes]\nwebhook = ["box"]\n')
    reload(daemon)
    insert(connection, "webhook", url)
    finished()
    assert len(receiver.received) == 2
    accounts = connection.execute("SELECT account FROM noti.notification_attempts_log ORDER BY log_id").fetchall()
    assert accounts == [("hooks",), ("hooks",), ("box",)]
    assert daemon.stop() == 0


def test_a_reload_turns_safe_mode_on_for_everything_at_once(
    daemons: Daemons, connection: psycopg.Connection[Any], wait_for: Callable[..., Any]
) -> None:
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    daemons.configure(EMAIL + '[delivery]\nmode = "dry"\n')
    reload(daemon)
    assert "box" in daemon.said("safe_mode")[-1]["dry"]
    modes = "SELECT mode FROM noti.worker_routes WHERE channel = 'email'"
    wait_for(lambda: connection.execute(modes).fetchall() == [("dry",)])
    daemons.configure(EMAIL)
    reload(daemon)
    wait_for(lambda: connection.execute(modes).fetchall() == [("live",)])
    insert(connection, "email", "ada@example.com")
    wait_for(lambda: connection.execute("SELECT FROM noti.notifications_log WHERE status = 'sent'").fetchall())
    assert daemon.stop() == 0


WRONG = {
    "worker.leese": "[worker]\nleese = 3\n",
    "accounts.mail": '[accounts.mail]\nprovider = "smtpp"\n',
    "accounts.mail.secret": '[accounts.mail]\nprovider = "webhook"\nsecret = "file:/nowhere/at/all"\n',
    "delivery.redirect_to.email": '[delivery]\nredirect_to = { email = "no address" }\n',
    "not valid TOML": "]",
}


@pytest.mark.fault("F10")
def test_a_bad_configuration_is_refused_said_and_counted_and_the_old_one_works_on(
    daemons: Daemons,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    wait_for: Callable[..., Any],
) -> None:
    def registered() -> str:
        row = connection.execute("SELECT state->'reload_refused'->>'error' FROM noti.workers").fetchone()
        return str(row[0] or "") if row else ""

    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    assert f"{METRIC} 0.0\n" in daemon.get("/metrics")[1]
    for words, wrong in WRONG.items():
        daemons.configure(EMAIL + wrong)
        told = reload(daemon, "reload_refused")
        assert told["level"] == "error"
        assert words in told["error"]
        assert f"{METRIC} 1.0\n" in daemon.get("/metrics")[1]
        assert daemon.get("/health/ready")[0] == 200
        wait_for(lambda words=words: words in registered(), what="the register, and so status, tells of it")
        insert(connection, "email", "ada@example.com")
        finished()
        daemons.configure(EMAIL)
        reload(daemon)
        assert f"{METRIC} 0.0\n" in daemon.get("/metrics")[1]
        wait_for(lambda: not registered(), what="the register forgets it")
    assert daemon.stop() == 0


def test_a_refused_reload_leaves_the_routes_as_they_are(
    daemons: Daemons, connection: psycopg.Connection[Any], finished: Callable[..., None]
) -> None:
    routes = "SELECT channel, position, account, provider, mode FROM noti.worker_routes ORDER BY 1, 2"
    daemons.configure(EMAIL)
    daemon = daemons.start_ready()
    before = connection.execute(routes).fetchall()
    assert ("email", 1, "box", "sandbox", "live") in before
    other = '[accounts.other]\nprovider = "sandbox"\n[routes]\nemail = ["other"]\n'
    daemons.configure(other + '[delivery]\nredirect_to = { email = "no address" }\n')
    reload(daemon, "reload_refused")
    insert(connection, "email", "ada@example.com")
    finished()
    assert connection.execute("SELECT account FROM noti.notification_attempts_log").fetchall() == [("box",)]
    beat = "SELECT heartbeat FROM noti.workers"
    heard = connection.execute(beat).fetchall()
    daemon.wait_for(lambda: connection.execute(beat).fetchall() != heard, 20)
    assert connection.execute(routes).fetchall() == before
    assert 'account="other"' not in daemon.get("/metrics")[1]
    daemons.configure(other)
    reload(daemon)
    daemon.wait_for(lambda: ("email", 1, "other", "sandbox", "live") in connection.execute(routes).fetchall(), 20)
    assert daemon.stop() == 0
    assert connection.execute(routes).fetchall() == []
