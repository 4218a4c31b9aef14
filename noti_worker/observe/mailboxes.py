"""The mailboxes that bounces come back to, as metrics and in the log."""

import time
from collections.abc import Callable, Iterable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from noti_worker.domain.facts import Fact, MailboxLeft, MailboxLost, MailboxReached, MailsRead
from noti_worker.observe.catalogue import MAILBOX_UP, MAILS

EVENTS: dict[str, str] = {
    "mailbox_lost": "the mailbox of bounces `mailbox` cannot be read, and `error` says why; every 5 minutes (error)",
    "mailbox_back": "it can be read again, after `seconds` (info)",
    "mails_read": "`count` mails of `mailbox` were read (debug)",
    "mails_left": "mails of `mailbox` that cannot be read or have a forged return path stay where they are: `mails`"
    " are their UIDs (warning)",
}
"""The events of the log that are about mailboxes."""

SAID_EVERY = 300.0
"""Seconds between two lines about a mailbox that cannot be read."""

SORTS = ("report", "complaint", "auto_reply", "unmatched", "forged", "unreadable", "other")

_MOST_NAMED = 20


class MailboxLog:
    """Logs as `log.configure` has set it up."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, float] = {}

    def on(self, fact: Fact) -> None:
        """Write what happened."""
        log = structlog.get_logger()
        match fact:
            case MailboxLost(mailbox, error, seconds):
                now = self._monotonic()
                if now - self._said.get(mailbox, float("-inf")) >= SAID_EVERY:
                    self._said[mailbox] = now
                    log.error("mailbox_lost", mailbox=mailbox, error=error, seconds=round(seconds, 1))
            case MailboxReached(mailbox, lost_for) if lost_for is not None:
                self._said.pop(mailbox, None)
                log.info("mailbox_back", mailbox=mailbox, seconds=round(lost_for, 1))
            case MailsRead(mailbox, counts, left):
                log.debug("mails_read", mailbox=mailbox, count=sum(counts.values()))
                if left:
                    log.warning("mails_left", mailbox=mailbox, mails=left[:_MOST_NAMED], count=len(left))
            case _:
                pass


class MailboxMetrics:
    """Counts in the registry of all metrics. Thread-safe."""

    def __init__(self, registry: CollectorRegistry, mailboxes: Iterable[str]) -> None:
        """Begin the counters at 0: Prometheus sees the growth of a series, not its first value."""
        self._up = Gauge(MAILBOX_UP.name, MAILBOX_UP.help, MAILBOX_UP.labels, registry=registry)
        self._mails = Counter(MAILS.name, MAILS.help, MAILS.labels, registry=registry)
        for mailbox in mailboxes:
            for sort in SORTS:
                self._mails.labels(mailbox, sort)

    def on(self, fact: Fact) -> None:
        """Count what happened."""
        match fact:
            case MailboxLost(mailbox):
                self._up.labels(mailbox).set(0)
            case MailboxReached(mailbox):
                self._up.labels(mailbox).set(1)
            case MailboxLeft(mailbox):
                self._up.remove(mailbox)
            case MailsRead(mailbox, counts):
                for sort, count in counts.items():
                    self._mails.labels(mailbox, sort).inc(count)
            case _:
                pass
