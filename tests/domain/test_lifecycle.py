from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.lifecycle import LONGEST_WAIT, Backoff, Policy, Verdict, decide
from noti_worker.domain.notification import OnUncertain, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from tests.domain.rows import NOW, claimed

WAITS = Backoff(jitter=0.0)
PLAIN = Policy(WAITS)
HOLDS = Policy(WAITS, on_uncertain=OnUncertain.HOLD)
kinds = st.sampled_from(Kind)
backoffs = st.builds(
    Backoff,
    initial=st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1)),
    multiplier=st.floats(1.0, 10.0),
    maximum=st.timedeltas(timedelta(seconds=1), timedelta(days=1)),
    jitter=st.floats(0.0, 1.0),
)
dice = st.floats(0.0, 1.0, exclude_max=True)
rows = st.builds(
    claimed,
    retry_count=st.integers(0, 1000),
    max_retries=st.integers(0, 1000),
    expires_at=st.none()
    | st.datetimes(datetime(2026, 3, 1, 12), datetime(2026, 3, 3)).map(  # noqa: DTZ001
        lambda instant: instant.replace(tzinfo=NOW.tzinfo)
    ),
    on_uncertain=st.none() | st.sampled_from(OnUncertain),
)
outcomes = st.builds(
    Outcome,
    kind=kinds,
    scope=st.sampled_from(Scope),
    offered=st.booleans(),
    retry_after=st.none() | st.floats(allow_nan=False, min_value=-1e12, max_value=1e12),
)


def verdict(outcome: Outcome, **fields: object) -> Verdict:
    return decide(claimed(**fields), outcome, NOW, PLAIN, 0.5)


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (1000, 30)]
)
def test_waits_double_from_a_minute_to_half_an_hour(failures: int, minutes: int) -> None:
    assert WAITS.wait(failures, 0.5) == timedelta(minutes=minutes)


@given(backoffs, st.integers(0, 1_000_000), dice)
def test_a_wait_stays_within_the_cap_and_its_jitter(backoff: Backoff, failures: int, fallen: float) -> None:
    wait = backoff.wait(failures, fallen)
    assert timedelta(0) <= wait <= backoff.maximum * (1 + backoff.jitter) + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("kind", "status", "charge"),
    [
        (Kind.OK, Status.SENT, False),
        (Kind.TRANSIENT, Status.RETRYING, True),
        (Kind.THROTTLED, Status.RETRYING, False),
        (Kind.PERMANENT, Status.FAILED, False),
        (Kind.CONFIG, Status.HELD, False),
        (Kind.DEAD, Status.FAILED, False),
        (Kind.OPTOUT, Status.FAILED, False),
        (Kind.UNCERTAIN, Status.RETRYING, True),
    ],
)
def test_each_kind_has_its_verdict(kind: Kind, status: Status, charge: bool) -> None:
    decided = verdict(Outcome(kind))
    assert (decided.status, decided.charge) == (status, charge)
    assert decided.reason


@given(rows, outcomes, backoffs, dice)
def test_a_wait_is_given_exactly_for_another_try_and_ends_before_expiry(
    row: object, outcome: Outcome, backoff: Backoff, fallen: float
) -> None:
    notification = claimed() if row is None else row
    decided = decide(notification, outcome, NOW, Policy(backoff), fallen)  # type: ignore[arg-type]
    assert (decided.wait is not None) == (decided.status is Status.RETRYING)
    if decided.wait is not None:
        assert decided.wait <= max(LONGEST_WAIT, backoff.maximum * 2)
        expires = notification.expires_at  # type: ignore[attr-defined]
        assert expires is None or NOW + decided.wait < expires
        if outcome.retry_after is not None:
            assert decided.wait >= min(timedelta(seconds=max(outcome.retry_after, 0)), LONGEST_WAIT)


@given(st.integers(0, 20), outcomes)
def test_never_more_charged_failures_than_allowed(max_retries: int, outcome: Outcome) -> None:
    charged = 0
    for _ in range(60):
        decided = decide(claimed(retry_count=charged, max_retries=max_retries), outcome, NOW, PLAIN, 0.5)
        charged += decided.charge
        if decided.status is not Status.RETRYING:
            break
    assert charged <= max_retries


def test_without_retries_the_first_fault_is_final() -> None:
    assert verdict(Outcome(Kind.TRANSIENT), max_retries=0).status is Status.FAILED


def test_a_hint_prolongs_the_wait_and_never_shortens_it() -> None:
    assert verdict(Outcome(Kind.TRANSIENT, retry_after=300)).wait == timedelta(minutes=5)
    assert verdict(Outcome(Kind.TRANSIENT, retry_after=5)).wait == timedelta(minutes=1)
    assert verdict(Outcome(Kind.THROTTLED, retry_after=-5)).wait == timedelta(minutes=1)
    assert verdict(Outcome(Kind.THROTTLED, retry_after=1e9)).wait == LONGEST_WAIT


def test_expiry_wins_over_another_try() -> None:
    decided = verdict(Outcome(Kind.TRANSIENT), expires_at=NOW + timedelta(seconds=59))
    assert decided.status is Status.EXPIRED
    assert "expires" in decided.reason


def test_throttling_ends_after_a_day_unless_the_row_expires_by_itself() -> None:
    day_ago = NOW - timedelta(hours=24)
    assert verdict(Outcome(Kind.THROTTLED), first_due_at=day_ago).status is Status.FAILED
    assert verdict(Outcome(Kind.THROTTLED), first_due_at=day_ago + timedelta(seconds=1)).status is Status.RETRYING
    later = NOW + timedelta(days=3)
    assert verdict(Outcome(Kind.THROTTLED), first_due_at=day_ago, expires_at=later).status is Status.RETRYING


