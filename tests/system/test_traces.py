"""A trace goes on: from the insert through the worker to whoever receives the webhook, and to an OTLP receiver."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker import enqueue
from tests.observe.otel import needed
from tests.providers.misbehaving_http import MisbehavingServer
from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

Connection = psycopg.Connection[Any]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def tap(tmp_path: Path, wait_for: Callable[..., Any]) -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
    """An OTLP receiver as a process: its endpoint, and what it received so far."""
    needed("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "oteltap")
    port, said = free_port(), tmp_path / "spans"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "oteltap", "--port", str(port)], stdout=output, stderr=output
        )
    try:
        wait_for(lambda: "Listening" in said.read_text(), what="oteltap listens")
        yield (
            f"http://127.0.0.1:{port}",
            lambda: [json.loads(line) for line in said.read_text().splitlines() if line.startswith("{")],
        )
    finally:
        process.kill()
        process.wait()


def test_a_trace_goes_on_from_the_insert_to_the_receiver_of_the_webhook(
    daemons: Daemons,
    tap: tuple[str, Callable[[], list[dict[str, Any]]]],
    receiver: MisbehavingServer,
    hooks: str,
    connection: Connection,
    finished: Callable[..., None],
) -> None:
    endpoint, spans = tap
    daemons.configure(hooks + SANDBOX + '[routes]\nwebhook = ["hooks"]\nemail = ["box"]')
    daemon = daemons.start_ready(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="100")
    assert [line["level"] for line in daemon.said("traces")] == ["info"]
    url = f"http://127.0.0.1:{receiver.port}/ok?secret"
    number = enqueue(connection, channel="webhook", recipient=url, body='{"a": "the body"}', traceparent=PARENT)
    connection.execute("SELECT noti.send('email', 'refused@example.com', 'S', 'B', traceparent => %s)", [PARENT])
    finished()
    daemon.wait_for(lambda: len([span for span in spans() if span["name"].startswith("send")]) == 2, 15)
    [hook] = [span for span in spans() if span["name"] == "send webhook"]
    [mail] = [span for span in spans() if span["name"] == "send email"]
    assert {hook["traceId"], mail["traceId"]} == {PARENT[3:35]}
    assert {hook["parentSpanId"], mail["parentSpanId"]} == {PARENT[36:52]}
    assert mail["status"]["code"] == 2
    [post] = receiver.received
    assert post.headers["traceparent"] == f"00-{hook['traceId']}-{hook['spanId']}-01"
    [(told,)] = connection.execute(
        "SELECT metadata->>'traceparent' FROM noti.audit_log"
        " WHERE entity_id = %s::text AND action = 'notification_sent'",
        [number],
    )
    assert told == post.headers["traceparent"]
    [failed] = daemon.said("try_failed")
    assert failed["trace_id"] == PARENT[3:35]
    assert daemon.stop() == 0
    assert {"claim", "record"} <= {span["name"] for span in spans()}
    exported = json.dumps(spans())
    assert not [word for word in ("example.com", "the body", "secret") if word in exported]


def test_without_opentelemetry_a_webhook_carries_the_trace_of_its_row(
    daemons: Daemons,
    receiver: MisbehavingServer,
    hooks: str,
    connection: Connection,
    finished: Callable[..., None],
) -> None:
    daemons.configure(hooks)
    daemon = daemons.start_ready()
    url = f"http://127.0.0.1:{receiver.port}/ok"
    enqueue(connection, channel="webhook", recipient=url, body="{}", traceparent=PARENT)
    enqueue(connection, channel="webhook", recipient=url, body="{}", traceparent="no\r\nx-evil: trace")
    finished()
    assert sorted(str(post.headers.get("traceparent")) for post in receiver.received) == [PARENT, "None"]
    assert not [post for post in receiver.received if "x-evil" in post.headers]
    assert daemon.said("traces") == []
    assert daemon.stop() == 0


def test_a_collector_that_hangs_delays_neither_a_send_nor_a_stop(
    daemons: Daemons, receiver: MisbehavingServer, connection: Connection, finished: Callable[..., None]
) -> None:
    needed("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    daemons.configure(SANDBOX + '[routes]\nemail = ["box"]')
    endpoint = f"http://127.0.0.1:{receiver.port}/hang"
    daemon = daemons.start_ready(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="30", OTEL_BSP_SCHEDULE_DELAY="100"
    )
    enqueue(connection, channel="email", recipient="ada@example.com", subject="S", body="B")
    finished()
    daemon.wait_for(lambda: receiver.received, 15)
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert time.monotonic() - began < 15
