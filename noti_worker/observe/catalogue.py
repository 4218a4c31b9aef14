"""All metrics by name: one place for the code, the documentation and the tests."""

from dataclasses import dataclass

_SEND = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_PICKUP = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
_STATEMENT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table of metrics; `type` is counter, gauge or histogram."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


SENT = Metric(
    "notifications_sent_total", "counter", ("channel", "provider", "tenant_id"), "Notifications accepted by a provider."
)
FAILED = Metric(
    "notifications_failed_total",
    "counter",
    ("channel", "provider", "error_type"),
    "Notifications that failed for good; error_type is the kind of the last answer.",
)
RETRIED = Metric(
    "notifications_retried_total",
    "counter",
    ("channel", "provider", "error_type"),
    "Tries that did not succeed and will be repeated.",
)
NOT_SENT = Metric(
    "notifications_not_sent_total",
    "counter",
    ("channel", "status"),
    "Notifications parked or ended without a failure: held, unknown, expired, cancelled, suppressed.",
)
SUPPRESSED = Metric(
    "notifications_suppressed_total",
    "counter",
    ("channel", "reason"),
    "Notifications that the suppression list stopped, by the reason of the entry; safe mode's are not among them.",
)
DEPTH = Metric(
    "notifications_queue_depth",
    "gauge",
    ("channel", "state"),
    "Unfinished notifications by state; paused ones are not due. Told by one worker at a time: use max.",
)
OLDEST = Metric(
    "notifications_oldest_due_seconds",
    "gauge",
    ("channel", "priority"),
    "Age of the oldest notification that is due and not paused. Told by one worker at a time: use max.",
)
PAUSES = Metric(
    "noti_worker_pauses", "gauge", ("scope",), "Pauses in force, by scope. Told by one worker at a time: use max."
)
OLDEST_PAUSE = Metric(
    "noti_worker_oldest_pause_seconds",
    "gauge",
    ("scope",),
    "Age of the oldest pause in force, by scope. Told by one worker at a time: use max.",
)
CIRCUITS = Metric(
    "noti_worker_circuit_open_seconds",
    "gauge",
    ("account",),
    "Time since an account is in trouble and not tried; missing when it is not. Told by one worker: use max.",
)
PACES = Metric(
    "noti_worker_limit_pace",
    "gauge",
    ("account",),
    "Part of its rate that a limited account has: less than 1 after it found us too fast. Told by one worker: use max.",
)
QUOTAS = Metric(
    "noti_worker_quotas",
    "gauge",
    ("state",),
    "Quotas of which four fifths (nearly) or all (spent) are used. Told by one worker at a time: use max.",
)
TRIES = Metric(
    "notification_tries_total",
    "counter",
    ("channel", "account", "kind"),
    "Answers of accounts by kind: ok, transient, throttled, permanent, dead, optout, config, uncertain.",
)
UNCLASSIFIED = Metric(
    "noti_unclassified_answers_total",
    "counter",
    ("provider", "code"),
    "Answers that no rule names, judged by the status alone, or an unverified one. Of 100 codes, all others are other.",
)
SEND_DURATION = Metric(
    "notification_send_duration_seconds", "histogram", ("channel", "provider"), "Time of one try.", _SEND
)
PICKUP_DELAY = Metric(
    "notification_pickup_delay_seconds",
    "histogram",
    ("channel", "priority"),
    "Time between due and claimed, by the database's clock.",
    _PICKUP,
)
BUILD = Metric("noti_worker_build_info", "gauge", ("version",), "Always 1; the version of this worker.")
MODE = Metric(
    "noti_worker_delivery_mode",
    "gauge",
    ("account", "mode"),
    "Always 1; how far messages of the account go: live, redirect (to another address), dry (not sent).",
)
CLAIMED = Metric("noti_worker_claimed_total", "counter", ("channel",), "Notifications taken by this worker.")
RESCUED = Metric(
    "noti_worker_rescued_total", "counter", ("channel",), "Taken notifications whose earlier claim was lost."
)
CLAIM = Metric("noti_worker_claim_seconds", "histogram", (), "Time of a claim that took something.", _STATEMENT)
RECORD = Metric("noti_worker_record_seconds", "histogram", (), "Time of writing a batch of results.", _STATEMENT)
RESULTS = Metric(
    "noti_worker_results_total",
    "counter",
    ("fate",),
    "Results by what the database did with them: applied, busy (tried again), again, stale (came late), refused.",
)
DATABASE_UP = Metric("noti_worker_database_up", "gauge", (), "1 while the database answers this worker.")
DATABASE_LOST = Metric("noti_worker_database_losses_total", "counter", (), "Times the database went away.")
FENCED = Metric("noti_worker_fenced", "gauge", (), "1 while no send is started for want of a heartbeat.")
DRAINING = Metric("noti_worker_draining", "gauge", (), "1 once this worker was told to stop.")
REFUSED = Metric(
    "noti_worker_configuration_refused",
    "gauge",
    (),
    "1 while the last reload was refused: the old configuration holds.",
)
ASIDE = Metric(
    "noti_worker_rows_set_aside",
    "gauge",
    (),
    "Notifications that the database refuses to this worker one by one; they are tried again.",
)
UNABLE = Metric(
    "noti_worker_unable",
    "gauge",
    ("what",),
    "1 while the database refuses this altogether, so that the worker is not ready: claim, record, …",
)
LEASES_LOST = Metric("noti_worker_leases_lost_total", "counter", (), "Notifications in hand that were taken by others.")
RENDERER_KILLS = Metric("noti_worker_renderer_kills_total", "counter", (), "Templates that were stopped by force.")
RETENTION = Metric(
    "noti_worker_retention_deleted_total",
    "counter",
    ("what",),
    "Old rows that this worker deleted: by status, inbox, attachments.",
)
STRAY = Metric(
    "noti_worker_stray_log_lines",
    "gauge",
    ("log",),
    "Lines of a log without a month of its own: in the default partition. Told by one worker at a time: use max.",
)
RECEIPT_REQUESTS = Metric(
    "noti_receipt_requests_total",
    "counter",
    ("account", "answer"),
    "Requests to the URL of an account: taken, or why not: signature, unsigned, old, topic, method, size, often.",
)
RECEIPTS = Metric(
    "noti_receipts_total",
    "counter",
    ("provider", "kind"),
    "What providers told of messages afterwards, each thing once; replies of people are `replied`.",
)
UNREADABLE = Metric("noti_receipts_unreadable_total", "counter", ("provider",), "Kept requests that could not be read.")
UNMATCHED = Metric(
    "noti_receipts_unmatched_total", "counter", ("provider",), "Receipts whose notification was not found in 36 hours."
)
RECEIPTS_WAITING = Metric(
    "noti_receipts_waiting",
    "gauge",
    ("state",),
    "Requests that are unread, and receipts that are parked. Told by one worker at a time: use max.",
)
OLDEST_UNREAD = Metric(
    "noti_receipts_oldest_unread_seconds",
    "gauge",
    (),
    "Age of the oldest request that is unread. Told by one worker at a time: use max.",
)
LINKS = Metric(
    "noti_unsubscribe_links_total",
    "counter",
    ("answer",),
    "Links of messages that were acted upon: left, stayed (taken back), kept (could not be), chose (on the page of a"
    " person's choices), or unknown (no link of ours).",
)
MAILBOX_UP = Metric(
    "noti_mailbox_up",
    "gauge",
    ("mailbox",),
    "1 while this worker reaches the mailbox of bounces, 0 when not. Told by who goes there: use min.",
)
MAILS = Metric(
    "noti_mailbox_mails_total",
    "counter",
    ("mailbox", "sort"),
    "Mails that came back: report, complaint, auto_reply, unmatched, forged, unreadable, other.",
)
ENDPOINTS = Metric(
    "noti_endpoints",
    "gauge",
    ("state",),
    "Endpoints that hear of events: enabled, failing (enabled, too), failed (disabled because of that), disabled.",
)
EVENTS_WAITING = Metric(
    "noti_events_waiting", "gauge", (), "Events that enabled endpoints are not told yet, counted to 10,000 for each."
)
OLDEST_EVENT = Metric("noti_oldest_event_seconds", "gauge", (), "The age of the oldest of them.")
TROUBLES = Metric("noti_worker_troubles_total", "counter", (), "Unexpected errors; the log has them.")
IN_FLIGHT = Metric("noti_worker_in_flight", "gauge", (), "Notifications in the hand of this worker without a result.")
UNRECORDED = Metric("noti_worker_unrecorded_results", "gauge", (), "Results that wait to be written.")
HEARTBEAT_AGE = Metric("noti_worker_heartbeat_age_seconds", "gauge", (), "Time since the last heartbeat went through.")

