"""Every figure of the report: what it is, and what it should be and is aimed to be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """At least or at most so much."""

    at_least: bool
    value: float

    def holds(self, value: float) -> bool:
        """Whether `value` is within it."""
        return value >= self.value if self.at_least else value <= self.value


def least(value: float) -> Bound:
    """At least `value`."""
    return Bound(True, value)


def most(value: float) -> Bound:
    """At most `value`."""
    return Bound(False, value)


@dataclass(frozen=True)
class Figure:
    """One line of the report; `of` is the unit."""

    key: str
    what: str
    of: str = ""
    target: Bound | None = None
    aim: Bound | None = None


FIGURES = (
    Figure("drain.one.rate", "drain, one process", "/s", least(12_000), least(20_000)),
    Figure("drain.one.of_limit", "drain, one process, of the bare loop", "x", least(0.60), least(0.80)),
    Figure("drain.one.of_pgbench", "drain, one process, of the same SQL in pgbench", "x"),
    Figure("drain.two.of_cpu", "drain, two processes, of what the CPU allows", "x", least(0.8)),
    Figure("drain.one.of_pgqueuer", "drain against pgqueuer", "x", least(1.0), least(1.5)),
    Figure("drain.one.of_post_office", "drain against django-post_office", "x", least(2)),
    Figure("drain.one.of_procrastinate", "drain against procrastinate", "x", least(25)),
    Figure("drain.one.of_afternoon", "drain against the afternoon worker", "x", least(25)),
    Figure("drain.one.worker_us", "CPU of the worker per notification", "µs", most(50), most(25)),
    Figure("drain.one.server_us", "CPU of the server per notification", "µs"),
    Figure("drain.one.cpu_of_limit", "CPU of worker and server, of the bare loop's", "x"),
    Figure("drain.one.cpu_of_pgqueuer", "CPU of worker and server, of pgqueuer's", "x"),
    Figure("drain.one.cpu_of_post_office", "CPU of worker and server, of django-post_office's", "x"),
    Figure("drain.one.cpu_of_procrastinate", "CPU of worker and server, of procrastinate's", "x"),
    Figure("drain.one.cpu_of_afternoon", "CPU of worker and server, of the afternoon worker's", "x"),
    Figure("drain.two.rate", "drain, two processes", "/s"),
    Figure("drain.two.of_one", "two processes against one", "x"),
    Figure("latency.at_20.p50", "pickup at 20/s, p50", "ms", most(6), most(4)),
    Figure("latency.at_20.p95", "pickup at 20/s, p95", "ms", None, most(6)),
    Figure("latency.at_20.p99", "pickup at 20/s, p99", "ms", most(25)),
    Figure("latency.at_500.p50", "pickup at 500/s, p50", "ms", most(6), most(4)),
    Figure("latency.at_500.p95", "pickup at 500/s, p95", "ms", None, most(6)),
    Figure("latency.at_500.p99", "pickup at 500/s, p99", "ms", most(25)),
    Figure("latency.at_500.achieved", "inserted, of 500/s", "/s"),
    Figure("latency.at_2000.p50", "pickup at 2,000/s (four rows per insert), p50", "ms"),
    Figure("latency.at_2000.p95", "pickup at 2,000/s (four rows per insert), p95", "ms"),
    Figure("latency.at_2000.p99", "pickup at 2,000/s (four rows per insert), p99", "ms"),
    Figure("latency.at_2000.achieved", "inserted, of 2,000/s", "/s"),
    Figure("latency.poll_only.p50", "pickup at 20/s without LISTEN, p50", "ms"),
    Figure("latency.poll_only.p99", "pickup at 20/s without LISTEN, p99 (poll interval 1 s)", "ms", most(1_100)),
    Figure("claim.few", "claim of 100, 1,000 rows waiting", "ms", most(5), most(2)),
    Figure("claim.waiting", "claim of 100, 1,000,000 rows waiting", "ms", most(5), most(2)),
    Figure("claim.waiting.of_few", "the same, of the claim with 1,000", "x", most(1.5)),
    Figure("claim.ahead", "claim of 100, 1,000,000 scheduled ahead at a higher priority", "ms", most(5), most(2)),
    Figure("claim.ahead.of_few", "the same, of the claim with 1,000", "x", most(1.5)),
    Figure("claim.finished", "claim of 100, 1,000,000 finished", "ms", most(5), most(2)),
    Figure("claim.finished.of_few", "the same, of the claim with 1,000", "x", most(1.5)),
    Figure(
        "holder.last_of_first",
        "drain of 1,000,000 rows, a snapshot held: last tenth of the first",
        "x",
        least(0.6),
        least(0.85),
    ),
    Figure("holder.rate", "the whole of that drain", "/s"),
    Figure("holder.first", "its first tenth", "/s"),
    Figure("holder.last", "its last tenth", "/s"),
    Figure("holder.peak_mb", "memory of the worker over 1,000,000 rows, peak", "MB", most(130), most(80)),
    Figure("holder.memory_growth", "memory at the end, of that at 100,000 rows", "x", most(1.1)),
    Figure("drain.one.peak_mb", "memory of the worker over a drain, peak", "MB", most(130), most(80)),
    Figure(
        "fairness.last",
        "300,000 rows of one tenant: the last of 1,000 quiet tenants is picked up after",
        "s",
        most(2),
        most(0.5),
    ),
    Figure("fairness.p95", "the same, p95", "s"),
    Figure("enqueue.bulk.of_bare", "insert, 1,000 per statement, of the bare table", "x", least(0.6)),
    Figure("enqueue.single16.of_bare", "insert, single rows, 16 clients, of the bare table", "x", least(0.6)),
    Figure("enqueue.bulk.of_no_triggers", "the same, of the table with indexes and checks, no triggers", "x"),
    Figure("enqueue.single16.of_no_triggers", "single rows, of the table with indexes and checks, no triggers", "x"),
    Figure("enqueue.single16.wake_cost", "cost of the wake-up, single rows, 16 clients", "x", most(0.25)),
    *(
        Figure(f"enqueue.{load}.{table}_rate", f"insert, {words}, {state}", "/s")
        for load, words in (
            ("single", "single rows, 1 client"),
            ("single16", "single rows, 16 clients"),
            ("bulk", "1,000 per statement, 1 client"),
            ("bulk16", "1,000 per statement, 16 clients"),
        )
        for table, state in (
            ("attached", "everything attached"),
            ("no_wake", "without the wake-up"),
            ("no_triggers", "without triggers"),
            ("bare", "bare table"),
        )
    ),
    Figure("cost.wal", "WAL per notification, claim and record, no full page images", "kB", most(2.0), most(1.6)),
    Figure("cost.commits", "commits per notification, claim and record", ""),
    Figure("cost.hot", "claims that were HOT updates", "x"),
    Figure("mail.rate", "e-mail, text and HTML from a template, one process", "/s", least(1_500), least(4_000)),
    Figure("mail.of_textbook", "the same against smtplib and EmailMessage", "x", least(2.5), least(6)),
    Figure("mail.textbook", "the textbook loop", "/s"),
    Figure("mail.worker_us", "CPU of the worker per e-mail", "µs"),
    Figure(
        "webhook.of_textbook", "signed webhooks against 32 threads of requests.Session", "x", least(1.3), least(2.2)
    ),
    Figure("webhook.rate", "signed webhooks, one process", "/s"),
    Figure("webhook.textbook", "the textbook loop", "/s"),
    Figure("webhook.worker_us", "CPU of the worker per webhook", "µs"),
    Figure("slow.rate", "200 sends at a time, each answered after 200 ms, one process", "/s", least(800)),
    Figure("slow.rss_mb", "the same, memory of the worker (RSS), peak", "MB", most(150)),
    Figure("slow.worker_us", "the same, CPU of the worker per send", "µs"),
    Figure(
        "receiver.flooded.p99", "pickup at 100/s while strangers post 200 requests a second, p99", "ms", most(1_000)
    ),
    Figure("receiver.quiet.p99", "the same without them, p99", "ms"),
    Figure("receiver.lost", "the same, what was posted by others, answered 200 and not read", "", most(0)),
    Figure("receiver.refused", "the same, strangers refused by their signature", "/s"),
    Figure("receiver.web_cpu", "the same, CPU of the process that they reach", "%"),
    Figure("idle.statements", "idle worker, statements", "/s", most(2), most(1)),
    Figure("idle.worker_percent", "idle worker, its CPU, of a core", "%", most(1)),
    Figure("idle.server_percent", "idle worker, what it costs the server, of a core", "%", None, most(0.1)),
    Figure("idle.long.statements", "idle for a minute, statements", "/s", most(2), most(1)),
    Figure("idle.long.worker_percent", "idle for a minute, its CPU", "%", most(1)),
    Figure("idle.long.server_percent", "idle for a minute, what it costs the server", "%", None, most(0.1)),
    Figure("rescue.seconds", "from SIGKILL to the next try", "s", most(18)),
    Figure("commands.help", "noti-worker --help", "s", most(0.35)),
    Figure("commands.status", "noti-worker status", "s", most(0.6)),
    Figure("drain.limit.rate", "limit: claim and record in a bare loop", "/s"),
    Figure("drain.pgbench.rate", "limit: the same SQL in pgbench, one client", "/s"),
    Figure("drain.limit.server_us", "limit: CPU of the server per row", "µs"),
    *(
        Figure(f"drain.{name}.{what}", f"{words}: {of}", unit)
        for name, words in (
            ("pgqueuer", "pgqueuer"),
            ("post_office", "django-post_office"),
            ("procrastinate", "procrastinate"),
            ("afternoon", "the afternoon worker"),
        )
        for what, of, unit in (
            ("rate", "drain", "/s"),
            ("worker_us", "CPU of its worker per row", "µs"),
            ("server_us", "CPU of the server per row", "µs"),
        )
    ),
)
