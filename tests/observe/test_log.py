"""The log: one line per event, nothing personal, and no reader can stop the worker."""

import ast
import inspect
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import structlog

from noti_worker.domain import facts as f
from noti_worker.domain.closures import CIRCUIT, QUOTA, Closure
from noti_worker.domain.limits import Limit
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind
from noti_worker.observe import endpoints, mailboxes, receipts
from noti_worker.observe import log as module
from noti_worker.observe.lines import Lines
from noti_worker.observe.log import EVENTS, Libraries, LogObserver, configure
from tests.observe.facts import decided, notification, tried


@dataclass(frozen=True)
class Wanted:
    level: str = "info"
    format: str = "auto"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    structlog.reset_defaults()


Log = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def told() -> Log:
    """Tell a fresh LogObserver of facts; gives the lines."""

    def tell(*facts: f.Fact, level: str = "info") -> list[dict[str, Any]]:
        stream = io.StringIO()
        configure(Wanted(level), stream)
        observer = LogObserver()
        for fact in facts:
            observer.on(fact)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return tell


def test_a_failed_try_is_one_line_with_what_an_operator_needs(told: Log) -> None:
    result = tried(Kind.TRANSIENT, Status.RETRYING, error="greylisted", code="450", wait=timedelta(seconds=61))
    (line,) = told(f.Finished((result,)))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "try_failed",
        "notification_id": 17,
        "channel": "email",
        "tenant": "acme",
        "verdict": "retrying",
        "account": "relay",
        "provider": "smtp",
        "attempt": 2,
        "seconds": 1.5,
        "kind": "transient",
        "code": "450",
        "error": "greylisted",
        "reason": "a reason",
        "wait_s": 61.0,
    }


def test_a_success_is_silent_but_for_debug(told: Log) -> None:
    success = (
        f.Claimed((notification(),), 0.01),
        f.Finished((tried(Kind.OK, Status.SENT),)),
        f.Recorded({"applied": 1}, 0.01),
    )
    assert told(*success) == []
    assert [line["event"] for line in told(*success, level="debug")] == ["claimed", "sent", "recorded"]


def test_rows_that_were_lost_before_are_one_line_for_all_that_were_taken_with_them(told: Log) -> None:
    rows = (notification(lost=1, rescued=True), notification(lost=1), notification(lost=3, rescued=True))
    (line,) = told(f.Claimed(rows, 0.01))
    assert (line["event"], line["level"], line["rows"]) == ("rescued", "warning", 2)


def test_a_decision_not_to_send_says_why(told: Log) -> None:
    (line,) = told(f.Finished((decided(Status.EXPIRED, "it expired before it could be sent"),)))
    assert (line["event"], line["level"], line["verdict"]) == ("not_sent", "info", "expired")
    assert line["reason"] == "it expired before it could be sent"