UNOFFERED = Outcome(Kind.TRANSIENT, Scope.PROVIDER, offered=False)
NOBODYS = Outcome(Kind.TRANSIENT, Scope.MESSAGE, offered=False)
REFUSED = Outcome(Kind.CONFIG, Scope.ACCOUNT, offered=False)


@pytest.mark.parametrize("outcome", [UNOFFERED, NOBODYS, REFUSED])
def test_what_says_nothing_of_the_message_spends_no_try_and_waits_longer_each_time(outcome: Outcome) -> None:
    waits = []
    for tries in (0, 1, 2, 6, 500):
        decided = verdict(outcome, attempt_count=tries, retry_count=3)
        assert (decided.status, decided.charge) == (Status.RETRYING, False)
        assert decided.reason.endswith(", no try spent")
        assert decided.wait is not None
        waits.append(decided.wait / timedelta(minutes=1))
    assert waits == [1, 2, 4, 30, 30]


@pytest.mark.parametrize("scope", [Scope.RECIPIENT, Scope.DOMAIN, Scope.SENDER])
def test_where_it_goes_or_comes_from_is_charged_even_before_it_is_offered(scope: Scope) -> None:
    assert verdict(Outcome(Kind.TRANSIENT, scope, offered=False)).charge
    assert verdict(Outcome(Kind.TRANSIENT, Scope.MESSAGE, offered=True)).charge


@pytest.mark.parametrize("outcome", [UNOFFERED, NOBODYS, REFUSED])
def test_what_says_nothing_of_the_message_ends_after_a_day_or_when_the_row_expires(outcome: Outcome) -> None:
    day_ago = NOW - timedelta(hours=24)
    ended = verdict(outcome, first_due_at=day_ago)
    assert ended.status is Status.FAILED
    assert ended.reason.endswith(" for 24 hours")
    assert verdict(outcome, first_due_at=day_ago + timedelta(seconds=1)).status is Status.RETRYING
    assert verdict(outcome, first_due_at=day_ago, expires_at=NOW + timedelta(days=3)).status is Status.RETRYING
    assert verdict(outcome, expires_at=NOW + timedelta(seconds=59)).status is Status.EXPIRED


def test_a_refusal_that_does_not_concern_the_account_as_a_whole_holds_the_row() -> None:
    for scope in set(Scope) - {Scope.ACCOUNT, Scope.PROVIDER}:
        assert verdict(Outcome(Kind.CONFIG, scope)).status is Status.HELD


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope.SENDER, "our sender is refused"),
        (Scope.DOMAIN, "the recipient's side refuses us"),
        (Scope.MESSAGE, "what we configured is refused"),
    ],
)
def test_it_is_said_who_of_ours_is_refused(scope: Scope, words: str) -> None:
    held = verdict(Outcome(Kind.CONFIG, scope))
    assert held.reason == f"{words}: mend what the answer names, then release the notification"
    assert verdict(Outcome(Kind.CONFIG, Scope.ACCOUNT)).reason == "our account is refused, no try spent"


@pytest.mark.parametrize("kind", [Kind.THROTTLED, Kind.TRANSIENT])
@pytest.mark.parametrize(
    ("hint", "asked", "words"),
    [
        (300.0, True, "; the provider asked for 5m"),
        (604_800.0, True, "; the provider asked for 7d, and we wait no longer than 1d"),
        (300.0, False, ""),  # a rule of ours
        (10.0, True, ""),  # shorter than we wait anyway
        (float("inf"), True, "; the provider asked for 11574d1h, and we wait no longer than 1d"),
        (float("nan"), True, ""),
        (None, True, ""),
    ],
)
def test_it_is_said_whose_wish_a_wait_is(kind: Kind, hint: float | None, asked: bool, words: str) -> None:
    plain = verdict(Outcome(kind)).reason
    assert verdict(Outcome(kind, retry_after=hint, asked=asked)).reason == plain + words


@pytest.mark.parametrize(
    ("own", "channel", "retries"),
    [(None, None, 3), (None, 0, 0), (None, 10, 10), (5, None, 5), (5, 2, 2), (5, 10, 5), (0, 10, 0)],
)
def test_a_row_that_did_not_say_its_retries_has_its_channels(
    own: int | None, channel: int | None, retries: int
) -> None:
    policy = Policy(WAITS, max_retries=channel)
    assert policy.retries(claimed(max_retries=own)) == retries
    last = decide(claimed(max_retries=own, retry_count=retries), Outcome(Kind.TRANSIENT), NOW, policy, 0.5)
    assert last.status is Status.FAILED


def test_uncertainty_follows_the_row_before_the_channel() -> None:
    uncertain = Outcome(Kind.UNCERTAIN)
    assert verdict(uncertain, on_uncertain=OnUncertain.HOLD).status is Status.UNKNOWN
    assert verdict(uncertain, on_uncertain=OnUncertain.FAIL).status is Status.FAILED
    held = decide(claimed(), uncertain, NOW, HOLDS, 0.5)
    assert held.status is Status.UNKNOWN
    retried = decide(claimed(on_uncertain=OnUncertain.RETRY), uncertain, NOW, HOLDS, 0.5)
    assert retried.status is Status.RETRYING


def test_a_refused_account_hands_over_to_the_next_of_the_route_at_once() -> None:
    decided = decide(claimed(), Outcome(Kind.CONFIG), NOW, PLAIN, 0.5, failover=True)
    assert (decided.status, decided.wait, decided.charge) == (Status.RETRYING, timedelta(0), False)
