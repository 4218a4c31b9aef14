"""Metrics for Prometheus, with labels that cannot grow without bound."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from noti_worker.domain.facts import (
    Able,
    Claimed,
    DatabaseBack,
    DatabaseLost,
    DeliveryModes,
    Fact,
    Fenced,
    Finished,
    LeaseLost,
    Recorded,
    Reloaded,
    ReloadRefused,
    RendererKilled,
    Result,
    Retained,
    RowGoesOn,
    RowSetAside,
    Trouble,
    Unable,
    WorkerStarted,
    WorkerStopping,
)
from noti_worker.domain.notification import Channel, Priority, Status
from noti_worker.domain.outcome import LOST, Kind
from noti_worker.domain.own_accounts import is_own
from noti_worker.domain.suppression import Reason
from noti_worker.observe.catalogue import (
    ASIDE,
    BUILD,
    CLAIM,
    CLAIMED,
    DATABASE_LOST,
    DATABASE_UP,
    DRAINING,
    FAILED,
    FENCED,
    HEARTBEAT_AGE,
    IN_FLIGHT,
    LEASES_LOST,
    METRICS,
    MODE,
    NOT_SENT,
    PICKUP_DELAY,
    RECORD,
    REFUSED,
    RENDERER_KILLS,
    RESCUED,
    RESULTS,
    RETENTION,
    RETRIED,
    SEND_DURATION,
    SENT,
    STRAY,
    SUPPRESSED,
    TRIES,
    TROUBLES,
    UNABLE,
    UNCLASSIFIED,
    UNRECORDED,
    Metric,
)
from noti_worker.observe.readings import Gauges, Queue, label
from noti_worker.observe.tally import Tally
from noti_worker.observe.unclassified import OTHER, Unclassified

__all__ = ["CONTENT_TYPE", "METRICS", "Gauges", "Metric", "MetricsObserver"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DEFAULT_TENANT = "default"
"""The tenant of rows that name none."""

_ERROR_TYPES = frozenset(kind.value for kind in Kind) | {LOST}
_REPEATED = (Kind.TRANSIENT, Kind.THROTTLED, Kind.CONFIG, Kind.UNCERTAIN)
_NOT_SENT = (Status.HELD, Status.UNKNOWN, Status.EXPIRED, Status.CANCELLED, Status.SUPPRESSED)
_REASONS = frozenset(Reason)
_FATES = frozenset({"applied", "busy", "again", "stale", "refused"})


class MetricsObserver:
    """Counts facts in a registry of its own; `text` gives what /metrics answers. Thread-safe."""

    def __init__(self, tenants: int = 20) -> None:
        """The first `tenants` tenants seen get a label of their own."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that says nothing of use here
        self.registry = CollectorRegistry()
        self._tenants_at_most = tenants
        self._tenants: dict[str, str] = {}
        self._away = False
        self._queue = Queue()
        self.registry.register(self._queue)
        ProcessCollector(registry=self.registry)
        self._sent = cache(self._counter(SENT).labels)
        self._failed = cache(self._counter(FAILED).labels)
        self._retried = cache(self._counter(RETRIED).labels)
        self._not_sent = cache(self._counter(NOT_SENT).labels)
        self._suppressed = cache(self._counter(SUPPRESSED).labels)
        self._tries = cache(self._counter(TRIES).labels)
        self._unclassified = Unclassified()
        self._unclassified_answers = cache(self._counter(UNCLASSIFIED).labels)
        self._send_duration = self._tally(SEND_DURATION)
        self._pickup_delay = self._tally(PICKUP_DELAY)
        self._claimed = cache(self._counter(CLAIMED).labels)
        self._rescued = cache(self._counter(RESCUED).labels)
        self._results = cache(self._counter(RESULTS).labels)
        self._claim = self._histogram(CLAIM)
        self._record = self._histogram(RECORD)
        self._build = self._gauge(BUILD)
        self._mode = self._gauge(MODE)
        self._database_up = self._gauge(DATABASE_UP)
        self._database_lost = self._counter(DATABASE_LOST)
        self._fenced = self._gauge(FENCED)
        self._draining = self._gauge(DRAINING)
        self._refused = self._gauge(REFUSED)
        self._aside = self._gauge(ASIDE)
        self._unable = self._gauge(UNABLE)
        self._leases_lost = self._counter(LEASES_LOST)
        self._renderer_kills = self._counter(RENDERER_KILLS)
        self._troubles = self._counter(TROUBLES)
        self._retention = self._counter(RETENTION)
        self._stray = self._gauge(STRAY)

    def on(self, fact: Fact) -> None:
        """Count what happened."""
        match fact:
            case Finished(results):
                self._finished(results)
            case Claimed():
                self._took(fact)
            case Recorded(fates, seconds):
                self._record.observe(seconds)
                for fate, count in fates.items():
                    self._results(fate if fate in _FATES else OTHER).inc(count)
            case LeaseLost():
                self._leases_lost.inc()
            case RendererKilled():
                self._renderer_kills.inc()
            case Retained():
                for what, count in fact.deleted.items():
                    self._retention.labels(what).inc(count)
            case Trouble():
                self._troubles.inc()
            case RowSetAside() | RowGoesOn() | Unable() | Able():
                self._refusal(fact)
            case _:
                self._turn(fact)

    def expect(self, routes: Mapping[Channel, Sequence[str]], providers: Mapping[str, str]) -> None:
        """Begin the counters that alerts watch at 0, for the accounts of each channel (`providers` by account).

        Prometheus sees the growth of a series, not its first value: a counter that appears with 500 shows nothing.
        """
        for fate in _FATES:
            self._results(fate)
        for channel, accounts in routes.items():
            self._claimed(channel)
            self._rescued(channel)
            self._failed(channel, "none", Kind.PERMANENT)
            self._failed(channel, "none", LOST)
            for status in _NOT_SENT:
                self._not_sent(channel, status)
            for reason in Reason:
                self._suppressed(channel, reason)
            for account in accounts:
                provider = label(providers[account])
                self._sent(channel, provider, DEFAULT_TENANT)
                self._send_duration.observe((channel, provider), ())
                for kind in Kind:
                    self._tries(channel, label(account), kind)
                    if kind is not Kind.OK:
                        self._failed(channel, provider, kind)
                for kind in _REPEATED:
                    self._retried(channel, provider, kind)

    def show(self, gauges: Gauges | None) -> None:
        """Take over a reading of the queue as a whole; with None, or where it has no value, nothing is told."""
        self._queue.gauges = gauges

    def show_stray(self, lines: Mapping[str, int]) -> None:
        """Take over how many lines of each log stand in its default partition."""
        self._stray.clear()
        for log, count in lines.items():
            self._stray.labels(log).set(count)

    def watch(
        self, in_flight: Callable[[], float], unrecorded: Callable[[], float], heartbeat_age: Callable[[], float]
    ) -> None:
        """Ask the worker for these at every scrape; call it once, when the worker is there."""
        for metric, read in ((IN_FLIGHT, in_flight), (UNRECORDED, unrecorded), (HEARTBEAT_AGE, heartbeat_age)):
            self._gauge(metric).set_function(read)

    def text(self) -> bytes:
        """The exposition of all metrics, as CONTENT_TYPE says."""
        return generate_latest(self.registry)

    def _turn(self, fact: Fact) -> None:
        match fact:
            case WorkerStarted(_, version, _):
                self._build.labels(version).set(1)
                self._database_up.set(1)
            case DeliveryModes(accounts):
                self._mode.clear()
                for account, mode in accounts.items():
                    self._mode.labels(label(account), mode).set(1)
            case WorkerStopping():
                self._draining.set(1)
            case Reloaded():
                self._refused.set(0)
            case ReloadRefused():
                self._refused.set(1)
            case DatabaseLost():
                self._database_up.set(0)
                if not self._away:  # it is told again and again while it lasts
                    self._database_lost.inc()
                self._away = True
            case DatabaseBack():
                self._database_up.set(1)
                self._away = False
            case Fenced(on, _):
                self._fenced.set(on)
            case _:
                pass

    def _refusal(self, fact: Fact) -> None:
        match fact:
            case RowSetAside():
                self._aside.set(fact.rows)
                self._troubles.inc()
            case RowGoesOn():
                self._aside.set(fact.rows)
            case Unable(what, _, _):
                self._unable.labels(label(what)).set(1)
                self._troubles.inc()
            case Able(what, _):
                self._unable.labels(label(what)).set(0)

    def _took(self, fact: Claimed) -> None:
        self._claim.observe(fact.seconds)
        delays: defaultdict[tuple[Channel, Priority], list[float]] = defaultdict(list)
        for row in fact.notifications:
            delays[row.channel, row.priority].append(max((row.claimed_at - row.due_at).total_seconds(), 0.0))
            if row.rescued:
                self._rescued(row.channel).inc()
        for (channel, priority), seconds in delays.items():
            self._claimed(channel).inc(len(seconds))
            self._pickup_delay.observe((channel, priority), seconds)

    def _finished(self, results: Sequence[Result]) -> None:
        alike: defaultdict[tuple[Any, ...], list[float]] = defaultdict(list)
        for result in results:
            row, tried = result.notification, result.outcome is not None
            kind = result.outcome.kind if result.outcome is not None else result.kind
            about = (row.channel, row.tenant_id, result.provider, result.account, tried, kind, result.verdict.status)
            alike[about].append(result.seconds)
            if result.outcome is not None and result.outcome.unclassified:
                code = self._unclassified.code(result)
                self._unclassified_answers(label(result.provider or "none"), label(code)).inc()
        for about, seconds in alike.items():
            self._ended(*about, seconds)

    def _ended(
        self,
        channel: Channel,
        tenant_id: str,
        provider: str | None,
        account: str | None,
        tried: bool,
        kind: str | None,
        status: Status,
        seconds: Sequence[float],
    ) -> None:
        provider, count = label(provider or "none"), len(seconds)
        error_type = str(kind) if kind in _ERROR_TYPES else OTHER
        if tried:
            if account is not None and is_own(account) and self._tenant(tenant_id) == OTHER:
                account = OTHER  # as many as tenants
            self._tries(channel, label(account or "none"), error_type).inc(count)
            self._send_duration.observe((channel, provider), seconds)
        match status:
            case Status.SENT:
                self._sent(channel, provider, self._tenant(tenant_id)).inc(count)
            case Status.FAILED:
                self._failed(channel, provider, error_type).inc(count)
            case Status.RETRYING:
                self._retried(channel, provider, error_type).inc(count)
            case _:
                self._not_sent(channel, status).inc(count)
                if status is Status.SUPPRESSED and kind is not None:
                    self._suppressed(channel, kind if kind in _REASONS else OTHER).inc(count)

    def _tenant(self, tenant: str) -> str:
        known = self._tenants.get(tenant)
        if known is None and len(self._tenants) < self._tenants_at_most:
            # Two threads may both find room for the last one: one tenant more does no harm.
            known = self._tenants[tenant] = label(tenant)
        return known or OTHER

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _tally(self, metric: Metric) -> Tally:
        tally = Tally(metric)
        self.registry.register(tally)
        return tally

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self.registry)
