"""Metrics: the names that dashboards know, bounded labels, and no complaint of promtool."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from noti_worker.domain import facts as f
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.outcome import Kind
from noti_worker.observe.catalogue import METRICS
from noti_worker.observe.endpoints import EndpointMetrics
from noti_worker.observe.mailboxes import MailboxMetrics
from noti_worker.observe.metrics import MetricsObserver
from noti_worker.observe.receipts import ReceiptMetrics
from tests.observe.facts import decided, notification, tried
from tests.promtool import complaints


def samples(observer: MetricsObserver) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values, in the order of the labels' names in the table."""
    order = {metric.name: metric.labels for metric in METRICS}
    return {
        (
            sample.name,
            tuple(sample.labels[label] for label in order.get(sample.name, sorted(sample.labels))),
        ): sample.value
        for family in text_string_to_metric_families(observer.text().decode())
        for sample in family.samples
    }


def told(facts: Iterable[f.Fact], tenants: int = 20) -> dict[tuple[str, tuple[str, ...]], float]:
    observer = MetricsObserver(tenants)
    for fact in facts:
        observer.on(fact)
    return samples(observer)


@dataclass(frozen=True)
class Reading:
    depth: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest: dict[tuple[str, str], float] = field(default_factory=dict)
    pauses: dict[str, tuple[int, float]] = field(default_factory=dict)
    circuits: dict[str, float] = field(default_factory=dict)
    limits: dict[tuple[str, str], float] = field(default_factory=dict)


def everything() -> MetricsObserver:
    """An observer in which every metric has a value."""
    observer = MetricsObserver()
    wait = timedelta(seconds=60)
    for fact in (
        f.WorkerStarted(1, "0.1.0", ("email",)),
        f.DeliveryModes({"relay": "dry"}, ()),
        f.Claimed((notification(rescued=True),), 0.01),
        f.Finished((tried(Kind.OK, Status.SENT),)),
        f.Finished((tried(Kind.TRANSIENT, Status.RETRYING, wait=wait),)),
        f.Finished((tried(Kind.DEAD, Status.FAILED),)),
        f.Finished((decided(Status.EXPIRED),)),
        f.Finished((decided(Status.SUPPRESSED, kind="dead"),)),
        f.Finished((tried(Kind.PERMANENT, Status.FAILED, code="422 odd", unclassified=True),)),
        f.Recorded({"applied": 3, "stale": 1}, 0.01),
        f.DatabaseLost("08006", 0.0, 1),
        f.DatabaseBack(1.0),
        f.Fenced(on=True, seconds=10.0),
        f.LeaseLost(17),
        f.RendererKilled(None, "too slow"),
        f.Retained({"sent": 3}, (), (), (), {}),
        f.Trouble("loop", "KeyError"),
        f.RowSetAside(17, "record", "no", 10.0, 3),
        f.RowGoesOn(17, 2),
        f.Unable("record", "no", 0.0),
        f.Unable("claim email", "no", 0.0),
        f.Able("claim email", 1.0),
        f.WorkerStopping("SIGTERM", 0),
        f.WorkerStopped(0, 0),
    ):
        observer.on(fact)
    observer.watch(in_flight=lambda: 2, unrecorded=lambda: 3, heartbeat_age=lambda: 0.5)
    observer.show(
        Reading(
            {("email", "due"): 5},
            {("email", "normal"): 1.5},
            {"tenant": (2, 60.0)},
            {"relay": 9.5},
            {("pace", "relay"): 0.5, ("quotas", "spent"): 1},
        )
    )
    observer.show_stray({"audit_log": 4})
    receipts = ReceiptMetrics(observer.registry)
    receipts.on(f.ReceiptTaken("mail"))
    read = {("sendgrid", "bounced", "matched"): 1, ("sendgrid", "bounced", "given up"): 1}
    receipts.on(f.ReceiptsRead(read, {"sendgrid": 1}))
    receipts.show({"unread": 3, "parked": 2, "oldest_seconds": 1.5})
    receipts.on(f.LinkUsed("left"))
    mailboxes = MailboxMetrics(observer.registry, ["back"])
    mailboxes.on(f.MailboxReached("back", None))
    EndpointMetrics(observer.registry).show({"enabled": 2, "failing": 1, "waiting": 3, "oldest_seconds": 4.5})
    return observer


