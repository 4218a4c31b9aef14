from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.choice import Choice
from noti_worker.domain.hours import Full, Quiet, Shut
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Hold, Notification, OnUncertain, Status, Stop, Wait
from noti_worker.domain.permits import permit
from noti_worker.domain.suppression import Reason, Suppression
from tests.domain.rows import NOW, claimed

UNTRIED = Briefing()
PLAIN = Policy()


def asked(row: Notification, policy: Policy = PLAIN) -> Stop | None:
    return permit(row, UNTRIED, policy, NOW)


def test_a_plain_row_may_be_sent() -> None:
    assert asked(claimed()) is None


def test_an_expired_row_is_not_sent_even_a_moment_late() -> None:
    dropped = asked(claimed(expires_at=NOW))
    assert isinstance(dropped, Drop)
    assert dropped.status is Status.EXPIRED
    assert asked(claimed(expires_at=NOW + timedelta(microseconds=1))) is None


def test_a_wish_that_came_while_an_earlier_claim_was_in_flight_is_honoured() -> None:
    cancelled = asked(claimed(requested=Status.CANCELLED))
    assert isinstance(cancelled, Drop)
    assert cancelled.status is Status.CANCELLED
    held = asked(claimed(requested=Status.HELD))
    assert isinstance(held, Hold)
    assert held.status is Status.HELD


def test_five_lost_claims_give_a_row_up() -> None:
    assert asked(claimed(lost_count=4)) is None
    dropped = asked(claimed(lost_count=5))
    assert isinstance(dropped, Drop)
    assert (dropped.status, dropped.kind) == (Status.FAILED, "lost")


def test_a_row_lost_after_its_dispatch_mark_follows_on_uncertain() -> None:
    lost = {"dispatched": True, "lost_count": 1}
    held = asked(claimed(**lost, on_uncertain=OnUncertain.HOLD))
    assert isinstance(held, Hold)
    assert held.status is Status.UNKNOWN
    failed = asked(claimed(**lost, on_uncertain=OnUncertain.FAIL))
    assert isinstance(failed, Drop)
    assert failed.status is Status.FAILED
    assert asked(claimed(**lost, on_uncertain=OnUncertain.RETRY)) is None
    assert isinstance(asked(claimed(**lost), Policy(on_uncertain=OnUncertain.HOLD)), Hold)


def test_a_row_lost_before_its_dispatch_mark_was_surely_not_sent() -> None:
    assert asked(claimed(lost_count=1, on_uncertain=OnUncertain.HOLD)) is None


def test_the_first_that_stops_a_row_has_the_word() -> None:
    everything = {"requested": Status.CANCELLED, "lost_count": 5, "dispatched": True, "expires_at": NOW}
    fails = Policy(on_uncertain=OnUncertain.FAIL)
    said = []
    for without in ("", "requested", "lost_count", "dispatched"):
        everything.pop(without, None)
        stop = asked(claimed(**everything), fails)
        assert isinstance(stop, Drop)
        said.append((stop.status, stop.kind))
    assert said == [
        (Status.CANCELLED, None),
        (Status.FAILED, "lost"),
        (Status.FAILED, "uncertain"),
        (Status.EXPIRED, None),
    ]


def listed(reason: str, **more: Any) -> Briefing:
    return Briefing(suppression=Suppression(17, reason, NOW, **more))


@pytest.mark.parametrize(
    ("briefing", "words"),
    [
        (listed(Reason.DEAD), "entry 17, the address does not exist, as was said on 2026-03-01"),
        (listed(Reason.OPTOUT), "entry 17, the recipient opted out on 2026-03-01"),
        (listed(Reason.OPTOUT, category="news"), "entry 17, the recipient opted out of news on 2026-03-01"),
        (listed(Reason.COMPLAINT), "entry 17, the recipient complained on 2026-03-01"),
        (listed(Reason.MANUAL), "entry 17, it was put there by hand on 2026-03-01"),
        (listed("of a later version"), "entry 17, of a later version on 2026-03-01"),
    ],
)
def test_a_listed_address_gets_nothing(briefing: Briefing, words: str) -> None:
    assert briefing.suppression is not None
    dropped = permit(claimed(), briefing, PLAIN, NOW)
    assert dropped == Drop(
        Status.SUPPRESSED, f"the suppression list stops it: {words}", kind=briefing.suppression.reason
    )


