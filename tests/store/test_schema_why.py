"""`why(id)` tells the life of one notification in order: golden transcripts of whole lives.

Written anew by `NOTI_TEST_GOLDEN=write pytest tests/store/test_schema_why.py`; read the diff before committing it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lanes import Lane
from noti_worker.domain.lifecycle import Backoff, Policy, Verdict, decide
from noti_worker.domain.notification import Briefing, Channel, Drop, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.permits import permit
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, claim, insert

Connection = psycopg.Connection[Any]

GOLDEN = Path(__file__).with_name("golden")
ADDRESS, BODY = "ann@example.com", "Dear Ann, your code is 4711"

ACCEPTED = Outcome(Kind.OK, code="250", provider_message_id="queued as 4Xy")
GREYLISTED = Outcome(Kind.TRANSIENT, code="451 4.7.1", error=f"Greylisted, see https://example.com/help?who={ADDRESS}")
NO_SUCH_USER = Outcome(Kind.DEAD, code="550 5.1.1", error=f"<{ADDRESS}>: no such user")
BAD_PASSWORD = Outcome(Kind.CONFIG, code="535 5.7.8", error="authentication failed")
TOO_FAST = Outcome(Kind.THROTTLED, code="421 4.7.0", error="slow down", retry_after=90)
LATER = Outcome(Kind.THROTTLED, code="429", error="come back next week", retry_after=604_800, asked=True)
SILENT = Outcome(
    Kind.TRANSIENT, Scope.PROVIDER, code="timeout", error="no answer within 30 s", stage="connect", offered=False
)
CUT = Outcome(Kind.UNCERTAIN, error="the line broke after the payload")


def answer(notification: Notification, outcome: Outcome, *, failover: bool = False, seconds: float = 0.031) -> Result:
    """What Delivery makes of an answer of the account `relay`."""
    policy = Policy(Backoff(jitter=0))
    verdict = decide(notification, outcome, notification.claimed_at, policy, 0.5, failover=failover)
    return Result(notification, verdict, outcome, account="relay", provider="smtp", seconds=seconds)


class Stage:
    """Two workers, an application and the calendar."""

    def __init__(self, connection: Connection, first: PostgresQueue, second: PostgresQueue) -> None:
        self.connection = connection
        self._queues = {1: first, 2: second}

    def queued(self, **columns: object) -> None:
        [number] = insert(self.connection, 1, **({"recipient": ADDRESS, "body": BODY} | columns))
        assert number == 1

    def claimed(
        self, worker_id: int = 1, lease: timedelta = timedelta(minutes=2), lane: Lane | None = None
    ) -> Notification:
        lanes = [lane or Lane(Channel.EMAIL, Priority.NORMAL, "default")]
        [claimed] = claim(self._queues[worker_id], worker_id=worker_id, lease=lease, lanes=lanes)
        return claimed

    def recorded(self, result: Result, worker_id: int = 1) -> str:
        return str(self._queues[worker_id].record(worker_id, [result])[1])

    def tried(self, outcome: Outcome, worker_id: int = 1) -> None:
        assert self.recorded(answer(self.claimed(worker_id), outcome), worker_id) == "applied"

    def said(self, statement: str) -> None:
        """An application or a person says something."""
        self.connection.execute(statement.encode())

    def passed(self) -> None:
        """The time until the next try passes."""
        self.said(
            "SET session_replication_role = replica; "
            "UPDATE noti.notifications_log SET next_retry_at = clock_timestamp() - interval '1 s'; "
            "SET session_replication_role = origin"
        )


def sent_at_once(stage: Stage) -> None:
    stage.queued(entity_type="order", entity_id="17", priority="normal")
    stage.tried(ACCEPTED)


def retried_then_sent(stage: Stage) -> None:
    stage.queued()
    stage.tried(GREYLISTED)
    stage.passed()
    stage.tried(TOO_FAST, worker_id=2)
    stage.passed()
    stage.tried(ACCEPTED)


def waiting_for_a_retry(stage: Stage) -> None:
    stage.queued()
    stage.tried(GREYLISTED)


def refused_for_good(stage: Stage) -> None:
    stage.queued()
    stage.tried(NO_SUCH_USER)


def out_of_tries(stage: Stage) -> None:
    stage.queued(max_retries=1)
    stage.tried(GREYLISTED)
    stage.passed()
    stage.tried(GREYLISTED)


def scheduled_then_cancelled(stage: Stage) -> None:
    stage.queued(send_at="2100-01-01 08:00+00", priority="high", template_id="welcome", body=None)
    stage.said("UPDATE noti.notifications_log SET status = 'cancelled' WHERE finished_at IS NULL")


def moved_and_corrected_while_waiting(stage: Stage) -> None:
    stage.queued(send_at="2100-01-01 08:00+00")
    stage.said("UPDATE noti.notifications_log SET send_at = '2100-02-01 08:00+00', recipient = 'bob@example.com'")


def expired(stage: Stage) -> None:
    stage.queued(expires_at="2001-01-01 00:00+00")
    claimed = stage.claimed()
    drop = permit(claimed, Briefing(), Policy(), claimed.claimed_at)
    assert isinstance(drop, Drop)
    stage.recorded(Result(claimed, Verdict(drop.status, drop.reason), kind=drop.kind))


def held_then_released_and_sent(stage: Stage) -> None:
    stage.queued()
    stage.tried(BAD_PASSWORD)
    stage.said("SELECT noti.release(1)")
    stage.tried(ACCEPTED)


def held_for_a_person(stage: Stage) -> None:
    stage.queued()
    stage.tried(BAD_PASSWORD)


def lost_then_sent_by_another_worker(stage: Stage) -> None:
    stage.queued()
    stage.claimed(lease=AT_ONCE)
    stage.tried(ACCEPTED, worker_id=2)


def late_result_of_a_zombie(stage: Stage) -> None:
    stage.queued()
    zombie = stage.claimed(lease=AT_ONCE)
    stage.tried(ACCEPTED, worker_id=2)
    assert stage.recorded(answer(zombie, ACCEPTED, seconds=131.5)) == "stale"


def uncertain_then_unknown(stage: Stage) -> None:
    stage.queued(on_uncertain="hold")
    stage.tried(CUT)


def uncertain_then_sent_again(stage: Stage) -> None:
    stage.queued()
    stage.tried(CUT)


def lost_too_often(stage: Stage) -> None:
    stage.queued()
    stage.claimed(lease=AT_ONCE)
    claimed = stage.claimed(worker_id=2)
    stage.recorded(Result(claimed, Verdict(Status.FAILED, "its claim was lost 5 times in a row"), kind="lost"), 2)


def template_at_fault(stage: Stage) -> None:
    stage.queued(template_id="welcome", body=None)
    drop = Verdict(Status.FAILED, "template 'welcome' does not exist for tenant 'default': put it into noti.templates")
    stage.recorded(Result(stage.claimed(), drop, kind="permanent"))


def asked_to_wait_for_a_week(stage: Stage) -> None:
    stage.queued()
    stage.tried(LATER)


def not_answered(stage: Stage) -> None:
    stage.queued()
    stage.tried(SILENT)


def sent_to_staging(stage: Stage) -> None:
    stage.queued()
    verdict = Verdict(Status.SENT, "safe mode: it was sent to delivery.redirect_to.email instead of its recipient")
    outcome = replace(ACCEPTED, error="redirected to delivery.redirect_to.email")
    stage.recorded(replace(answer(stage.claimed(), outcome), verdict=verdict))


def requeued_after_failure(stage: Stage) -> None:
    stage.queued()
    stage.tried(NO_SUCH_USER)
    stage.said("UPDATE noti.notifications_log SET status = 'pending', recipient = 'anna@example.com'")
    stage.tried(ACCEPTED)


def duplicate_key(stage: Stage) -> None:
    for _ in range(2):
        stage.said("SELECT noti.send('email', 'ann@example.com', 'Hello', 'Hi', idempotency_key => 'order-17')")
    stage.tried(ACCEPTED)


def cancelled_in_flight(stage: Stage) -> None:
    stage.queued()
    claimed = stage.claimed()
    stage.said("SELECT noti.hold(1)")
    stage.said("SELECT noti.release(1)")
    stage.said("SELECT noti.cancel(1)")
    assert stage.recorded(answer(claimed, GREYLISTED)) == "applied"


def sent_although_cancelled_in_flight(stage: Stage) -> None:
    stage.queued()
    claimed = stage.claimed()
    stage.said("SELECT noti.cancel(1)")
    assert stage.recorded(answer(claimed, ACCEPTED)) == "applied"


def in_app(stage: Stage) -> None:
    stage.queued(channel="in_app", recipient="user:17")
    claimed = stage.claimed(lane=Lane(Channel.IN_APP, Priority.NORMAL, "default"))
    line = InboxLine("default", claimed.recipient, body=BODY)
    outcome = Outcome(Kind.OK)
    verdict = decide(claimed, outcome, claimed.claimed_at, Policy(), 0.5)
    stage.recorded(Result(claimed, verdict, outcome, account="in_app", provider="in_app", follows=(line,)))


def imported_history(stage: Stage) -> None:
    stage.queued(status="sent", created_at="2001-01-01 00:00+00", sent_at="2001-01-01 00:00:05+00")


def outlived_its_logs(stage: Stage) -> None:
    stage.queued(entity_type="order", entity_id="17")
    stage.tried(GREYLISTED)
    stage.passed()
    stage.tried(NO_SUCH_USER)
    stage.said("SELECT noti.drop_log_partition(partition, 'infinity') FROM noti.log_partitions()")


def outlived_its_first_tries(stage: Stage) -> None:
    stage.queued()
    stage.tried(GREYLISTED)
    stage.passed()
    stage.said(
        "SELECT noti.drop_log_partition(partition, 'infinity') FROM noti.log_partitions()"
        " WHERE log = 'notification_attempts_log'"
    )
    stage.tried(ACCEPTED)


def outlived_by_its_logs(stage: Stage) -> None:
    stage.queued()
    stage.tried(NO_SUCH_USER)
    stage.said("DELETE FROM noti.notifications_log")


def erased(stage: Stage) -> None:
    stage.queued()
    stage.tried(NO_SUCH_USER)
    stage.said(f"SELECT noti.erase('{ADDRESS}', NULL, 0, 1000, false)")


LIVES: list[Callable[[Stage], None]] = [
    sent_at_once,
    retried_then_sent,
    waiting_for_a_retry,
    refused_for_good,
    out_of_tries,
    scheduled_then_cancelled,
    moved_and_corrected_while_waiting,
    expired,
    held_then_released_and_sent,
    held_for_a_person,
    lost_then_sent_by_another_worker,
    late_result_of_a_zombie,
    uncertain_then_unknown,
    uncertain_then_sent_again,
    lost_too_often,
    template_at_fault,
    asked_to_wait_for_a_week,
    not_answered,
    sent_to_staging,
    requeued_after_failure,
    duplicate_key,
    cancelled_in_flight,
    sent_although_cancelled_in_flight,
    in_app,
    imported_history,
    outlived_its_logs,
    outlived_its_first_tries,
    outlived_by_its_logs,
    erased,
]


@pytest.fixture
def stage(connection: Connection, queue: PostgresQueue, other_queue: PostgresQueue) -> Stage:
    connection.execute(
        """
        INSERT INTO noti.workers (worker_id, state)
        SELECT worker_id, '{"channels": ["email", "in_app"]}' FROM generate_series(1, 2) AS worker_id
        """
    )
    return Stage(connection, queue, other_queue)


def told(connection: Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM noti.why(1)").fetchall()


def transcript(connection: Connection) -> str:
    """The story as text: now is `<time>`, whoever is logged in is `app`."""
    lines = []
    for line in told(connection):
        by = "app" if line["by"] == connection.info.user else line["by"]
        lines.append(f"{line['event']:<17} {by or '':<9} {line['detail'] or ''}")
        columns = {
            name: line[name] for name in ("attempt_number", "account", "provider", "kind", "code", "duration_ms")
        }
        if known := [f"{name}={value}" for name, value in columns.items() if value is not None]:
            lines.append(f"{'':<27} {' '.join(known)}")
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return re.sub(r"\b20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<time>", text)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
def test_a_life_is_told_in_order(stage: Stage, life: Callable[[Stage], None]) -> None:
    life(stage)
    golden = GOLDEN / f"{life.__name__}.txt"
    found = transcript(stage.connection)
    if os.environ.get("NOTI_TEST_GOLDEN") == "write":
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
    story = told(stage.connection)
    assert [line["at"] for line in story] == sorted(line["at"] for line in story)
    assert not any(word in str(story) for word in (ADDRESS, "Dear Ann", "bob@", "anna@"))
    assert stage.connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_an_unknown_id_has_no_story(connection: Connection) -> None:
    assert told(connection) == []


@pytest.mark.parametrize(
    ("channel", "recipient", "said", "told"),
    [
        ("chat", "2026", "2026 is closed since 2026-11-30", "… is closed since 2026-11-30"),
        ("chat", "relay", "relay left the room", "… left the room"),
        ("chat", "email", "no room email", "no room …"),
        ("chat", "app", "no in_app, app is gone", "no in_app, … is gone"),
        ("chat", "user:1", "user:1 is not user:17", "… is not user:17"),
    ],
)
def test_the_mask_covers_what_came_from_outside_and_leaves_our_own_words(
    connection: Connection, queue: PostgresQueue, channel: str, recipient: str, said: str, told: str
) -> None:
    insert(
        connection,
        channel=channel,
        recipient=recipient,
        subject=None,
        entity_type="app",
        entity_id=recipient,
    )
    [one] = claim(queue, lanes=[Lane(Channel(channel), Priority.NORMAL, "default")])
    queue.record(1, [answer(one, Outcome(Kind.DEAD, code="gone", error=said))])
    stories = dict(connection.execute("SELECT event, detail FROM noti.why(1)").fetchall())
    assert stories["try 1"] == f"relay (smtp) answered gone: {told} (dead), 31 ms"
    assert stories["queued"] == f"{channel}, normal priority, about app {recipient}"
    assert stories["failed"] == "the address does not exist"


def test_every_golden_transcript_has_its_life() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {life.__name__ for life in LIVES}
