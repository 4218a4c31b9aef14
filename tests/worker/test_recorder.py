import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.facts import Able, DatabaseBack, DatabaseLost, Recorded, Result, RowGoesOn, RowSetAside, Unable
from noti_worker.domain.ports import Fate
from noti_worker.worker import recorder
from noti_worker.worker.inflight import InFlight
from noti_worker.worker.recorder import LARGEST_FLUSH, Recorder
from noti_worker.worker.refusals import FIRST, MANY, RECORD
from tests.worker.fake_store import FakeStore
from tests.worker.fakes import FakeClock, Witness, context, sent


class Desk:
    """A recorder with its rows in flight, driven step by step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.witness = Witness()
        self.in_flight = InFlight(self.clock, timedelta(minutes=2), self.witness)
        self.flushes = 0
        shared = context(self.clock, self.witness, worker_id=1)
        self.refusals, self.outage = shared.refusals, shared.outage
        self.recorder = Recorder(shared, self.store, self.in_flight, self._flushed)

    def _flushed(self, results: object) -> None:
        self.flushes += 1

    def records(self) -> bool:
        """Whether results can be written, as far as is known."""
        return self.refusals.records

    def try_(self) -> float:
        """One round of a writer."""
        return self.recorder._try(self.recorder.gather())

    def finish(self, rows: int, **fields: Any) -> None:
        """Claim rows and put their results."""
        for _ in range(rows):
            number = self.store.add(**fields)
            row = self.store.rows[number]
            row.owner = 1
            [claim] = self.in_flight.take([row.notification], self.clock.monotonic())
            self.in_flight.report(claim)
            self.recorder.put(sent(row.notification))


def test_what_finished_together_is_one_statement() -> None:
    desk = Desk()
    desk.finish(30)
    assert desk.recorder.flush(desk.recorder.gather()) == 0.0
    assert desk.store.asked("record") == [30]
    assert len(desk.in_flight) == 0
    assert desk.flushes == 1
    [recorded] = desk.witness.of(Recorded)
    assert recorded.fates == {"applied": 30}


@pytest.fixture
def long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for company waits for longer than a test may take."""
    monkeypatch.setattr(recorder, "FLUSH_AFTER", 600.0)


@pytest.mark.usefixtures("long_patience")
def test_the_last_row_at_work_does_not_wait_for_company() -> None:
    desk = Desk()
    desk.finish(1)
    assert desk.in_flight.open == 0
    assert len(desk.recorder.gather()) == 1


@pytest.mark.usefixtures("long_patience")
def test_the_last_row_at_work_ends_the_wait_of_those_before_it() -> None:
    desk = Desk()
    [claim] = desk.in_flight.take([desk.store.rows[desk.store.add()].notification], desk.clock.monotonic())
    desk.finish(2)
    with ThreadPoolExecutor(1) as pool:
        gathered = pool.submit(desk.recorder.gather)
        with pytest.raises(FutureTimeout):
            gathered.result(0.2)
        desk.in_flight.report(claim)
        desk.recorder.put(sent(claim.notification))
        assert len(gathered.result(60)) == 3


@pytest.mark.usefixtures("long_patience")
def test_a_full_batch_does_not_wait_although_others_are_at_work() -> None:
    desk = Desk()
    desk.in_flight.take([desk.store.rows[desk.store.add()].notification], desk.clock.monotonic())
    desk.finish(LARGEST_FLUSH + 5)
    assert len(desk.recorder.gather()) == LARGEST_FLUSH


def test_a_locked_row_is_flushed_again_and_holds_up_nobody() -> None:
    desk = Desk()
    desk.finish(3)
    desk.store.locked = {2}
    assert desk.recorder.flush(desk.recorder.gather()) > 0
    assert [result.notification.notification_id for result in desk.store.recorded] == [1, 3]
    assert desk.recorder.waiting == 1
    desk.store.locked = set()
    desk.recorder.flush(desk.recorder.gather())
    assert [result.notification.notification_id for result in desk.store.recorded] == [1, 3, 2]
    assert len(desk.in_flight) == 0


def test_while_the_database_is_away_results_are_kept_and_one_line_a_minute_is_said() -> None:
    desk = Desk()
    desk.finish(2)
    desk.store.away = True
    for _ in range(10):
        assert desk.recorder.flush(desk.recorder.gather()) > 0
        desk.clock.tick(11)
    assert desk.recorder.waiting == 2
    assert len(desk.witness.of(DatabaseLost)) == 2
    assert desk.witness.of(DatabaseLost)[-1].waiting == 2
    desk.store.away = False
    desk.recorder.flush(desk.recorder.gather())
    assert desk.recorder.waiting == 0
    assert len(desk.store.recorded) == 2
    [back] = desk.witness.of(DatabaseBack)
    assert back.seconds >= 100


