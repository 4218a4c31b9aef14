"""Senders that are ready, so many at most."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from noti_worker.accounts.shelf import Shelf
from noti_worker.domain.account import Account
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.said import Said
from tests.domain.rows import NOW, claimed

A, B, C = (Account(name, "smtp", Mode.LIVE, frozenset({Channel.EMAIL})) for name in "abc")


class Sends:
    """A sender that can be kept in its call, and remembers its end."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.closed = False
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def send(self, message: Message, limit: float) -> Said:
        self.begun.set()
        assert self.go_on.wait(20)
        assert not self.closed
        return Said("answer", code=f"{self.account.name} {self.account.version}")

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class House:
    def __init__(self, most: int = 2) -> None:
        self.built: list[Sends] = []
        self.shelf = Shelf(self._build, most)

    def _build(self, account: Account) -> Sends:
        self.built.append(Sends(account))
        return self.built[-1]

    def send(self, account: Account) -> str | None:
        return self.shelf.sender(account).send(message(), 1.0).code

    @property
    def closed(self) -> list[str]:
        return [f"{sends.account.name} {sends.account.version}" for sends in self.built if sends.closed]


def message() -> Message:
    row = claimed()
    return Message(1, row.message_id, Channel.EMAIL, "default", "ada@example.com", "a", NOW, text="Hello")


def test_a_sender_is_built_when_it_is_needed_and_kept() -> None:
    house = House()
    house.shelf.sender(A)
    assert house.built == []
    assert [house.send(A), house.send(A), house.send(B)] == ["a 1", "a 1", "b 1"]
    assert len(house.built) == 2
    assert house.closed == []


def test_the_one_that_was_not_used_for_longest_goes_and_comes_back_when_it_is_needed() -> None:
    house = House(most=2)
    for account in (A, B, A, C):
        house.send(account)
    assert house.closed == ["b 1"]
    assert house.send(B) == "b 1"
    assert house.closed == ["a 1", "b 1"]
    assert len(house.shelf) == 2


def test_another_version_is_another_sender() -> None:
    house = House()
    house.send(A)
    assert house.send(replace(A, version=2)) == "a 2"
    assert house.closed == ["a 1"]


@pytest.mark.parametrize("leaves", ["evicted", "renewed", "closed"])
def test_a_call_under_way_ends_by_itself_and_then_the_sender_is_closed(leaves: str) -> None:
    house = House(most=1)
    house.send(A)
    [sends] = house.built
    sends.begun.clear()
    sends.go_on.clear()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(house.send, A)
        assert sends.begun.wait(20)
        match leaves:
            case "evicted":
                house.send(B)
            case "renewed":
                house.send(replace(A, version=2))
            case _:
                house.shelf.close()
        assert not sends.closed
        sends.go_on.set()
        assert call.result(20) == "a 1"
    assert sends.closed


def test_a_closed_shelf_has_closed_everything_and_keeps_nothing_more() -> None:
    house = House()
    house.send(A)
    house.send(B)
    house.shelf.close()
    assert house.closed == ["a 1", "b 1"]
    assert house.send(C) == "c 1"
    assert house.closed == ["a 1", "b 1", "c 1"]
    assert len(house.shelf) == 0


def test_two_threads_that_build_at_once_are_both_served_and_one_sender_stays() -> None:
    both = threading.Barrier(2)
    house = House()

    def build(account: Account) -> Sends:
        both.wait(20)
        return house._build(account)

    house.shelf = Shelf(build, 2)
    with ThreadPoolExecutor() as pool:
        assert [call.result(20) for call in [pool.submit(house.send, A), pool.submit(house.send, A)]] == ["a 1", "a 1"]
    assert (len(house.built), len(house.closed), len(house.shelf)) == (2, 1, 1)


def test_whoever_wants_a_sender_that_cannot_be_built_hears_it() -> None:
    def build(account: Account) -> Sends:
        raise ConfigurationError("accounts.a.ca_file cannot be read")

    with pytest.raises(ConfigurationError, match="ca_file"):
        Shelf(build).sender(A).send(message(), 1.0)
