"""The mailboxes of bounces, as an operator sees them."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from noti_worker.domain.facts import MailboxLeft, MailboxLost, MailboxReached, MailsRead
from noti_worker.observe.log import configure
from noti_worker.observe.mailboxes import SAID_EVERY, SORTS, MailboxLog, MailboxMetrics
from noti_worker.settings import LogSettings


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    stream = io.StringIO()
    configure(LogSettings(format="json"), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.setLevel(level)
    root.handlers[:] = handlers
    structlog.reset_defaults()


def test_a_lost_mailbox_is_told_now_and_then_and_once_when_it_is_back(lines: Any) -> None:
    now = 0.0
    log = MailboxLog(lambda: now)
    for now in (0.0, 60.0, SAID_EVERY, SAID_EVERY + 1):
        log.on(MailboxLost("back", "mail.example.com port 993: no answer in time (login)", now))
    log.on(MailboxReached("back", 302.0))
    log.on(MailboxReached("back", None))
    log.on(MailboxLost("back", "again", 0.0))
    told = lines()
    assert [line["event"] for line in told] == ["mailbox_lost", "mailbox_lost", "mailbox_back", "mailbox_lost"]
    assert told[0]["mailbox"] == "back"
    assert told[0]["error"] == "mail.example.com port 993: no answer in time (login)"


def test_mails_that_stay_are_named(lines: Any) -> None:
    MailboxLog().on(MailsRead("back", {"unreadable": 2, "report": 1}, ("1796034127.1", "1796034127.12")))
    MailboxLog().on(MailsRead("back", {"report": 1}, ()))
    [line] = lines()
    assert (line["event"], line["level"], line["count"]) == ("mails_left", "warning", 2)
    assert line["mails"] == ["1796034127.1", "1796034127.12"]


def test_mails_are_counted_by_their_sorts() -> None:
    registry = CollectorRegistry()
    metrics = MailboxMetrics(registry, ["back"])

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"mailbox": "back", **labels})

    assert [value("noti_mailbox_mails_total", sort=sort) for sort in SORTS] == [0.0] * len(SORTS)
    assert value("noti_mailbox_up") is None, "nobody has been there yet"
    metrics.on(MailboxLost("back", "no answer", 0.0))
    assert value("noti_mailbox_up") == 0
    metrics.on(MailboxReached("back", 1.0))
    metrics.on(MailsRead("back", {"report": 3, "forged": 1}, ("1",)))
    assert value("noti_mailbox_up") == 1
    assert value("noti_mailbox_mails_total", sort="report") == 3
    assert value("noti_mailbox_mails_total", sort="forged") == 1
    metrics.on(MailboxLeft("back"))
    assert value("noti_mailbox_up") is None, "another worker goes there"
