"""A machine that has no socket left: idle connections are given up, sends wait a moment, and no message is blamed."""

import errno
import socket
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from noti_worker.domain.lifecycle import Policy, decide
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.providers import find, known
from noti_worker.transport import idle
from noti_worker.transport.connections import _Idle
from noti_worker.transport.dial import Dialler, NotSent, anywhere
from noti_worker.transport.lookup import Resolver
from tests.domain.rows import NOW, claimed

NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Machine:
    """Gives no socket before something idle was closed, or at all."""

    def __init__(self, number: int, *, helps: bool = True) -> None:
        self.number, self.helps = number, helps
        self.short, self.asked = True, 0
        self.real = socket.socket

    def socket(self, *args: Any) -> socket.socket:
        self.asked += 1
        if self.short:
            raise OSError(self.number, "none left")
        return self.real(*args)

    def shed(self) -> None:
        self.short = not self.helps


@pytest.fixture
def server() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("number", NONE_LEFT)
def test_a_send_takes_the_descriptor_of_an_idle_connection(
    server: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    machine = Machine(number)
    idle.register(machine)
    monkeypatch.setattr("noti_worker.transport.dial.socket.socket", machine.socket)
    with Dialler(Resolver(lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))]), anywhere).dial(
        "here.example", server, monotonic() + 60
    ) as line:
        assert line.getpeername()[1] == server
    assert machine.asked == 2


def test_a_send_waits_for_a_descriptor_and_leaves_time_to_connect(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(errno.EMFILE, helps=False)
    idle.register(machine)
    monkeypatch.setattr("noti_worker.transport.dial.socket.socket", machine.socket)
    dialler = Dialler(Resolver(lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))]), anywhere)
    with pytest.raises(NotSent) as caught:
        dialler.dial("here.example", server, monotonic() + 0.4)
    assert (caught.value.stage, caught.value.code) == ("machine", "no_socket")
    assert str(caught.value) == "this machine has no socket left: Too many open files"
    assert machine.asked > 2


def test_a_name_that_is_not_found_for_want_of_a_descriptor_is_no_wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(host: str, port: int) -> Any:
        raise socket.gaierror(socket.EAI_SYSTEM, "System error")

    machine = Machine(errno.EMFILE, helps=False)
    monkeypatch.setattr("noti_worker.transport.dial.socket.socket", machine.socket)
    with pytest.raises(NotSent) as caught:
        Dialler(Resolver(lookup), anywhere).dial("here.example", 25, monotonic() + 60)
    assert caught.value.stage == "machine"
    machine.short = False
    with pytest.raises(NotSent) as caught:
        Dialler(Resolver(lookup), anywhere).dial("here.example", 25, monotonic() + 60)
    assert (caught.value.stage, caught.value.code) == ("connect", "dns")


class _Line:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_live_connections_are_used_before_closed_ones_and_missing_ones() -> None:
    kept, older, newer, broken = _Idle(4), _Line(), _Line(), _Line()
    broken.close()
    kept.put(None)
    for line in (older, newer, broken):
        kept.put(line)
    assert [kept.get() for _ in range(3)] == [newer, older, None]
    assert kept.get() is broken


def test_what_is_idle_is_closed_and_may_be_opened_anew() -> None:
    kept, line = _Idle(2), _Line()
    kept.put(None)
    kept.put(line)
    kept.shed()
    assert line.is_closed
    assert kept.qsize() == 2


@pytest.mark.parametrize("name", known())
def test_no_provider_blames_the_message_or_the_account_for_it(name: str) -> None:
    outcome = judge(Said("machine", code="no_socket", error="this machine has no socket left"), find(name).RULES, None)
    assert (outcome.kind, outcome.offered, outcome.rule) == (Kind.TRANSIENT, False, "house.no_socket")
    verdict = decide(claimed(retry_count=1, max_retries=1), outcome, NOW, Policy(), 0.5)
    assert (verdict.status, verdict.charge) == (Status.RETRYING, False)
    assert verdict.wait is not None
    assert verdict.wait > timedelta(0)
