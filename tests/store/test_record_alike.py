"""Successes that are alike go as columns: most of a batch, and nothing that is more than a success."""

from collections.abc import Collection
from typing import Any

import pytest

from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, TimedOut
from noti_worker.domain.facts import Result
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.successes import FEWEST, Columns, Token, record_alike
from tests.domain.rows import claimed
from tests.store.rows import Connection, claim, insert, row, tried

MANY = 3 * FEWEST


class _Writer:
    """Writes all that it is given but `missing`, or raises `error`."""

    def __init__(self, error: Exception | None = None, missing: Collection[int] = ()) -> None:
        self.error, self.missing = error, missing
        self.ids: list[str] = []

    def __call__(self, columns: Columns) -> Collection[Token]:
        self.ids.append(str(columns["ids"]))
        if self.error is not None:
            raise self.error
        return [(int(id_), 1) for id_ in str(columns["ids"])[1:-1].split(",") if int(id_) not in self.missing]


def _results(count: int, first: int = 1, **changes: Any) -> list[Result]:
    return [tried(claimed(notification_id=id_, claim_count=1), **changes) for id_ in range(first, first + count)]


def _ids(results: Collection[Result]) -> list[int]:
    return [result.notification.notification_id for result in results]


def test_all_that_are_alike_go_at_once_by_id() -> None:
    write, results = _Writer(), _results(MANY)
    written, rest = record_alike(results[::-1], 0.0, write)
    assert (sorted(_ids(written)), rest) == (_ids(results), ())
    assert write.ids == [f"{{{','.join(map(str, _ids(results)))}}}"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.RETRYING},
        {"status": Status.SENT, "outcome": None},
        {"outcome": Outcome(Kind.OK, error="cc[1]: 550 5.1.1 no such user")},
        {"outcome": Outcome(Kind.UNCERTAIN)},
        {"outcome": Outcome(Kind.OK, code=["unhashable"])},  # type: ignore[arg-type]
        {"follows": (InboxLine("default", "ann"),)},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"verdict": Verdict(Status.SENT, "sent", charge=True)},
    ],
    ids=["again", "decided", "a copy", "uncertain", "odd", "inbox", "traced", "charged"],
)
def test_what_is_more_than_a_success_is_left(changes: dict[str, Any]) -> None:
    write, results = _Writer(), _results(MANY, **changes)
    assert record_alike(results, 0.0, write) == ((), results)
    assert write.ids == []


def test_a_few_that_differ_are_left() -> None:
    write, alike, others = _Writer(), _results(MANY), _results(FEWEST, 1000, account="other")
    written, rest = record_alike([*others, *alike], 0.0, write)
    assert (_ids(written), _ids(rest)) == (_ids(alike), _ids(others))


@pytest.mark.parametrize(("alike", "others"), [(FEWEST - 1, 0), (FEWEST, FEWEST + 1)], ids=["few", "less than half"])
def test_few_are_not_worth_it(alike: int, others: int) -> None:
    write = _Writer()
    results = [*_results(alike), *_results(others, 1000, status=Status.RETRYING)]
    assert record_alike(results, 0.0, write) == ((), results)
    assert write.ids == []


def test_what_was_not_written_is_left() -> None:
    results = _results(MANY)
    written, rest = record_alike(results, 0.0, _Writer(missing={2, 5}))
    assert _ids(rest) == [2, 5]
    assert _ids(written) == [id_ for id_ in _ids(results) if id_ not in {2, 5}]


@pytest.mark.parametrize("error", [DatabaseRefused("no"), TimedOut("57014")])
def test_what_is_refused_or_takes_too_long_is_left_for_the_document(error: Exception) -> None:
    results = _results(MANY)
    assert record_alike(results, 0.0, _Writer(error)) == ((), results)


def test_a_database_that_is_away_is_told() -> None:
    with pytest.raises(DatabaseAway):
        record_alike(_results(MANY), 0.0, _Writer(DatabaseAway("gone")))


def test_a_flush_of_successes_is_one_statement(
    queue: PostgresQueue, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = insert(connection, MANY)
    rows = claim(queue)
    monkeypatch.setattr("noti_worker.store.queue.postgres.record", None)  # the document would not be written
    assert queue.record(1, [tried(n) for n in rows]) == dict.fromkeys(ids, "applied")
    assert row(connection, ids[0])["status"] == "sent"
