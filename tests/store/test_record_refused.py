"""What a provider says is recorded whatever it is, and one bad result does not hold up the others."""

import math
import re
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from noti_worker.domain.errors import DatabaseRefused
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Notification, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, attempts, audit, claim, ids, insert, row, tried

pytestmark = pytest.mark.usefixtures("either_way")


def _looped() -> dict[str, Any]:
    looped: dict[str, Any] = {"me": None}
    looped["me"] = looped
    return looped


def _deep() -> dict[str, Any]:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"d": deep}
    return deep


@pytest.mark.parametrize(
    "response",
    [
        {"text": "a\x00b\ud800c\udfff", "a\x00b": 1, "\ud800": 2},
        {"float": [math.nan, math.inf, -math.inf, 1e308, 5e-324], "int": [10**6000, -(2**63), 2**63 - 1]},
        {"text": "ä" * 1_000_000},
        {"many": list(range(1_000_000)), "more": {str(n): "x" * 100 for n in range(10_000)}},
        {1: 2, None: 3, (1, 2): b"\xff\x00bytes", "set": {1}, "object": object(), "class": Kind.OK},
        _looped(),
        _deep(),
        {},
    ],
    ids=["unstorable", "numbers", "long", "many", "kinds", "looped", "deep", "empty"],
)
def test_any_response_can_be_recorded(queue: PostgresQueue, connection: Connection, response: dict[str, Any]) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    assert queue.record(1, [tried(n, outcome=Outcome(Kind.OK, response=response))]) == {id_: "applied"}
    [attempt] = attempts(connection, id_)
    assert (attempt["status"], attempt["error_message"]) == ("sent", None)
    size = connection.execute("SELECT octet_length(response_data::text) FROM noti.notification_attempts_log").fetchone()
    assert size is not None
    assert size[0] < 22_000


@pytest.mark.parametrize(
    ("words", "stored"),
    [
        ("a\x00b\ud800", "a\ufffdb\ufffd"),
        ("ä" * 5_000, "ä" * 1_999 + "…"),
        ("\U0001f600" * 5_000, "\U0001f600" * 1_999 + "…"),
    ],
    ids=["unstorable", "long", "wide"],
)
def test_any_words_can_be_recorded(queue: PostgresQueue, connection: Connection, words: str, stored: str) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    outcome = Outcome(Kind.PERMANENT, code=words, error=words, provider_message_id=words)
    result = tried(
        n, Status.FAILED, outcome=outcome, account=words, provider=words, verdict=Verdict(Status.FAILED, words)
    )
    assert queue.record(1, [result]) == {id_: "applied"}
    assert row(connection, id_)["error_message"] == stored
    [attempt] = attempts(connection, id_)
    assert attempt["error_message"] == stored
    assert all(len(attempt[name]) <= 1_000 for name in ("code", "provider_message_id", "account", "provider"))
    assert audit(connection, id_)[0]["metadata"]["reason"] == stored


def test_any_wait_and_duration_can_be_recorded(queue: PostgresQueue, connection: Connection) -> None:
    waits = [timedelta.max, timedelta.min, timedelta(days=3650)]
    durations = [math.nan, math.inf, -math.inf, -1.0, 1e300]
    insert(connection, len(waits) * len(durations))
    rows = claim(queue)
    results = [
        tried(n, Status.RETRYING, verdict=Verdict(Status.RETRYING, "r", wait=wait), seconds=seconds, since=seconds)
        for n, (wait, seconds) in zip(rows, product(waits, durations), strict=True)
    ]
    assert queue.record(1, results) == dict.fromkeys(ids(rows), "applied")
    for id_ in ids(rows):
        stands = row(connection, id_)
        assert timedelta(0) <= stands["next_retry_at"] - stands["updated_at"] <= timedelta(days=366)
        assert 0 <= attempts(connection, id_)[0]["duration_ms"] <= 7 * 86_400_000


def test_values_of_a_wrong_type_cost_the_details_and_not_the_result(
    queue: PostgresQueue, connection: Connection
) -> None:
    [id_] = insert(connection)
    [n] = claim(queue)
    wrong: Any = "soon"
    outcome = Outcome(Kind.OK, code=wrong, provider_message_id=wrong)
    assert queue.record(1, [tried(n, outcome=outcome, seconds=wrong)]) == {id_: "applied"}
    [attempt] = attempts(connection, id_)
    assert (attempt["status"], attempt["kind"]) == ("sent", "ok")
    assert "TypeError" in attempt["error_message"]


REFUSE = "ALTER TABLE noti.notification_attempts_log ADD CONSTRAINT test CHECK ({})"


