"""Spans for OpenTelemetry: one for each try, claim and record. Without configuration nothing of it is loaded."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.facts import Claimed, Fact, Finished, Recorded, Result
from noti_worker.domain.notification import Message, Notification
from noti_worker.domain.outcome import Kind

FLUSH_WITHIN = 2.0
"""Seconds for the last spans at the end: a collector that is away must not hold up a stop."""


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the standard `OTEL_…` variables ask for traces over OTLP.

    Raises ConfigurationError for an exporter or protocol that we do not speak.
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not exporter and not any(environ.get(name) for name in endpoints):
        return False
    if exporter not in {"", "otlp"}:
        raise ConfigurationError("OTEL_TRACES_EXPORTER names another exporter: only otlp (or none) is possible")
    protocols = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environ[name] for name in protocols if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise ConfigurationError("OTEL_EXPORTER_OTLP_PROTOCOL names another protocol: only http/protobuf is possible")
    return True


def start(version: str, environ: Mapping[str, str] = os.environ) -> "TraceObserver | None":
    """Begin to export as the standard variables say; None when they ask for nothing.

    Raises ConfigurationError when they ask for what is not possible, or the extra `otel` is missing.
    """
    if not wanted(environ):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise ConfigurationError(
            f"traces need {missing.name}, which the extra brings: pip install 'noti-worker[otel]'"
        ) from None
    about = {"service.version": version}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        about["service.name"] = "noti-worker"
    try:
        provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise ConfigurationError(f"an OTEL_… variable has a value that cannot be: {error}") from None
    return TraceObserver(provider.get_tracer("noti-worker", version), provider.shutdown)


class TraceObserver:
    """Makes spans of tries, claims and records. Attributes name things; no address, no content is among them."""

    def __init__(self, tracer: Any, shutdown: Callable[[], None]) -> None:
        """`tracer` is one of OpenTelemetry; `shutdown` exports what is left, however long that takes."""
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._shutdown = shutdown
        self._context = TraceContextTextMapPropagator()
        self._around = set_span_in_context
        self._client = SpanKind.CLIENT
        self._error = Status(StatusCode.ERROR)
        self._tries: dict[tuple[int, int], tuple[Any, int]] = {}  # spans, and when they began

    def begin(self, notification: Notification, message: Message) -> Message:
        """Begin the span of a try, as a child of the row's `traceparent`; the message carries the try's own on."""
        # Tracing must never stop the work that is traced.
        with suppress(Exception):
            carrier: dict[str, str] = {}
            given = {"traceparent": message.traceparent} if message.traceparent else {}
            began = time.time_ns()
            span = self._tracer.start_span(
                f"send {message.channel}",
                self._context.extract(given),
                self._client,
                {
                    "noti.channel": message.channel.value,
                    "noti.account": message.account,
                    "noti.tenant_id": message.tenant_id,
                    "noti.notification_id": message.notification_id,
                    "noti.attempt": notification.attempt_count + 1,
                },
                start_time=began,
            )
            self._context.inject(carrier, self._around(span))
            self._tries[notification.notification_id, notification.claim_count] = span, began
            return replace(message, traceparent=carrier.get("traceparent", message.traceparent))
        return message

    def on(self, fact: Fact) -> None:
        """End the span of a try; note a claim or a record as a span of its own."""
        match fact:
            case Finished(results):
                for result in results:
                    self._finished(result)
            case Claimed(rows, seconds):
                self._past("claim", seconds, {"noti.rows": len(rows)})
            case Recorded(fates, seconds):
                self._past("record", seconds, {f"noti.{fate}": count for fate, count in fates.items()})
            case _:
                pass

    def close(self) -> None:
        """Export what is left, within FLUSH_WITHIN."""
        last = threading.Thread(target=self._shutdown, name="traces", daemon=True)
        last.start()
        last.join(FLUSH_WITHIN)

    def _finished(self, result: Result) -> None:
        row = result.notification
        span, began = self._tries.pop((row.notification_id, row.claim_count), (None, 0))
        if span is None or result.outcome is None:
            return
        span.set_attribute("noti.provider", result.provider or "none")
        span.set_attribute("noti.kind", result.outcome.kind.value)
        span.set_attribute("noti.verdict", result.verdict.status.value)
        if result.outcome.kind is not Kind.OK:
            span.set_status(self._error)
        span.end(began + int(result.seconds * 1e9))  # it is told of a moment later

    def _past(self, name: str, seconds: float, attributes: Mapping[str, Any]) -> None:
        """A span that ends now. Its clock is this host's, as for every span of OpenTelemetry."""
        now = time.time_ns()
        self._tracer.start_span(name, attributes=dict(attributes), start_time=now - int(seconds * 1e9)).end(now)
