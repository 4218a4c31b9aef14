"""A statement is given no more than it can write within its time."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import pytest

from noti_worker.domain.errors import DatabaseRefused, TimedOut
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine, LaterCopy
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.portions import PORTION, Portion
from noti_worker.store.queue.record import record
from tests.domain.rows import claimed
from tests.store.rows import Connection, claim, insert, tried

MEGABYTE = 1024 * 1024


class _Writer:
    """Counts what it is given, and takes too long with more than `most` results."""

    def __init__(self, most: int = 10_000) -> None:
        self.most = most
        self.counts: list[int] = []
        self.sizes: list[int] = []

    def __call__(self, document: str) -> Mapping[int, str]:
        count = document.count('"id": ')
        self.counts.append(count)
        self.sizes.append(len(document))
        if count > self.most:
            raise TimedOut("57014")
        return {}


def _results(count: int, body: str = "") -> list[Result]:
    verdict = Verdict(Status.SENT, "ok") if body else Verdict(Status.RETRYING, "again", wait=timedelta(0))
    follows = (InboxLine("default", "ann", body=body),) if body else ()
    return [Result(claimed(notification_id=number), verdict, follows=follows) for number in range(1, count + 1)]


def test_large_results_go_in_portions_of_eight_megabytes() -> None:
    write = _Writer()
    record(_results(30, "x" * MEGABYTE), 0.0, write, Portion())
    assert sum(write.counts) == 30
    assert max(write.sizes) <= PORTION + MEGABYTE
    assert len(write.counts) < 7


def test_ordinary_results_go_in_one_statement() -> None:
    write = _Writer()
    record(_results(500), 0.0, write, Portion())
    assert write.counts == [500]


def test_a_copy_that_comes_later_counts_as_a_result() -> None:
    later = LaterCopy("cc[0]", Verdict(Status.RETRYING, "again", wait=timedelta(0)), Outcome(Kind.TRANSIENT))
    write, sent = _Writer(), Verdict(Status.SENT, "ok")
    results = [Result(claimed(notification_id=number), sent, follows=(later,) * 90) for number in range(1, 31)]
    record(results, 0.0, write, Portion())
    assert sum(write.counts) == 30 * 91
    assert max(write.counts) <= 700


def test_what_took_too_long_is_halved_until_it_goes_through_and_grows_again() -> None:
    write, portion = _Writer(most=100), Portion()
    for _ in range(3):
        with pytest.raises(TimedOut):
            record(_results(500), 0.0, write, portion)
    assert write.counts[0] == 500
    record(_results(500), 0.0, write, portion)
    assert sum(write.counts[-9:]) >= 500
    write.most = 10_000
    for _ in range(20):
        record(_results(500), 0.0, write, portion)
    assert write.counts[-1] == 500
    assert portion.most == PORTION


def test_one_result_that_takes_too_long_is_tried_alone_and_does_not_hold_up_the_others_for_ever() -> None:
    write, portion = _Writer(most=0), Portion()
    for _ in range(20):
        with suppress(TimedOut):
            fates = record(_results(500), 0.0, write, portion)
    assert write.counts[-1] == 1
    assert isinstance(fates.pop(1), DatabaseRefused)
    assert fates == dict.fromkeys(range(2, 501), "busy")


@pytest.mark.fault("F65")
def test_hundreds_of_megabytes_for_the_inbox_are_recorded(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, 100, channel="email", recipient="ann")
    rows = claim(queue)
    line = InboxLine("default", "ann", body="x" * MEGABYTE)
    fates = queue.record(1, [tried(row, follows=(line,)) for row in rows])
    assert set(fates.values()) == {"applied"}
    assert connection.execute("SELECT count(*), min(length(body)) FROM noti.inbox").fetchone() == (100, MEGABYTE)
