"""The judge catches each kind of lie, and lets honest books pass."""

from dataclasses import replace

import pytest

from tests.system.judge import Case, Judgement, Line, Pause, Row, Try, judge
from tests.system.ledger_server import Accept

SENT = Row(1, "key-1", "a", "sent", finished_at=100.0)
TRIED = Try(1, 1, 1, "sent", "ok")
TOLD = (Line(1, "triggered"), Line(1, "sent", 1))
ACCEPTED = Accept("key-1", "a", 99.0)
HONEST = Case(frozenset({1}), [SENT], [TRIED], TOLD, [ACCEPTED])


def lies(case: Case) -> list[str]:
    return [finding.what for finding in judge(case).findings]


def test_an_honest_row_passes() -> None:
    judgement = judge(HONEST)
    assert judgement == Judgement(accepts=1, statuses=judgement.statuses)
    assert judgement.statuses == {"sent": 1}
    assert "1: 1 sent" in judgement.table()


def resent(*tries: Try, lines: tuple[Line, ...], row: Row = SENT, accepts: int = 2) -> Case:
    """A row with these tries that the provider accepted twice."""
    told = (Line(1, "triggered"), *lines)
    return replace(HONEST, rows=[row], tries=tries, lines=told, accepts=[ACCEPTED] * accepts)


LOST = Try(1, 1, 1, "lost", "uncertain")
AGAIN = Try(1, 2, 2, "sent", "ok")
LATE = Try(1, 1, 1, "stale", "ok")
VAGUE = Try(1, 1, 1, "retrying", "uncertain")
REFUSED = Try(1, 1, 1, "retrying", "transient")


@pytest.mark.parametrize(
    ("case", "repeats"),
    [
        (resent(LOST, AGAIN, lines=(Line(1, "sent", 2),)), {"lost claim": 1}),
        (resent(LOST, LATE, AGAIN, lines=(Line(1, "sent", 2),)), {"late result": 1}),
        (resent(VAGUE, AGAIN, lines=(Line(1, "retrying", 1), Line(1, "sent", 2))), {"uncertain outcome": 1}),
        (resent(LOST, AGAIN, lines=(Line(1, "sent", 2),), accepts=1), {}),
        (resent(REFUSED, AGAIN, lines=(Line(1, "retrying", 1), Line(1, "sent", 2)), accepts=1), {}),
    ],
)
def test_a_repeat_that_a_counted_fault_explains_is_counted(case: Case, repeats: dict[str, int]) -> None:
    assert lies(case) == []
    assert judge(case).repeats == repeats


def test_a_repeat_without_a_fault_is_a_lie() -> None:
    assert lies(replace(HONEST, accepts=[ACCEPTED, ACCEPTED])) == ["accepted, and no try explains it"]
    told = (Line(1, "retrying", 1), Line(1, "sent", 2))
    assert lies(resent(REFUSED, AGAIN, lines=told)) == ["accepted, and no try explains it"]
    # The lost claim came back and said that it had been refused: it explains nothing.
    late_refusal = Try(1, 1, 1, "stale", "transient")
    assert lies(resent(LOST, late_refusal, AGAIN, lines=(Line(1, "sent", 2),))) == ["accepted, and no try explains it"]
    assert lies(resent(LOST, AGAIN, lines=(Line(1, "sent", 2),), accepts=3)) == ["accepted, and no try explains it"]


def test_a_lost_claim_that_has_a_result_all_the_same_is_a_lie() -> None:
    zombie = replace(TRIED, number=2)  # recorded as if the row were still its own
    assert lies(resent(LOST, zombie, lines=(Line(1, "sent", 2),), accepts=1)) == ["more than one result of one claim"]


def test_a_committed_row_that_is_gone_is_lost() -> None:
    assert lies(replace(HONEST, committed=frozenset({1, 2}))) == ["committed and gone"]


def test_a_row_that_never_comes_to_rest_is_told() -> None:
    waiting = replace(SENT, status="retrying", at_rest=False, finished_at=None)
    told = (Line(1, "triggered"), Line(1, "retrying", 1))
    assert lies(replace(HONEST, rows=[waiting], tries=[REFUSED], lines=told, accepts=[])) == ["still under way"]