def test_tries_are_counted_by_what_became_of_the_row() -> None:
    wait = timedelta(seconds=60)
    values = told(
        [
            f.Finished((tried(Kind.OK, Status.SENT),)),
            f.Finished((tried(Kind.OK, Status.SENT),)),
            f.Finished((tried(Kind.TRANSIENT, Status.RETRYING, wait=wait),)),
            f.Finished((tried(Kind.DEAD, Status.FAILED),)),
            f.Finished((decided(Status.FAILED, kind="lost"),)),
            f.Finished((decided(Status.FAILED, kind="a new kind"),)),
            f.Finished((decided(Status.EXPIRED),)),
            f.Finished((decided(Status.SUPPRESSED),)),  # safe mode
            f.Finished((decided(Status.SUPPRESSED, kind="optout"),)),
            f.Finished((decided(Status.SUPPRESSED, kind="a new reason"),)),
            f.Finished((tried(Kind.CONFIG, Status.HELD),)),
        ]
    )
    assert values["notifications_sent_total", ("email", "smtp", "acme")] == 2
    assert values["notifications_retried_total", ("email", "smtp", "transient")] == 1
    assert values["notifications_failed_total", ("email", "smtp", "dead")] == 1
    assert values["notifications_failed_total", ("email", "none", "lost")] == 1
    assert values["notifications_failed_total", ("email", "none", "other")] == 1
    assert values["notifications_not_sent_total", ("email", "expired")] == 1
    assert values["notifications_not_sent_total", ("email", "held")] == 1
    assert values["notifications_not_sent_total", ("email", "suppressed")] == 3
    assert values["notifications_suppressed_total", ("email", "optout")] == 1
    assert values["notifications_suppressed_total", ("email", "other")] == 1
    assert values["notification_tries_total", ("email", "relay", "ok")] == 2
    assert values["notification_tries_total", ("email", "relay", "config")] == 1
    assert values["notification_send_duration_seconds_count", ("email", "smtp")] == 5
    assert values["notification_send_duration_seconds_sum", ("email", "smtp")] == 7.5


def test_what_alerts_watch_begins_at_zero() -> None:
    observer = MetricsObserver(tenants=1)
    observer.expect({Channel.EMAIL: ("relay", "second"), Channel.SMS: ()}, {"relay": "smtp", "second": "sandbox"})
    values = samples(observer)
    assert values["notification_tries_total", ("email", "second", "uncertain")] == 0
    assert values["notifications_failed_total", ("email", "smtp", "dead")] == 0
    assert values["notifications_failed_total", ("email", "none", "lost")] == 0
    assert values["notifications_retried_total", ("email", "smtp", "transient")] == 0
    assert values["notifications_not_sent_total", ("sms", "held")] == 0
    assert values["notifications_suppressed_total", ("sms", "dead")] == 0
    assert values["notifications_sent_total", ("email", "sandbox", "default")] == 0
    assert values["noti_worker_claimed_total", ("sms",)] == 0
    assert values["noti_worker_results_total", ("stale",)] == 0
    observer.on(f.Finished((tried(Kind.OK, Status.SENT),)))
    # The tenant that begins at zero takes no other one's label.
    assert samples(observer)["notifications_sent_total", ("email", "smtp", "acme")] == 1


def test_the_delay_between_due_and_claimed_is_never_negative() -> None:
    values = told([f.Claimed((notification(waited=2.0), notification(waited=-1.0, rescued=True)), 0.01)])
    assert values["notification_pickup_delay_seconds_count", ("email", "normal")] == 2
    assert values["notification_pickup_delay_seconds_sum", ("email", "normal")] == 2.0
    assert values["noti_worker_claimed_total", ("email",)] == 2
    assert values["noti_worker_rescued_total", ("email",)] == 1
    assert values["noti_worker_claim_seconds_count", ()] == 1


def test_the_state_of_the_worker_follows_the_facts() -> None:
    started: list[f.Fact] = [f.WorkerStarted(1, "0.1.0", ("email",))]
    assert told(started)["noti_worker_build_info", ("0.1.0",)] == 1
    assert told(started)["noti_worker_database_up", ()] == 1
    away = [*started, f.DatabaseLost("08006", 0.0, 1), f.DatabaseLost("08006", 60.0, 1)]
    assert told(away)["noti_worker_database_up", ()] == 0
    assert told(away)["noti_worker_database_losses_total", ()] == 1
    again = [*away, f.DatabaseBack(61.0), f.DatabaseLost("08006", 0.0, 0), f.DatabaseBack(1.0)]
    assert told(again)["noti_worker_database_up", ()] == 1
    assert told(again)["noti_worker_database_losses_total", ()] == 2
    assert told([f.Fenced(on=True, seconds=10)])["noti_worker_fenced", ()] == 1
    assert told([f.Fenced(on=True, seconds=10), f.Fenced(on=False, seconds=0)])["noti_worker_fenced", ()] == 0
    was_dry: list[f.Fact] = [f.DeliveryModes({"relay": "dry"}, ()), f.DeliveryModes({"relay": "live"}, ())]
    assert told(was_dry)["noti_worker_delivery_mode", ("relay", "live")] == 1
    assert ("noti_worker_delivery_mode", ("relay", "dry")) not in told(was_dry)
    assert told([f.WorkerStopping("SIGTERM", 1)])["noti_worker_draining", ()] == 1
    refused = f.ReloadRefused("worker.lease: no")
    assert told([refused])["noti_worker_configuration_refused", ()] == 1
    assert told([refused, f.Reloaded((), ())])["noti_worker_configuration_refused", ()] == 0
    assert told([f.Recorded({"stale": 2, "applied": 5, "odd": 1}, 0.1)])["noti_worker_results_total", ("stale",)] == 2
    assert told([f.Recorded({"odd": 1}, 0.1)])["noti_worker_results_total", ("other",)] == 1


