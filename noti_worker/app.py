"""The composition root: from settings to a running worker."""

import gc
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields

from noti_worker import __version__
from noti_worker.accounts import Accounts, open_accounts, open_inlets
from noti_worker.chores.departed import EVERY as DEPARTED_EVERY
from noti_worker.chores.departed import ForgetDeparted
from noti_worker.chores.gauges import EVERY as GAUGES_EVERY
from noti_worker.chores.gauges import CountQueue
from noti_worker.chores.modes import EVERY as MODES_EVERY
from noti_worker.chores.modes import TellModes
from noti_worker.chores.quotas import EVERY as QUOTAS_EVERY
from noti_worker.chores.quotas import WatchQuotas
from noti_worker.chores.retention import EVERY as RETENTION_EVERY
from noti_worker.chores.retention import Retention
from noti_worker.chores.timetable import Timetable
from noti_worker.delivery.deliver import Delivery
from noti_worker.delivery.prepare import Preparation
from noti_worker.delivery.render import Renderer
from noti_worker.delivery.routes import Routing
from noti_worker.delivery.safety import Safety
from noti_worker.domain.circuits import LONGEST_FAILED, LONGEST_REFUSED, Waits
from noti_worker.domain.contact import People
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.facts import DeliveryModes, SchemaNewer
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Message, Notification
from noti_worker.domain.ports import Numbers
from noti_worker.domain.secret import Secret
from noti_worker.observe import Observers
from noti_worker.observe.endpoints import EndpointLog, EndpointMetrics
from noti_worker.observe.health import Health
from noti_worker.observe.http import Server as HttpServer
from noti_worker.observe.log import LogObserver, configure
from noti_worker.observe.mailboxes import MailboxLog, MailboxMetrics
from noti_worker.observe.metrics import MetricsObserver
from noti_worker.observe.receipts import ReceiptLog, ReceiptMetrics
from noti_worker.observe.trace import TraceObserver
from noti_worker.observe.trace import start as start_traces
from noti_worker.settings import Settings, WorkerSettings
from noti_worker.store.connect import ANSWER_WITHIN, Database, Session
from noti_worker.store.people.gauges import Gauges
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.accounts import PostgresAccounts
from noti_worker.store.queue.circuits import PostgresCircuits
from noti_worker.store.queue.limits import PostgresLimits
from noti_worker.store.queue.wake import PostgresWake
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.receipts import ReceiptDesk
from noti_worker.store.receipts.mails import MailDesk
from noti_worker.store.timeouts import check_limits
from noti_worker.store.upkeep.duties import Duties
from noti_worker.tasks.bounces import ReadBounces
from noti_worker.tasks.digests import CloseDigests
from noti_worker.tasks.events import TellEvents
from noti_worker.tasks.receipts import ReadReceipts
from noti_worker.tasks.rota import Rota, Task
from noti_worker.transport import Kit
from noti_worker.transport.maildrop import visit
from noti_worker.worker.allowance import Allowance
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.context import Context, Doors, Pace
from noti_worker.worker.outage import Outage
from noti_worker.worker.plans import Plan, Plans, Serve
from noti_worker.worker.refusals import Refusals
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import Stop
from noti_worker.worker.systemd import Systemd, check_watchdog
from noti_worker.worker.tenants import Heed
from noti_worker.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of the configuration gives, of what can change while the worker runs.

    `reporting` are the accounts that take receipts, with their providers.
    """

    accounts: Accounts
    modes: DeliveryModes
    plan: Plan
    reporting: Mapping[str, str]
    numbers: Numbers
    people: People


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads configurations one after the other: `read` builds and tells nobody, `commit` makes it known."""

    kit: Kit
    renderer: Renderer
    clock: DatabaseClock
    traced: Callable[[Notification, Message], Message] | None
    steering: Steering
    allowance: Allowance
    metrics: MetricsObserver
    receipts: ReceiptMetrics

    def read(self, settings: Settings) -> Reading:
        """Build all that the settings name; closes what it has opened and raises ConfigurationError if one is wrong."""
        redirect_to = settings.delivery.redirect_to.by_channel
        with ExitStack() as stack:
            tenants = self.steering.tenants
            accounts = open_accounts(settings, self.kit, tenants)
            stack.callback(accounts.close)
            inlets = open_inlets(settings, self.kit)
            policies = {channel: _policy(settings, channel) for channel in Channel}
            routing, safety = Routing(accounts, self.steering, self.allowance), Safety(redirect_to)
            links = settings.web.links
            preparation = Preparation(accounts, routing, self.renderer, safety, settings.numbers, random.random, links)
            delivery = Delivery(preparation, policies, self.clock, self.traced)

            def serve(channel: Channel) -> Serve:
                at_once = settings.channels[channel].concurrency
                return Serve(at_once, policies[channel], delivery.deliver, delivery.give_up)

            channels = {
                channel: serve(channel) for channel in Channel if channel in {*accounts.routes, *tenants.channels}
            }
            plan = Plan(channels, accounts.close, accounts.lines(), serve)
            reporting = {inlet.account: inlet.provider for inlet in inlets.values()}
            people = settings.contacts.people
            reading = Reading(accounts, _told(accounts, redirect_to), plan, reporting, settings.numbers, people)
            stack.pop_all()
        return reading

    def commit(self, reading: Reading) -> Reading:
        """Let those know who steer and count by it; from here on nothing is refused."""
        accounts = reading.accounts
        providers = {name: account.provider for name, account in accounts.accounts.items()}
        self.steering.routes = {
            channel: {name: providers[name] for name in route} for channel, route in accounts.routes.items()
        }
        self.allowance.configure(limit for account in accounts.accounts.values() for limit in account.limits)
        self.metrics.expect(accounts.routes, providers)
        self.receipts.expect(reading.reporting)
        return reading


