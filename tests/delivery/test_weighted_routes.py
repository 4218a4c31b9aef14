"""Failover on a route with weights: by the order of each message, and never after a try that may have arrived."""

from collections import Counter
from typing import Any
from uuid import UUID, uuid5

import pytest

from noti_worker.accounts import Accounts
from noti_worker.delivery.routes import Routing
from noti_worker.domain.notification import Briefing, Channel, Notification, Status
from noti_worker.domain.outcome import Kind
from tests.delivery.fakes import Courier, Paused, Purse, a_delivery, said, some_accounts
from tests.domain.rows import claimed

SPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
WEIGHTS = {"a": 5, "b": 3, "c": 0}
ROUTES = {Channel.EMAIL: WEIGHTS}


def accounts() -> Accounts:
    return some_accounts({name: Courier() for name in WEIGHTS}, ROUTES)


def row(number: int, **fields: Any) -> Notification:
    return claimed(notification_id=number, message_id=uuid5(SPACE, str(number)), **fields)


ROWS = [row(number) for number in range(400)]


def chosen(routing: Routing, of: Notification, briefing: Briefing | None = None) -> str | None:
    route = routing.accounts.route(of.tenant_id, of.channel, of.message_id)
    choice = routing.choose(of, briefing or Briefing(), route)
    return None if choice is None else choice[0]


def test_a_first_try_follows_the_weights_and_every_worker_agrees() -> None:
    one, other = Routing(accounts(), Paused(frozenset), Purse()), Routing(accounts(), Paused(frozenset), Purse())
    first = [chosen(one, each) for each in ROWS]
    assert first == [chosen(other, each) for each in reversed(ROWS)][::-1]
    assert Counter(first) == {"a": pytest.approx(250, rel=0.1), "b": pytest.approx(150, rel=0.15)}


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.CONFIG, Kind.THROTTLED])
def test_after_definite_failures_each_account_has_its_turn(kind: Kind) -> None:
    routing = Routing(accounts(), Paused(frozenset), Purse())
    for each in ROWS:
        tried = [chosen(routing, each)]
        for _ in range(3):
            tried.append(chosen(routing, each, Briefing(last_account=tried[-1], last_kind=kind)))
        first, second = ("a", "b") if tried[0] == "a" else ("b", "a")
        assert tried == [first, second, "c", first]


@pytest.mark.parametrize("kind", [Kind.UNCERTAIN, "lost"])
def test_after_an_uncertain_try_the_weights_change_nothing(kind: str) -> None:
    routing, paused = (
        Routing(accounts(), Paused(frozenset), Purse()),
        Routing(accounts(), Paused(lambda: {"b"}), Purse()),
    )
    for each in ROWS:
        for last in WEIGHTS:
            briefing = Briefing(last_account=last, last_kind=kind)
            assert chosen(routing, each, briefing) == last
            assert chosen(paused, each, briefing) == (None if last == "b" else last)


def test_a_closed_account_leaves_its_messages_to_the_heaviest_that_is_open() -> None:
    open_ = Routing(accounts(), Paused(frozenset), Purse())
    for closed, instead in (("a", "b"), ("b", "a")):
        routing = Routing(accounts(), Paused(frozenset({closed}).copy), Purse())
        for each in ROWS:
            first = chosen(open_, each)
            assert chosen(routing, each) == (instead if first == closed else first)
    assert {chosen(Routing(accounts(), Paused(lambda: {"a", "b"}), Purse()), each) for each in ROWS} == {"c"}


def test_a_refused_account_hands_over_until_the_last_of_this_message() -> None:
    routing = Routing(accounts(), Paused(frozenset), Purse())
    for each in ROWS:
        first = chosen(routing, each)
        assert first is not None
        second = "b" if first == "a" else "a"
        assert [routing.goes_on(each, name) for name in (first, second, "c")] == [True, True, False]


def test_a_row_that_names_its_account_gets_it_whatever_its_weight() -> None:
    routing = Routing(accounts(), Paused(frozenset), Purse())
    assert {chosen(routing, row(number, provider="c")) for number in range(50)} == {"c"}


def test_an_uncertain_send_is_tried_again_by_its_account_alone() -> None:
    couriers = {name: Courier(said(Kind.UNCERTAIN)) for name in WEIGHTS}
    delivery = a_delivery(couriers, ROUTES)
    for each in ROWS[:50]:
        first = delivery.deliver(each, Briefing())
        assert first.verdict.status is Status.RETRYING
        again = delivery.deliver(each, Briefing(last_account=first.account, last_kind=Kind.UNCERTAIN))
        assert again.account == first.account
    assert couriers["c"].sent == []
