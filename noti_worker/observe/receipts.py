"""What is posted by providers and read by workers, as metrics and in the log."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from noti_worker.domain.facts import Fact, LinkUsed, ReceiptRefused, ReceiptsRead, ReceiptTaken
from noti_worker.domain.receipts import REPLIED, ReceiptKind
from noti_worker.observe.catalogue import (
    LINKS,
    OLDEST_UNREAD,
    RECEIPT_REQUESTS,
    RECEIPTS,
    RECEIPTS_WAITING,
    UNMATCHED,
    UNREADABLE,
    Metric,
)

EVENTS: dict[str, str] = {
    "web_listening": "what providers post is taken at `listen`, for `accounts` (info)",
    "web_stopping": "what providers post is taken no more; `why` is the signal (info)",
    "receipt_refused": "somebody posted for `account` what is not its provider's: `why`; once a minute for each"
    " (warning)",
    "receipts_read": "`count` things that providers told were taken over (debug)",
    "receipts_unread": "`count` requests of `providers` cannot be read: they are kept for a week, and say why (error)",
}
"""The events of the log that are about receipts."""

SAID_EVERY = 60.0
"""Seconds between two lines about requests that are refused for the same account and reason."""


class ReceiptLog:
    """Logs as `log.configure` has set it up."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[tuple[str, str], float] = {}

    def on(self, fact: Fact) -> None:
        """Write what happened."""
        log: Any = structlog.get_logger()
        match fact:
            case ReceiptRefused(account, why):
                # Strangers decide how many there are.
                now = self._monotonic()
                if now - self._said.get((account, why), -SAID_EVERY) >= SAID_EVERY:
                    self._said[account, why] = now
                    log.warning("receipt_refused", account=account, why=why)
            case ReceiptsRead(counts, unread):
                if unread:
                    log.error("receipts_unread", providers=sorted(unread), count=sum(unread.values()))
                if log.is_enabled_for(logging.DEBUG):
                    log.debug("receipts_read", count=sum(counts.values()))
            case _:
                pass

    def listening(self, address: str, accounts: Sequence[str]) -> None:
        """Tell where what providers post is taken."""
        structlog.get_logger().info("web_listening", listen=address, accounts=accounts)

    def stopping(self, why: str) -> None:
        """Tell that it is taken no more."""
        structlog.get_logger().info("web_stopping", why=why)


def own_registry() -> CollectorRegistry:
    """The registry of a process that sends nothing: a worker's metrics would say that it is cut off."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class ReceiptMetrics:
    """Counts in the registry of all metrics. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

        def counter(metric: Metric) -> Counter:
            return Counter(metric.name, metric.help, metric.labels, registry=registry)

        self._requests = counter(RECEIPT_REQUESTS)
        self._receipts = counter(RECEIPTS)
        self._unreadable = counter(UNREADABLE)
        self._unmatched = counter(UNMATCHED)
        self._links = counter(LINKS)
        self._waiting, self._oldest = (
            Gauge(metric.name, metric.help, metric.labels, registry=registry)
            for metric in (RECEIPTS_WAITING, OLDEST_UNREAD)
        )

    def expect(self, accounts: Mapping[str, str]) -> None:
        """Begin the counters that alerts watch at 0, for the `accounts` that take receipts, with their providers.

        Prometheus sees the growth of a series, not its first value.
        """
        for answer in ("left", "stayed", "kept", "chose", "unknown"):
            self._links.labels(answer)
        for account, provider in accounts.items():
            for answer in ("taken", "signature"):
                self._requests.labels(account, answer)
            for kind in (*ReceiptKind, REPLIED):
                self._receipts.labels(provider, kind)
            self._unreadable.labels(provider)
            self._unmatched.labels(provider)

    def show(self, waiting: Mapping[str, float]) -> None:
        """Take over what waits, whoever counted it: `unread`, `parked`, `oldest_seconds`."""
        for state in ("unread", "parked"):
            self._waiting.labels(state).set(waiting.get(state, 0))
        self._oldest.set(waiting.get("oldest_seconds", 0))

    def text(self) -> bytes:
        """The exposition of the whole registry."""
        return generate_latest(self._registry)

    def on(self, fact: Fact) -> None:
        """Count what happened."""
        match fact:
            case ReceiptTaken(account):
                self._requests.labels(account, "taken").inc()
            case ReceiptRefused(account, why):
                self._requests.labels(account, why).inc()
            case ReceiptsRead(counts, unread):
                for (provider, kind, fate), count in counts.items():
                    if fate in {"matched", "heard"}:
                        self._receipts.labels(provider, kind).inc(count)
                    elif fate == "given up":
                        self._unmatched.labels(provider).inc(count)
                for provider, count in unread.items():
                    self._unreadable.labels(provider).inc(count)
            case LinkUsed(answer):
                self._links.labels(answer).inc()
            case _:
                pass
