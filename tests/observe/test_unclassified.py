"""Answers that no rule names are counted and told by their codes: not more of them than fit, and nothing personal."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from noti_worker.domain import facts as f
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.observe.catalogue import UNCLASSIFIED
from noti_worker.observe.log import LogObserver, configure
from tests.observe.facts import tried
from tests.observe.test_log import Wanted
from tests.observe.test_metrics import told


def unknown(code: str, provider: str = "smtp") -> f.Result:
    """A refusal that no rule names."""
    result = tried(Kind.PERMANENT, Status.FAILED, error="no", code=code, unclassified=True)
    assert result.outcome is not None
    return replace(result, provider=provider, outcome=replace(result.outcome, rule="api.refused"))


def counted(*results: f.Result) -> dict[tuple[str, ...], float]:
    return {labels: value for (name, labels), value in told([f.Finished(results)]).items() if name == UNCLASSIFIED.name}


class Log:
    """What an observer says at the seconds that it is told of."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        configure(Wanted(), self._stream)
        self._seconds = 0.0
        self._observer = LogObserver(lambda: self._seconds)

    def at(self, seconds: float, code: str) -> None:
        self._seconds = seconds
        self._observer.on(f.Finished((unknown(code),)))

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self._stream.getvalue().splitlines()) if line["event"] == event]


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()
    structlog.reset_defaults()


def test_they_are_counted_by_their_code() -> None:
    named = tried(Kind.PERMANENT, Status.FAILED, code="422 known")
    assert counted(unknown("422 odd"), unknown("422 odd"), unknown("404", "twilio"), named) == {
        ("smtp", "422 odd"): 2,
        ("twilio", "404"): 1,
    }


@pytest.mark.fault("F48")
def test_codes_that_a_server_makes_up_share_one_label() -> None:
    values = counted(*(unknown(f"400 made_up_{number}") for number in range(1_000)))
    assert len(values) == 101
    assert values["smtp", "other"] == 900


@pytest.mark.parametrize("code", ["400 ann@example.com", "400 +4915112340001", "400 " + "x" * 90, "400 \x1b[2J", ""])
def test_a_code_that_may_be_personal_or_is_none_is_no_label(code: str) -> None:
    assert counted(unknown(code)) == {("smtp", "other"): 1}


def test_they_are_told_once_an_hour_for_each_code(log: Log) -> None:
    for at, code in ((0, "422 odd"), (60, "422 odd"), (61, "422 odder"), (3_599, "422 odd"), (3_600, "422 odd")):
        log.at(at, code)
    said = log.lines("unclassified_answer")
    assert [line["code"] for line in said] == ["422 odd", "422 odder", "422 odd"]
    assert {(line["level"], line["provider"], line["account"], line["rule"], line["kind"]) for line in said} == {
        ("warning", "smtp", "relay", "api.refused", "permanent")
    }
    assert len(log.lines("try_failed")) == 5


def test_a_code_that_quotes_the_row_is_not_told(log: Log) -> None:
    log.at(0, "400 ann@example.com")
    log.at(1, "400 +4915112340001")
    assert [line["code"] for line in log.lines("unclassified_answer")] == ["other"]
    assert [line["code"] for line in log.lines("try_failed")] == ["400 […]", "400 [number]"]


def test_a_status_and_a_code_are_no_number_together(log: Log) -> None:
    log.at(0, "400 131026")
    assert [line["code"] for line in log.lines("try_failed")] == ["400 131026"]
    assert [line["code"] for line in log.lines("unclassified_answer")] == ["400 131026"]