@pytest.mark.fault("F48")
def test_tenants_beyond_the_limit_share_one_label() -> None:
    facts = [
        f.Finished((tried(Kind.OK, Status.SENT, row=notification(tenant=f"tenant {number % 1000}")),))
        for number in range(2000)
    ]
    values = told(facts, tenants=3)
    sent = {labels[2]: value for (name, labels), value in values.items() if name == "notifications_sent_total"}
    assert sent == {"tenant 0": 2, "tenant 1": 2, "tenant 2": 2, "other": 1994}
    assert {labels[2] for name, labels in told(facts, tenants=0) if name == "notifications_sent_total"} == {"other"}


def test_labels_of_any_text_are_exposed() -> None:
    odd = 'a "quoted"\nname \ud800' + "x" * 500
    values = told([f.Finished((tried(Kind.OK, Status.SENT, row=notification(tenant=odd)),))])
    assert [len(labels[2]) for name, labels in values if name == "notifications_sent_total"] == [100]


def test_a_label_gives_no_orders_to_a_terminal() -> None:
    """Whoever may insert a row chooses the tenant's name, and somebody looks at /metrics with curl."""
    orders = "a\x1b]0;owned\x07\x9b2J\r\u202eb\u2028c\x7f"
    observer = MetricsObserver()
    observer.on(f.Finished((tried(Kind.OK, Status.SENT, row=notification(tenant=orders)),)))
    exposed = observer.text().decode()
    assert 'tenant_id="a�]0;owned��2J��b�c�"' in exposed
    assert not any(letter in exposed for letter in orders if not letter.isprintable())


def test_many_threads_lose_no_count() -> None:
    observer = MetricsObserver()
    fact = f.Finished((tried(Kind.OK, Status.SENT),))

    def tell() -> None:
        for _ in range(500):
            observer.on(fact)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(observer)["notifications_sent_total", ("email", "smtp", "acme")] == 4000


def test_a_reading_of_the_queue_replaces_the_one_before_as_a_whole() -> None:
    observer = MetricsObserver()
    observer.show(
        Reading(
            {("email", "due"): 5, ("sms", "held"): 1}, {("email", "normal"): 1.5}, {"tenant": (2, 60.0)}, {"relay": 9.5}
        )
    )
    assert samples(observer)["notifications_queue_depth", ("sms", "held")] == 1
    assert samples(observer)["notifications_oldest_due_seconds", ("email", "normal")] == 1.5
    assert samples(observer)["noti_worker_pauses", ("tenant",)] == 2
    assert samples(observer)["noti_worker_oldest_pause_seconds", ("tenant",)] == 60
    assert samples(observer)["noti_worker_circuit_open_seconds", ("relay",)] == 9.5
    observer.show(Reading({(Channel.EMAIL, "due"): 4}))
    assert not [key for key in samples(observer) if "pause" in key[0]]
    values = {
        key: value
        for key, value in samples(observer).items()
        if key[0].startswith(("notifications_q", "notifications_o"))
    }
    assert values == {("notifications_queue_depth", ("email", "due")): 4}
    observer.show(None)
    assert not [key for key in samples(observer) if key[0].startswith("notifications_queue")]


def test_what_is_watched_is_asked_for_at_every_scrape() -> None:
    observer = MetricsObserver()
    hand = [1]
    observer.watch(in_flight=lambda: len(hand), unrecorded=lambda: 3, heartbeat_age=lambda: 0.5)
    assert samples(observer)["noti_worker_in_flight", ()] == 1
    hand.append(2)
    assert samples(observer)["noti_worker_in_flight", ()] == 2


def test_the_table_and_the_exposition_name_the_same_metrics() -> None:
    exposed = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation)
        for family in text_string_to_metric_families(everything().text().decode())
        if not family.name.startswith("process_")
    }
    assert exposed == {(metric.name, metric.type, metric.help) for metric in METRICS}
    with_values = {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in samples(everything())
    }
    assert with_values >= {metric.name for metric in METRICS}


@pytest.mark.fault("F48")
def test_nothing_that_identifies_a_message_is_a_label() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {
        "answer",
        "channel",
        "provider",
        "tenant_id",
        "error_type",
        "state",
        "priority",
        "status",
        "fate",
        "version",
        "what",
        "log",
        "scope",
        "account",
        "kind",
        "mode",
        "code",
        "reason",
        "mailbox",
        "sort",
    }
    assert "ann@example.com" not in everything().text().decode()


def test_promtool_has_no_complaint() -> None:
    for text in (everything().text(), MetricsObserver().text()):
        assert complaints(text) == b""
