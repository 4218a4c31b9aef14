"""The log: one event name and fields per line, to standard error, with nothing personal in it."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

import structlog

from noti_worker.domain.closures import CIRCUIT, LIMIT, PAUSE, QUOTA
from noti_worker.domain.facts import (
    Able,
    CircuitClosed,
    CircuitOpened,
    Claimed,
    DatabaseBack,
    DatabaseHeldUp,
    DatabaseLost,
    DeliveryModes,
    Fact,
    Fenced,
    Finished,
    LeaseLost,
    QuotaUsed,
    Recorded,
    Reloaded,
    ReloadRefused,
    RendererKilled,
    Result,
    Retained,
    RowGoesOn,
    RowSetAside,
    SchemaNewer,
    Slowed,
    Steered,
    Trouble,
    Unable,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from noti_worker.domain.outcome import Kind
from noti_worker.domain.trace import trace_id
from noti_worker.domain.words import without_recipient
from noti_worker.observe import endpoints, mailboxes, receipts
from noti_worker.observe.lines import Lines, exception, in_order, thread_died
from noti_worker.observe.redact import code, redact, words
from noti_worker.observe.unclassified import Unclassified

EVENTS: dict[str, str] = {
    "worker_started": "the worker is registered and begins to claim (info)",
    "schema_newer": "the schema is at `revision`, this version goes as far as `known`: install the newer one here, too;"
    " until then this one goes on (warning)",
    "safe_mode": "messages do not reach their recipients: accounts in `dry` and `redirect` mode, `unsent` channels"
    " that are redirected to nowhere; at the start and every 10 minutes (warning)",
    "worker_stopping": "no new claim from here on; `why` is the signal (info)",
    "worker_stopped": "the last result is recorded; `left` results could not be (info, warning when some are left)",
    "reloaded": "the configuration was read anew and holds; what `restart` names waits for one (info, warning)",
    "reload_refused": "the configuration on disk is wrong, the old one stays; `error` names the setting (error)",
    "http_listening": "/metrics and /health are served at `listen`; `wanted` was in use (info, warning)",
    "traces": "spans are exported over OTLP, or `why` not although OTEL_… variables ask for it (info, warning)",
    "try_failed": "a try did not succeed; `verdict` is what becomes of the row, `wait_s` when it comes again (warning)",
    "unclassified_answer": "no rule names the answer, `rule` went by its status alone; or it names it, and nobody has"
    " verified what it means. `code` is status and code; once an hour for each provider and code (warning)",
    "not_sent": "a row was not sent by decision: expired, cancelled, held, …; `reason` says why (info)",
    "sent": "a message was accepted by its provider (debug)",
    "claimed": "rows were taken (debug)",
    "rescued": "of the rows that were taken `rows` had been lost before: their worker died, or their lease ran out"
    " (warning)",
    "recorded": "results were written (debug)",
    "late_result": "results came when their rows were no longer ours; kept in the attempts log as stale (warning)",
    "row_set_aside": "the database refuses one row what is to be done (`what`); it is tried again after `seconds`, each"
    " time twice as long. A refused result is kept meanwhile (error)",
    "row_goes_on": "a row that was set aside is refused no more, or is not there any more; `rows` still are (info)",
    "unable": "the database refuses `what` altogether, since `seconds`: the worker is not ready; once a minute (error)",
    "able": "what was refused for `seconds` goes through again (info)",
    "database_lost": "the database does not answer; once a minute, `waiting` results are in hand (warning)",
    "database_back": "the database answers again (info)",
    "database_busy": "a lock, a deadlock or a time limit kept a statement from its end, which is tried again; at most"
    " once a minute (warning)",
    "fenced": "no heartbeat for 10 s: no send is started (warning)",
    "unfenced": "a heartbeat went through: sends go on (info)",
    "paused": "other pauses, open circuits or spent quotas are in force than before: `pauses`, `circuits` and `quotas`"
    " list them (info)",
    "circuit_opened": "an account is in trouble: no message is tried through it for `seconds`, then one (error)",
    "circuit_closed": "a message went through an account that was in trouble: it is used again (info)",
    "limit_slowed": "a provider found us too fast: `what` has the part `pace` of its rate left, which grows again, and"
    " nothing for `seconds` (warning)",
    "quota_nearly_spent": "four fifths of the quota of this `period` are used (warning)",
    "quota_spent": "a quota is used up: what counts by it waits for the next day or month (warning)",
    "lease_lost": "a row in hand is no longer ours (warning)",
    "renderer_killed": "a template took too long or too much memory (warning)",
    "retention": "old rows and months of the logs went, or new months were made; `stray` lines have no month, "
    "`postponed` things come next time (info, warning when stray or postponed)",
    **receipts.EVENTS,
    **mailboxes.EVENTS,
    **endpoints.EVENTS,
    "trouble": "something unexpected in one part of the worker, which goes on (error)",
    "library_message": "a library has something to say (warning, error)",
}
"""All events and what they mean."""


class Format(Protocol):
    """What `configure` needs of the settings."""

    @property
    def level(self) -> str:
        """The least severe level: debug, info, warning or error."""
        ...

    @property
    def format(self) -> str:
        """How lines look: json, console or auto (console on a terminal)."""
        ...


class Libraries(logging.Handler):
    """Brings what libraries log through the same redactor and renderer."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as an event of ours."""
        try:
            fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info and record.exc_info[0] is not None:
                fields |= exception(*record.exc_info[:2], record.exc_info[2])
        except Exception as error:  # noqa: BLE001 - a record that cannot be formatted is still worth a line
            fields = {"logger": record.name, "exception": type(error).__name__}
        severe = record.levelno >= logging.ERROR
        log = structlog.get_logger()
        (log.error if severe else log.warning)("library_message", **fields)


