"""The sections of the configuration as frozen dataclasses, with defaults, bounds and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from noti_worker.domain.account import ConfiguredRoute
from noti_worker.domain.ages import Ages
from noti_worker.domain.bounces import BounceMailbox
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.lifecycle import Backoff
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, OnUncertain, Status
from noti_worker.domain.rules import Rule
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.settings.coercion import written
from noti_worker.settings.contacts import ContactsSettings
from noti_worker.settings.limits import LimitSettings
from noti_worker.settings.listening import HttpSettings, WebSettings
from noti_worker.settings.regions import Regions, check_region
from noti_worker.settings.sealing import SecretsSettings

CONCURRENCY = {
    Channel.EMAIL: 5,
    Channel.SMS: 10,
    Channel.WHATSAPP: 10,
    Channel.PUSH: 20,
    Channel.VOICE: 2,
    Channel.CHAT: 5,
    Channel.WEBHOOK: 20,
    Channel.IN_APP: 20,
}
SEND_TIMEOUT = timedelta(seconds=30)
WEBHOOK_SEND_TIMEOUT = timedelta(seconds=10)

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the queue is. Without a URL the embedded database is used."""

    url: Secret | None = field(
        default=None,
        metadata=about("PostgreSQL URL or DSN, or env:NAME, file:PATH; none: the embedded database", plain=True),
    )
    pgbouncer: bool = field(
        default=False,
        metadata=about("`url` leads to PgBouncer in transaction mode: no prepared statements, no LISTEN there"),
    )
    listen_url: Secret | None = field(
        default=None,
        metadata=about("a direct URL for LISTEN when `url` leads to PgBouncer; none: polling only", plain=True),
    )
    account_networks: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "private networks (CIDR) that accounts in the database may reach; else public addresses only",
            shown="none",
        ),
    )

    def __post_init__(self) -> None:
        for network in self.account_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise ConfigurationError(f"account_networks: {error}; write 10.1.0.0/16 or fd00::/8") from None


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How the tries of a channel follow each other."""

    initial_delay: timedelta = field(
        default=timedelta(minutes=1),
        metadata=about("wait after the first failure", at_least=MILLISECOND, at_most=timedelta(1)),
    )
    multiplier: float = field(
        default=2.0, metadata=about("each further wait is this many times as long", at_least=1.0, at_most=10.0)
    )
    max_delay: timedelta = field(
        default=timedelta(minutes=30), metadata=about("no wait is longer", at_least=MILLISECOND, at_most=timedelta(1))
    )
    jitter: float = field(
        default=0.2, metadata=about("share by which a wait is spread, both ways", at_least=0.0, at_most=1.0)
    )
    max_retries: int | None = field(
        default=None,
        metadata=about(
            "retries of rows that name none (none: 3), and a cap over those that do (none: no cap)",
            at_least=0,
            at_most=1000,
        ),
    )

    def __post_init__(self) -> None:
        if self.max_delay < self.initial_delay:
            raise ConfigurationError(
                f"max_delay ({written(self.max_delay)}) is shorter than initial_delay ({written(self.initial_delay)})"
            )


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How one channel is worked."""

    concurrency: int = field(
        default=5,
        metadata=about(
            "sends at the same time",
            at_least=1,
            at_most=1000,
            shown=", ".join(f"{channel} {count}" for channel, count in CONCURRENCY.items()),
        ),
    )
    retry: RetrySettings = field(default_factory=RetrySettings)
    on_uncertain: OnUncertain = field(
        default=OnUncertain.RETRY,
        metadata=about("when the answer was lost after the payload went out: retry, hold or fail"),
    )
    send_timeout: timedelta = field(
        default=SEND_TIMEOUT,
        metadata=about(
            "time limit of one send; shorter than worker.lease",
            at_least=timedelta(milliseconds=100),
            at_most=timedelta(minutes=10),
            shown="30s, webhook 10s; with a short worker.lease half of it",
        ),
    )

    region: str | None = field(
        default=None,
        metadata=about(
            "of sms, whatsapp and voice: the country (`DE`) in which rows may have numbers as they are dialled there,"
            " see above",
            check=check_region,
        ),
    )

    @property
    def backoff(self) -> Backoff:
        """The waits between tries."""
        retry = self.retry
        return Backoff(retry.initial_delay, retry.multiplier, retry.max_delay, retry.jitter)

    @property
    def max_retries(self) -> int | None:
        """Of rows that name none, and a cap over those that do; None: the default, and no cap."""
        return self.retry.max_retries