def _database_url(settings: Settings) -> Secret:
    """The URL of the database; refuses one, or a unit, by which a call lasts longer than somebody waits for it."""
    if settings.database.url is None:
        raise ConfigurationError("database.url is missing: set it, or NOTI_DATABASE_URL")
    check_limits(settings.database.url)
    check_watchdog(ANSWER_WITHIN)
    return settings.database.url


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Run one worker until it is asked to stop; gives the exit code. `reread` gives the settings anew, for a reload.

    Raises ConfigurationError before anything is claimed; a database that is away is waited for.
    """
    url = _database_url(settings)
    configure(settings.log)
    with ExitStack() as stack:
        clock = DatabaseClock()
        kit = Kit(clock.now)
        log, metrics, health = LogObserver(), MetricsObserver(settings.metrics.tenants), Health()
        systemd = stack.enter_context(closing(Systemd(settings.worker.drain_deadline.total_seconds())))
        traces, receipts = _traces(log), ReceiptMetrics(metrics.registry)
        listeners = (
            ReceiptLog(),
            receipts,
            MailboxLog(),
            MailboxMetrics(metrics.registry, settings.bounces),
            EndpointLog(),
        )
        endpoints = EndpointMetrics(metrics.registry)
        observers = Observers(log, metrics, *listeners, health, systemd, *((traces,) if traces else ()))
        renderer = stack.enter_context(closing(Renderer(observers, settings.worker.render_timeout.total_seconds())))
        database = Database(url, settings.database.pgbouncer)
        queue = PostgresQueue(  # which reads numbers and people as the latest configuration has them
            database,
            lambda *of: reading.numbers.international(*of),  # noqa: PLW0108
            lambda: reading.people,
        )
        stack.callback(queue.close)
        limits = stack.enter_context(closing(PostgresLimits(database, queue.claims)))
        refusals = Refusals(clock, observers)
        steering, allowance = Steering({}), Allowance(clock, limits, refusals, observers)
        reader = Reader(kit, renderer, clock, traces.begin if traces else None, steering, allowance, metrics, receipts)
        reading = reader.commit(reader.read(settings))
        server = HttpServer(settings.http.listen, health, metrics.text, configured=settings.http.configured)
        stack.callback(server.close)
        server.start()
        log.http_listening(server.address, settings.http.listen)
        if traces is not None:
            stack.callback(traces.close)
        circuits = stack.enter_context(closing(PostgresCircuits(database)))
        workers = stack.enter_context(
            closing(PostgresWorkers(database, lambda revision, known: observers.on(SchemaNewer(revision, known))))
        )

        def begun(worker_id: int) -> None:
            tell = TellModes(lambda: reading.modes, observers)
            stack.enter_context(
                _chores(
                    worker_id, settings, database, tell, allowance, observers, metrics, receipts, endpoints, worker.stop
                )
            )
            stack.enter_context(_tasks(worker_id, settings, database, clock, observers, lambda: queue.told))

        def plan_anew() -> tuple[Plan, tuple[str, ...]]:
            nonlocal reading
            systemd.reloading()
            fresh = reread()
            reading = reader.commit(reader.read(fresh))
            configure(fresh.log)
            log.renew()
            observers.on(reading.modes)
            return reading.plan, _needs_restart(settings, fresh)

        def tick(loop: str) -> None:
            health.tick(loop)
            systemd.tick(loop)

        worker = Worker(
            __version__,
            Context(
                _pace(settings.worker),
                clock,
                Outage(clock, observers, random.random),
                observers,
                random.random,
                tick,
                refusals,
                allowance,
            ),
            Doors(
                lanes=queue,
                closures=Heed(
                    queue,
                    PostgresAccounts(queue),
                    steering.tenants,
                    lambda: worker.serve_also(steering.tenants.channels),
                ),
                circuits=circuits,
                claims=queue,
                records=queue,
                leases=queue,
                workers=workers,
                wake=PostgresWake(_listens(settings, database)),
            ),
            Plans(reading.plan, plan_anew),
            steering,
            begun,
            database.patience.shorten,
        )
        stack.callback(worker.close)
        metrics.watch(lambda: worker.in_flight, lambda: worker.unrecorded, lambda: worker.silent)
        systemd.watch(lambda: worker.in_flight)
        # What stands now stands for good: the garbage collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        return worker.run()


def _pace(worker: WorkerSettings) -> Pace:
    return Pace(
        worker.poll_interval.total_seconds(),
        worker.batch_size,
        worker.lease,
        worker.drain_deadline.total_seconds(),
        Waits(worker.circuit_wait, LONGEST_FAILED),
        Waits(worker.circuit_wait_refused, LONGEST_REFUSED),
    )


@contextmanager
def _chores(
    worker_id: int,
    settings: Settings,
    database: Database,
    tell: TellModes,
    allowance: Allowance,
    observers: Observers,
    metrics: MetricsObserver,
    receipts: ReceiptMetrics,
    endpoints: EndpointMetrics,
    stop: Stop,
) -> Iterator[None]:
    """Have what recurs done beside the deliveries."""

    def show(gauges: Gauges) -> None:
        metrics.show(gauges)
        receipts.show(gauges.receipts)
        endpoints.show(gauges.endpoints)

    session = database.session("chores")
    cleaning = database.session("retention")
    duties = Duties(session, worker_id)
    retention = Retention(duties, cleaning, settings.retention.ages, observers, metrics.show_stray)
    timetable = Timetable(
        {
            "gauges": (CountQueue(duties, session, show), GAUGES_EVERY),
            "quotas": (WatchQuotas(duties, session, lambda: allowance.refuses), QUOTAS_EVERY),
            "departed": (ForgetDeparted(duties, session), DEPARTED_EVERY),
            "modes": (tell, MODES_EVERY),
            "retention": (retention, RETENTION_EVERY),
        },
        observers,
        lambda: stop.asked is not None,
    )
    timetable.start()
    try:
        yield
    finally:
        timetable.stop()
        retention.stop()
        session.close()
        cleaning.close()


@contextmanager
def _tasks(
    worker_id: int,
    settings: Settings,
    database: Database,
    clock: DatabaseClock,
    observers: Observers,
    told: Callable[[], bool],
) -> Iterator[None]:
    """Have what is due and needs no provider done beside the deliveries; a mailbox that hangs holds up nothing else."""
    with ExitStack() as stack:

        def session_of(task: str) -> Session:
            return stack.enter_context(closing(database.session(task)))

        rotas: list[dict[str, Task]] = [{"events": TellEvents(session_of("events"), told, clock, observers)}]
        rotas.append({"digests": CloseDigests(session_of("digests"))})
        if settings.web.url is not None or settings.bounces:
            rotas.append({"receipts": ReadReceipts(ReceiptDesk(session_of("tasks")), observers)})
        for name, mailbox in settings.bounces.items():
            session = session_of(f"bounces {name}")
            duties = Duties(session, worker_id)
            task = ReadBounces(name, mailbox, visit, MailDesk(session), duties, observers)
            rotas.append({f"bounces {name}": task})
        for tasks in rotas:
            rota = Rota(tasks, clock, observers)
            rota.start()
            stack.callback(rota.stop, ANSWER_WITHIN)
        yield


def _needs_restart(running: Settings, fresh: Settings) -> tuple[str, ...]:
    """The settings outside the plan that are no longer as the worker was started with them."""
    names = sorted({*running.bounces, *fresh.bounces})
    mailboxes = (f"bounces.{name}" for name in names if running.bounces.get(name) != fresh.bounces.get(name))
    return *mailboxes, *(
        f"{section}.{field.name}"
        for section in ("database", "worker", "retention", "http", "web", "metrics")
        for field in fields(getattr(running, section))
        if field.metadata.get("derived") is None
        and field.name not in {"unsubscribe_keys", "account_networks"}  # they are in the plan
        and getattr(getattr(running, section), field.name) != getattr(getattr(fresh, section), field.name)
    )


def _traces(log: LogObserver) -> TraceObserver | None:
    """What the environment asks for; where that is not possible, messages go out all the same."""
    try:
        traces = start_traces(__version__)
    except ConfigurationError as error:
        log.traces(str(error))
        return None
    if traces is not None:
        log.traces(None)
    return traces


def _told(accounts: Accounts, redirect_to: Mapping[Channel, str]) -> DeliveryModes:
    unsent = [
        channel.value
        for channel, route in accounts.routes.items()
        if channel not in redirect_to and any(accounts.account(name).mode is Mode.REDIRECT for name in route)
    ]
    return DeliveryModes({name: account.mode.value for name, account in accounts.accounts.items()}, tuple(unsent))


def _listens(settings: Settings, database: Database) -> Database | None:
    """Where LISTEN works: nowhere behind PgBouncer unless a direct URL is given."""
    if (direct := settings.database.listen_url) is None:
        return None if settings.database.pgbouncer else database
    return Database(direct, patience=database.patience)


def _policy(settings: Settings, channel: Channel) -> Policy:
    chosen = settings.channels[channel]
    return Policy(chosen.backoff, chosen.max_retries, chosen.on_uncertain, chosen.send_timeout.total_seconds())