METRICS: tuple[Metric, ...] = (
    SENT,
    FAILED,
    RETRIED,
    NOT_SENT,
    SUPPRESSED,
    DEPTH,
    OLDEST,
    PAUSES,
    OLDEST_PAUSE,
    CIRCUITS,
    PACES,
    QUOTAS,
    TRIES,
    UNCLASSIFIED,
    SEND_DURATION,
    PICKUP_DELAY,
    BUILD,
    MODE,
    CLAIMED,
    RESCUED,
    CLAIM,
    RECORD,
    RESULTS,
    DATABASE_UP,
    DATABASE_LOST,
    FENCED,
    DRAINING,
    REFUSED,
    ASIDE,
    UNABLE,
    LEASES_LOST,
    RENDERER_KILLS,
    RETENTION,
    STRAY,
    RECEIPT_REQUESTS,
    RECEIPTS,
    UNREADABLE,
    UNMATCHED,
    RECEIPTS_WAITING,
    OLDEST_UNREAD,
    LINKS,
    MAILBOX_UP,
    MAILS,
    ENDPOINTS,
    EVENTS_WAITING,
    OLDEST_EVENT,
    TROUBLES,
    IN_FLIGHT,
    UNRECORDED,
    HEARTBEAT_AGE,
)
"""All metrics of ours; Prometheus' usual `process_…` come with them."""
