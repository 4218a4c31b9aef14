"""The alert rules, played through by promtool: what wakes somebody, and what does not."""

import subprocess
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.operations.queries import unknown_metrics
from tests.operations.rules import RULES, program, promtool_says, rules

JOB = 'job="noti-worker"'
DAY = "x400"

HEALTHY: Mapping[str, str] = {
    f'up{{{JOB}, instance="a"}}': "1" + DAY,
    f'noti_worker_build_info{{{JOB}, instance="a", version="1"}}': "1" + DAY,
    f'noti_worker_database_up{{{JOB}, instance="a"}}': "1" + DAY,
    f'noti_worker_fenced{{{JOB}, instance="a"}}': "0" + DAY,
    f'noti_worker_claimed_total{{{JOB}, instance="a", channel="email"}}': "0+60" + DAY,
    f'noti_worker_rescued_total{{{JOB}, instance="a", channel="email"}}': "0" + DAY,
    f'noti_worker_renderer_kills_total{{{JOB}, instance="a"}}': "0" + DAY,
    f'noti_worker_troubles_total{{{JOB}, instance="a"}}': "0" + DAY,
    f'noti_worker_results_total{{{JOB}, instance="a", fate="applied"}}': "0+60" + DAY,
    f'noti_worker_results_total{{{JOB}, instance="a", fate="stale"}}': "0" + DAY,
    f'noti_worker_results_total{{{JOB}, instance="a", fate="refused"}}': "0" + DAY,
    f'notification_tries_total{{{JOB}, instance="a", channel="email", account="relay", kind="ok"}}': "0+60" + DAY,
    f'notification_tries_total{{{JOB}, instance="a", channel="email", account="relay", kind="dead"}}': "0+0.1" + DAY,
    f'notification_tries_total{{{JOB}, instance="a", channel="email", account="relay", kind="transient"}}': "0" + DAY,
    f'notification_tries_total{{{JOB}, instance="a", channel="email", account="relay", kind="uncertain"}}': "0" + DAY,
    f'notifications_failed_total{{{JOB}, instance="a", channel="email", error_type="dead"}}': "0+0.1" + DAY,
    f'notifications_failed_total{{{JOB}, instance="a", channel="email", error_type="lost"}}': "0" + DAY,
    f'noti_receipt_requests_total{{{JOB}, instance="web", account="relay", answer="taken"}}': "0+60" + DAY,
    f'noti_receipt_requests_total{{{JOB}, instance="web", account="relay", answer="signature"}}': "0" + DAY,
    f'noti_receipts_total{{{JOB}, instance="a", provider="ses", kind="delivered"}}': "0+60" + DAY,
    f'noti_receipts_total{{{JOB}, instance="a", provider="ses", kind="bounced"}}': "0+1" + DAY,
    f'noti_receipts_unreadable_total{{{JOB}, instance="a", provider="ses"}}': "0" + DAY,
    f'noti_receipts_oldest_unread_seconds{{{JOB}, instance="a"}}': "1" + DAY,
    f'notifications_queue_depth{{{JOB}, instance="a", channel="email", state="due"}}': "3" + DAY,
    f'notifications_oldest_due_seconds{{{JOB}, instance="a", channel="email", priority="normal"}}': "2" + DAY,
}
"""One worker that sends an e-mail a second; one in 600 fails for good, and one in 60 bounces."""


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    """One series of the worker `a`; in place of the healthy one when that has the same name and labels."""
    labels = {"instance": "a", **labels}
    shown = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return {f"{name}{{{JOB}, {shown}}}": values}


def tries(values: str, kind: str, channel: str = "email", account: str = "relay") -> dict[str, str]:
    return series("notification_tries_total", values, channel=channel, account=account, kind=kind)


def depth(values: str, channel: str = "email", state: str = "due") -> dict[str, str]:
    return series("notifications_queue_depth", values, channel=channel, state=state)


def oldest(values: str, priority: str = "normal") -> dict[str, str]:
    return series("notifications_oldest_due_seconds", values, channel="email", priority=priority)


def picked_up(in_time: str, all_of_them: str, priority: str = "high") -> dict[str, str]:
    name = "notification_pickup_delay_seconds"
    labels = {"channel": "email", "priority": priority}
    return series(f"{name}_bucket", in_time, **labels, le="5.0") | series(f"{name}_count", all_of_them, **labels)