def channel_defaults(channel: Channel, lease: timedelta) -> ChannelSettings:
    """What a channel does unless told otherwise; no send may take more than half of `lease`."""
    timeout = WEBHOOK_SEND_TIMEOUT if channel is Channel.WEBHOOK else SEND_TIMEOUT
    return ChannelSettings(CONCURRENCY[channel], send_timeout=min(timeout, lease / 2))


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The loop of one worker process."""

    poll_interval: timedelta = field(
        default=timedelta(seconds=1),
        metadata=about(
            "pause between two looks for due rows; a hint of the database ends it early",
            at_least=10 * MILLISECOND,
            at_most=timedelta(minutes=1),
        ),
    )
    batch_size: int = field(default=500, metadata=about("rows taken by one claim at most", at_least=1, at_most=5000))
    lease: timedelta = field(
        default=timedelta(minutes=2),
        metadata=about(
            "how long a claim holds; prolonged while the row is in hand. In production 10s or more",
            at_least=timedelta(seconds=1),
            at_most=timedelta(hours=1),
        ),
    )
    drain_deadline: timedelta = field(
        default=timedelta(seconds=45),
        metadata=about(
            "after SIGTERM, time for the sends in flight; later they are recorded as uncertain",
            at_least=timedelta(0),
            at_most=timedelta(minutes=10),
        ),
    )
    circuit_wait: timedelta = field(
        default=timedelta(seconds=30),
        metadata=about(
            "how long an account that fails is left alone before one message tries it; doubles up to 10m",
            at_least=10 * MILLISECOND,
            at_most=timedelta(minutes=10),
        ),
    )
    circuit_wait_refused: timedelta = field(
        default=timedelta(minutes=1),
        metadata=about(
            "the same for an account that refuses us (a wrong password, an unpaid bill); doubles up to 30m",
            at_least=10 * MILLISECOND,
            at_most=timedelta(minutes=30),
        ),
    )
    render_timeout: timedelta = field(
        default=timedelta(seconds=1),
        metadata=about(
            "time limit for rendering one template", at_least=10 * MILLISECOND, at_most=timedelta(minutes=1)
        ),
    )


@dataclass(frozen=True, slots=True)
class RedirectSettings:
    """Where the messages of a redirected channel go; a channel without an address is not sent."""

    email: str | None = field(default=None, metadata=about("who gets all e-mail in redirect mode; none: not sent"))
    sms: str | None = field(default=None, metadata=about("the same for SMS: a number such as +491701234567"))
    whatsapp: str | None = field(default=None, metadata=about("the same for WhatsApp: a number"))
    push: str | None = field(default=None, metadata=about("the same for push: a token"))
    voice: str | None = field(default=None, metadata=about("the same for calls: a number"))
    chat: str | None = field(default=None, metadata=about("the same for chat: a room or person"))
    webhook: str | None = field(default=None, metadata=about("the same for webhooks: a URL"))
    in_app: str | None = field(default=None, metadata=about("the same for in-app messages: whose inbox"))

    @property
    def by_channel(self) -> Mapping[Channel, str]:
        """The addresses that are set."""
        given = {channel: getattr(self, channel) for channel in Channel}
        return {channel: address for channel, address in given.items() if address is not None}


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Safe mode: how far messages of the whole installation go."""

    mode: Mode = field(
        default=Mode.LIVE,
        metadata=about("live; redirect: everything to `redirect_to`; dry: rendered and checked, not sent"),
    )
    redirect_to: RedirectSettings = field(default_factory=RedirectSettings)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how; always to standard error."""

    level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata=about("the least severe events that are logged: debug, info, warning, error")
    )
    format: Literal["auto", "json", "console"] = field(
        default="auto", metadata=about("json, console, or auto: console on a terminal, else json")
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """What /metrics tells."""

    tenants: int = field(
        default=20,
        metadata=about(
            "tenants with a label of their own, first come, first served; the rest is `other`", at_least=0, at_most=1000
        ),
    )


def _age(what: str) -> dict[str, object]:
    return about(what, at_least=timedelta(hours=1), at_most=timedelta(days=36500), shown="keep for ever", unit="d")


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long things are kept. Without a setting nothing is deleted."""

    sent: timedelta | None = field(default=None, metadata=_age("delete sent notifications so long after they were"))
    failed: timedelta | None = field(default=None, metadata=_age("delete failed notifications so long after they did"))
    cancelled: timedelta | None = field(
        default=None, metadata=_age("delete cancelled notifications so long after they were")
    )
    expired: timedelta | None = field(
        default=None, metadata=_age("delete expired notifications so long after they did")
    )
    suppressed: timedelta | None = field(
        default=None, metadata=_age("delete suppressed notifications so long after they were")
    )
    logs: timedelta | None = field(
        default=None, metadata=_age("drop tries and audit lines of this age, a whole month at a time")
    )
    inbox: timedelta | None = field(default=None, metadata=_age("delete in-app messages of this age, read or not"))
    attachments: timedelta | None = field(
        default=None, metadata=_age("delete attachments of this age that no notification names any more")
    )
    suppressions: timedelta | None = field(
        default=None, metadata=_age("delete entries of the suppression list so long after they were lifted or expired")
    )
    receipts: timedelta | None = field(
        default=None, metadata=_age("delete what providers told afterwards of messages so long after they told it")
    )
    under_a_day: bool = field(
        default=False, metadata=about("say it together with an age of less than a day; else such an age is refused")
    )

    def __post_init__(self) -> None:
        for key in fields(self):
            age = getattr(self, key.name)
            if isinstance(age, timedelta) and age < timedelta(days=1) and not self.under_a_day:
                raise ConfigurationError(
                    f"{key.name} ({written(age)}) is less than a day, and what is deleted is gone:"
                    ' write days ("30d"), or say under_a_day = true as well'
                )

    @property
    def ages(self) -> Ages:
        """How long things are kept, as the store wants to hear it."""
        by_status = {
            Status.SENT: self.sent,
            Status.FAILED: self.failed,
            Status.CANCELLED: self.cancelled,
            Status.EXPIRED: self.expired,
            Status.SUPPRESSED: self.suppressed,
        }
        finished = {status.value: age for status, age in by_status.items() if age is not None}
        return Ages(finished, self.logs, self.inbox, self.attachments, self.suppressions, self.receipts)


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """A named account of a provider. `options` are the provider's own settings, not read yet.

    `channels` limits it to those that it names; empty: all that its provider serves. What goes over HTTP goes through
    `proxy`, which with `proxy_guards` decides where it may go. `answers` judge before the provider's rules, `limits`
    say how many it may send. With `receipt_token` what the provider posts is taken.
    """

    name: str
    provider: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    source: str = ""  # the file's name and a colon, for errors
    mode: Mode = Mode.LIVE
    channels: tuple[Channel, ...] = ()
    proxy: Secret | None = None
    proxy_guards: bool = False
    answers: tuple[Rule, ...] = ()
    limits: LimitSettings = field(default_factory=LimitSettings)
    receipt_token: Secret | None = None

    @property
    def where(self) -> str:
        """The key path of its options, after the file's name: what `parse` needs for its errors."""
        return f"{self.source}accounts.{self.name}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. `channels` holds all channels; `routes` only those that were given.

    `source` is the file; `commands` tells whether secrets may be what a program prints.
    """

    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    routes: Mapping[Channel, ConfiguredRoute] = field(default_factory=dict)
    channels: Mapping[Channel, ChannelSettings] = field(
        default_factory=lambda: {channel: channel_defaults(channel, WorkerSettings().lease) for channel in Channel}
    )
    contacts: ContactsSettings = field(default_factory=ContactsSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    secrets: SecretsSettings = field(default_factory=SecretsSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    web: WebSettings = field(default_factory=WebSettings)
    bounces: Mapping[str, BounceMailbox] = field(default_factory=dict)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    source: Path | None = None
    commands: bool = True

    @property
    def numbers(self) -> Regions:
        """Reads phone numbers by the regions of the channels."""
        regions = {channel: settings.region for channel, settings in self.channels.items()}
        return Regions({channel: region for channel, region in regions.items() if region is not None})
