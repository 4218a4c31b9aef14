from datetime import timedelta

from noti_worker.domain.notification import Drop, Hold, OnUncertain, Status
from noti_worker.domain.permits import permit
from tests.domain.rows import NOW, claimed


def test_a_plain_row_may_be_sent() -> None:
    assert permit(claimed(), NOW) is None


def test_an_expired_row_is_not_sent_even_a_moment_late() -> None:
    dropped = permit(claimed(expires_at=NOW), NOW)
    assert isinstance(dropped, Drop)
    assert dropped.status is Status.EXPIRED
    assert permit(claimed(expires_at=NOW + timedelta(microseconds=1)), NOW) is None


def test_a_wish_that_came_while_an_earlier_claim_was_in_flight_is_honoured() -> None:
    cancelled = permit(claimed(requested=Status.CANCELLED), NOW)
    assert isinstance(cancelled, Drop)
    assert cancelled.status is Status.CANCELLED
    held = permit(claimed(requested=Status.HELD), NOW)
    assert isinstance(held, Hold)
    assert held.status is Status.HELD


def test_five_lost_claims_give_a_row_up() -> None:
    assert permit(claimed(lost_count=4), NOW) is None
    dropped = permit(claimed(lost_count=5), NOW)
    assert isinstance(dropped, Drop)
    assert (dropped.status, dropped.kind) == (Status.FAILED, "lost")


def test_a_row_lost_after_its_dispatch_mark_follows_on_uncertain() -> None:
    lost = {"dispatched": True, "lost_count": 1}
    held = permit(claimed(**lost, on_uncertain=OnUncertain.HOLD), NOW)
    assert isinstance(held, Hold)
    assert held.status is Status.UNKNOWN
    failed = permit(claimed(**lost, on_uncertain=OnUncertain.FAIL), NOW)
    assert isinstance(failed, Drop)
    assert failed.status is Status.FAILED
    assert permit(claimed(**lost, on_uncertain=OnUncertain.RETRY), NOW) is None
    assert isinstance(permit(claimed(**lost), NOW, OnUncertain.HOLD), Hold)


def test_a_row_lost_before_its_dispatch_mark_was_surely_not_sent() -> None:
    assert permit(claimed(lost_count=1, on_uncertain=OnUncertain.HOLD), NOW) is None