def took(name: str, slow: bool) -> dict[str, str]:
    """A histogram of a statement of which two in a hundred are slow."""
    labels = {"le": "1.0"}, {"le": "2.5"}, {"le": "+Inf"}
    counts = ("0+98x60", "0+100x60", "0+100x60") if slow else ("0+100x60", "0+100x60", "0+100x60")
    shown: dict[str, str] = {}
    for label, values in zip(labels, counts, strict=True):
        shown |= series(f"{name}_bucket", values, **label)
    return shown


def asleep() -> dict[str, str]:
    """Nothing waits and nothing is sent: the gauges have no series, the counters stand still."""
    night = {name: "5" + DAY for name in HEALTHY if "_total" in name}
    return night | {name: "" for name in HEALTHY if "notifications_queue" in name or "oldest_due" in name}


NOBODY = dict.fromkeys(HEALTHY, "")
LASTING = {f'noti_worker_build_info{{{JOB}, instance="a", version="1"}}': "1x1500"}


class Case(NamedTuple):
    says: str
    changes: Mapping[str, str]
    expected: Mapping[int, AbstractSet[str]]


SILENT: Mapping[int, AbstractSet[str]] = {minute: set() for minute in (6, 20, 90)}

CASES = (
    Case("silent on a busy day", {}, {minute: set() for minute in (6, 20, 390)}),
    Case("silent when the queue is empty at night", asleep() | picked_up("5x400", "30x400"), SILENT),
    Case(
        "silent on one slow scrape",
        # A minute without any sample, then one in which the gauge still tells of the burst before it.
        {name: values.replace(DAY, "x9 _ " + values.split("x")[0] + "x60") for name, values in HEALTHY.items()}
        | series("up", "1x9 0 1x60")
        | oldest("2x9 _ 400 2x60"),
        {minute: set() for minute in (10, 11, 12, 16, 40)},
    ),
    Case(
        "pages when the backlog grows",
        oldest("0+30x60"),
        {10: set(), 15: set(), 17: {"NotiOldestDueTooOld"}, 40: {"NotiOldestDueTooOld"}},
    ),
    Case(
        "silent when a backlog is worked off within the time",
        oldest("0+50x8 400-80x5 0x60"),
        {minute: set() for minute in (8, 12, 20)},
    ),
    Case("pages sooner for urgent ones", oldest("70x60", "urgent"), {4: set(), 6: {"NotiOldestDueTooOld"}}),
    Case("lets normal ones wait a minute", oldest("70x60", "normal"), {20: set()}),
    Case(
        "pages when due ones are not taken",
        series("noti_worker_claimed_total", "0+60x5 300x60", channel="email"),
        {14: set(), 25: {"NotiNoProgress"}},
    ),
    Case("pages when no worker serves a channel", depth("1x60", "voice"), {4: set(), 6: {"NotiNoProgress"}}),
    Case("silent when due ones are paused", depth("9x60", "voice", "paused"), {40: set()}),
    Case("silent when only scheduled ones wait", depth("9x60", "voice", "scheduled"), {40: set()}),
    Case(
        "silent after a quick restart",
        {name: values.replace(DAY, "x9 stale _ " + values.split("x")[0] + "x60") for name, values in HEALTHY.items()}
        | series("up", "1x9 0 0 1x60"),
        {minute: set() for minute in (10, 12, 14, 16, 18, 40)},
    ),
    Case(
        "pages when a restarted worker does not come back",
        {name: values.replace(DAY, "x9 stale") for name, values in HEALTHY.items()} | series("up", "1x9 0x60"),
        {14: set(), 16: {"NotiMetricsAbsent", "NotiWorkerDown"}, 60: {"NotiMetricsAbsent", "NotiWorkerDown"}},
    ),
    Case("pages when nothing is scraped at all", NOBODY, {4: set(), 6: {"NotiMetricsAbsent"}}),
    Case(
        "tells of one of two workers that does not answer",
        series("up", "0x60", instance="b"),
        {4: set(), 6: {"NotiWorkerDown"}},
    ),
    Case(
        "pages once, for its cause, when the database is away",
        series("noti_worker_database_up", "1x5 0x60")
        | series("noti_worker_claimed_total", "0+60x5 300x60", channel="email"),
        {7: set(), 9: {"NotiDatabaseAway"}, 40: {"NotiDatabaseAway", "NotiWorkerCutOff"}},
    ),
    Case(
        "pages when heartbeats do not go through",
        series("noti_worker_fenced", "1x60"),
        {1: set(), 3: {"NotiDatabaseAway"}, 12: {"NotiDatabaseAway", "NotiWorkerCutOff"}},
    ),
    Case(
        "wakes nobody for one of two workers that is cut off",
        series("noti_worker_database_up", "0x60", instance="b") | series("noti_worker_fenced", "0x60", instance="b"),
        {8: set(), 12: {"NotiWorkerCutOff"}},
    ),
    Case(
        "pages when most tries fail",
        tries("0+20x90", "ok") | tries("0+40x90", "transient"),
        {9: set(), 15: {"NotiMostTriesFail", "NotiTriesFail"}},
    ),
    Case(
        "wakes nobody for a quarter of failures",
        tries("0+20x90", "transient"),
        {9: set(), 15: {"NotiTriesFail"}, 80: {"NotiTriesFail"}},
    ),
    Case("silent on one failure in twenty", tries("0+3x90", "transient"), SILENT),
    Case("silent when only few tries fail, and there are few", tries("0+2x90", "ok") | tries("0+2x90", "dead"), SILENT),
    Case(
        "does not count throttled tries as failures",
        tries("0+6x90", "ok") | tries("0+60x90", "throttled"),
        {15: set(), 80: set()},
    ),
    Case(
        "wakes nobody for an account that is down while the next one sends",
        tries("0x90", "ok") | tries("0+60x90", "transient") | tries("0+60x90", "ok", account="second"),
        {8: set(), 20: {"NotiAccountDown", "NotiTriesFail"}, 80: {"NotiAccountDown", "NotiTriesFail"}},
    ),
    Case(
        "tells of an account in trouble, and wakes nobody while others send",
        series("noti_worker_circuit_open_seconds", "0x5 60+60x80", account="second", scope="account"),
        {5: set(), 12: {"NotiAccountInTrouble"}, 80: {"NotiAccountInTrouble"}},
    ),
    Case(
        "silent on an account that was in trouble for a minute",
        series("noti_worker_circuit_open_seconds", "0x5 30 90 0x80", account="second"),
        SILENT,
    ),
    Case(
        "tells of an account that is slowed for long",
        series("noti_worker_limit_pace", "1x5 0.4x80", account="relay"),
        {5: set(), 15: set(), 25: {"NotiAccountSlowed"}, 80: {"NotiAccountSlowed"}},
    ),
    Case(
        "silent on an account that is slowed now and then",
        series("noti_worker_limit_pace", "1 0.5 0.8 1 0.4 0.9 1x80", account="relay"),
        SILENT,
    ),
    Case(
        "tells of a quota that is used up",
        series("noti_worker_quotas", "0x5 1x80", state="spent"),
        {5: set(), 15: {"NotiQuotaSpent"}, 80: {"NotiQuotaSpent"}},
    ),
    Case("silent on a quota that is nearly used up", series("noti_worker_quotas", "0x5 2x80", state="nearly"), SILENT),
    Case(
        "pages when the only account of a channel is down, with little traffic too",
        tries("0x90", "ok") | tries("0+0.5x90", "config"),
        {15: set(), 30: {"NotiChannelDown", "NotiAccountDown"}},
    ),
    Case("silent while somebody's webhook receiver is down", tries("0+1x90", "transient", "webhook"), SILENT),
    Case("pages when many answers are lost", tries("0+5x90", "uncertain"), {5: set(), 15: {"NotiDuplicateRisk"}}),
    Case(
        "pages when results come late",
        series("noti_worker_results_total", "0+5x90", fate="stale"),
        {5: set(), 15: {"NotiDuplicateRisk"}},
    ),
    Case("silent on a lost answer now and then", tries("0+1x90", "uncertain"), SILENT),
    Case(
        "pages when high ones begin late",
        picked_up("0+8x90", "0+10x90"),
        {2: set(), 10: {"NotiStartsTooLate"}, 60: {"NotiStartsTooLate", "NotiStartsOftenLate"}},
    ),
    Case(
        "pages no more when they begin in time again",
        picked_up("0+8x20 160+10x60", "0+10x90"),
        {10: {"NotiStartsTooLate"}, 30: {"NotiStartsOftenLate"}},
    ),
    Case("wakes nobody for a slow leak of the budget", picked_up("0+95x90", "0+100x90"), {40: {"NotiStartsOftenLate"}}),
    Case("lets normal ones begin late", picked_up("0x90", "0+10x90", "normal"), SILENT),
    Case("silent when few began late in a quiet hour", picked_up("0x90", "0+0.2x90"), {60: set()}),
    Case(
        "tells of many that failed for good",
        series("notifications_failed_total", "0+1x90", channel="email", error_type="permanent"),
        {10: set(), 60: {"NotiDeadLetters"}},
    ),
    Case(
        "silent on many failures among very many",
        tries("0+600x400", "ok") | series("notifications_failed_total", "0+2x400", channel="email", error_type="dead"),
        SILENT,
    ),
    Case(
        "tells of rescues",
        series("noti_worker_rescued_total", "0x5 20x60", channel="email"),
        {5: set(), 8: {"NotiLeaseRescues"}},
    ),
    Case(
        "silent on the few rescues of a crash", series("noti_worker_rescued_total", "0x5 8x60", channel="email"), SILENT
    ),
    Case(
        "tells of one that lost five workers",
        series("notifications_failed_total", "0x5 1x60", channel="email", error_type="lost"),
        {5: set(), 8: {"NotiQuarantined"}},
    ),
    Case(
        "tells of held ones after an hour",
        depth("2x90", state="held"),
        {55: set(), 65: {"NotiHeldForAPerson"}},
    ),
    Case(
        "tells of killed templates",
        series("noti_worker_renderer_kills_total", "0x5 1x90"),
        {5: set(), 8: {"NotiRendererKills"}, 80: set()},
    ),
    Case(
        "tells of troubles",
        series("noti_worker_troubles_total", "0x5 1x90"),
        {5: set(), 8: {"NotiTroubles"}, 80: set()},
    ),
    Case(
        "tells of single rows that are refused",
        series("noti_worker_rows_set_aside", "0x5 2x30 0x60"),
        {15: set(), 22: {"NotiRowsRefused"}, 40: set()},
    ),
    Case(
        "tells when the database refuses all of one kind",
        series("noti_worker_unable", "0x5 1x30 0x60", what="record"),
        {6: set(), 9: {"NotiDatabaseRefuses"}, 40: set()},
    ),
    Case("tells of slow records", took("noti_worker_record_seconds", slow=True), {9: set(), 20: {"NotiDatabaseSlow"}}),
    Case("tells of slow claims", took("noti_worker_claim_seconds", slow=True), {9: set(), 20: {"NotiDatabaseSlow"}}),
    Case("silent on quick records", took("noti_worker_record_seconds", slow=False), {20: set(), 50: set()}),
    Case(
        "tells of an upgrade that was left half done",
        series("noti_worker_build_info", "1x90", instance="b", version="2"),
        {50: set(), 65: {"NotiVersionsMixed"}},
    ),
    Case(
        "silent during an upgrade",
        series("noti_worker_build_info", "1x30", instance="b", version="2"),
        {minute: set() for minute in (10, 30, 65)},
    ),
    Case(
        "tells of a refused configuration until it is mended",
        series("noti_worker_configuration_refused", "0x5 1x30 0x60"),
        {12: set(), 20: {"NotiConfigurationRefused"}, 38: set()},
    ),
    Case(
        "tells of each kind of safe mode",
        series("noti_worker_delivery_mode", "1x60", account="relay", mode="dry")
        | series("noti_worker_delivery_mode", "1x60", account="hooks", mode="live"),
        {14: set(), 16: {"NotiSafeMode"}},
    ),
    Case(
        "silent while all accounts are live",
        series("noti_worker_delivery_mode", "1x60", account="relay", mode="live"),
        {40: set()},
    ),
    Case(
        "tells of a pause that is older than a day",
        series("noti_worker_oldest_pause_seconds", "84600+60x60", scope="tenant"),
        {34: set(), 37: {"NotiPausedForADay"}},
    ),
    Case(
        "tells of receipts that are refused",
        series("noti_receipt_requests_total", "0x5 20x90", account="relay", answer="signature", instance="web"),
        {5: set(), 8: {"NotiReceiptsRefused"}, 80: set()},
    ),
    Case(
        "silent on a stranger now and then",
        series("noti_receipt_requests_total", "0x5 8x90", account="relay", answer="old", instance="web"),
        SILENT,
    ),
    Case(
        "tells when receipts are not read",
        series("noti_receipts_oldest_unread_seconds", "0+60x60"),
        {5: set(), 8: {"NotiReceiptsUnread"}, 60: {"NotiReceiptsUnread"}},
    ),
    Case(
        "tells of receipts that cannot be read",
        series("noti_receipts_unreadable_total", "0x5 1x90", provider="ses"),
        {5: set(), 8: {"NotiReceiptsUnread"}, 80: set()},
    ),
    Case(
        "tells of an endpoint that was disabled",
        series("noti_endpoints", "0x10 1x60", state="failed"),
        {5: set(), 13: {"NotiEndpointDisabled"}, 60: {"NotiEndpointDisabled"}},
    ),
    Case(
        "silent on an endpoint that a person disabled",
        series("noti_endpoints", "1x60", state="disabled") | series("noti_endpoints", "0x60", state="failed"),
        {40: set()},
    ),
    Case(
        "tells of a mailbox that cannot be read, whichever worker goes there",
        series("noti_mailbox_up", "1x5 0x10 _x90", mailbox="back")
        | series("noti_mailbox_up", "_x14 0x30 1x60", mailbox="back", instance="b"),
        {18: set(), 25: {"NotiMailboxUnreachable"}, 60: set()},
    ),
    Case(
        "silent on a mailbox that is away for a while",
        series("noti_mailbox_up", "1x5 0x10 1x5 0x10 1x90", mailbox="back"),
        {minute: set() for minute in (14, 30, 60)},
    ),
    Case(
        "tells of many bounces",
        series("noti_receipts_total", "0x5 0+5x400", provider="ses", kind="bounced"),
        {5: set(), 60: {"NotiManyBounces"}, 380: {"NotiManyBounces"}},
    ),
    Case(
        "silent where only bounces are told",
        series("noti_receipts_total", "0+5x400", provider="sns", kind="bounced")
        | series("noti_receipts_total", "0x400", provider="sns", kind="delivered"),
        {60: set()},
    ),
    Case(
        "silent on a few bounces of few messages",
        series("noti_receipts_total", "0+0.05x400", provider="twilio", kind="bounced")
        | series("noti_receipts_total", "0+0.05x400", provider="twilio", kind="delivered"),
        {minute: set() for minute in (60, 380)},
    ),
    Case(
        "tells of stray log lines after a day",
        series("noti_worker_stray_log_lines", "3x1500", log="audit_log") | NOBODY | LASTING,
        {1430: set(), 1450: {"NotiStrayLogLines"}},
    ),
    Case(
        "silent while retention settles stray log lines",
        series("noti_worker_stray_log_lines", "3x600 0x900", log="audit_log") | NOBODY | LASTING,
        {1450: set()},
    ),
)


