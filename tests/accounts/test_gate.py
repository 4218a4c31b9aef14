"""One message goes ahead through an account that has accepted nothing yet."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from noti_worker.accounts import Accounts
from noti_worker.accounts.gate import PATIENCE, SHUT_FOR, Gate
from noti_worker.domain.outcome import Kind, Outcome, Scope
from tests.delivery.fakes import Courier, some_accounts

ACCEPTED = Outcome(Kind.OK)
REFUSED = Outcome(Kind.CONFIG, Scope.ACCOUNT, offered=False)
AWAY = Outcome(Kind.TRANSIENT, Scope.PROVIDER, offered=False)


class House:
    """A gate under a clock that is set by hand, and threads that want in."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.seconds = 100.0
        self.pool = pool
        self.waiting = 0
        self.gate = Gate(self._now)

    def _now(self) -> float:
        self.waiting += threading.current_thread() is not threading.main_thread()
        return self.seconds

    def come(self, count: int, wait_for: Callable[..., Any]) -> list[Future[bool]]:
        """So many come, and stand before the gate."""
        before = self.waiting
        come = [self.pool.submit(self.gate.admit) for _ in range(count)]
        wait_for(lambda: self.waiting >= before + count)
        return come


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def ends(come: list[Future[bool]]) -> list[bool]:
    return [future.result(20) for future in come]


def test_the_first_goes_ahead_and_the_others_begin_with_its_answer(
    pool: ThreadPoolExecutor, wait_for: Callable[..., Any]
) -> None:
    house = House(pool)
    assert house.gate.admit()
    come = house.come(4, wait_for)
    assert not any(future.done() for future in come)
    house.gate.heard(ACCEPTED)
    assert ends(come) == [True] * 4
    assert house.gate.proven


def test_after_a_refusal_of_the_account_nobody_begins_for_a_while(
    pool: ThreadPoolExecutor, wait_for: Callable[..., Any]
) -> None:
    house = House(pool)
    assert house.gate.admit()
    come = house.come(4, wait_for)
    house.gate.heard(REFUSED)
    assert ends(come) == [False] * 4
    assert not house.gate.admit()
    house.seconds += SHUT_FOR
    assert house.gate.admit()  # one more try
    [behind] = house.come(1, wait_for)
    house.gate.heard(REFUSED)
    assert not behind.result(20)


@pytest.mark.parametrize("outcome", [AWAY, Outcome(Kind.UNCERTAIN), Outcome(Kind.CONFIG, Scope.SENDER)])
def test_any_other_answer_lets_those_begin_who_waited_and_proves_nothing(
    pool: ThreadPoolExecutor, wait_for: Callable[..., Any], outcome: Outcome
) -> None:
    house = House(pool)
    assert house.gate.admit()
    come = house.come(4, wait_for)
    house.gate.heard(outcome)
    assert ends(come) == [True] * 4
    assert not house.gate.proven
    assert house.gate.admit()
    assert not house.come(1, wait_for)[0].done()
    house.gate.heard(ACCEPTED)


def test_nobody_waits_longer_than_a_second(pool: ThreadPoolExecutor, wait_for: Callable[..., Any]) -> None:
    house = House(pool)
    assert house.gate.admit()
    house.seconds += PATIENCE / 2
    come = house.come(3, wait_for)
    house.seconds += PATIENCE / 2  # what is left of it runs out in real time
    assert ends(come) == [True] * 3
    assert house.gate.admit()


def test_when_the_one_ahead_does_not_begin_another_goes(pool: ThreadPoolExecutor, wait_for: Callable[..., Any]) -> None:
    house = House(pool)
    assert house.gate.admit()
    come = house.come(3, wait_for)
    house.gate.heard(None)
    wait_for(lambda: any(future.done() for future in come))
    assert sum(future.done() for future in come) == 1
    house.gate.heard(ACCEPTED)
    assert ends(come) == [True] * 3


@pytest.mark.parametrize("kind", [Kind.DEAD, Kind.OPTOUT, Kind.PERMANENT])
def test_an_answer_about_the_message_shows_that_the_account_is_let_in(kind: Kind) -> None:
    gate = Gate()
    assert gate.admit()
    for unasked in (Outcome(kind, offered=False), Outcome(kind, stage="compose"), Outcome(kind, stage="guard")):
        gate.heard(unasked)
        assert not gate.proven
        assert gate.admit()
    gate.heard(Outcome(kind))
    assert gate.proven


def of_two() -> Accounts:
    return some_accounts({"a": Courier(), "b": Courier()})


def test_each_account_proves_itself() -> None:
    accounts = of_two()
    assert accounts.admit("a")
    assert accounts.admit("b")
    accounts.heard("a", ACCEPTED)
    accounts.heard("b", REFUSED)
    assert (accounts._gates["a"].proven, accounts._gates["b"].proven) == (True, False)
    assert accounts.admit("a")
    assert not accounts.admit("b")


def test_an_account_that_was_proven_and_is_refused_has_to_prove_itself_again() -> None:
    accounts = of_two()
    accounts.heard("a", ACCEPTED)
    accounts.heard("a", Outcome(Kind.CONFIG, Scope.SENDER))
    accounts.heard("a", AWAY)
    assert accounts._gates["a"].proven
    accounts.heard("a", REFUSED)
    assert not accounts.admit("a")
    accounts.heard("a", ACCEPTED)  # one that had begun before
    assert accounts.admit("a")
