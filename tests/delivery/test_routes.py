"""Which account sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.delivery.routes import Choice, Routing, accounts_for, has_later, next_account, open_accounts
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Briefing, Channel
from noti_worker.domain.outcome import Kind
from tests.delivery.fakes import Courier, Paused, Purse, some_accounts
from tests.domain.rows import claimed

ROUTE = ("relay", "spare", "ses")
PROVIDERS = {"relay": "smtp", "spare": "smtp", "ses": "ses_api"}


@pytest.mark.parametrize(
    ("last_account", "last_kind", "expected"),
    [
        (None, None, "relay"),
        ("relay", "transient", "spare"),
        ("relay", "config", "spare"),
        ("relay", "throttled", "spare"),
        ("ses", "transient", "relay"),
        ("spare", "uncertain", "spare"),
        ("spare", "lost", "spare"),
        ("spare", "permanent", "relay"),  # requeued by an operator: a fresh start
        ("gone", "transient", "relay"),
        ("gone", "uncertain", "relay"),
    ],
)
def test_the_next_account(last_account: str | None, last_kind: str | None, expected: str) -> None:
    assert next_account(ROUTE, Briefing(last_account=last_account, last_kind=last_kind)) == expected


@given(
    accounts=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    last=st.none() | st.sampled_from("abcdefg"),
    kind=st.none() | st.sampled_from([*Kind, "lost"]),
)
def test_an_ambiguous_try_never_moves_to_another_account(accounts: list[str], last: str | None, kind: str) -> None:
    chosen = next_account(accounts, Briefing(last_account=last, last_kind=kind))
    assert chosen in accounts
    if kind in {"uncertain", "lost"} and last in accounts:
        assert chosen == last
    if kind in {"transient", "config", "throttled"} and last in accounts and len(accounts) > 1:
        assert chosen != last


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(None, ROUTE), ("spare", ("spare",)), ("ses_api", ("ses",))],
)
def test_a_row_may_name_its_account_or_the_only_one_of_a_provider(
    wanted: str | None, expected: tuple[str, ...]
) -> None:
    assert tuple(accounts_for(claimed(provider=wanted), ROUTE, PROVIDERS.__getitem__)) == expected


@pytest.mark.parametrize(("wanted", "said"), [("smtp", "relay, spare"), ("nobody", "relay, spare, ses")])
def test_a_row_that_names_none_or_several_is_told_the_choice(wanted: str, said: str) -> None:
    with pytest.raises(BadNotification, match=f"'{wanted}'.*{said}"):
        accounts_for(claimed(provider=wanted), ROUTE, PROVIDERS.__getitem__)


def test_only_a_later_account_takes_over() -> None:
    assert [has_later(ROUTE, account) for account in ROUTE] == [True, True, False]


def test_paused_accounts_leave_the_route() -> None:
    assert open_accounts(("a", "b"), {"a"}) == ["b"]
    assert open_accounts(("a", "b"), {"a", "b"}) == ["a", "b"]  # paused after the claim: it goes on
    assert open_accounts(("a", "b"), {"a", "b"}, {"a"}) == ["b"]  # but not through one in trouble


def test_after_an_uncertain_try_nobody_stands_in_for_a_paused_account() -> None:
    routing = Routing(some_accounts({"a": Courier(), "b": Courier()}), Paused(lambda: {"a"}), Purse())
    for kind, chosen in ((Kind.UNCERTAIN, None), ("lost", None), (Kind.TRANSIENT, ("b", Choice.FAILOVER))):
        assert routing.choose(claimed(), Briefing(last_account="a", last_kind=kind), ("a", "b")) == chosen
    last = Briefing(last_account="b", last_kind=Kind.UNCERTAIN)
    assert routing.choose(claimed(), last, ("a", "b")) == ("b", Choice.WITNESS)


@pytest.mark.parametrize(
    ("wanted", "last", "closed", "chosen"),
    [
        (None, None, "", ("a", None)),
        ("b", None, "", ("b", Choice.ROW)),
        (None, None, "a", ("b", Choice.CLOSED)),
        (None, ("a", Kind.TRANSIENT), "", ("b", Choice.FAILOVER)),
        (None, ("c", Kind.CONFIG), "", ("a", Choice.FAILOVER)),
        (None, ("a", Kind.UNCERTAIN), "", ("a", Choice.WITNESS)),
        (None, ("a", "lost"), "", ("a", Choice.WITNESS)),
        (None, ("a", Kind.PERMANENT), "", ("a", None)),  # requeued: a fresh start
        (None, ("gone", Kind.TRANSIENT), "", ("a", None)),  # the account left the route meanwhile
        (None, ("a", Kind.THROTTLED), "bc", ("a", None)),  # there is no other
    ],
)
def test_each_choice_has_a_reason_but_that_of_the_first(
    wanted: str | None, last: tuple[str, str] | None, closed: str, chosen: tuple[str, Choice | None]
) -> None:
    routing = Routing(some_accounts({name: Courier() for name in "abc"}), Paused(lambda: set(closed)), Purse())
    briefing = Briefing() if last is None else Briefing(last_account=last[0], last_kind=last[1])
    assert routing.choose(claimed(provider=wanted), briefing, ("a", "b", "c")) == chosen


def test_a_share_and_a_probe_are_reasons_too() -> None:
    accounts = some_accounts({name: Courier() for name in "ab"}, {Channel.EMAIL: {"a": 1, "b": 0}})
    route = accounts.route("default", Channel.EMAIL, claimed().message_id)
    paused = Paused(frozenset)
    assert Routing(accounts, paused, Purse()).choose(claimed(), Briefing(), route) == ("a", Choice.WEIGHT)
    paused.troubled = paused.probes = frozenset("b")
    assert Routing(accounts, paused, Purse()).choose(claimed(), Briefing(), route) == ("b", Choice.PROBE)


def test_a_route_goes_on_past_paused_accounts_and_names_others_in_any_place() -> None:
    accounts = some_accounts({name: Courier() for name in "abc"})
    assert Routing(accounts, Paused(lambda: {"b"}), Purse()).goes_on(claimed(), "a")
    assert not Routing(accounts, Paused(lambda: {"c"}), Purse()).goes_on(claimed(), "b")
    assert Routing(accounts, Paused(lambda: {"c"}), Purse()).has_another(claimed(), "b")
    assert not Routing(accounts, Paused(lambda: {"a", "c"}), Purse()).has_another(claimed(), "b")
    assert not Routing(accounts, Paused(frozenset), Purse()).has_another(claimed(provider="b"), "b")