def played(changes: Mapping[str, str]) -> dict[str, str]:
    return {name: values for name, values in {**HEALTHY, **changes}.items() if values}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says.replace(" ", "_"))
def test_the_alerts_are(case: Case, tmp_path: Path) -> None:
    complaint = promtool_says(tmp_path, played(case.changes), case.expected)
    assert not complaint, complaint


def test_promtool_has_no_complaint_about_the_files() -> None:
    for words in (["check", "rules", str(RULES)], ["check", "config", str(RULES.with_name("prometheus.yml"))]):
        run = subprocess.run([program("promtool"), *words], capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "SUCCESS" in run.stdout


def test_every_alert_is_played_through_firing_and_silent() -> None:
    names = {rule.name for rule in rules()}
    assert len(names) == len(rules()) == RULES.read_text(encoding="utf-8").count("alert:")
    fired = set().union(*(names for case in CASES for names in case.expected.values()))
    assert fired == names


def test_an_alert_that_never_fires_and_one_that_always_fires_are_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "changed.rules.yml"
    text = RULES.read_text(encoding="utf-8")
    absent = "expr: absent(noti_worker_build_info)\n        for: 5m"
    assert text.count(absent) == 1
    for expr, changes, expected in (
        ("vector(0) > 1", NOBODY, {6: {"NotiMetricsAbsent"}}),
        ("vector(1)", {}, {6: set()}),
    ):
        changed.write_text(text.replace(absent, f"expr: {expr}"))
        assert promtool_says(tmp_path, played(changes), expected, changed)


def test_at_most_eight_alerts_wake_somebody() -> None:
    severities = [rule.severity for rule in rules()]
    assert set(severities) == {"page", "ticket"}
    assert severities.count("page") <= 8


def test_every_alert_says_what_it_is_and_names_its_paragraph() -> None:
    for rule in rules():
        assert rule.annotation("summary")
        assert rule.annotation("description").endswith(".")
        assert rule.annotation("runbook") == f"noti-worker docs operations {rule.name}"


def test_two_installations_do_not_hide_each_other(tmp_path: Path) -> None:
    other = {name.replace('"noti-worker"', '"noti-other"'): values for name, values in HEALTHY.items()}
    broken = played(tries("0x90", "ok") | tries("0+60x90", "transient"))
    assert not promtool_says(
        tmp_path, broken | other, {40: {"NotiMostTriesFail", "NotiTriesFail", "NotiChannelDown", "NotiAccountDown"}}
    )


def test_every_metric_of_the_rules_exists() -> None:
    for rule in rules():
        assert not unknown_metrics(rule.expr), rule.name


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pytest.skip.Exception, match=r"promtool is not installed \(Debian package prometheus\)"):
        program("promtool")