@pytest.mark.parametrize(
    ("fact", "level", "event", "fields"),
    [
        (f.WorkerStarted(3, "0.1.0", ("email",)), "info", "worker_started", {"worker_id": 3, "channels": ["email"]}),
        (
            f.DeliveryModes({"a": "live", "b": "dry", "c": "redirect"}, ("sms",)),
            "warning",
            "safe_mode",
            {"dry": ["b"], "redirect": ["c"], "unsent": ["sms"]},
        ),
        (f.WorkerStopping("SIGTERM", 4), "info", "worker_stopping", {"why": "SIGTERM", "in_flight": 4}),
        (f.WorkerStopped(2, 0), "info", "worker_stopped", {"released": 2, "left": 0}),
        (f.WorkerStopped(2, 1), "warning", "worker_stopped", {"left": 1}),
        (
            f.DatabaseLost("08006", 60.04, 7),
            "warning",
            "database_lost",
            {"seconds": 60.0, "waiting": 7, "error": "08006"},
        ),
        (f.Fenced(on=True, seconds=10.0), "warning", "fenced", {"seconds": 10.0}),
        (f.Fenced(on=False, seconds=0.0), "info", "unfenced", {}),
        (f.DatabaseHeldUp("55P03"), "warning", "database_busy", {"error": "55P03"}),
        (f.LeaseLost(17), "warning", "lease_lost", {"notification_id": 17}),
        (f.Recorded({"applied": 3, "stale": 2}, 0.1), "warning", "late_result", {"count": 2}),
        (f.Reloaded(("email",), ()), "info", "reloaded", {"channels": ["email"], "restart": []}),
        (f.Reloaded((), ("worker.lease",)), "warning", "reloaded", {"restart": ["worker.lease"]}),
        (f.ReloadRefused("worker.lease: no"), "error", "reload_refused", {"error": "worker.lease: no"}),
        (
            f.RowSetAside(17, "record", "no", 10.0, 2),
            "error",
            "row_set_aside",
            {"notification_id": 17, "what": "record", "error": "no", "seconds": 10.0, "rows": 2},
        ),
        (f.RowGoesOn(17, 1), "info", "row_goes_on", {"notification_id": 17, "rows": 1}),
        (f.Unable("record", "no", 1.23), "error", "unable", {"what": "record", "error": "no", "seconds": 1.2}),
        (f.Able("record", 1.23), "info", "able", {"what": "record", "seconds": 1.2}),
        (
            f.Steered(frozenset({Closure("channel", "email"), Closure("everything")})),
            "info",
            "paused",
            {"pauses": ["channel email", "everything"]},
        ),
        (
            f.Steered(frozenset({Closure("account", "relay", cause=CIRCUIT)})),
            "info",
            "paused",
            {"pauses": [], "circuits": ["account relay"]},
        ),
        (
            f.Steered(frozenset({Closure("tenant channel", "email", "acme", QUOTA)})),
            "info",
            "paused",
            {"pauses": [], "quotas": ["tenant channel email acme"]},
        ),
        (f.CircuitOpened("relay", "no login", 30.0), "error", "circuit_opened", {"account": "relay", "seconds": 30.0}),
        (f.CircuitClosed("relay"), "info", "circuit_closed", {"account": "relay"}),
        (
            f.Slowed("account", "relay", 0.5, 30.0),
            "warning",
            "limit_slowed",
            {"what": "account relay", "pace": 0.5, "seconds": 30.0},
        ),
        (
            f.QuotaUsed(Limit("tenant channel", "acme", "email", "day", 100), spent=False),
            "warning",
            "quota_nearly_spent",
            {"what": "tenant channel email", "tenant": "acme", "period": "day"},
        ),
        (
            f.QuotaUsed(Limit("account", "", "relay", "month", 100), spent=True),
            "warning",
            "quota_spent",
            {"what": "account relay", "period": "month"},
        ),
        (f.RendererKilled("welcome", "too slow"), "warning", "renderer_killed", {"template": "welcome"}),
        (f.Retained({"sent": 3}, ("a",), (), (), {}), "info", "retention", {"deleted": 3, "made": ["a"]}),
        (f.Retained({}, (), ("a",), (), {"audit_log": 1}), "warning", "retention", {"stray": 1, "dropped": ["a"]}),
        (f.Retained({}, (), (), ("dropping a",), {}), "warning", "retention", {"postponed": ["dropping a"]}),
        (f.SchemaNewer("0009", "0006"), "warning", "schema_newer", {"revision": "0009", "known": "0006"}),
        (f.Trouble("loop", "KeyError"), "error", "trouble", {"where": "loop", "error": "KeyError"}),
    ],
)
def test_every_turn_of_a_worker_s_life_is_one_line(
    told: Log, fact: f.Fact, level: str, event: str, fields: dict[str, object]
) -> None:
    (line,) = told(fact)
    assert (line["level"], line["event"]) == (level, event)
    assert fields.items() <= line.items()


def test_another_level_holds_after_a_renewal() -> None:
    stream = io.StringIO()
    configure(Wanted("warning"), stream)
    observer = LogObserver()
    started = f.WorkerStarted(1, "1.0", ())
    observer.on(started)
    configure(Wanted("debug"), stream)
    observer.renew()
    observer.on(started)
    observer.on(f.Finished((tried(Kind.OK, Status.SENT),)))
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["worker_started", "sent"]


def test_live_mode_is_not_worth_a_line(told: Log) -> None:
    assert told(f.DeliveryModes({"relay": "live"}, ())) == []


def test_a_database_that_comes_and_goes_is_one_line_a_minute(told: Log) -> None:
    lost, back = f.DatabaseLost("08006", 0.0, 0), f.DatabaseBack(0.4)
    lines = told(lost, back, lost, back, lost, back)
    assert [line["event"] for line in lines] == ["database_lost", "database_back"]


def test_a_database_that_stays_away_is_said_again_each_minute() -> None:
    stream, now = io.StringIO(), 0.0
    configure(Wanted(), stream)
    observer = LogObserver(lambda: now)
    for minute in range(3):
        now = minute * 60.0
        observer.on(f.DatabaseLost("08006", now, 0))
    assert len(stream.getvalue().splitlines()) == 3


def test_every_event_in_the_code_is_in_the_table_and_the_other_way_round() -> None:
    trees = [ast.parse(inspect.getsource(part)) for part in (module, receipts, mailboxes, endpoints)]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    # Every call like log.info("event", …), self._log.warning(…), (log.error if … else log.warning)(…).
    events = [
        call.args[0] for call in calls if re.search(r"log\b.*\.(debug|info|warning|error)", ast.unparse(call.func))
    ]
    texts = {node.value for event in events for node in ast.walk(event) if isinstance(node, ast.Constant)}
    assert texts == set(EVENTS)


CANARIES = (
    "canary.local@example.com",
    "canarybody",
    "canarytoken1234567890abcdef",
    "canarypath",
    "canaryquery",
    "4915112345678",
    "canarytenant@example.com",
)


