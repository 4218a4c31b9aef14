"""The hot statements find their rows by index, whatever the statistics say and however the plan was made."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.lanes import END, Floor, Lane, Share
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.secret import Secret
from noti_worker.store import connect as connecting
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.store.rows import LEASE, NORMAL, Connection, tried

LANES = [Lane(Channel.EMAIL, priority, "default") for priority in (Priority.URGENT, Priority.NORMAL)]

CLOSED = {
    "closed_channels": ["sms"], "closed_tenants": ["acme"], "closed_lanes": ["acme\x1femail"],
    "closed_templates": ["\x1fwelcome"], "closed_providers": ["email\x1f\x1frelay"],
}  # fmt: skip

PARAMETERS: dict[str, dict[str, Any]] = {
    "claim": {
        "worker_id": 1, "lease": LEASE, "dead": [7], "living": [2, 3], "in_hand": [1], "solo": False, "aside": [9],
        "closed_providers": ["\x1frelay"], "closed_templates": ["\x1fwelcome"], "limit": 100,
        "channels": ["email", "email"], "priorities": ["urgent", "normal"], "tenants": ["default", "default"],
        "floors_at": [Floor().due_at] * 2, "floors_id": [0, 0],
        "untils_at": [END.due_at] * 2, "untils_id": [0, 0], "quotas": [100, 100],
    },
    "strides": {
        "channels": ["email"], "priorities": ["normal"], "tenants": ["default"],
        "floors_at": [Floor().due_at], "floors_id": [0], "rows": 1000,
    },
    "newcomers": {"channels": ["email"], "rows": 2000, "window": 50},
    "heads": {
        "channels": ["email"] * 2, "priorities": ["normal", "urgent"], "tenants": ["", ""], "window": 200,
        "firsts": [1, 2], "lasts": [1, 1], "known": ["default"], "floors_at": [Floor().due_at], "floors_id": [0],
    },
    "record": {
        "worker_id": 1,
        "document": '[{"id": 1, "claim_count": 1, "status": "sent", "tried": true, "charge": false}]',
    },
    "record_sent": {
        "worker_id": 1, "ids": "{1,2}", "claim_counts": "{1,1}", "ages_ms": "{5,5}", "durations_ms": "{3,3}",
        "provider_message_ids": "q1\x1f", "responses": "{}\x1f", "provider": "smtp", "account": "relay", "code": "250",
        "stage": "dot", "scope": "message", "rule": "house.accepted", "choice": None,
        "template": "hi version 1", "reason": "the provider accepted it",
    },
    "extend": {"worker_id": 1, "lease": LEASE, "ids": [1, 2, 3], "claim_counts": [1, 1, 1]},
    "release": {"worker_id": 1, "ids": [1, 2, 3], "claim_counts": [1, 1, 1]},
    "dispatch": {"worker_id": 1, "id": 1, "claim_count": 1},
    "documents": {"ids": [1, 2, 3], "stored": 16384, "opened": 32768, "glance": 2048, "at_most": 32768},
    "templates": {
        "tenants": ["default"], "ids": ["welcome"], "channels": ["email"], "languages": ["pt-BR pt"], "versions": [0],
    },
    "last_try": {"ids": [1, 2]},
    "suppressions": {
        "ids": [1], "tenants": ["default"], "channels": ["email"], "recipients": ["ann@example.com"],
        "categories": ["news"], "copied": [1],
    },
    "replies": {"ids": [1], "tenants": ["default"], "recipients": ["+4915112345"]},
    "leaves": {
        "ids": [1], "tenants": ["default"], "channels": ["email"], "recipients": ["ann@example.com"],
        "categories": ["news"],
    },
    "newer": {"ids": [1, 2]},
    "zones": {"ids": [1], "tenants": ["default"], "channels": ["email"], "recipients": ["ann@example.com"]},
    "choices": {
        "ids": [1], "tenants": ["default"], "channels": ["email"], "recipients": ["ann@example.com"],
        "categories": ["news"],
    },
    "hours": {
        "ids": [1, 2], "tenants": ["default"] * 2, "channels": ["email"] * 2,
        "recipients": ["ann@example.com", "user:42"], "categories": ["", "news"], "urgent": [False, False],
        "zones": ["", "Europe/Berlin"], "starts": ["", "22:00:00"], "ends": ["", "07:00:00"],
    },
    "keeps": {"tenants": ["default"], "categories": ["news"]},
    "keep": {"document": '[{"id": 1, "claim_count": 1, "kept": {"channel": "email", "recipient": "a", "seconds": 9}}]'},
    "suppress_answers": {"ids": [1]},
    "body": {"id": 1},
    "attachments": {"id": 1, "most": 25, "most_bytes": 1000},
    "read_depth": {"channels": ["email"], "priorities": ["normal", "urgent"], "bound": 1000, **CLOSED},
    "read_oldest": {"channels": ["email"], "priorities": ["normal", "urgent"], "lanes": 2000, "bound": 1000, **CLOSED},
}  # fmt: skip

PARAMETERS["peek"] = PARAMETERS["claim"]

SOME = {"destinations": ["email\x1fnormal\x1fdefault\x1fexample.com"], "only": False}
"""What the lines that begin with a + ask for besides."""

INDEXES = {
    "peek": {"notifications_log_hot"},
    "claim": {
        "notifications_log_hot",
        "notifications_log_pkey",
        "workers_pkey",
        "suppressions_live",
        "preferences_pkey",
        "categories_choosy",
        "contacts_address",
    },
    "strides": {"notifications_log_hot"},
    "newcomers": {"notifications_log_pkey", "tenant_members_pkey"},
    "heads": {"notifications_log_hot"},
    "record": {"notifications_log_pkey", "notification_attempts_log_notification", "workers_pkey"},
    "record_sent": {"notifications_log_pkey", "workers_pkey"},
    "extend": {"notifications_log_pkey"},
    "release": {"notifications_log_pkey"},
    "dispatch": {"notifications_log_pkey"},
    "documents": {"notifications_log_pkey"},
    "templates": set(),
    "last_try": {"notification_attempts_log_notification"},
    "suppressions": {"suppressions_live", "categories_pkey", "notifications_log_pkey"},
    "replies": {"replies_heard", "replies_pkey"},
    "leaves": {"categories_pkey"},
    "newer": {"notifications_log_pkey", "notifications_log_collapse"},
    "zones": {"contacts_address", "contacts_person", "settings_key"},
    "choices": {"contacts_address", "categories_pkey", "preferences_pkey"},
    "hours": {"contacts_address", "settings_key", "categories_pkey"},
    "keeps": {"categories_pkey"},
    "keep": {"notification_attempts_log_notification"},
    "suppress_answers": set(),
    "body": {"notifications_log_pkey"},
    "attachments": {"notifications_log_pkey", "attachments_pkey"},
    "read_depth": {"notifications_log_hot", "notifications_log_held"},
    "read_oldest": {"notifications_log_hot"},
}

UNWANTED = {"Sort", "Incremental Sort", "Seq Scan", "Bitmap Heap Scan"}

SORTED = {name: {"Sort"} for name in ("choices", "last_try", "attachments", "newer", "newcomers", "zones")}
"""The tries and attachments of one row, the people with one address, the contacts of a person, and the newest rows of
one key and of all are few."""


def _load(connection: Connection, count: int) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body, priority)"
        " SELECT 'email', 'ann@example.com', 'Hello', 'Hi', CASE WHEN mod(n, 10) = 0 THEN 'urgent' ELSE 'normal' END"
        " FROM generate_series(1, %s) n",
        [count],
    )


@pytest.fixture
def planner(database_url: str) -> Iterator[connecting.Connection]:
    """A connection with the settings of a worker."""
    with connecting.connect(Secret(database_url)) as opened:
        yield opened


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


def _parent(index: str) -> str:
    """The index of the log, for that of one of its partitions."""
    return re.sub(r"^(notification_attempts_log)_(?:\d{4}_\d\d|default)_(notification)_id_idx$", r"\1_\2", index)


def _plan(planner: connecting.Connection, name: str, *, more: bool = False) -> dict[str, Any]:
    """The plan that a prepared statement gets under the session's plan_cache_mode."""
    parameters = PARAMETERS[name] | (SOME if more else {})
    names = sorted(parameters)
    numbered = statement(name, more=more).sql % {parameter: f"${number}" for number, parameter in enumerate(names, 1)}
    planner.execute(f"PREPARE it AS {numbered}".encode())
    values = psycopg.ClientCursor(planner).mogrify(", ".join(["%s"] * len(names)), [parameters[n] for n in names])
    found = planner.execute(f"EXPLAIN (FORMAT JSON) EXECUTE it ({values})".encode()).fetchone()
    planner.execute("DEALLOCATE it")
    assert found is not None
    plan: dict[str, Any] = found["QUERY PLAN"][0]["Plan"]
    return plan


