"""The composition root: from settings to a running worker."""

import gc
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta

from noti_worker import __version__, providers
from noti_worker.chores.departed import EVERY as DEPARTED_EVERY
from noti_worker.chores.departed import ForgetDeparted
from noti_worker.chores.gauges import EVERY as GAUGES_EVERY
from noti_worker.chores.gauges import CountQueue
from noti_worker.chores.modes import EVERY as MODES_EVERY
from noti_worker.chores.modes import TellModes
from noti_worker.chores.retention import EVERY as RETENTION_EVERY
from noti_worker.chores.retention import Retention
from noti_worker.chores.timetable import Timetable
from noti_worker.delivery.deliver import Delivery
from noti_worker.delivery.render import Renderer
from noti_worker.delivery.safety import Safety
from noti_worker.domain.circuits import LONGEST_FAILED, LONGEST_REFUSED, Waits
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.facts import DeliveryModes, SchemaNewer
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.mode import Mode, stricter
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.secret import Secret
from noti_worker.observe import Observers
from noti_worker.observe.health import Health
from noti_worker.observe.http import Server as HttpServer
from noti_worker.observe.log import LogObserver, configure
from noti_worker.observe.metrics import MetricsObserver
from noti_worker.observe.trace import TraceObserver
from noti_worker.observe.trace import start as start_traces
from noti_worker.secrets import References
from noti_worker.settings import IN_APP, Account, RetentionSettings, Settings, parse
from noti_worker.settings.coercion import written
from noti_worker.store.connect import ANSWER_WITHIN, Database
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.queue.circuits import PostgresCircuits
from noti_worker.store.queue.wake import PostgresWake
from noti_worker.store.queue.workers import PostgresWorkers
from noti_worker.store.timeouts import check_limits
from noti_worker.store.upkeep.duties import Duties
from noti_worker.store.upkeep.retention import Ages
from noti_worker.transport import Kit
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.context import Context, Doors, Pace
from noti_worker.worker.inflight import LONGEST_SEND
from noti_worker.worker.outage import Outage
from noti_worker.worker.plans import Plan, Plans, Serve
from noti_worker.worker.steering import Steering
from noti_worker.worker.stop import Stop
from noti_worker.worker.systemd import Systemd, check_watchdog
from noti_worker.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class Accounts:
    """The configured accounts, ready to send, and who serves which channel in which order."""

    senders: Mapping[str, Sender]
    providers: Mapping[str, str]
    routes: Mapping[Channel, tuple[str, ...]]
    modes: Mapping[str, Mode]
    rules: Mapping[str, Sequence[Rule]]

    def named_routes(self) -> dict[Channel, dict[str, str]]:
        """The accounts of each channel in their order, each with the name of its provider."""
        return {
            channel: {account: self.providers[account] for account in route} for channel, route in self.routes.items()
        }

    def close(self) -> None:
        """Give back connections."""
        for sender in self.senders.values():
            sender.close()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of the configuration gives, of what can change while the worker runs."""

    modes: DeliveryModes
    plan: Plan


def open_accounts(settings: Settings, kit: Kit) -> Accounts:
    """Build every account's sender and complete the routes.

    A channel with exactly one account that serves it needs no route. Raises ConfigurationError that
    names the setting: an unknown provider, a missing key, a route through an account that cannot serve it.
    """
    senders: dict[str, Sender] = {}
    names: dict[str, str] = {}
    modes: dict[str, Mode] = {}
    rules: dict[str, Sequence[Rule]] = {}
    serves: dict[Channel, list[str]] = {channel: [] for channel in Channel}
    secrets = References()
    with ExitStack() as built:
        for name, account in {IN_APP: Account(IN_APP, IN_APP), **settings.accounts}.items():
            where = account.where
            try:
                provider = providers.find(account.provider)
                options = parse(provider.Settings, account.options, where, secrets)
                _check_longest(settings, options, provider.CHANNELS)
                at_once = sum(settings.channels[channel].concurrency for channel in provider.CHANNELS)
                senders[name] = provider.build(options, kit.of(at_once))
            except ConfigurationError as error:
                raise ConfigurationError(str(error) if where in str(error) else f"{where}: {error}") from None
            built.callback(senders[name].close)
            names[name] = account.provider
            rules[name] = provider.RULES
            modes[name] = stricter(settings.delivery.mode, account.mode)
            for channel in provider.CHANNELS:
                serves[channel].append(name)
        routes = _routes(settings.routes, serves, names)
        built.pop_all()
    return Accounts(senders, names, routes, modes, rules)


def _check_longest(settings: Settings, options: object, channels: frozenset[Channel]) -> None:
    """Refuse a send that may outlast the time for which its lease is prolonged: another worker would begin it too."""
    after = getattr(options, "dot_timeout", timedelta())
    for channel in channels:
        timeout = settings.channels[channel].send_timeout
        if timeout + after > LONGEST_SEND:
            raise ConfigurationError(
                f"dot_timeout ({written(after)}) and channels.{channel}.send_timeout"
                f" ({written(timeout)}) are together longer than a row is kept for one send, {written(LONGEST_SEND)}"
            )


def _routes(
    given: Mapping[Channel, tuple[str, ...]], serves: Mapping[Channel, list[str]], names: Mapping[str, str]
) -> dict[Channel, tuple[str, ...]]:
    routes: dict[Channel, tuple[str, ...]] = {}
    for channel, accounts in serves.items():
        if channel in given:
            for name in given[channel]:
                if name not in accounts:
                    raise ConfigurationError(
                        f"routes.{channel} names {name}, whose provider {names.get(name)} does not serve {channel}"
                    )
            routes[channel] = given[channel]
        elif len(accounts) == 1:
            routes[channel] = (accounts[0],)
        elif accounts and channel is not Channel.IN_APP:
            raise ConfigurationError(
                f"routes.{channel} is missing: {' and '.join(accounts)} serve {channel}; name them in failover order"
            )
        elif accounts:  # in_app always has its own account; another one takes over only when a route says so
            routes[channel] = (IN_APP,)
    return routes


def _check_waits(url: Secret) -> None:
    """Refuse a URL or a unit by which a call of the database lasts longer than somebody waits for it."""
    check_limits(url)
    check_watchdog(ANSWER_WITHIN)


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Run one worker until it is asked to stop; gives the exit code. `reread` gives the settings anew, for a reload.

    Raises ConfigurationError before anything is claimed; a database that is away is waited for.
    """
    if settings.database.url is None:
        raise ConfigurationError("database.url is missing: set it, or NOTI_DATABASE_URL")
    _check_waits(settings.database.url)
    configure(settings.log)
    with ExitStack() as stack:
        clock = DatabaseClock()
        kit = Kit(clock.now)
        log, metrics, health = LogObserver(), MetricsObserver(settings.metrics.tenants), Health()
        systemd = Systemd(settings.worker.drain_deadline.total_seconds())
        stack.callback(systemd.close)
        traces = _traces(log)
        observers = Observers(log, metrics, health, systemd, *((traces,) if traces else ()))
        renderer = Renderer(observers, settings.worker.render_timeout.total_seconds())
        stack.callback(renderer.close)
        steering = Steering({})

        def read(settings: Settings) -> Reading:
            return _read(settings, kit, renderer, clock, traces, steering, metrics)

        reading = read(settings)
        server = HttpServer(settings.http.listen, health, metrics.text, configured=settings.http.configured)
        stack.callback(server.close)
        server.start()
        log.http_listening(server.address, settings.http.listen)
        if traces is not None:
            stack.callback(traces.close)
        database = Database(settings.database.url, settings.database.pgbouncer)
        queue, circuits = PostgresQueue(database), PostgresCircuits(database)
        stack.callback(queue.close)
        stack.callback(circuits.close)
        workers = PostgresWorkers(database, lambda revision, known: observers.on(SchemaNewer(revision, known)))
        stack.callback(workers.close)

        def begun(worker_id: int) -> None:
            tell = TellModes(lambda: reading.modes, observers)
            stack.enter_context(_chores(worker_id, settings, database, tell, observers, metrics, worker.stop))

        def plan_anew() -> tuple[Plan, tuple[str, ...]]:
            nonlocal reading
            systemd.reloading()
            fresh = reread()
            reading = read(fresh)
            configure(fresh.log)
            log.renew()
            observers.on(reading.modes)
            return reading.plan, _needs_restart(settings, fresh)

        def tick(loop: str) -> None:
            health.tick(loop)
            systemd.tick(loop)

        pace = Pace(
            settings.worker.poll_interval.total_seconds(),
            settings.worker.batch_size,
            settings.worker.lease,
            settings.worker.drain_deadline.total_seconds(),
            Waits(settings.worker.circuit_wait, LONGEST_FAILED),
            Waits(settings.worker.circuit_wait_refused, LONGEST_REFUSED),
        )
        worker = Worker(
            __version__,
            Context(pace, clock, Outage(clock, observers, random.random), observers, random.random, tick),
            Doors(
                lanes=queue,
                closures=queue,
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


@contextmanager
def _chores(
    worker_id: int,
    settings: Settings,
    database: Database,
    tell: TellModes,
    observers: Observers,
    metrics: MetricsObserver,
    stop: Stop,
) -> Iterator[None]:
    """Have what recurs done beside the deliveries."""
    session = database.session("chores")
    cleaning = database.session("retention")
    duties = Duties(session, worker_id)
    retention = Retention(duties, cleaning, ages(settings.retention), observers, metrics.show_stray)
    timetable = Timetable(
        {
            "gauges": (CountQueue(duties, session, metrics.show), GAUGES_EVERY),
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


def _read(
    settings: Settings,
    kit: Kit,
    renderer: Renderer,
    clock: DatabaseClock,
    traces: TraceObserver | None,
    steering: Steering,
    metrics: MetricsObserver,
) -> Reading:
    accounts = open_accounts(settings, kit)
    steering.routes = accounts.named_routes()
    metrics.expect(accounts.routes, accounts.providers)
    redirect_to = settings.delivery.redirect_to.by_channel
    modes = _told(accounts, redirect_to)
    policies = {channel: _policy(settings, channel) for channel in accounts.routes}
    delivery = Delivery(
        accounts.routes,
        accounts.senders,
        accounts.providers,
        accounts.rules,
        policies,
        Safety(accounts.modes, redirect_to),
        renderer,
        clock,
        random.random,
        traces.begin if traces else None,
        lambda: steering.closed_accounts(""),
    )
    about = {"modes": {name: mode for name, mode in modes.accounts.items() if mode != Mode.LIVE}}
    channels = {
        channel: Serve(settings.channels[channel].concurrency, policy, delivery.deliver, delivery.give_up)
        for channel, policy in policies.items()
    }
    return Reading(modes, Plan(channels, accounts.close, about))


def _needs_restart(running: Settings, fresh: Settings) -> tuple[str, ...]:
    """The settings outside the plan that are no longer as the worker was started with them."""
    return tuple(
        f"{section}.{field.name}"
        for section in ("database", "worker", "retention", "http", "metrics")
        for field in fields(getattr(running, section))
        if field.metadata.get("derived") is None
        and getattr(getattr(running, section), field.name) != getattr(getattr(fresh, section), field.name)
    )


def ages(settings: RetentionSettings) -> Ages:
    """How long things are kept, as the store wants to hear it."""
    by_status = {
        Status.SENT: settings.sent,
        Status.FAILED: settings.failed,
        Status.CANCELLED: settings.cancelled,
        Status.EXPIRED: settings.expired,
        Status.SUPPRESSED: settings.suppressed,
    }
    return Ages(
        {status.value: age for status, age in by_status.items() if age is not None},
        settings.logs,
        settings.inbox,
        settings.attachments,
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
        if channel not in redirect_to and any(accounts.modes[name] is Mode.REDIRECT for name in route)
    ]
    return DeliveryModes({name: mode.value for name, mode in accounts.modes.items()}, tuple(unsent))


def _listens(settings: Settings, database: Database) -> Database | None:
    """Where LISTEN works: nowhere behind PgBouncer unless a direct URL is given."""
    if settings.database.listen_url is not None:
        return Database(settings.database.listen_url, patience=database.patience)
    return None if settings.database.pgbouncer else database


def _policy(settings: Settings, channel: Channel) -> Policy:
    chosen = settings.channels[channel]
    return Policy(chosen.backoff, chosen.max_retries, chosen.on_uncertain, chosen.send_timeout.total_seconds())