def test_a_row_that_says_sent_and_was_not_is_lost() -> None:
    assert lies(replace(HONEST, accepts=[])) == ["said to be sent, and the provider does not know it"]
    assert lies(replace(HONEST, tries=[], lines=(Line(1, "triggered"), Line(1, "sent")))) == [
        "accepted, and no try explains it",
        "row and tries disagree about the end",
    ]


def test_a_row_that_says_failed_and_was_sent_is_a_lie() -> None:
    failed = replace(SENT, status="failed")
    refused = Try(1, 1, 1, "failed", "permanent")
    told = (Line(1, "triggered"), Line(1, "failed", 1))
    assert lies(replace(HONEST, rows=[failed], tries=[refused], lines=told)) == ["accepted, and no try explains it"]


def test_what_was_rolled_back_and_sent_is_a_lie() -> None:
    stranger = Accept("key-9", "z", 99.0)
    assert lies(replace(HONEST, accepts=[ACCEPTED, stranger])) == ["sent, but nobody committed it"]


def test_a_second_key_for_a_row_is_a_lie() -> None:
    case = resent(LOST, AGAIN, lines=(Line(1, "sent", 2),))
    assert lies(replace(case, accepts=[ACCEPTED, replace(ACCEPTED, key="key-1b")])) == ["more than one key for a row"]


def test_a_row_sent_to_somebody_else_is_a_lie() -> None:
    assert lies(replace(HONEST, accepts=[replace(ACCEPTED, to="b")])) == ["sent to somebody else"]


def test_what_must_not_go_out_twice_did() -> None:
    once = replace(SENT, on_uncertain="hold")
    case = resent(LOST, AGAIN, lines=(Line(1, "sent", 2),), row=once)
    assert lies(case) == ["accepted twice, although it may go out once at most"]


def test_a_send_after_the_expiry_is_a_lie_unless_its_worker_was_stopped_in_between() -> None:
    def late(by: float, *pauses: Pause) -> Judgement:
        row = replace(SENT, expires_at=50.0)
        return judge(replace(HONEST, rows=[row], accepts=[replace(ACCEPTED, began=50.0 + by)], pauses=pauses))

    assert late(-1.0).findings == late(0.9).findings == []
    assert [finding.what for finding in late(2.0).findings] == ["sent after its expiry"]
    stopped = late(5.0, Pause(49.0, 54.5))
    assert (stopped.findings, stopped.excused) == ([], 1)
    assert len(late(5.0, Pause(52.0, 54.5)).findings) == 1  # it was awake at the expiry
    assert len(late(5.0, Pause(49.0, 53.0)).findings) == 1  # it was awake for two seconds


def test_a_send_after_an_acknowledged_cancel_is_a_lie() -> None:
    cancelled = replace(SENT, status="cancelled", finished_at=50.0)
    told = (Line(1, "triggered"), Line(1, "cancelled"))
    after = replace(HONEST, rows=[cancelled], tries=[LOST], lines=told, accepts=[replace(ACCEPTED, began=52.0)])
    assert lies(after) == ["sent after its acknowledged cancel"]
    assert lies(replace(after, accepts=[replace(ACCEPTED, began=49.0)])) == []


@pytest.mark.parametrize(
    ("lines", "lie"),
    [
        ((Line(1, "sent", 1),), "not one audit line of its insert"),
        ((Line(1, "triggered"), Line(1, "failed", 1)), "row and audit disagree about the end"),
        ((Line(1, "triggered"), Line(1, "sent", 1), Line(1, "sent")), "row and audit disagree about the end"),
        ((Line(1, "triggered"), Line(1, "sent")), "tries and audit lines disagree"),
        ((Line(1, "triggered"), Line(1, "sent", 1), Line(1, "retrying", 1)), "tries and audit lines disagree"),
    ],
)
def test_an_audit_that_says_otherwise_is_a_lie(lines: tuple[Line, ...], lie: str) -> None:
    assert lies(replace(HONEST, lines=lines)) == [lie]


def test_an_end_without_its_time_is_a_lie() -> None:
    assert lies(replace(HONEST, rows=[replace(SENT, finished_at=None)])) == ["finished_at and status disagree"]
