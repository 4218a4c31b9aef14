"""Addresses of database hosts: in their turn, within a time limit, one thread a name."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from noti_worker.store.hosts import with_addresses

BOOK = {"one": ["10.0.0.1"], "two": ["10.0.0.2", "fd00::2"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that the resolver was asked for; it knows BOOK, and hangs for `silent` and `mute`."""
    asked: list[str] = []
    ends = threading.Event()

    def look_up(host: str, port: str | None, **_: object) -> list[Any]:
        asked.append(host)
        if host in {"silent", "mute"}:
            ends.wait(10)
        if host not in BOOK:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 5432)) for address in BOOK[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked
    ends.set()


@pytest.mark.parametrize("given", [{}, {"host": "/run"}, {"host": "10.0.0.9"}, {"host": "one", "hostaddr": "10.0.0.9"}])
def test_what_names_no_name_stays_as_it_is(asked: list[str], given: dict[str, str]) -> None:
    assert with_addresses(given, 1) == given
    assert asked == []


@pytest.mark.parametrize(
    ("host", "port", "hosts", "addresses", "ports"),
    [
        ("one", "6432", "one", "10.0.0.1", "6432"),
        ("two", "", "two,two", "10.0.0.2,fd00::2", ","),
        ("one,/run,two", "1,2,3", "one,/run,two,two", "10.0.0.1,,10.0.0.2,fd00::2", "1,2,3,3"),
        ("one,two", "9", "one,two,two", "10.0.0.1,10.0.0.2,fd00::2", "9,9,9"),
        ("nobody,one", "1,2", "one", "10.0.0.1", "2"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_each_address_stands_in_its_turn(host: str, port: str, hosts: str, addresses: str, ports: str) -> None:
    found = with_addresses({"host": host, "port": port, "dbname": "x"}, 1)
    assert found == {"host": hosts, "hostaddr": addresses, "port": ports, "dbname": "x"}


@pytest.mark.usefixtures("asked")
def test_a_name_that_nobody_knows_is_named() -> None:
    with pytest.raises(OSError, match="no address of nobody was found: Name or service not known"):
        with_addresses({"host": "nobody"}, 1)


def test_a_resolver_that_hangs_costs_the_limit_and_one_thread(asked: list[str]) -> None:
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(OSError, match="no address of silent was found in time"):
            with_addresses({"host": "silent,silent"}, 0.1)
        assert time.monotonic() - began < 3
    assert asked == ["silent"]


def test_a_name_that_is_found_stands_in_for_one_that_is_not(asked: list[str]) -> None:
    assert with_addresses({"host": "mute,one"}, 0.1)["hostaddr"] == "10.0.0.1"
    assert asked == ["mute", "one"]
