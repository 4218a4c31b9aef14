"""When spans are made, and what stands in them."""

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from noti_worker.domain import facts as f
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Message, Status
from noti_worker.domain.outcome import Kind
from noti_worker.observe import trace
from tests.observe.facts import decided, notification, tried
from tests.observe.otel import needed
from tests.providers.misbehaving_http import MisbehavingServer

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_standard_variables_say_whether_there_are_spans(environ: Mapping[str, str], wanted: bool) -> None:
    assert trace.wanted(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_what_we_do_not_speak_is_named(environ: Mapping[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        trace.start("1.0", environ)


def test_nothing_is_loaded_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert trace.start("1.0", {}) is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"noti-worker\[otel\]"):
        trace.start("1.0", ENDPOINT)


def spans_of(observer: Any, receiver: MisbehavingServer) -> list[Any]:
    """What the receiver got, after the end."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    observer.close()
    spans = []
    for request in receiver.received:
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert (about["service.name"], about["service.version"]) == ("noti-worker", "9.8.7")
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    return spans


def values(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Any:
    needed("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    with MisbehavingServer() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{server.port}/ok")
        yield server


def message(traceparent: str | None) -> Message:
    row = notification()
    return Message(
        notification_id=row.notification_id,
        message_id=row.message_id,
        channel=row.channel,
        tenant_id=row.tenant_id,
        recipient=row.recipient,
        account="relay",
        dated_at=row.created_at,
        text=row.body,
        traceparent=traceparent,
    )


def test_a_try_is_a_child_of_the_rows_trace_and_carries_it_on(receiver: MisbehavingServer) -> None:
    observer = trace.start("9.8.7")
    assert observer is not None
    begun = observer.begin(notification(), message(PARENT))
    observer.on(f.Finished((tried(Kind.DEAD, Status.FAILED, error="no ann@example.com", code="550 ann@example.com"),)))
    [span] = spans_of(observer, receiver)
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("send email", PARENT[3:35], PARENT[36:52])
    assert begun.traceparent == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert values(span) == {
        "noti.channel": "email",
        "noti.account": "relay",
        "noti.provider": "smtp",
        "noti.tenant_id": "acme",
        "noti.notification_id": 17,
        "noti.attempt": 2,
        "noti.kind": "dead",
        "noti.verdict": "failed",
    }
    assert span.status.code == 2
    assert b"ann@example.com" not in b"".join(request.body for request in receiver.received)


def test_a_row_without_a_trace_begins_one(receiver: MisbehavingServer) -> None:
    observer = trace.start("9.8.7")
    assert observer is not None
    begun = observer.begin(notification(), message(None))
    observer.on(f.Finished((tried(Kind.OK, Status.SENT),)))
    [span] = spans_of(observer, receiver)
    assert (span.parent_span_id, span.status.code) == (b"", 0)
    assert begun.traceparent is not None
    assert begun.traceparent.startswith(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-")


def test_claims_and_records_are_spans_that_last_as_long_as_they_took(receiver: MisbehavingServer) -> None:
    observer = trace.start("9.8.7")
    assert observer is not None
    observer.on(f.Claimed((notification(),), 0.25))
    observer.on(f.Recorded({"applied": 3, "stale": 1}, 0.5))
    claim, record = spans_of(observer, receiver)
    assert (claim.name, values(claim)) == ("claim", {"noti.rows": 1})
    assert claim.end_time_unix_nano - claim.start_time_unix_nano == 250_000_000
    assert (record.name, values(record)) == ("record", {"noti.applied": 3, "noti.stale": 1})
    assert record.end_time_unix_nano - record.start_time_unix_nano == 500_000_000


def test_what_was_not_sampled_is_not_exported_and_says_so_to_the_next(
    receiver: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    observer = trace.start("9.8.7")
    assert observer is not None
    begun = observer.begin(notification(), message(PARENT[:-2] + "00"))
    observer.on(f.Finished((tried(Kind.OK, Status.SENT),)))
    assert spans_of(observer, receiver) == []
    assert begun.traceparent is not None
    assert (begun.traceparent[:35], begun.traceparent[-2:]) == (PARENT[:35], "00")


def test_a_decision_and_the_result_of_nobody_make_no_span(receiver: MisbehavingServer) -> None:
    observer = trace.start("9.8.7")
    assert observer is not None
    observer.on(f.Finished((decided(Status.EXPIRED),)))
    observer.on(f.Finished((tried(Kind.OK, Status.SENT),)))
    assert spans_of(observer, receiver) == []


def test_a_tracer_that_fails_does_not_keep_a_message_from_going_out(receiver: MisbehavingServer) -> None:
    class Broken:
        def start_span(self, *_: object) -> None:
            raise RuntimeError

    given = message(PARENT)
    assert trace.TraceObserver(Broken(), lambda: None).begin(notification(), given) is given