def test_what_is_mandatory_passes_an_optout_and_nothing_else() -> None:
    asked = {reason: permit(claimed(), listed(reason, mandatory=True), PLAIN, NOW) is None for reason in Reason}
    assert asked == {Reason.OPTOUT: True, Reason.DEAD: False, Reason.COMPLAINT: False, Reason.MANUAL: False}


def test_a_row_whose_place_a_newer_one_took_is_not_sent() -> None:
    dropped = permit(claimed(), Briefing(newer=9917), PLAIN, NOW)
    assert isinstance(dropped, Drop)
    assert dropped.status is Status.SUPPRESSED
    assert dropped.reason == "superseded by notification 9917"


LATE = NOW + timedelta(hours=7)


def test_in_quiet_hours_a_row_waits_a_moment_longer() -> None:
    quiet = Quiet("Europe/Berlin", "22:00-07:00", LATE)
    words = "quiet hours of the recipient (Europe/Berlin 22:00-07:00) until 2026-03-01 19:00:00 UTC"
    assert permit(claimed(), Briefing(quiet=quiet), PLAIN, NOW) == Wait(timedelta(hours=7, seconds=1), words)
    short = claimed(expires_at=LATE)
    assert permit(short, Briefing(quiet=quiet), PLAIN, NOW) == Wait(
        timedelta(hours=7, seconds=1), words + "; it expires before"
    )
    assert permit(claimed(), Briefing(quiet=quiet), PLAIN, LATE) is None


def test_a_shut_window_is_waited_for() -> None:
    shut = Shut("news", "weekdays 9-18", "UTC", LATE)
    words = "the send window of news (weekdays 9-18, UTC) is shut until 2026-03-01 19:00:00 UTC"
    assert permit(claimed(), Briefing(shut=shut), PLAIN, NOW) == Wait(timedelta(hours=7, seconds=1), words)
    assert permit(claimed(), Briefing(shut=shut), PLAIN, LATE) is None


def test_over_a_cap_a_row_waits_or_is_dropped() -> None:
    full = Full("news", 3, timedelta(days=7), LATE, drops=False)
    words = "over the cap: 3 messages of news in 7d"
    later = f"{words}; it waits until 2026-03-01 19:00:00 UTC"
    assert permit(claimed(), Briefing(full=full), PLAIN, NOW) == Wait(timedelta(hours=7, seconds=1), later)
    drops = replace(full, drops=True)
    assert permit(claimed(), Briefing(full=drops), PLAIN, NOW) == Drop(Status.SUPPRESSED, words, kind="cap")
    past = permit(claimed(), Briefing(full=full), PLAIN, LATE + timedelta(hours=1))
    assert isinstance(past, Wait)
    assert past.delay == timedelta(seconds=1)


REFUSED = Choice(person="42", allowed=False, since=NOW)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(person="42"), None),
        (Choice(person="42", allowed=True, since=NOW), None),
        (REFUSED, "user 42 chose no messages on 2026-03-01"),
        (replace(REFUSED, category="news", channel="email"), "user 42 chose no news by email on 2026-03-01"),
        (replace(REFUSED, mandatory=True), None),
        (Choice(opt_in=True), "news goes only to who said yes, and nobody is known who has this address"),
        (Choice(person="42", opt_in=True), "news goes only to who said yes, and user 42 did not"),
        (
            Choice(person="42", allowed=True, since=NOW, opt_in=True),
            "news goes only to who said yes, and user 42 did not",
        ),
        (Choice(person="42", allowed=True, category="news", since=NOW, opt_in=True), None),
    ],
)
def test_what_a_person_does_not_want_is_not_sent(choice: Choice, words: str | None) -> None:
    dropped = permit(claimed(category="news"), Briefing(choice=choice), PLAIN, NOW)
    assert dropped == (None if words is None else Drop(Status.SUPPRESSED, words, kind="not_wanted"))
