"""Every panel of the dashboard, asked of a real Prometheus that scrapes real workers."""

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.observe.catalogue import METRICS
from tests.operations.dashboard import filled, load, panels
from tests.operations.prometheus import Prometheus
from tests.operations.queries import unknown_metrics
from tests.operations.rules import program, rules
from tests.operations.traffic import configuration, insert_round, insert_specials
from tests.operations.truth import Truth
from tests.system.daemon import Daemons

ROUNDS = 6
SPAN = 120


@contextmanager
def watched(directory: Path, database_url: str, workers: int) -> Iterator[Prometheus]:
    """Workers and a Prometheus that has seen each of them before anything is sent."""
    program("prometheus")
    with ExitStack() as stack:
        daemons = stack.enter_context(Daemons(directory, database_url))
        daemons.configure(stack.enter_context(configuration()))
        started = [daemons.start_ready() for _ in range(workers)]
        targets = [str(daemon.said("http_listening")[0]["listen"]) for daemon in started]
        yield stack.enter_context(Prometheus(directory, targets))


def lock_some(application: psycopg.Connection[Any]) -> None:
    """Two that stay due: the open transaction of an application locks them, and the workers skip them."""
    application.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, send_at)"
        " SELECT 'voice', '+49151120000' || i, 'Body', now() + '3 s' FROM generate_series(1, 2) i"
    )
    application.commit()
    application.execute("SELECT FROM noti.notifications_log WHERE channel = 'voice' FOR UPDATE")


def wrong(prometheus: Prometheus, connection: psycopg.Connection[Any], span: int, workers: int) -> dict[str, Any]:
    """The panels that do not show what the database says."""
    told = prometheus.query('count(notifications_queue_depth{channel="webhook", state="held"} == 3)')
    if [sample.value for sample in told] != [workers]:
        return {"every worker tells the count of the queue": told}  # else sums over workers would look right
    shown = {panel.title: panel.shown(prometheus, span) for panel in panels()}
    checks = Truth(connection, span, workers).checks
    assert set(checks) == set(shown)
    return {title: numbers for title, numbers in shown.items() if not (numbers and checks[title](numbers))}


def test_every_panel_shows_what_the_database_says(
    tmp_path: Path, database_url: str, connection: psycopg.Connection[Any], wait_for: Any
) -> None:
    with watched(tmp_path, database_url, 2) as prometheus, psycopg.connect(database_url) as application:
        wait_for(lambda: prometheus.query("count(noti_worker_build_info) == 2"), 20, "both are scraped")
        lock_some(application)
        with connection.transaction():
            insert_specials(connection)
            for number in range(1, ROUNDS + 1):
                insert_round(connection, number)
        left: dict[str, Any] = {}

        def all_right() -> bool:
            left.clear()
            left.update(wrong(prometheus, connection, SPAN, 2))
            return not left

        try:
            wait_for(all_right, 60)
        except pytest.fail.Exception:
            pytest.fail(f"these panels are wrong: {left}")
        loaded = {rule["name"]: rule for rule in prometheus.rules()}
        assert set(loaded) == {rule.name for rule in rules()}
        assert {rule["health"] for rule in loaded.values()} == {"ok"}
        assert {name for name, rule in loaded.items() if rule["state"] == "firing"} == {"NotiRendererKills"}
        wait_for(lambda: state_of(prometheus, "NotiHeldForAPerson") == "pending", what="it waits for an hour")


def state_of(prometheus: Prometheus, alert: str) -> str:
    (rule,) = (rule for rule in prometheus.rules() if rule["name"] == alert)
    return str(rule["state"])