def test_two_results_of_one_row_go_in_two_statements() -> None:
    desk = Desk()
    desk.finish(1)
    row = desk.store.rows[1]
    desk.recorder.put(sent(row.notification))
    desk.recorder.flush(desk.recorder.gather())
    assert desk.store.asked("record") == [1]
    desk.recorder.flush(desk.recorder.gather())
    assert desk.store.asked("record") == [1, 1]


def test_a_refused_statement_is_an_outage_of_recording_and_the_results_stay() -> None:
    desk = Desk()
    desk.finish(30)
    desk.store.broken = {"record"}
    for _ in range(3):
        assert desk.try_() > 0
        desk.clock.tick(5)
    assert desk.recorder.waiting == 30
    assert len(desk.in_flight) == 30
    assert not desk.records()
    assert [fact.what for fact in desk.witness.of(Unable)] == [RECORD]
    desk.store.broken = set()
    assert desk.try_() == 0.0
    assert len(desk.store.recorded) == 30
    assert desk.records()
    assert [fact.what for fact in desk.witness.of(Able)] == [RECORD]


def test_one_refused_result_is_kept_and_tried_again_and_the_others_are_written() -> None:
    desk = Desk()
    desk.finish(30)
    desk.store.refused["record"] = {7}
    assert desk.try_() == 0.0
    assert len(desk.store.recorded) == 29
    assert (desk.recorder.waiting, len(desk.in_flight)) == (1, 1)
    assert desk.records()
    [aside] = desk.witness.of(RowSetAside)
    assert (aside.notification_id, aside.what, aside.seconds) == (7, RECORD, FIRST)
    assert desk.recorder.gather() == []  # it has a pause of its own
    desk.clock.tick(FIRST)
    assert desk.try_() == 0.0
    assert desk.witness.of(RowSetAside)[-1].seconds == 2 * FIRST
    desk.store.refused.clear()
    desk.clock.tick(2 * FIRST)
    desk.try_()
    assert len(desk.store.recorded) == 30
    assert (desk.recorder.waiting, len(desk.in_flight)) == (0, 0)
    assert desk.witness.of(RowGoesOn) == [RowGoesOn(7, 0)]


def test_results_that_are_refused_one_after_the_other_are_an_outage_too() -> None:
    desk = Desk()
    desk.store.refused["record"] = set(range(1, 100))
    for _ in range(MANY):
        assert desk.records()
        desk.finish(1)
        desk.try_()
    assert not desk.records()
    assert desk.recorder.waiting == MANY
    desk.store.refused.clear()
    desk.try_()  # none of them waits for its own pause
    assert desk.records()
    assert desk.recorder.waiting == 0


def test_at_the_end_refused_results_are_tried_once_more() -> None:
    desk = Desk()
    desk.finish(2)
    desk.store.refused["record"] = {2}
    desk.try_()
    desk.store.refused.clear()
    desk.recorder.start()
    assert desk.recorder.stop(10) == 0
    assert len(desk.store.recorded) == 2


def test_a_result_counts_as_waiting_until_it_is_written() -> None:
    desk = Desk()
    desk.finish(3)
    batch = desk.recorder.gather()
    assert desk.recorder.waiting == 3
    desk.recorder.flush(batch)
    assert desk.recorder.waiting == 0


def test_two_batches_are_written_at_a_time() -> None:
    desk = Desk()
    together = threading.Barrier(2, timeout=5)
    record = desk.store.record

    def meet(worker_id: int, results: Sequence[Result]) -> Mapping[int, Fate]:
        together.wait()
        return record(worker_id, results)

    desk.store.record = meet  # type: ignore[method-assign]
    desk.finish(2 * LARGEST_FLUSH)
    desk.recorder.start()
    assert desk.recorder.stop(10) == 0
    assert desk.store.asked("record") == [LARGEST_FLUSH] * 2


def test_what_two_writers_could_not_write_is_written_once_the_database_is_back() -> None:
    desk = Desk()
    desk.finish(2 * LARGEST_FLUSH)
    first, second = desk.recorder.gather(), desk.recorder.gather()
    desk.store.away = True
    desk.recorder.flush(first)
    desk.recorder.flush(second)
    assert desk.recorder.waiting == 2 * LARGEST_FLUSH
    desk.store.away = False
    desk.recorder.flush(desk.recorder.gather())
    assert desk.recorder.waiting == 0
    assert len(desk.store.recorded) == 2 * LARGEST_FLUSH


def test_much_content_that_waits_to_be_recorded_is_enough() -> None:
    desk = Desk()
    desk.store.away = True
    for _ in range(70):
        desk.finish(1, body="x" * 1_000_000)
    assert desk.outage.much
    desk.recorder.flush(desk.recorder.gather())
    assert desk.outage.much
    desk.store.away = False
    desk.recorder.flush(desk.recorder.gather())
    assert not desk.outage.much