def _check(planner: connecting.Connection) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        planner.execute(f"SET plan_cache_mode = {mode}".encode())
        for name, more in [*((name, False) for name in PARAMETERS), ("claim", True), ("peek", True)]:
            nodes = list(_nodes(_plan(planner, name, more=more)))
            used = {_parent(node["Index Name"]) for node in nodes if "Index Name" in node}
            unwanted = {node["Node Type"] for node in nodes} & UNWANTED - SORTED.get(name, set())
            assert (mode, name, used, unwanted) == (mode, name, INDEXES[name], set())


@pytest.mark.parametrize("count", [0, 1_000])
def test_every_hot_statement_goes_by_index(planner: connecting.Connection, connection: Connection, count: int) -> None:
    _load(connection, count)
    connection.execute("ANALYZE")
    _check(planner)


def test_a_plan_made_on_an_empty_table_stays_good_when_it_fills(
    queue: PostgresQueue, other_queue: PostgresQueue, planner: connecting.Connection, connection: Connection
) -> None:
    # No ANALYZE after the load, as right after a campaign was inserted: the statistics say that nothing is there.
    partitions = connection.execute("SELECT partition FROM noti.log_partitions()").fetchall()
    for table in ("notifications_log", *(name for (name,) in partitions)):
        connection.execute(f"ALTER TABLE noti.{table} SET (autovacuum_enabled = off)".encode())
    connection.execute("ANALYZE")
    shares = [Share(lane, 100) for lane in LANES]
    for _ in range(10):
        assert queue.claim(1, shares, 100, LEASE, [], solo=False) == []
        assert queue.heads([Channel.EMAIL], None, 200) == []
    _load(connection, 100_000)
    blind = _fastest(queue, shares)
    _check(planner)
    connection.execute("ANALYZE")
    _check(planner)
    knowing = _fastest(other_queue, shares)
    for step, seconds in blind.items():  # a plan for an empty table takes a hundred times as long
        assert seconds < 10 * knowing[step], step


