"""A worker whose statements an application's triggers and rights refuse, and what a test asks about it."""

from collections import Counter

import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from tests.system.daemon import Daemon
from tests.system.scene import Scene

LEASE = '[worker]\nlease = "{lease}"\npoll_interval = "100ms"\n'
ROUTES = '[routes]\nemail = ["book"]\nchat = ["book"]\n'

SETUP = """
CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no to %', old.recipient; END $$;
CREATE FUNCTION public.sleeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
CREATE TABLE public.orders (recipient text);
CREATE FUNCTION public.locks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN UPDATE public.orders SET recipient = recipient; RETURN new; END $$;
CREATE FUNCTION public.readable(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN IF id = 'unreadable' THEN RAISE EXCEPTION 'no to %', id; END IF; RETURN true; END $$;
INSERT INTO noti.templates (tenant_id, template_id, body) SELECT 'default', id, 'x'
  FROM unnest(ARRAY['unreadable', 'good']) AS id;
"""

CLAIMS = "new.claim_count > old.claim_count"
MARKS = "old.dispatched_at IS NULL AND new.dispatched_at IS NOT NULL"
PROLONGS = "new.claim_count = old.claim_count AND new.lease_until > old.lease_until"
RECORDS = "new.status = 'sent'"
"""What tells the statements of a worker apart, for a trigger before an update."""


def raises(name: str, when: str, function: str = "no") -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE UPDATE ON noti.notifications_log FOR EACH ROW WHEN ({when})"
        f" EXECUTE FUNCTION public.{function}();"
    )


def sleeps(name: str, when: str) -> str:
    return raises(name, when, "sleeps")


def start(scene: Scene, lease: str = "2m") -> Daemon:
    scene.house.configure(scene.ledger.account(answer="ok") + ROUTES + LEASE.format(lease=lease))
    daemon = scene.house.start_ready()
    scene.connection.execute(SETUP.encode())
    return daemon


def insert(scene: Scene, recipient: str, rows: int = 1, channel: str = "email", **columns: str) -> None:
    """Rows to `recipient`, its `#` replaced by a number from 1."""
    given = {"channel": channel, "body": "x"} | columns
    if "template_id" in given:
        del given["body"]
    scene.connection.execute(
        f"INSERT INTO noti.notifications_log (recipient, {', '.join(given)})"
        f" SELECT replace(%s, '#', n::text), {', '.join(['%s'] * len(given))} FROM generate_series(1, %s) n".encode(),
        [recipient, *given.values(), rows],
    )


def number_of(scene: Scene, recipient: str) -> int:
    [number] = scene.ask(f"SELECT notification_id FROM noti.notifications_log WHERE recipient = '{recipient}'")
    return int(number)


def said_by(scene: Scene, command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NOTI_DATABASE_URL", scene.database_url)
    return CliRunner().invoke(main, command.split()).output


def ready(daemon: Daemon) -> bool:
    return daemon.get("/health/ready") == (200, "ok\n")


def said_everywhere(
    scene: Scene, daemon: Daemon, what: str, why: str, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    """It lives and is not ready, since it cannot do `what`; so say log, metric and commands, `why` of a `row`."""
    scene.wait_for(lambda: why in daemon.get("/health/ready")[1], what="it is not ready")
    status, words = daemon.get("/health/ready")
    assert status == 503
    assert f"cannot {what}" in words
    assert daemon.get("/health/live") == (200, "ok\n")
    assert 'noti_worker_unable{what="' in daemon.get("/metrics")[1]
    assert daemon.said("unable")
    for command in ("status", "doctor", f"why {number_of(scene, row)}"):

        def tells(command: str = command) -> bool:
            told = said_by(scene, command, monkeypatch)
            # Of several things that it cannot do for the same reason `why` names one.
            return why in told and (what in told or command.startswith("why"))

        scene.wait_for(tells, what=f"{command} tells of it")


def sent_once(scene: Scene) -> None:
    """Every row went out, and once."""
    recipients = scene.ask("SELECT recipient FROM noti.notifications_log")
    assert Counter(scene.ledger.accepted()) == Counter(recipients)
    assert Counter(scene.statuses().values()) == {"sent": len(recipients)}
    assert scene.sound()
