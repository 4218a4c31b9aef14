"""What systemd is told, over a real datagram socket."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noti_worker.domain.facts import (
    DatabaseBack,
    DatabaseLost,
    Finished,
    Reloaded,
    ReloadRefused,
    WorkerStarted,
    WorkerStopping,
)
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.worker.systemd import Notifier, Systemd
from tests.observe.facts import tried


class Listener:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        messages: list[dict[str, str]] = []
        while True:
            try:
                text = self.socket.recv(65536).decode()
            except BlockingIOError:
                return messages
            messages.append(dict(line.split("=", 1) for line in text.splitlines()))


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Listener, dict[str, str]]]:
    path = str(tmp_path / "n")
    end = Listener(f"\0{path}" if request.param == "abstract" else path)
    yield end, {"NOTIFY_SOCKET": f"@{path}" if request.param == "abstract" else path}
    end.socket.close()


@pytest.fixture
def told(listener: tuple[Listener, dict[str, str]]) -> Iterator[tuple[Systemd, Listener]]:
    end, environ = listener
    systemd = Systemd(45.0, Notifier(environ), lambda: 12.5)
    yield systemd, end
    systemd.close()


STARTED = WorkerStarted(1, "1.0", ("email", "in_app"))


def test_it_is_ready_once_it_is_registered(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    systemd.watch(lambda: 3)
    systemd.on(STARTED)
    assert end.heard() == [
        {"READY": "1", "STATUS": "delivering email, in_app; 3 in flight, 0 sent, 0 retried, 0 failed"}
    ]


def test_a_database_that_is_away_at_the_start_does_not_keep_the_start_waiting(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    systemd.on(DatabaseLost("08006", 0.0, 0))
    [message] = end.heard()
    assert message["READY"] == "1"
    assert message["STATUS"].startswith("waiting for the database; ")
    systemd.on(DatabaseBack(2.0))
    systemd.on(STARTED)
    assert end.heard()[-1]["STATUS"].startswith("delivering ")


def test_the_watchdog_is_fed_by_the_last_of_the_loops_of_each_round(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    for loop in ("loop", "recorder", "leases", "loop"):
        systemd.tick(loop)  # each counts from its first tick on
    assert len(end.heard()) == 2
    for _ in range(5):
        systemd.tick("loop")
        systemd.tick("recorder")
    assert end.heard() == []
    systemd.tick("leases")
    [message] = end.heard()
    assert message["WATCHDOG"] == "1"


@pytest.mark.parametrize("frozen", ["loop", "recorder", "leases"])
def test_one_frozen_loop_starves_the_watchdog(told: tuple[Systemd, Listener], frozen: str) -> None:
    systemd, end = told
    loops = ["loop", "recorder", "leases"]
    for _ in range(3):
        for loop in loops:
            systemd.tick(loop)
    assert end.heard()

    def others_go_on() -> list[dict[str, str]]:
        for _ in range(100):
            for loop in loops:
                if loop != frozen:
                    systemd.tick(loop)
        return end.heard()

    assert len(others_go_on()) <= 1  # its last tick may still end a round
    assert others_go_on() == []


def test_the_status_counts_what_became_of_the_rows(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    for kind, status in [
        (Kind.OK, Status.SENT),
        (Kind.OK, Status.SENT),
        (Kind.TRANSIENT, Status.RETRYING),
        (Kind.DEAD, Status.FAILED),
    ]:
        systemd.on(Finished((tried(kind, status),)))
    systemd.tick("loop")
    assert end.heard()[-1]["STATUS"] == "starting; 0 in flight, 2 sent, 1 retried, 1 failed"


def test_a_reload_is_told_from_beginning_to_end(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    systemd.on(STARTED)
    systemd.reloading()
    systemd.on(ReloadRefused("worker.lease: 3 is\ntoo short"))
    systemd.reloading()
    systemd.on(Reloaded(("sms",), ()))
    _, begins, refused, again, done = end.heard()
    assert begins == again == {"RELOADING": "1", "MONOTONIC_USEC": "12500000"}
    assert refused["READY"] == done["READY"] == "1"
    assert refused["STATUS"].endswith("a new configuration was refused: worker.lease: 3 is too short")
    assert done["STATUS"] == "delivering sms; 0 in flight, 0 sent, 0 retried, 0 failed"


def test_a_stop_asks_for_the_time_that_the_drain_may_take(told: tuple[Systemd, Listener]) -> None:
    systemd, end = told
    systemd.on(WorkerStopping("SIGTERM", 2))
    [message] = end.heard()
    assert (message["STOPPING"], message["EXTEND_TIMEOUT_USEC"]) == ("1", "75000000")
    assert message["STATUS"].startswith("stopping; ")


def test_a_listener_that_is_gone_or_full_costs_messages_and_nothing_else(tmp_path: Path) -> None:
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    gone.tell(READY=1)
    gone.close()
    end = Listener(str(tmp_path / "full"))
    full = Notifier({"NOTIFY_SOCKET": str(tmp_path / "full")})
    for number in range(10_000):
        full.tell(STATUS=number)
    assert 0 < len(end.heard()) < 10_000
    full.tell(READY=1)
    assert end.heard() == [{"READY": "1"}]
    full.close()
    full.tell(READY=1)
    end.socket.close()


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", never)
    systemd = Systemd(45.0, Notifier({}))
    systemd.on(STARTED)
    systemd.tick("loop")
