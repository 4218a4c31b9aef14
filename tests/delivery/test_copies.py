"""What becomes of copies that are refused while the message is taken, and how one is sent later."""

from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import LaterCopy
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Briefing, Channel, Status, Template
from noti_worker.domain.outcome import Kind
from noti_worker.domain.said import RefusedCopy, Said
from tests.delivery.fakes import Courier, Marker, a_delivery, said
from tests.domain.rows import NOW, claimed

LATER = Said("rcpt", "451", Kind.TRANSIENT, "Greylisted")
SLOWLY = Said("rcpt", "450", Kind.THROTTLED, "slow down", hint=7200.0)
CROWDED = Said("rcpt", "452", Kind.TRANSIENT, "too many recipients")
NOBODY = Said("rcpt", "550", Kind.DEAD, "no such user")
MISTRUST = Said("rcpt", "550", Kind.CONFIG, "not from you")


def delivered(*copies: RefusedCopy, policy: Policy | None = None, **row: Any) -> Result:
    courier = Courier(said(Kind.OK, copies=copies))
    return a_delivery({"relay": courier}, policy=policy).deliver(claimed(**row), Briefing())


def waiting(result: Result) -> dict[str, LaterCopy]:
    return {follow.name: follow for follow in result.follows if isinstance(follow, LaterCopy)}


def words(result: Result) -> str:
    assert result.outcome is not None
    assert result.outcome.error is not None
    return result.outcome.error


def test_a_copy_that_is_refused_for_now_comes_later_and_the_row_is_sent() -> None:
    result = delivered(RefusedCopy("cc[2]", LATER), retry_count=2, attempt_count=2)
    assert result.verdict.status is Status.SENT
    copy = waiting(result)["cc[2]"]
    assert (copy.verdict.status, copy.verdict.wait, copy.verdict.charge) == (
        Status.RETRYING,
        timedelta(seconds=60),  # the first of its own tries, whatever the row has spent
        True,
    )
    assert (copy.outcome.kind, copy.outcome.code, copy.outcome.rule) == (
        Kind.TRANSIENT,
        "451 transient",
        "courier.transient",
    )
    assert words(result) == "cc[2] comes later: 451 Greylisted"


def test_a_wait_that_the_server_asked_for_holds_for_the_copy_too() -> None:
    copy = waiting(delivered(RefusedCopy("bcc[0]", SLOWLY)))["bcc[0]"]
    assert (copy.verdict.wait, copy.verdict.charge) == (timedelta(hours=2), False)


def test_one_of_too_many_goes_out_at_once_and_has_spent_no_try() -> None:
    copy = waiting(delivered(RefusedCopy("cc[3]", CROWDED, crowded=True), max_retries=0))["cc[3]"]
    assert (copy.verdict.wait, copy.verdict.charge) == (timedelta(0), False)
    assert copy.verdict.reason == "too many recipients at once, no try spent: it is sent alone"


@pytest.mark.parametrize("final", [NOBODY, MISTRUST], ids=["dead", "config"])
@pytest.mark.parametrize("crowded", [False, True])
def test_a_definite_refusal_is_told_and_left(final: Said, crowded: bool) -> None:
    result = delivered(RefusedCopy("cc[1]", final, crowded))
    assert result.follows == ()
    assert words(result) == f"cc[1] refused: 550 {final.words}"


def test_a_copy_without_tries_or_time_left_is_told_and_left() -> None:
    spent = delivered(RefusedCopy("cc[0]", LATER), max_retries=0)
    assert spent.follows == ()
    assert words(spent) == "cc[0] refused, no tries left after 1: 451 Greylisted"
    late = delivered(RefusedCopy("cc[0]", LATER), expires_at=NOW + timedelta(seconds=30))
    assert late.follows == ()
    assert words(late) == (
        "cc[0] refused, not accepted for now, but the next try would come after it expires: 451 Greylisted"
    )


def test_copies_that_heard_the_same_are_told_together_and_what_is_final_first() -> None:
    result = delivered(
        RefusedCopy("cc[0]", CROWDED, crowded=True),
        RefusedCopy("cc[1]", NOBODY),
        RefusedCopy("cc[2]", CROWDED, crowded=True),
        RefusedCopy("cc[3]", LATER),
    )
    assert words(result) == (
        "cc[1] refused: 550 no such user; cc[0], cc[2] come later: 452 too many recipients;"
        " cc[3] comes later: 451 Greylisted"
    )
    assert set(waiting(result)) == {"cc[0]", "cc[2]", "cc[3]"}


def test_the_template_says_to_a_copy_what_it_said_to_the_recipient() -> None:
    marker, courier = Marker(), Courier()
    row = claimed(notification_id=18, copy_of=17, recipient="carl@example.com", template_id="t", body=None)
    options = '{"cc": ["carl@example.com"], "copy_of": "Ada <ada@example.com>", "html": "<b>Hi</b>"}'
    briefing = Briefing(template=Template("t", body="Hello"), options=options)
    a_delivery({"relay": courier}, renderer=marker).deliver(row, briefing)
    assert (marker.about["notification_id"], marker.about["recipient"]) == (17, "Ada <ada@example.com>")
    [message] = courier.sent
    assert (message.notification_id, message.recipient, message.html) == (18, "carl@example.com", "<b>Hi</b>")
    assert message.options == {"cc": ["carl@example.com"], "copy_of": "Ada <ada@example.com>"}


def test_a_copy_that_is_redirected_names_whom_it_was_for() -> None:
    courier = Courier()
    delivery = a_delivery(
        {"relay": courier}, modes={"relay": Mode.REDIRECT}, redirect_to={Channel.EMAIL: "qa@example.org"}
    )
    row = claimed(copy_of=17, recipient="carl@example.com")
    delivery.deliver(row, Briefing(options='{"copy_of": "ada@example.com"}'))
    [message] = courier.sent
    assert (message.recipient, message.subject) == ("qa@example.org", "[to carl@example.com] Hello")
    assert "copy_of" not in message.options
