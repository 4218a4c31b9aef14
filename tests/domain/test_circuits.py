"""What answers say of an account, and when it is in trouble."""

import pytest

from noti_worker.domain.circuits import LEAST, WINDOW, Sign, Tally, sign
from noti_worker.domain.outcome import Kind, Outcome, Scope


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("kind", Kind)
def test_only_what_was_said_of_the_account_or_its_provider_counts(kind: Kind, scope: Scope) -> None:
    about_us = scope in {Scope.ACCOUNT, Scope.PROVIDER}
    expected = {Kind.CONFIG: Sign.REFUSED, Kind.TRANSIENT: Sign.FAILED, Kind.UNCERTAIN: Sign.FAILED}
    assert sign(Outcome(kind, scope)) is (expected.get(kind, Sign.SOUND) if about_us else Sign.SOUND)


def test_a_refusal_opens_at_once() -> None:
    assert Tally().heard(Sign.REFUSED, 0.0)


def test_a_few_failures_say_nothing() -> None:
    tally = Tally()
    assert not any(tally.heard(Sign.FAILED, float(second)) for second in range(LEAST - 1))
    assert tally.heard(Sign.FAILED, float(LEAST))


def test_old_answers_are_forgotten() -> None:
    tally = Tally()
    for second in range(100):
        assert not tally.heard(Sign.FAILED, second * WINDOW / (LEAST - 2))


@pytest.mark.parametrize(("sound", "opens"), [(4, True), (5, False)])
def test_seven_of_ten_must_fail(sound: int, opens: bool) -> None:
    tally = Tally()
    for _ in range(sound):
        assert not tally.heard(Sign.SOUND, 0.0)
    heard = [tally.heard(Sign.FAILED, 1.0) for _ in range(10)]
    assert heard[-1] is opens
    assert not any(heard[: LEAST - sound - 1])


def test_thousands_of_answers_a_second_are_counted_and_not_kept() -> None:
    tally = Tally()
    for number in range(100_000):
        assert not tally.heard(Sign.SOUND, number / 1_000)
    assert len(tally._seconds) <= WINDOW + 2
    assert WINDOW * 1_000 <= tally._answers <= (WINDOW + 2) * 1_000
