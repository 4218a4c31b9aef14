"""Requeue, cancel, hold, release: by id and by filter, past the guard and into the audit log."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Status
from noti_worker.store.connect import Connection
from noti_worker.store.people import moves, rehearsal, source
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.moves import Move, Moved, carry_out, preview
from tests.store.lives import claim, end, life, queue, status_of

EXPECTED: dict[Move, dict[Status, str]] = {
    Move.REQUEUE: {
        Status.FAILED: "pending",
        Status.CANCELLED: "pending",
        Status.SUPPRESSED: "pending",
        Status.EXPIRED: "pending",
    },
    Move.CANCEL: {
        Status.PENDING: "cancelled",
        Status.RETRYING: "cancelled",
        Status.HELD: "cancelled",
        Status.UNKNOWN: "cancelled",
        Status.GATHERING: "cancelled",
        Status.SENDING: "sending cancelled",
    },
    Move.HOLD: {
        Status.PENDING: "held",
        Status.RETRYING: "held",
        Status.GATHERING: "held",
        Status.SENDING: "sending held",
    },
    Move.RELEASE: {Status.HELD: "pending", Status.UNKNOWN: "pending", Status.GATHERING: "pending"},
    Move.RETRY: {Status.RETRYING: "retrying"},
}


@pytest.fixture
def people(database_url: str) -> Iterator[Connection]:
    with source.for_people(database_url) as connection:
        yield connection


@pytest.mark.parametrize("status", [*Status])
@pytest.mark.parametrize("move", [*Move])
def test_each_move_takes_the_statuses_it_may_and_refuses_the_others(
    people: Connection, move: Move, status: Status
) -> None:
    made = life(people, status.value)
    foreseen, _ = preview(people, move, Filter(ids=(made,)))
    assert status_of(people, made) == status
    moved = carry_out(people, move, Filter(ids=(made,)))
    assert moved == foreseen
    expected = EXPECTED[move].get(status)
    assert status_of(people, made) == (expected or status)
    assert (moved.done + moved.noted, sum(moved.refused.values())) == ((1, 0) if expected else (0, 1))
    assert moved.noted == (status is Status.SENDING and expected is not None)
    # Nothing breaks the rules of the house.
    assert people.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


def test_what_was_noted_already_is_not_noted_again(people: Connection) -> None:
    made = life(people, "sending")
    chosen = Filter(ids=(made,))
    assert carry_out(people, Move.HOLD, chosen) == Moved(noted=1)
    assert carry_out(people, Move.HOLD, chosen).noted == 0
    assert carry_out(people, Move.RELEASE, chosen) == Moved(noted=1)
    assert status_of(people, made) == "sending"
    assert carry_out(people, Move.RELEASE, chosen).noted == 0
    assert carry_out(people, Move.CANCEL, chosen) == Moved(noted=1)
    assert carry_out(people, Move.HOLD, chosen).noted == 0, "a hold does not take back a cancel"
    assert status_of(people, made) == "sending cancelled"


def test_an_unknown_id_is_refused_with_a_reason(people: Connection) -> None:
    made = queue(people)
    moved = carry_out(people, Move.CANCEL, Filter(ids=(made, 99, 100)))
    assert moved == Moved(done=1, refused={"there is no such notification": 2})


def test_a_filter_means_what_the_move_is_for(people: Connection) -> None:
    made = {status: life(people, status.value) for status in Status}
    everything = Filter(recipient="ada@example.com")
    assert carry_out(people, Move.REQUEUE, everything) == Moved(done=1), "only what failed"
    assert status_of(people, made[Status.FAILED]) == "pending"
    assert carry_out(people, Move.RELEASE, everything).done == 1
    assert status_of(people, made[Status.UNKNOWN]) == "unknown", "it may have been sent: it must be named"
    moved = carry_out(people, Move.CANCEL, everything)
    assert moved == Moved(done=6, noted=1)
    assert status_of(people, made[Status.SENT]) == "sent"


def test_a_status_in_the_filter_is_taken_at_its_word(people: Connection) -> None:
    life(people, "sent")
    expired = life(people, "expired")
    moved = carry_out(people, Move.REQUEUE, Filter(status=(Status.SENT, Status.EXPIRED)))
    assert moved == Moved(done=1, refused={"it was sent": 1})
    assert status_of(people, expired) == "pending"


def test_requeue_gives_all_tries_back(people: Connection) -> None:
    made = life(people, "retrying")
    claim(people, made)
    end(people, "failed", made)
    carry_out(people, Move.REQUEUE, Filter(channel=("email",), failed_since=timedelta(hours=1)))
    row = people.execute(
        "SELECT retry_count, next_retry_at, due_at <= now() AS due FROM noti.notifications_log"
    ).fetchone()
    assert row == {"retry_count": 0, "next_retry_at": None, "due": True}


def test_each_move_leaves_an_audit_line_with_the_role(people: Connection) -> None:
    made = queue(people)
    for move in (Move.HOLD, Move.RELEASE, Move.CANCEL, Move.REQUEUE):
        carry_out(people, move, Filter(ids=(made,)))
    lines = people.execute("SELECT action, action_by FROM noti.audit_log ORDER BY audit_id").fetchall()
    assert [line["action"] for line in lines] == [
        "notification_triggered",
        "notification_held",
        "notification_released",
        "notification_cancelled",
        "notification_requeued",
    ]
    assert {line["action_by"] for line in lines} == {people.info.user}


def test_many_rows_move_in_batches_of_their_own_transactions(
    people: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "BATCH", 3)
    for _ in range(8):
        queue(people)
    seen: list[tuple[int, int]] = []
    moved = carry_out(people, Move.CANCEL, Filter(channel=("email",)), lambda done, total: seen.append((done, total)))
    assert moved == Moved(done=8)
    assert seen == [(3, 8), (6, 8), (8, 8)]
    transactions = people.execute("SELECT count(DISTINCT xmin::text) AS n FROM noti.notifications_log").fetchone()
    assert transactions == {"n": 3}


def test_a_row_that_changed_meanwhile_is_judged_as_it_is_now(
    people: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "BATCH", 1)
    first, second = life(people, "failed"), life(people, "failed")
    with psycopg.connect(database_url, autocommit=True) as other:

        def overtake(done: int, total: int) -> None:
            if done == 1:
                other.execute("SELECT noti.requeue(%s)", (second,))

        moved = carry_out(people, Move.REQUEUE, Filter(status=(Status.FAILED,)), overtake)
    assert moved == Moved(done=1, refused={"it waits already": 1})
    assert status_of(people, first) == status_of(people, second) == "pending"


def test_a_locked_row_stops_the_move_and_what_was_done_stays(
    people: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "BATCH", 1)
    people.execute("SET lock_timeout = '50ms'")
    first, second = queue(people), queue(people)
    with psycopg.connect(database_url) as application:
        application.execute("SELECT 1 FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE", (second,))
        with pytest.raises(moves.Interrupted, match="1 were moved") as caught:
            carry_out(people, Move.HOLD, Filter(channel=("email",)))
    assert caught.value.moved == Moved(done=1)
    assert status_of(people, first) == "held"
    assert status_of(people, second) == "pending"
    assert carry_out(people, Move.HOLD, Filter(channel=("email",))) == Moved(done=1), "called again it goes on"


def test_two_operators_at_once_do_not_deadlock(people: Connection, database_url: str) -> None:
    for _ in range(50):
        queue(people)
    results: list[Moved] = []

    def operate() -> None:
        with source.for_people(database_url) as own:
            results.append(carry_out(own, Move.CANCEL, Filter(channel=("email",))))

    operators = [threading.Thread(target=operate) for _ in range(3)]
    for operator in operators:
        operator.start()
    for operator in operators:
        operator.join()
    assert sum(moved.done for moved in results) == 50


def test_a_preview_counts_and_shows_the_newest_and_changes_nothing(people: Connection) -> None:
    made = [life(people, "failed") for _ in range(4)]
    life(people, "sent")
    moved, sample = preview(people, Move.REQUEUE, Filter(channel=("email",)), sample=2)
    assert moved == Moved(done=4)
    assert [line.notification_id for line in sample] == made[:1:-1]
    assert {status_of(people, one) for one in made} == {"failed"}


def test_a_preview_shows_no_row_that_would_not_move(people: Connection) -> None:
    life(people, "sent")
    moved, sample = preview(people, Move.REQUEUE, Filter(status=(Status.SENT,)))
    assert (moved.done, sample) == (0, [])


# ---------------------------------------------------------------- send


def test_send_queues_and_gives_the_line(people: Connection) -> None:
    hour = timedelta(hours=1)
    line = moves.send(people, {"channel": "email", "recipient": "a@example.com", "body": "x", "send_at": hour})
    assert line.due_at - line.created_at == pytest.approx(hour, abs=timedelta(seconds=5))
    assert status_of(people, line.notification_id) == "pending"


def test_a_dry_run_of_send_leaves_nothing_behind(people: Connection) -> None:
    fields = {
        "channel": "email",
        "recipient": "a@example.com",
        "body": "x" * 20_000,
        "options": {"cc": "b@example.com"},
    }
    line, row, briefing = rehearsal.rehearse(people, fields)
    assert (line.status, row.recipient, row.claimed_at >= row.created_at) == ("pending", "a@example.com", False)
    assert (briefing.body, briefing.options) == ("x" * 20_000, '{"cc": "b@example.com"}')
    assert people.execute("SELECT 1 FROM noti.notifications_log UNION SELECT 1 FROM noti.audit_log").fetchall() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channel": "emial"}, "did you mean 'email'"),
        ({"body": None}, "nothing to send"),
        ({"subject": "x" * 5000}, "subject is larger than 4096 bytes"),
        ({"send_at": timedelta(days=999_999_999)}, "out of range"),
        ({"expires_at": datetime(2300, 1, 1, tzinfo=UTC)}, "expires_at is not a sensible time"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_words_without_content(
    people: Connection, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadNotification, match=words) as caught:
        moves.send(people, {"channel": "email", "recipient": "secret@example.com", "body": "x", **fields})
    assert "secret@example.com" not in str(caught.value)


def test_a_key_of_another_message_is_refused_in_words(people: Connection) -> None:
    fields = {"channel": "email", "recipient": "a@example.com", "body": "x", "idempotency_key": "k"}
    first = moves.send(people, fields)
    assert moves.send(people, fields).notification_id == first.notification_id
    with pytest.raises(BadNotification, match="belongs to another message, notification 1"):
        moves.send(people, fields | {"body": "y"})