def test_one_result_that_the_database_refuses_is_isolated_and_recorded_without_its_details(
    queue: PostgresQueue, connection: Connection
) -> None:
    connection.execute(REFUSE.format("code IS NULL OR code <> '666'").encode())
    insert(connection, 33)
    rows = claim(queue)
    results = [tried(n) for n in rows]
    results[20] = tried(rows[20], outcome=Outcome(Kind.OK, code="666", error="secret"))
    assert queue.record(1, results) == dict.fromkeys(ids(rows), "applied")
    [attempt] = attempts(connection, rows[20].notification_id)
    assert (attempt["status"], attempt["kind"], attempt["code"]) == ("sent", "ok", None)
    assert "23514" in attempt["error_message"]
    assert row(connection, rows[20].notification_id)["status"] == "sent"
    assert row(connection, rows[20].notification_id)["error_message"] is None
    assert all(attempts(connection, id_)[0]["code"] == "250" for id_ in ids(rows) if id_ != rows[20].notification_id)


def test_a_result_that_is_refused_even_so_has_that_fate_and_the_others_are_applied(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, 5)
    rows = claim(queue)
    bad = rows[3].notification_id
    connection.execute(REFUSE.format(f"notification_id <> {bad}").encode())
    fates = dict(queue.record(1, [tried(n) for n in rows]))
    refusal = fates.pop(bad)
    assert isinstance(refusal, DatabaseRefused)
    assert re.fullmatch(r"the database refused \(23514 CheckViolation, constraint test of noti\.\w+\)", str(refusal))
    assert fates == {id_: "applied" for id_ in ids(rows) if id_ != bad}
    assert row(connection, bad)["status"] == "sending"


def test_a_missing_right_is_no_fault_of_the_results(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 3)
    rows = claim(queue)
    connection.execute("ALTER TABLE noti.audit_log RENAME TO audit_gone")
    with pytest.raises(DatabaseRefused, match="42P01"):
        queue.record(1, [tried(n) for n in rows])


RAISE = """
CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'no to ada@example.com' USING ERRCODE = '{}'; END $$;
CREATE TRIGGER no BEFORE UPDATE ON noti.notifications_log FOR EACH ROW WHEN ({}) EXECUTE FUNCTION public.no();
"""


@pytest.mark.parametrize("sqlstate", ["P0001", "42501"], ids=["raised", "a right"])
def test_a_trigger_that_raises_for_one_row_costs_the_others_nothing(
    queue: PostgresQueue, connection: Connection, sqlstate: str
) -> None:
    insert(connection, 50)
    rows = claim(queue)
    connection.execute(RAISE.format(sqlstate, "new.notification_id = 20 AND new.status = 'sent'").encode())
    fates = dict(queue.record(1, [tried(n) for n in rows]))
    refusal = fates.pop(20)
    assert str(refusal).startswith(f"the database refused ({sqlstate}")
    assert str(refusal).endswith(", raised by public.no())")
    assert set(fates.values()) == {"applied"}
    assert len(fates) == 49


def test_a_trigger_that_raises_for_all_is_no_single_result_s(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 50)
    rows = claim(queue)
    connection.execute(RAISE.format("P0001", "new.status = 'sent'").encode())
    with pytest.raises(DatabaseRefused, match=r"raised by public.no\(\)"):
        queue.record(1, [tried(n) for n in rows])
    with pytest.raises(DatabaseRefused):
        queue.rehearse(1, tried(rows[0]))
    queue.rehearse(1, None)
    connection.execute("DROP TRIGGER no ON noti.notifications_log")
    queue.rehearse(1, tried(rows[0]))
    assert row(connection, 1)["status"] == "sending"  # nothing was written
    assert attempts(connection, 1) == []
    assert set(queue.record(1, [tried(n) for n in rows]).values()) == {"applied"}


def test_a_right_that_is_missing_shows_without_a_row(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("ALTER TABLE noti.audit_log RENAME TO audit_gone")
    with pytest.raises(DatabaseRefused, match="42P01") as caught:
        queue.rehearse(1, None)
    assert caught.value.whole


def _in_app(n: Notification) -> tuple[InboxLine]:
    return (InboxLine(n.tenant_id, "ann", body="bad\x00text"),)


def test_an_in_app_message_is_cleaned(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    [n] = claim(queue)
    assert queue.record(1, [tried(n, follows=_in_app(n))]) == {n.notification_id: "applied"}
    assert connection.execute("SELECT body FROM noti.inbox").fetchall() == [("bad\ufffdtext",)]


def test_an_in_app_message_that_the_inbox_refuses_failed(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("ALTER TABLE noti.inbox ADD CONSTRAINT test CHECK (recipient <> 'ann')")
    insert(connection)
    [n] = claim(queue)
    assert queue.record(1, [tried(n, follows=_in_app(n))]) == {n.notification_id: "applied"}
    stands = row(connection, n.notification_id)
    assert stands["status"] == "failed"
    assert "23514" in stands["error_message"]
    [attempt] = attempts(connection, n.notification_id)
    assert (attempt["status"], attempt["kind"]) == ("failed", "permanent")
