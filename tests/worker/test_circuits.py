"""Circuits as one worker sees to them: what it counts, what it writes, and the one message that tries an account."""

import threading
from datetime import timedelta

import pytest

from noti_worker.domain.circuits import LEAST, Waits
from noti_worker.domain.closures import Route
from noti_worker.domain.facts import CircuitClosed, CircuitOpened, Result
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from tests.domain.rows import claimed
from tests.worker.house import House

REFUSED = Outcome(Kind.CONFIG, Scope.ACCOUNT, error="the server refused the login")
FAILED = Outcome(Kind.TRANSIENT, Scope.ACCOUNT, error="no connection")
SOUND = Outcome(Kind.OK)
ONLY_RELAY: Route = {"relay": "smtp"}


class Trial(House):
    def __init__(self) -> None:
        super().__init__()
        self.steering.routes = {Channel.EMAIL: ONLY_RELAY}

    def hear(self, outcome: Outcome, times: int = 1, since: float | None = None, account: str = "relay") -> None:
        for _ in range(times):
            verdict = Verdict(Status.RETRYING, "x", wait=timedelta(0))
            began = self.clock.monotonic() if since is None else since
            self.circuits.heard(Result(claimed(), verdict, outcome, account=account, since=began))

    def go_on(self, seconds: float) -> None:
        ends = self.clock.monotonic() + seconds
        while self.clock.monotonic() < ends:
            self.rounds.poll()
            self.in_flight.heard(self.clock.monotonic())
            self.clock.tick(0.5)


def test_a_refusal_closes_the_account_here_at_once_and_everywhere_with_the_next_round() -> None:
    trial = Trial()
    trial.store.add()
    trial.hear(REFUSED)
    assert trial.steering.closes_channel(Channel.EMAIL)
    assert trial.store.circuits == {}
    trial.rounds.poll()
    assert [*trial.store.circuits] == ["relay"]
    assert trial.begun() == []
    assert trial.witness.of(CircuitOpened) == [CircuitOpened("relay", "the server refused the login", 60.0)]


def test_why_an_account_is_in_trouble_names_nobody() -> None:
    trial = Trial()
    trial.hear(Outcome(Kind.CONFIG, Scope.ACCOUNT, error=f"you may not write to {claimed().recipient}"))
    trial.rounds.poll()
    assert trial.witness.of(CircuitOpened) == [CircuitOpened("relay", "you may not write to …", 60.0)]


def test_failures_close_it_by_their_share() -> None:
    trial = Trial()
    trial.hear(FAILED, LEAST - 1)
    trial.rounds.poll()
    assert trial.witness.of(CircuitOpened) == []
    trial.hear(FAILED)
    trial.rounds.poll()
    assert [opened.seconds for opened in trial.witness.of(CircuitOpened)] == [30.0]


def test_an_account_that_fails_while_another_is_written_is_written_next(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial()
    trial.steering.routes = {Channel.EMAIL: {"relay": "smtp", "spare": "smtp"}}
    write = trial.store.open_circuit

    def meanwhile(worker_id: int, account: str, reason: str, waits: Waits) -> bool:
        if account == "relay":
            trial.hear(REFUSED, account="spare")
        return write(worker_id, account, reason, waits)

    monkeypatch.setattr(trial.store, "open_circuit", meanwhile)
    trial.hear(REFUSED)
    trial.go_on(2)
    assert {*trial.store.circuits} == {"relay", "spare"}


def test_who_comes_second_opens_nothing_and_tells_nothing() -> None:
    trial = Trial()
    trial.store.open_circuit(99, "relay", "another worker saw it", Waits(timedelta(seconds=30), timedelta(minutes=10)))
    trial.hear(REFUSED)
    trial.rounds.poll()
    assert trial.witness.of(CircuitOpened) == []
    assert trial.steering.closes_channel(Channel.EMAIL)


def test_one_message_tries_an_account_whose_time_has_come_and_its_answer_decides() -> None:
    trial = Trial()
    for _ in range(5):
        trial.store.add()
    trial.hear(REFUSED)
    trial.go_on(59.0)
    assert trial.begun() == []
    trial.go_on(3.0)
    assert trial.begun() == [1]  # one, although four would have had room
    assert trial.steering.spend("relay")
    assert not trial.steering.spend("relay")
    trial.go_on(5.0)
    assert trial.begun() == [1]
    trial.hear(SOUND)
    trial.go_on(3.0)
    assert trial.witness.of(CircuitClosed) == [CircuitClosed("relay")]
    assert trial.begun() == [1, 2, 3, 4]


def test_a_probe_that_fails_doubles_the_wait() -> None:
    trial = Trial()
    trial.store.add()
    trial.hear(REFUSED)
    trial.go_on(62.0)
    assert trial.steering.spend("relay")
    trial.hear(REFUSED)
    trial.rounds.poll()
    assert trial.store.circuits["relay"].wait == timedelta(minutes=2)
    trial.go_on(115.0)
    assert not trial.steering.probes
    trial.go_on(10.0)
    assert trial.steering.probes == {"relay"}


def test_what_was_begun_before_the_probe_does_not_decide_it() -> None:
    trial = Trial()
    trial.store.add()
    trial.hear(REFUSED)
    before = trial.clock.monotonic()
    trial.go_on(62.0)
    trial.hear(SOUND, since=before)
    trial.go_on(2.0)
    assert "relay" in trial.store.circuits


def test_while_the_database_is_away_the_account_stays_closed_here_and_is_written_later() -> None:
    trial = Trial()
    trial.hear(REFUSED)
    trial.store.away = True
    trial.rounds.poll()
    assert trial.steering.closes_channel(Channel.EMAIL)
    assert trial.store.circuits == {}
    trial.store.away = False
    trial.outage.answered()
    trial.go_on(5.0)
    assert list(trial.store.circuits) == ["relay"]


def test_a_configuration_that_was_read_anew_has_the_accounts_in_trouble_tried_soon() -> None:
    trial = Trial()
    trial.rounds.poll()
    trial.hear(REFUSED)
    trial.go_on(2.0)
    assert trial.store.asked("hasten_probes") == []  # nothing was in trouble at the start
    trial.circuits.hasten()
    trial.go_on(2.0)
    assert trial.store.asked("hasten_probes") == [["relay"]]


def test_another_account_of_the_route_keeps_the_channel_open() -> None:
    trial = Trial()
    trial.steering.routes = {Channel.EMAIL: {"relay": "smtp", "spare": "ses"}}
    trial.store.add()
    trial.hear(REFUSED)
    trial.rounds.poll()
    assert not trial.steering.closes_channel(Channel.EMAIL)
    assert trial.steering.closed_accounts("default") == {"relay"}
    assert trial.begun() == [1]


def test_a_circuit_closed_by_hand_takes_the_probe_with_it() -> None:
    trial = Trial()
    trial.store.add()
    trial.hear(REFUSED)
    trial.go_on(62.0)
    assert trial.steering.probes
    trial.store.circuits.clear()
    trial.go_on(2.0)
    assert not trial.steering.probes
    assert not trial.steering.closures


def test_only_one_thread_gets_the_message_that_may_go_through() -> None:
    trial = Trial()
    trial.steering.probe("relay")
    got: list[bool] = []
    threads = [threading.Thread(target=lambda: got.append(trial.steering.spend("relay"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [*[False] * 7, True]
