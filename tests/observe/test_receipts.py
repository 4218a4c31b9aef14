"""Receipts in the log and as metrics: strangers fill no log, and alerts see growth from 0 on."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from noti_worker.domain.facts import Fact, ReceiptRefused, ReceiptsRead, ReceiptTaken
from noti_worker.observe.catalogue import METRICS
from noti_worker.observe.log import configure
from noti_worker.observe.metrics import MetricsObserver
from noti_worker.observe.receipts import SAID_EVERY, ReceiptLog, ReceiptMetrics
from tests.observe.test_log import as_it_was  # noqa: F401 - a fixture that every test here uses
from tests.observe.test_metrics import samples

NAMES = {metric.name for metric in METRICS if metric.name.startswith("noti_receipt")}


@dataclass(frozen=True)
class Wanted:
    level: str = "info"
    format: str = "json"


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def lines(now: list[float]) -> Callable[..., list[dict[str, Any]]]:
    """Tell one ReceiptLog of facts; gives what it has written since the last time."""
    stream = io.StringIO()
    observer = ReceiptLog(lambda: now[0])

    def told(*facts: Fact, level: str = "info") -> list[dict[str, Any]]:
        configure(Wanted(level), stream)
        for fact in facts:
            observer.on(fact)
        written = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in written.splitlines()]

    return told


def test_refusals_are_one_line_a_minute_for_each_account_and_reason(
    lines: Callable[..., list[dict[str, Any]]], now: list[float]
) -> None:
    wrong, old, other = (
        ReceiptRefused(*said) for said in (("mail", "signature"), ("mail", "old"), ("sms", "signature"))
    )
    found = lines(*[wrong, old, other] * 1000)
    assert [(line["event"], line["account"], line["why"]) for line in found] == [
        ("receipt_refused", "mail", "signature"),
        ("receipt_refused", "mail", "old"),
        ("receipt_refused", "sms", "signature"),
    ]
    now[0] += SAID_EVERY - 1
    assert lines(wrong) == []
    now[0] += 1
    assert len(lines(wrong, wrong)) == 1


def test_what_cannot_be_read_is_an_error_and_what_can_is_for_those_who_look(
    lines: Callable[..., list[dict[str, Any]]],
) -> None:
    good = ReceiptsRead({("ses", "bounced", "matched"): 2, ("ses", "delivered", "known"): 1}, {})
    assert lines(good) == []
    [line] = lines(good, level="debug")
    assert (line["event"], line["count"]) == ("receipts_read", 3)
    [line] = lines(ReceiptsRead({}, {"ses": 2}))
    assert (line["event"], line["level"], line["providers"], line["count"]) == ("receipts_unread", "error", ["ses"], 2)


@pytest.fixture
def metrics() -> tuple[ReceiptMetrics, Callable[[], dict[tuple[str, ...], float]]]:
    every = MetricsObserver()

    def values() -> dict[tuple[str, ...], float]:
        return {(name, *labels): value for (name, labels), value in samples(every).items() if name in NAMES}

    return ReceiptMetrics(every.registry), values


Metrics = tuple[ReceiptMetrics, Callable[[], dict[tuple[str, ...], float]]]


def test_alerts_see_growth_from_nought_on(metrics: Metrics) -> None:
    receipts, values = metrics
    receipts.expect({"mail": "ses"})
    found = values()
    assert found["noti_receipt_requests_total", "mail", "signature"] == 0
    assert found["noti_receipts_total", "ses", "bounced"] == 0
    assert found["noti_receipts_total", "ses", "replied"] == 0
    assert found["noti_receipts_unreadable_total", "ses"] == 0
    assert found["noti_receipts_unmatched_total", "ses"] == 0


def test_what_is_told_counts_once(metrics: Metrics) -> None:
    receipts, values = metrics
    told = {
        ("ses", "bounced", "matched"): 2,
        ("ses", "bounced", "known"): 5,
        ("ses", "bounced", "parked"): 7,
        ("ses", "bounced", "given up"): 1,
        ("twilio", "replied", "heard"): 3,
    }
    for fact in (ReceiptsRead(told, {"ses": 4}), ReceiptTaken("mail"), ReceiptRefused("mail", "size")):
        receipts.on(fact)
    receipts.show({"unread": 3, "parked": 2, "oldest_seconds": 1.5})
    assert values() == {
        ("noti_receipts_total", "ses", "bounced"): 2,
        ("noti_receipts_total", "twilio", "replied"): 3,
        ("noti_receipts_unmatched_total", "ses"): 1,
        ("noti_receipts_unreadable_total", "ses"): 4,
        ("noti_receipt_requests_total", "mail", "taken"): 1,
        ("noti_receipt_requests_total", "mail", "size"): 1,
        ("noti_receipts_waiting", "unread"): 3,
        ("noti_receipts_waiting", "parked"): 2,
        ("noti_receipts_oldest_unread_seconds",): 1.5,
    }
    receipts.show({})
    assert values()["noti_receipts_waiting", "unread"] == 0, "another worker counts now"
