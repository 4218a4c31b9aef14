"""The endpoints that hear what became of messages, as metrics and in the log."""

from collections.abc import Mapping

import structlog
from prometheus_client import CollectorRegistry, Gauge

from noti_worker.domain.facts import EndpointDisabled, Fact
from noti_worker.observe.catalogue import ENDPOINTS, EVENTS_WAITING, OLDEST_EVENT

EVENTS: dict[str, str] = {
    "endpoint_disabled": "an endpoint took nothing for five days, or said that it is gone: `tenant`, `endpoint` and"
    " `reason`; it hears nothing any more (error)",
}
"""The events of the log that are about endpoints."""

STATES = ("enabled", "failing", "failed", "disabled")


class EndpointLog:
    """Logs as `log.configure` has set it up."""

    def on(self, fact: Fact) -> None:
        """Write what happened."""
        match fact:
            case EndpointDisabled(tenant_id, name, reason):
                structlog.get_logger().error("endpoint_disabled", tenant=tenant_id, endpoint=name, reason=reason)
            case _:
                pass


class EndpointMetrics:
    """Shows the latest count in the registry of all metrics. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._endpoints, self._waiting, self._oldest = (
            Gauge(metric.name, metric.help, metric.labels, registry=registry)
            for metric in (ENDPOINTS, EVENTS_WAITING, OLDEST_EVENT)
        )

    def show(self, counted: Mapping[str, float]) -> None:
        """Take over how many endpoints there are in which state, and what waits for them, whoever counted it."""
        for state in STATES:
            self._endpoints.labels(state).set(counted.get(state, 0))
        self._waiting.set(counted.get("waiting", 0))
        self._oldest.set(counted.get("oldest_seconds", 0))