def test_canaries_in_any_part_of_a_fact_do_not_reach_the_log(told: Log) -> None:
    address, body, token, path, query, number, tenant = CANARIES
    quoted = (
        f"550 <{address}>: {body.upper()} {token} https://u:{token}@example.com/{path}?q={query} "
        f"+{number[:2]} {number[2:]} {number}\r\npassword={body}"
    )
    row = notification(recipient=address, body=body, tenant=tenant)
    results = [
        tried(kind, status, error=quoted, code=address, row=row)
        for kind, status in ((Kind.DEAD, Status.FAILED), (Kind.OK, Status.SENT))
    ]
    lines = told(
        *(f.Finished((result,)) for result in results),
        f.Claimed((row,), 0.1),
        f.DatabaseLost(quoted, 1.0, 1),
        f.RowSetAside(1, "record", quoted, 10.0, 1),
        f.Unable("record", quoted, 1.0),
        f.RendererKilled(address, quoted),
        f.Trouble("loop", quoted),
        f.WorkerStopping(quoted, 1),
        level="debug",
    )
    assert len(lines) == 9
    text = json.dumps(lines).lower()
    for canary in (*CANARIES, number[2:]):
        if canary is not body:
            assert canary.lower() not in text
    assert body not in json.dumps(lines[0]).lower()


def test_what_libraries_log_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure(Wanted(), stream)
    logging.getLogger("apscheduler.executors").info("nothing to see")
    logging.getLogger("alembic.runtime").warning("Retrying %s", "https://example.com/canary")
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("alembic").exception("failed")
    Libraries().emit(logging.LogRecord("broken", logging.ERROR, "", 0, "%d", ("canary",), None))
    retrying, failed, broken = map(json.loads, stream.getvalue().splitlines())
    assert "canary" not in stream.getvalue()
    assert retrying["event"] == "library_message"
    assert retrying["logger"] == "alembic.runtime"
    assert retrying["message"] == "Retrying https://example.com/[…]"
    assert (failed["level"], failed["exception"]) == ("error", "ValueError")
    assert "test_log.py" in failed["frames"][-1]
    assert broken["exception"] == "TypeError"


def test_configuring_twice_does_not_double_the_lines() -> None:
    stream = io.StringIO()
    configure(Wanted(), stream)
    configure(Wanted(), stream)
    logging.getLogger("alembic").warning("once")
    assert stream.getvalue().count("once") == 1


def test_a_thread_that_dies_is_told_without_the_words_of_its_error() -> None:
    stream = io.StringIO()
    configure(Wanted(), stream)

    def die() -> None:
        raise RuntimeError("canary")

    thread = threading.Thread(target=die, name="doomed")
    thread.start()
    thread.join()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["where"], line["exception"]) == ("trouble", "doomed", "RuntimeError")
    assert "canary" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("wanted", "stream", "is_json"),
    [("auto", Terminal, False), ("auto", io.StringIO, True), ("json", Terminal, True), ("console", io.StringIO, False)],
)
def test_lines_are_readable_on_a_terminal_and_json_elsewhere(
    wanted: str, stream: type[io.StringIO], is_json: bool
) -> None:
    to = stream()
    configure(Wanted(format=wanted), to)
    LogObserver().on(f.WorkerStopping("SIGTERM", 3))
    assert "worker_stopping" in to.getvalue()
    assert to.getvalue().startswith("{") is is_json
    assert ("\x1b[" in to.getvalue()) is (wanted == "auto" and not is_json)


def test_the_address_is_a_warning_only_when_it_is_not_the_wanted_one() -> None:
    stream = io.StringIO()
    configure(Wanted(), stream)
    observer = LogObserver()
    observer.http_listening("127.0.0.1:9464", "127.0.0.1:9464")
    observer.http_listening("127.0.0.1:41234", "127.0.0.1:0")
    observer.http_listening("127.0.0.1:41234", "127.0.0.1:9464")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "info", "warning"]
    assert lines[2]["wanted"] == "127.0.0.1:9464"


@pytest.mark.fault("F24")
def test_a_reader_that_went_away_loses_lines_and_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        configure(Wanted(), stream)
        observer = LogObserver()
        observer.on(f.DatabaseBack(3.0))
        observer.on(f.DatabaseBack(4.0))
    observer.on(f.DatabaseBack(5.0))


@pytest.mark.fault("F24")
def test_a_full_disk_and_a_missing_stream_stop_nothing() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        Lines(full).msg("a line")
    Lines(None).msg("a line")
    closed = io.StringIO()
    lines = Lines(closed)
    closed.close()
    lines.msg("a line")


PROGRAM = """
import os, sys
from noti_worker.domain.facts import DatabaseBack
from noti_worker.observe.log import LogObserver, configure
class Wanted: level, format = "info", "auto"
configure(Wanted())
for _ in range(3): LogObserver().on(DatabaseBack(1.0))
open(sys.argv[1], "w").write("went on")
"""


@pytest.mark.fault("F24")
def test_a_process_goes_on_and_ends_well_when_nobody_reads_its_errors(tmp_path: Any) -> None:
    done = tmp_path / "done"
    reader, writer = os.pipe()
    os.close(reader)
    broken = subprocess.run([sys.executable, "-c", PROGRAM, done], stderr=writer, timeout=30, check=False)
    os.close(writer)
    assert (broken.returncode, done.read_text()) == (0, "went on")
    done.unlink()
    shell = ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, PROGRAM, done]
    assert (subprocess.run(shell, timeout=30, check=False).returncode, done.read_text()) == (0, "went on")