def _fastest(queue: PostgresQueue, shares: list[Share]) -> dict[str, float]:
    """Seconds of the fastest of some claims of 100 rows, records and looks for lanes."""
    took: dict[str, list[float]] = {"claim": [], "record": [], "heads": []}
    for _ in range(7):
        at = [time.perf_counter()]
        claimed = queue.claim(1, shares, 100, LEASE, [], solo=False)
        at.append(time.perf_counter())
        queue.record(1, [tried(notification) for notification in claimed])
        at.append(time.perf_counter())
        queue.heads([Channel.EMAIL], None, 200)
        at.append(time.perf_counter())
        assert len(claimed) == 100
        for name, began, ended in zip(took, at, at[1:], strict=False):
            took[name].append(ended - began)
    return {name: min(seconds) for name, seconds in took.items()}


def _idle_claim(queue: PostgresQueue) -> float:
    """Seconds of the fastest of twenty claims, which find no row that is not lost too often already."""
    shares = [Share(lane, 100) for lane in LANES]
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        queue.claim(1, shares, 100, timedelta(0), [], solo=False)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def test_rows_for_tomorrow_cost_an_idle_claim_nothing(queue: PostgresQueue, connection: Connection) -> None:
    _load(connection, 1)
    alone = _idle_claim(queue)
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body, priority, send_at)"
        " SELECT 'email', 'ann@example.com', 'Hello', 'Hi', 'urgent', clock_timestamp() + interval '1 day'"
        " FROM generate_series(1, 50000)"
    )
    assert _idle_claim(queue) < 5 * alone  # walking them all takes ten times as long


@pytest.mark.fault("F26")
def test_a_floor_spares_the_claim_the_dead_entries_of_a_pinned_snapshot(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    _load(connection, 20_000)
    buffers = []
    with connecting.connect(Secret(database_url)) as analyst:
        analyst.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM noti.notifications_log")
        floor = Floor()
        for _ in range(8):
            rows = queue.claim(1, [Share(NORMAL, 500, floor)], 500, LEASE, [], solo=False)
            queue.record(1, [tried(notification) for notification in rows])
            floor = Floor(rows[-1].due_at, rows[-1].notification_id)
        for start in (Floor(), floor):
            share = {"floors_at": [start.due_at], "floors_id": [start.notification_id], "quotas": [1]}
            share |= {"untils_at": [END.due_at], "untils_id": [0]}
            lane = {"channels": ["email"], "priorities": ["normal"], "tenants": ["default"]}
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('claim').sql}"
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
                parameters = PARAMETERS["claim"] | share | lane | {"limit": 1}
                found = connection.execute(explain.encode(), parameters).fetchone()
            assert found is not None
            buffers.append(found[0][0]["Plan"]["Shared Hit Blocks"])
    assert buffers[1] < buffers[0] / 10
