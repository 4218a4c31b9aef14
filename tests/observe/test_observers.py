"""Observers: one fact, many listeners."""

from noti_worker.domain.facts import Fact, LeaseLost, Trouble
from noti_worker.domain.ports import Observer
from noti_worker.observe import Observers


class Broken:
    def on(self, fact: Fact) -> None:
        raise RuntimeError("a bug")


class Listening:
    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def on(self, fact: Fact) -> None:
        self.facts.append(fact)


def test_a_listener_that_fails_keeps_no_fact_from_the_others() -> None:
    first, last = Listening(), Listening()
    observer: Observer = Observers(first, Broken(), last)
    observer.on(LeaseLost(1))
    observer.on(LeaseLost(2))
    for listening in (first, last):
        assert [fact for fact in listening.facts if isinstance(fact, LeaseLost)] == [LeaseLost(1), LeaseLost(2)]


def test_the_others_hear_once_of_a_listener_that_fails() -> None:
    listening = Listening()
    observer = Observers(Broken(), listening, Broken())
    observer.on(LeaseLost(1))
    observer.on(LeaseLost(2))
    troubles = [fact for fact in listening.facts if isinstance(fact, Trouble)]
    assert troubles == 2 * [Trouble("observer Broken", "RuntimeError")]
