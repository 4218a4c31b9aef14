"""Whatever statement of a worker the database refuses: for one row it is that row's matter, for all it is said.

Nothing is lost or sent twice, and it heals by itself when the cause is gone.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.system.refusing import (
    CLAIMS,
    MARKS,
    PROLONGS,
    RECORDS,
    insert,
    number_of,
    raises,
    ready,
    said_by,
    said_everywhere,
    sent_once,
    start,
)
from tests.system.scene import Scene

ONE: dict[str, tuple[str, str, str]] = {
    "unclaimable@example.com": (
        raises("one_claim", f"old.recipient = 'unclaimable@example.com' AND {CLAIMS}"),
        "claim",
        "raised by public.no()",
    ),
    "unmarkable@example.com": (
        raises("one_mark", f"old.recipient = 'unmarkable@example.com' AND {MARKS}"),
        "mark",
        "raised by public.no()",
    ),
    "unrecordable@example.com": (
        raises("one_record", f"old.recipient = 'unrecordable@example.com' AND {RECORDS}"),
        "record",
        "raised by public.no()",
    ),
    "unreadable@example.com": (
        """ALTER TABLE noti.template_versions ENABLE ROW LEVEL SECURITY;
        CREATE POLICY one_template ON noti.template_versions AS RESTRICTIVE USING (public.readable(template_id));""",
        "look up content of",
        "raised by public.readable()",
    ),
    "forbidden@example.com": (
        "ALTER TABLE noti.notifications_log ADD CONSTRAINT mine CHECK (recipient !~ '^forbidden') NOT VALID;",
        "claim",
        "constraint mine of noti.notifications_log",
    ),
}
"""Rows by their recipient: what makes one statement fail for it, which that is, and how the cause is named."""

MENDED = """
DROP TRIGGER one_claim ON noti.notifications_log; DROP TRIGGER one_mark ON noti.notifications_log;
DROP TRIGGER one_record ON noti.notifications_log; ALTER TABLE noti.notifications_log DROP CONSTRAINT mine;
DROP POLICY one_template ON noti.template_versions; ALTER TABLE noti.template_versions DISABLE ROW LEVEL SECURITY;
"""


@pytest.mark.fault("F62")
def test_for_every_statement_one_row_is_refused_and_all_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = start(scene)
    with scene.connection.transaction():  # so that one claim meets all of them
        insert(scene, "before-#@example.com", 40)
        insert(scene, "unclaimable@example.com")
        insert(scene, "forbidden@example.com")
        insert(scene, "between-#@example.com", 40, template_id="good")
        insert(scene, "unreadable@example.com", template_id="unreadable")
        insert(scene, "unmarkable@example.com", on_uncertain="hold")
        insert(scene, "unrecordable@example.com")
        insert(scene, "after-#@example.com", 40, on_uncertain="hold")
        insert(scene, "chat-#", 40, channel="chat")
        scene.connection.execute("RESET ROLE")
        for fault, _, _ in ONE.values():
            scene.connection.execute(fault.encode())
    numbers = {recipient: number_of(scene, recipient) for recipient in ONE}
    good = "recipient <> ALL ('{" + ",".join(ONE) + "}')"
    scene.wait_for(lambda: scene.count(f"{good} AND status <> 'sent'") == 0, what="all others are sent")
    scene.wait_for(
        lambda: {line["notification_id"] for line in daemon.said("row_set_aside")} == set(numbers.values()),
        what="each is set aside",
    )
    told = {line["notification_id"]: line for line in daemon.said("row_set_aside")}
    for recipient, (_, what, why) in ONE.items():
        assert told[numbers[recipient]]["what"] == what
        assert why in told[numbers[recipient]]["error"]
    assert ready(daemon)
    assert f"noti_worker_rows_set_aside {len(ONE)}.0" in daemon.get("/metrics")[1]

    def named() -> bool:
        words = said_by(scene, "status", monkeypatch)
        return all(f"{numbers[recipient]}" in words and why in words for recipient, (_, _, why) in ONE.items())

    scene.wait_for(named, timeout=10, what="the heartbeat tells of them")
    words = said_by(scene, "doctor", monkeypatch)
    assert f"{len(ONE)} rows are refused to worker" in words
    insert(scene, "later-#@example.com", 40)
    scene.wait_for(lambda: scene.count(f"{good} AND status <> 'sent'") == 0, what="what comes later is sent too")
    assert "no to " not in daemon.log_file.read_text()  # what a trigger says may quote the row
    scene.connection.execute(MENDED.encode())
    scene.finished(60)
    sent_once(scene)
    scene.wait_for(lambda: "noti_worker_rows_set_aside 0.0" in daemon.get("/metrics")[1], what="nothing is aside")
    assert daemon.stop() == 0


@dataclass(frozen=True)
class All:
    """A refusal of all: `begin` and `end` of the cause, what the worker says that it cannot do, and why."""

    begin: str
    end: str
    what: str
    why: str
    sends: int = 0  # so many may go out before it is known
    others: bool = False  # whether rows that do not need it go on


REFUSED = {
    "claim, a trigger that raises": All(
        raises("all_claims", f"old.channel = 'email' AND {CLAIMS}"),
        "DROP TRIGGER all_claims ON noti.notifications_log",
        "claim email",
        "P0001",
        others=True,
    ),
    "claim, a right": All(
        "REVOKE UPDATE ON noti.notifications_log FROM noti_worker",
        "GRANT UPDATE ON noti.notifications_log TO noti_worker",
        "claim email",
        "42501 InsufficientPrivilege, permission denied for table notifications_log",
    ),
    "look for rows, a right": All(
        "REVOKE SELECT ON noti.notifications_log FROM noti_worker",
        "GRANT SELECT ON noti.notifications_log TO noti_worker",
        "look for rows",
        "42501",
    ),
    "see rows, security without a policy": All(
        "DROP POLICY everything ON noti.notifications_log;"
        " ALTER TABLE noti.notifications_log ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY apps ON noti.notifications_log FOR INSERT TO noti_app WITH CHECK (true)",
        "DROP POLICY apps ON noti.notifications_log; ALTER TABLE noti.notifications_log DISABLE ROW LEVEL SECURITY;"
        " CREATE POLICY everything ON noti.notifications_log TO noti_all_tenants, noti_worker"
        " USING (true) WITH CHECK (true)",
        "see rows",
        "row-level security shows this role no row of noti.notifications_log",
    ),
    "brief, a right": All(
        "REVOKE SELECT ON noti.template_versions FROM noti_worker",
        "GRANT SELECT ON noti.template_versions TO noti_worker",
        "look up content of email",
        "permission denied for table template_versions",
        others=True,
    ),
    "mark, a trigger that raises": All(
        raises("all_marks", f"old.channel = 'email' AND {MARKS}"),
        "DROP TRIGGER all_marks ON noti.notifications_log",
        "mark email",
        "P0001",
        others=True,
    ),
    "record, a right": All(
        "REVOKE INSERT ON noti.audit_log FROM noti_worker",
        "GRANT INSERT ON noti.audit_log TO noti_worker",
        "record",
        "permission denied for table audit_log",
        sends=60,
    ),
    "record, a trigger that raises": All(
        raises("all_records", RECORDS),
        "DROP TRIGGER all_records ON noti.notifications_log",
        "record",
        "P0001",
        sends=60,
    ),
    "record, no partition": All(
        "ALTER TABLE noti.notification_attempts_log RENAME TO attempts_aside;"
        " CREATE TABLE noti.notification_attempts_log (LIKE noti.attempts_aside INCLUDING DEFAULTS INCLUDING IDENTITY)"
        " PARTITION BY RANGE (created_at); GRANT ALL ON noti.notification_attempts_log TO noti_worker",
        "DROP TABLE noti.notification_attempts_log;"
        " ALTER TABLE noti.attempts_aside RENAME TO notification_attempts_log",
        "",
        "noti.notification_attempts_log",
        sends=60,
    ),
}


@pytest.mark.fault("F64")
@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_of_all_is_said_and_heals(scene: Scene, fault: All, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = start(scene)
    insert(scene, "early-#@example.com", 3)
    scene.finished()
    scene.connection.execute(fault.begin.encode())
    insert(scene, "email-#@example.com", 300, template_id="good", on_uncertain="hold")
    insert(scene, "chat-#", 5, channel="chat")
    said_everywhere(scene, daemon, fault.what, fault.why, monkeypatch, "email-300@example.com")
    if fault.others:
        scene.wait_for(lambda: scene.count("channel = 'chat' AND status <> 'sent'") == 0, what="the others go on")
    begun = len(scene.ledger.begun()) - 3 - (5 if fault.others else 0)
    assert begun <= fault.sends
    scene.connection.execute(fault.end.encode())
    scene.finished(30)
    sent_once(scene)
    scene.wait_for(lambda: ready(daemon), what="it is ready again")
    assert daemon.stop() == 0


@pytest.mark.fault("F64")
def test_leases_that_cannot_be_prolonged_at_all_are_said_and_nothing_is_lost_or_repeated(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = start(scene, lease="3s")
    insert(scene, "gated-#@example.com", 5)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 5, what="they are in flight")
    scene.connection.execute(raises("all_leases", PROLONGS))
    scene.wait_for(lambda: scene.count("lease_until < now()") == 5, what="the leases are over")
    said_everywhere(scene, daemon, "prolong leases", "raised by public.no()", monkeypatch, "gated-1@example.com")
    insert(scene, "quick-#", 20, channel="chat")
    scene.wait_for(lambda: scene.count("status = 'sent'") == 20, what="what needs no longer lease goes on")
    scene.connection.execute("DROP TRIGGER all_leases ON noti.notifications_log")
    scene.wait_for(lambda: ready(daemon), what="it is ready again")
    scene.wait_for(lambda: scene.count("lease_until > now()") == 5, what="the leases go on")
    scene.ledger.open_gate()
    scene.finished()
    sent_once(scene)
    assert "lost" not in scene.tries()
    assert daemon.stop() == 0


@pytest.mark.fault("F64")
def test_rows_that_cannot_be_given_back_at_all_are_said_kept_and_given_back_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = start(scene, lease="3s")
    scene.connection.execute(REFUSED["brief, a right"].begin.encode())  # so that what is claimed has to go back
    scene.connection.execute(raises("all_releases", "new.claimed_by IS NULL AND new.status = 'pending'"))
    insert(scene, "early-#@example.com", 40, template_id="good")
    said_everywhere(scene, daemon, "give rows back", "raised by public.no()", monkeypatch, "early-40@example.com")
    scene.connection.execute(REFUSED["brief, a right"].end.encode())
    insert(scene, "later-#@example.com", 40)
    scene.wait_for(lambda: scene.count("recipient ~ '^later' AND status <> 'sent'") == 0, what="others go on")
    scene.wait_for(lambda: scene.count("lease_until > now() + interval '1 s'") > 4, what="they are kept")
    assert not ready(daemon)
    scene.connection.execute("DROP TRIGGER all_releases ON noti.notifications_log")
    scene.finished()
    sent_once(scene)
    assert "lost" not in scene.tries()
    scene.wait_for(lambda: ready(daemon), what="it is ready again")
    assert daemon.stop() == 0


def test_a_table_that_an_application_locks_is_waited_for(scene: Scene, database_url: str) -> None:
    daemon = start(scene)
    insert(scene, "one-#@example.com", 20)
    with psycopg.connect(database_url) as application:
        application.execute("LOCK TABLE noti.notifications_log IN ACCESS EXCLUSIVE MODE")
        scene.wait_for(lambda: daemon.said("database_busy"), timeout=20, what="it says so")
    scene.finished()
    sent_once(scene)
    assert daemon.stop() == 0


def test_a_row_whose_lease_cannot_be_prolonged_costs_the_others_nothing(scene: Scene) -> None:
    daemon = start(scene, lease="3s")
    scene.connection.execute(raises("one_lease", f"old.recipient = 'gated-bad@example.com' AND {PROLONGS}").encode())
    insert(scene, "gated-bad@example.com")
    insert(scene, "gated-good-#@example.com", 3)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 4, what="they are in flight")
    number = number_of(scene, "gated-bad@example.com")
    scene.wait_for(
        lambda: [line for line in daemon.said("row_set_aside") if line["what"] == "prolong leases"], what="it is said"
    )
    scene.wait_for(lambda: scene.count(f"notification_id = {number} AND lease_until < now()"), what="its lease is over")
    assert scene.count("lease_until > now()") == 3
    scene.ledger.open_gate()
    scene.finished()
    sent_once(scene)
    assert daemon.stop() == 0


def test_a_row_that_cannot_be_given_back_costs_the_others_nothing(scene: Scene) -> None:
    daemon = start(scene, lease="3s")
    insert(scene, "slower-#@example.com", 30)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= 5, what="some are in flight, some wait")
    scene.connection.execute(
        raises(
            "one_release",
            "new.claimed_by IS NULL AND new.status = 'pending' AND old.recipient = 'slower-30@example.com'",
        ).encode()
    )
    assert daemon.stop() == 0
    assert scene.count("claimed_by IS NOT NULL AND recipient <> 'slower-30@example.com'") == 0
    second = scene.house.start_ready()
    scene.finished()
    sent_once(scene)
    assert second.stop() == 0


def test_a_chore_that_is_refused_stops_nothing_else(scene: Scene) -> None:
    scene.connection.execute("REVOKE ALL ON noti.duties FROM noti_worker")
    daemon = start(scene)
    insert(scene, "one-#@example.com", 20)
    scene.finished()
    scene.wait_for(lambda: daemon.said("trouble"), timeout=20, what="it is said")
    sent_once(scene)
    assert daemon.stop() == 0


def test_results_that_could_not_be_written_are_written_later_even_by_a_worker_that_stops(scene: Scene) -> None:
    daemon = start(scene)
    scene.connection.execute(REFUSED["record, a right"].begin.encode())
    insert(scene, "one-#@example.com", 20)
    scene.wait_for(lambda: daemon.get("/health/ready")[0] == 503, what="it is not ready")
    begun = len(scene.ledger.begun())
    daemon.signal(signal.SIGTERM)
    scene.wait_for(lambda: daemon.said("worker_stopping"), what="it stops")
    scene.connection.execute(REFUSED["record, a right"].end.encode())
    assert daemon.wait() == 0
    assert scene.count("status = 'sent'") == begun
    second = scene.house.start_ready()
    scene.finished()
    sent_once(scene)
    assert second.stop() == 0


@pytest.mark.fault("F67")
def test_rows_locked_for_longer_than_the_lease_of_a_living_worker_go_out_once(
    scene: Scene, database_url: str, wait_for: Callable[..., Any]
) -> None:
    workers = [start(scene, lease="3s"), *(scene.house.start_ready() for _ in range(2))]
    insert(scene, "gated-#@example.com", 10)
    wait_for(scene.ledger.begun, what="they are in flight")
    with psycopg.connect(database_url) as application:
        application.execute("SELECT FROM noti.notifications_log FOR UPDATE")
        wait_for(lambda: scene.count("lease_until < now() - interval '1 s'") > 2, what="their leases are over")
    wait_for(lambda: scene.count("lease_until < now()") == 0, what="their leases are prolonged again")
    scene.ledger.open_gate()
    scene.finished()
    sent_once(scene)
    assert "lost" not in scene.tries()
    assert [worker.stop() for worker in workers] == [0, 0, 0]