def test_the_dashboard_can_be_imported_and_asks_for_what_is_exposed() -> None:
    dashboard = load()
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    used = set(re.findall(r"\$\{?(\w+)", str(dashboard["panels"]))) | set(re.findall(r"\$(\w+)", str(variables)))
    assert used == {*variables, "__rate_interval", "__range", "__all"}
    queries = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert {query["datasource"]["uid"] for query in queries} == {"${datasource}"}
    for query in queries:
        assert not unknown_metrics(query["expr"]), query["expr"]
    for variable in ("job", "channel", "tenant"):
        (metric,) = re.findall(r"label_values\((\w+)", variables[variable]["query"]["query"])
        assert not unknown_metrics(metric)
    assert dashboard["id"] is None
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_tenants_keep_their_count_when_a_worker_is_restarted(tmp_path: Path) -> None:
    (panel,) = (panel for panel in panels() if panel.title == "Tenants that send most")
    ((query, _),) = panel.queries
    sent = 'notifications_sent_total{job="noti-worker", channel="email", provider="smtp"'
    series = {
        f'{sent}, instance="a", tenant_id="steady"}}': "1+1x60",  # 61 within the hour; 1 stood at its beginning
        f'{sent}, instance="b", tenant_id="steady"}}': "_x10 5+1x30",  # its first 5 count
        f'{sent}, instance="b", tenant_id="restarted"}}': "0+1x40 0+1x19",
    }
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"round({filled(query, 2700)})",
                        "eval_time": "40m",
                        "exp_samples": [
                            {"labels": '{tenant_id="steady"}', "value": 76},
                            {"labels": '{tenant_id="restarted"}', "value": 40},
                        ],
                    },
                    {
                        "expr": f"round({filled(query, 2700)})",
                        "eval_time": "44m",  # three minutes after the restart
                        "exp_samples": [
                            {"labels": '{tenant_id="steady"}', "value": 80},
                            {"labels": '{tenant_id="restarted"}', "value": 43},
                        ],
                    },
                ],
            }
        ],
    }
    (tmp_path / "test.json").write_text(json.dumps(test))
    command = [program("promtool"), "test", "rules", str(tmp_path / "test.json")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_panel_covers_another_and_each_says_what_it_shows() -> None:
    titles = [panel.title for panel in panels()]
    assert len(titles) == len(set(titles))
    assert all(panel.description and panel.unit for panel in panels())
    places = [panel["gridPos"] for panel in load()["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        below = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or below


def test_what_limits_and_what_comes_back_is_on_the_dashboard() -> None:
    ours = re.compile(r"receipt|mailbox|unsubscribe|suppressed|limit|quotas")
    shown = " ".join(query for panel in panels() for query, _ in panel.queries)
    missing = {metric.name for metric in METRICS if ours.search(metric.name) and metric.name not in shown}
    assert missing == {"noti_receipts_oldest_unread_seconds"}, "an alert has it; the panel counts those that wait"


def test_a_metric_that_does_not_exist_is_noticed() -> None:
    assert unknown_metrics('sum by (channel) (rate(notifications_sent_total{channel="x_y"}[5m]))') == set()
    assert unknown_metrics("histogram_quantile(0.9, rate(noti_worker_claim_seconds_bucket[5m]))") == set()
    assert unknown_metrics("rate(noti_worker_claim_seconds[5m]) + noti_queue_ready") == {
        "noti_worker_claim_seconds",
        "noti_queue_ready",
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_minutes_of_mixed_traffic(
    tmp_path: Path,
    database_url: str,
    connection: psycopg.Connection[Any],
    wait_for: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prints what each panel shows at the end."""
    with watched(tmp_path, database_url, 2) as prometheus, psycopg.connect(database_url) as application:
        wait_for(lambda: prometheus.query("count(noti_worker_build_info) == 2"), 20, "both are scraped")
        lock_some(application)
        insert_specials(connection)
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 120:
            number += 1
            insert_round(connection, number)
            threading.Event().wait(1)
        left: dict[str, Any] = {}

        def all_right() -> bool:
            left.clear()
            left.update(wrong(prometheus, connection, 240, 2))
            return not left

        with contextlib.suppress(pytest.fail.Exception):
            wait_for(all_right, 60)
        lines = [f"{number} rounds within two minutes; the numbers of the last four minutes"]
        for panel in panels():
            lines.append(f"{panel.title} ({panel.unit})")
            for name, value in sorted(panel.shown(prometheus, 240).items()):
                lines.append(f"    {name:32} {value:16.4f}")
        with capsys.disabled():
            sys.stdout.write("\n" + "\n".join(lines) + "\n")
        assert not left