def configure(settings: Format, stream: TextIO | None = None) -> None:
    """Set up logging for the process, libraries included (from WARNING on); `stream` is standard error by default."""
    stream = stream or sys.stderr
    terminal = stream is not None and stream.isatty()
    if settings.format == "console" or (settings.format == "auto" and terminal):
        renderer: Any = structlog.dev.ConsoleRenderer(colors=terminal)
    else:
        renderer = structlog.processors.JSONRenderer()
    lines = Lines(stream)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            structlog.processors.add_log_level,
            in_order,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Libraries)]:
        root.removeHandler(handler)
    root.addHandler(Libraries())
    root.setLevel(max(level, logging.WARNING))
    # A thread that dies would print its traceback, values included, past the redactor.
    threading.excepthook = thread_died


LOST_EVERY = 59.0
"""Seconds between two lines about a database that is away."""


class LogObserver:
    """Writes one line per failed try and per turn of the worker's life; none per success unless at DEBUG."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Log as `configure` has set it up."""
        self.renew()
        self._monotonic = monotonic
        self._lost_said = -LOST_EVERY
        self._lost = False
        self._unclassified = Unclassified()

    def renew(self) -> None:
        """Log as `configure` has just set it up."""
        self._log: Any = structlog.get_logger().bind()
        self._verbose = bool(self._log.is_enabled_for(logging.DEBUG))

    def on(self, fact: Fact) -> None:
        """Write what happened."""
        match fact:
            case Finished(results):
                for result in results:
                    self._finished(result)
            case Claimed(rows, seconds):
                if lost := sum(row.rescued for row in rows):
                    self._log.warning("rescued", rows=lost)
                if self._verbose:
                    self._log.debug("claimed", rows=len(rows), seconds=round(seconds, 4))
            case Recorded(fates, seconds):
                if late := fates.get("stale", 0):
                    self._log.warning("late_result", count=late)
                if self._verbose:
                    self._log.debug("recorded", rows=sum(fates.values()), seconds=round(seconds, 4))
            case LeaseLost() | DatabaseHeldUp() | RendererKilled() | Slowed() | QuotaUsed() | Trouble():
                self._mishap(fact)
            case Retained():
                self._retained(fact)
            case Steered() | CircuitOpened() | CircuitClosed() | RowSetAside() | RowGoesOn() | Unable() | Able():
                self._kept_back(fact)
            case _:
                self._turn(fact)

    def http_listening(self, address: str, wanted: str) -> None:
        """Tell where metrics and health are; `wanted` differs when that port was in use."""
        if address == wanted or wanted.endswith(":0"):
            self._log.info("http_listening", listen=address)
        else:
            self._log.warning("http_listening", listen=address, wanted=wanted)

    def traces(self, why_not: str | None) -> None:
        """Tell that spans are exported, or why they are not."""
        if why_not is None:
            self._log.info("traces")
        else:
            self._log.warning("traces", why=why_not)

    def _turn(self, fact: Fact) -> None:
        match fact:
            case WorkerStarted(worker_id, version, channels):
                self._log.info("worker_started", worker_id=worker_id, version=version, channels=channels)
            case SchemaNewer(revision, known):
                self._log.warning("schema_newer", revision=revision, known=known)
            case DeliveryModes():
                self._modes(fact)
            case WorkerStopping(why, in_flight):
                self._log.info("worker_stopping", why=why, in_flight=in_flight)
            case WorkerStopped(released, left):
                (self._log.warning if left else self._log.info)("worker_stopped", released=released, left=left)
            case Reloaded(channels, restart):
                (self._log.warning if restart else self._log.info)("reloaded", channels=channels, restart=restart)
            case ReloadRefused(error):
                self._log.error("reload_refused", error=error)
            case DatabaseLost():
                self._database_lost(fact)
            case DatabaseBack(seconds):
                if self._lost:
                    self._log.info("database_back", seconds=round(seconds, 1))
                self._lost = False
            case Fenced(on, seconds):
                (self._log.warning if on else self._log.info)("fenced" if on else "unfenced", seconds=round(seconds, 1))

    def _modes(self, fact: DeliveryModes) -> None:
        by_mode = {
            wanted: [name for name, mode in fact.accounts.items() if mode == wanted] for wanted in ("dry", "redirect")
        }
        if any(by_mode.values()):
            self._log.warning("safe_mode", **by_mode, unsent=fact.unsent)

    def _database_lost(self, fact: DatabaseLost) -> None:
        """At most a line a minute, also when it comes and goes every second."""
        now = self._monotonic()
        if now - self._lost_said >= LOST_EVERY:
            self._lost_said, self._lost = now, True
            self._log.warning("database_lost", error=fact.error, seconds=round(fact.seconds, 1), waiting=fact.waiting)

    def _mishap(self, fact: Fact) -> None:
        match fact:
            case LeaseLost(notification_id):
                self._log.warning("lease_lost", notification_id=notification_id)
            case DatabaseHeldUp(error):
                self._log.warning("database_busy", error=error)
            case RendererKilled(template_id, why):
                self._log.warning("renderer_killed", template=template_id, why=why)
            case Slowed(scope, name, pace, seconds):
                what = f"{scope} {name}"
                self._log.warning("limit_slowed", what=what, pace=round(pace, 3), seconds=round(seconds, 1))
            case QuotaUsed(limit, spent):
                self._log.warning(
                    "quota_spent" if spent else "quota_nearly_spent",
                    what=f"{limit.scope} {limit.name}",
                    tenant=limit.tenant_id or None,
                    period=limit.period,
                )
            case Trouble(where, error):
                self._log.error("trouble", where=where, error=error)

    def _refused(self, fact: Fact) -> None:
        match fact:
            case RowSetAside(notification_id, what, error, seconds, rows):
                self._log.error(
                    "row_set_aside", notification_id=notification_id, what=what, error=error, seconds=seconds, rows=rows
                )
            case RowGoesOn(notification_id, rows):
                self._log.info("row_goes_on", notification_id=notification_id, rows=rows)
            case Unable(what, error, seconds):
                self._log.error("unable", what=what, error=error, seconds=round(seconds, 1))
            case Able(what, seconds):
                self._log.info("able", what=what, seconds=round(seconds, 1))

    def _kept_back(self, fact: Fact) -> None:
        match fact:
            case Steered(closures):
                named: dict[str, list[str]] = {PAUSE: []}
                for closure in sorted(closures):
                    scope = " ".join(filter(None, (closure.scope, closure.name, closure.tenant_id)))
                    named.setdefault(closure.cause, []).append(scope)
                others = {f"{cause}s": named[cause] for cause in (CIRCUIT, LIMIT, QUOTA) if cause in named}
                self._log.info("paused", pauses=named[PAUSE], **others)
            case CircuitOpened(account, reason, seconds):
                self._log.error("circuit_opened", account=account, error=words(reason), seconds=round(seconds, 1))
            case CircuitClosed(account):
                self._log.info("circuit_closed", account=account)
            case Slowed(scope, name, pace, seconds):
                self._log.warning(
                    "limit_slowed", what=f"{scope} {name}", pace=round(pace, 3), seconds=round(seconds, 1)
                )
            case _:
                self._refused(fact)

    def _retained(self, fact: Retained) -> None:
        (self._log.warning if fact.stray or fact.postponed else self._log.info)(
            "retention",
            deleted=sum(fact.deleted.values()),
            stray=sum(fact.stray.values()),
            **{name: names for name in ("made", "dropped", "postponed") if (names := getattr(fact, name))},
        )

    def _finished(self, result: Result) -> None:
        row, verdict, outcome = result.notification, result.verdict, result.outcome
        if outcome is not None and outcome.kind is Kind.OK and not self._verbose:
            return
        log = self._log.bind(
            notification_id=row.notification_id,
            channel=str(row.channel),
            tenant=row.tenant_id,
            verdict=str(verdict.status),
        )
        if outcome is None:
            log.info("not_sent", kind=result.kind, template=row.template_id, reason=verdict.reason)
            return
        log = log.bind(
            account=result.account,
            provider=result.provider,
            attempt=row.attempt_count + 1,
            trace_id=trace_id(result.traceparent),
            seconds=round(result.seconds, 3),
        )
        if outcome.kind is Kind.OK:
            log.debug("sent")
            return
        # A provider may quote what it was given: the redactor knows patterns, here the values are known.
        # What a template made of its data is quoted in parts at best: the data (`texts`) are known.
        personal = (row.recipient, row.subject, row.body)
        content = (*personal, *result.texts)
        log.warning(
            "try_failed",
            kind=str(outcome.kind),
            code=code(outcome.code, *personal, content=content) if outcome.code else None,
            error=words(without_recipient(outcome.error, row.recipient, "[…]"), *personal, content=content)
            if outcome.error
            else None,
            reason=verdict.reason,
            wait_s=None if verdict.wait is None else round(verdict.wait.total_seconds(), 1),
        )
        if outcome.unclassified and (unknown := self._unclassified.due(result, self._monotonic())) is not None:
            log.warning("unclassified_answer", kind=str(outcome.kind), rule=outcome.rule, code=unknown)
