"""The configuration: a TOML file, overridden by the environment, as frozen dataclasses.

The file is the one that is named, else `NOTI_CONFIG`, else `/etc/noti-worker/noti-worker.toml`, else there is none.
`NOTI_WORKER__LEASE=2m` overrides `worker.lease`; `NOTI_DATABASE_URL` is short for `NOTI_DATABASE__URL`.
Every `NOTI_` name with a double underscore is a setting; an unknown one is an error, as in the file.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from noti_worker.domain.bounces import BounceMailbox
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import BY_PHONE, Channel
from noti_worker.domain.ports import Secrets
from noti_worker.domain.secret import Secret
from noti_worker.secrets import References
from noti_worker.settings import coercion
from noti_worker.settings.answers import read_answers
from noti_worker.settings.coercion import SettingLine, coerce, named, nearest, parse, unknown, written
from noti_worker.settings.contacts import ContactsSettings
from noti_worker.settings.limits import LimitSettings
from noti_worker.settings.listening import HttpSettings, WebSettings
from noti_worker.settings.overrides import Table, near_miss, override
from noti_worker.settings.routes import IN_APP, channel_named, read_routes
from noti_worker.settings.sealing import SecretsSettings
from noti_worker.settings.sections import (
    AccountSettings,
    ChannelSettings,
    DatabaseSettings,
    DeliverySettings,
    LogSettings,
    MetricsSettings,
    RedirectSettings,
    RetentionSettings,
    RetrySettings,
    Settings,
    WorkerSettings,
    channel_defaults,
)

__all__ = [
    "DEFAULT_PATH",
    "IN_APP",
    "AccountSettings",
    "ChannelSettings",
    "ContactsSettings",
    "DatabaseSettings",
    "DeliverySettings",
    "HttpSettings",
    "LogSettings",
    "MetricsSettings",
    "RedirectSettings",
    "RetentionSettings",
    "RetrySettings",
    "SecretsSettings",
    "SettingLine",
    "Settings",
    "WebSettings",
    "WorkerSettings",
    "describe",
    "load",
    "parse",
    "read_file",
    "settings_of",
]

DEFAULT_PATH = Path("/etc/noti-worker/noti-worker.toml")

LEASE_MARGIN = timedelta(seconds=1)
"""A lease must outlive a send by this much, so that the result can still be recorded as ours."""

OF_EVERY_ACCOUNT = ("provider", "mode", "channels", "proxy", "proxy_guards", "answers", "receipt_token")
"""The keys of an account that are not its provider's own; and those of its limits."""

OF_LIMITS = tuple(coercion.keys(LimitSettings))

_SECTIONS = (
    "database",
    "accounts",
    "routes",
    "channels",
    "contacts",
    "delivery",
    "secrets",
    "worker",
    "http",
    "web",
    "bounces",
    "log",
    "metrics",
    "retention",
)

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


def load(
    config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    secrets: Secrets | None = None,
    *,
    commands: bool = True,
) -> Settings:
    """Read the configuration; raises ConfigurationError that names the file or variable and the key.

    Without `commands` no secret is what a program prints.
    """
    path, table = given(config, environ)
    source = f"{path}: " if path is not None else ""
    settings = settings_of(table, source, secrets or References(environ, commands=commands))
    return replace(settings, source=path, commands=commands)


def settings_of(table: Table, source: str, secrets: Secrets) -> Settings:
    """What a table says; raises ConfigurationError whose words begin with `source`."""
    for name, value in table.items():
        if name not in _SECTIONS:
            raise ConfigurationError(unknown(name, value, source, _SECTIONS))
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{source}{name}: this is a section with settings of its own; write [{name}]")
    worker = parse(WorkerSettings, table.get("worker", {}), f"{source}worker", secrets)
    given_worker = table.get("worker", {})
    if worker.render_timeout >= worker.lease and "render_timeout" in given_worker:
        place = named(f"{source}worker.render_timeout", given_worker["render_timeout"])
        raise ConfigurationError(
            f"{place} is {written(worker.render_timeout)}: too long for worker.lease, {written(worker.lease)}"
        )
    http = table.get("http", {})
    web = parse(WebSettings, table.get("web", {}), f"{source}web", secrets)
    accounts = _accounts(table.get("accounts", {}), source, secrets)
    for account in accounts.values():
        if account.receipt_token is not None and web.url is None:
            raise ConfigurationError(
                f"{account.where}.receipt_token asks for receipts, and web.url is missing: say where providers reach us"
            )
    return Settings(
        database=parse(DatabaseSettings, table.get("database", {}), f"{source}database", secrets),
        accounts=accounts,
        routes=read_routes(table.get("routes", {}), accounts, source, secrets),
        channels=_channels(table.get("channels", {}), worker, source, secrets),
        contacts=parse(ContactsSettings, table.get("contacts", {}), f"{source}contacts", secrets),
        delivery=parse(DeliverySettings, table.get("delivery", {}), f"{source}delivery", secrets),
        secrets=parse(SecretsSettings, table.get("secrets", {}), f"{source}secrets", secrets),
        worker=worker,
        http=replace(parse(HttpSettings, http, f"{source}http", secrets), configured="listen" in http),
        web=web,
        bounces=_mailboxes(table.get("bounces", {}), source, secrets),
        log=parse(LogSettings, table.get("log", {}), f"{source}log", secrets),
        metrics=parse(MetricsSettings, table.get("metrics", {}), f"{source}metrics", secrets),
        retention=parse(RetentionSettings, table.get("retention", {}), f"{source}retention", secrets),
    )


def given(config: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, Table]:
    """The file and what it and the environment say, not yet looked into; raises ConfigurationError."""
    path = _find(config, environ)
    table = read_file(path) if path is not None else {}
    override(table, environ)
    if wrong := near_miss(table, environ, lambda: _keys(table)):
        raise ConfigurationError(wrong)
    return path, table


def _keys(table: Table) -> Iterator[str]:
    """The keys of all settings, with the channels and the accounts that there are."""
    accounts = table.get("accounts", {})
    for line in describe():
        named = table.get(line.key.partition(".")[0], {}) if "NAME" in line.key else ("",)
        named = Channel if "CHANNEL" in line.key else named
        for name in named:
            yield line.key.replace("NAME", name).replace("CHANNEL", name)
    for name, account in accounts.items():
        if isinstance(account, Mapping):
            yield from (f"accounts.{name}.{key}" for key in account)


def describe() -> list[SettingLine]:
    """All settings with default and meaning, in the order of the sections, for the documentation."""
    return [
        *coercion.describe(DatabaseSettings, "database."),
        SettingLine("accounts.NAME.provider", "required", "the provider of the account NAME: smtp, webhook, …"),
        SettingLine("accounts.NAME.mode", "live", "as delivery.mode, for this account; the stricter one applies"),
        SettingLine("accounts.NAME.channels", "all of its provider", "the channels that the account serves, no others"),
        SettingLine(
            "accounts.NAME.proxy",
            "none",
            "`http://HOST:PORT` of a forward proxy, for providers over HTTP; with a login as env:NAME or file:PATH",
        ),
        SettingLine(
            "accounts.NAME.proxy_guards",
            "false",
            "the proxy alone resolves names and refuses private addresses; else we do, and it is asked for addresses",
        ),
        SettingLine(
            "accounts.NAME.answers",
            "none",
            "what answers mean here, before the provider's own rules: tables of `status`, `kind` and more, see above",
        ),
        *coercion.describe(LimitSettings, "accounts.NAME."),
        SettingLine(
            "accounts.NAME.receipt_token",
            "none",
            "a reference to what ends the URL that the provider posts receipts to; without it none are taken",
        ),
        SettingLine("accounts.NAME.…", "", "the provider's own settings; its page lists them"),
        SettingLine(
            "routes.CHANNEL",
            "the one account that serves it",
            "accounts of a channel in failover order, or a table of their weights: whole numbers up to 1000, see above",
        ),
        *coercion.describe(ChannelSettings, "channels.CHANNEL."),
        *coercion.describe(ContactsSettings, "contacts."),
        *coercion.describe(DeliverySettings, "delivery."),
        *coercion.describe(SecretsSettings, "secrets."),
        *coercion.describe(WorkerSettings, "worker."),
        *coercion.describe(HttpSettings, "http."),
        *coercion.describe(WebSettings, "web."),
        *coercion.describe(BounceMailbox, "bounces.NAME."),
        *coercion.describe(LogSettings, "log."),
        *coercion.describe(MetricsSettings, "metrics."),
        *coercion.describe(RetentionSettings, "retention."),
    ]


def _find(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is not None:
        return config
    if path := environ.get("NOTI_CONFIG"):
        return Path(path)
    return DEFAULT_PATH if DEFAULT_PATH.exists() else None


def read_file(path: Path) -> Table:
    """The tables of a file; raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: the configuration cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: the configuration is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def _accounts(table: Table, source: str, secrets: Secrets) -> dict[str, AccountSettings]:
    accounts = {}
    for name, value in table.items():
        where = f"{source}accounts.{name}"
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{where}: an account is a table of its own; write [accounts.{name}]")
        if not _is_name(name):
            raise ConfigurationError(f"{where}: the name of an account has small letters, digits, single - and _ only")
        if "provider" not in value:
            raise ConfigurationError(f'{where}.provider: missing; write provider = "smtp", for example')
        limits = parse(LimitSettings, {key: value[key] for key in OF_LIMITS if key in value}, where, secrets)
        options = {key: option for key, option in value.items() if key not in (*OF_EVERY_ACCOUNT, *OF_LIMITS)}
        provider = coerce(str, value["provider"], f"{where}.provider", secrets, {})
        mode = Mode(str(coerce(Mode, value.get("mode", Mode.LIVE), f"{where}.mode", secrets, {})))
        channels = _serves(value["channels"], f"{where}.channels", secrets) if "channels" in value else ()
        proxy, guards = _proxy(value, where, secrets)
        answers = read_answers(value.get("answers", []), f"{where}.answers", secrets)
        token = _token(value["receipt_token"], f"{where}.receipt_token", secrets) if "receipt_token" in value else None
        accounts[name] = AccountSettings(
            name, str(provider), options, source, mode, channels, proxy, guards, answers, limits, token
        )
    return accounts


def _is_name(name: str) -> bool:
    return name.replace("-", "_").isidentifier() and name.isascii() and name.islower() and "__" not in name


def _mailboxes(table: Table, source: str, secrets: Secrets) -> dict[str, BounceMailbox]:
    """The mailboxes of bounces by their names; no two are for the same address."""
    mailboxes: dict[str, BounceMailbox] = {}
    of: dict[str, str] = {}
    for name, value in table.items():
        where = f"{source}bounces.{name}"
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{named(where, value)}: a mailbox is a table of its own; write [bounces.NAME]")
        if not _is_name(name):
            raise ConfigurationError(f"{where}: the name of a mailbox has small letters, digits, single - and _ only")
        mailbox = mailboxes[name] = parse(BounceMailbox, value, where, secrets)
        other = of.setdefault(mailbox.signed.address, name)
        if other != name:
            raise ConfigurationError(f"{where}.return_path is that of bounces.{other}: one mailbox reads an address")
    return mailboxes


def _proxy(table: Mapping[str, object], where: str, secrets: Secrets) -> tuple[Secret | None, bool]:
    """The account's forward proxy, and whether it decides where requests may go."""
    guards = bool(coerce(bool, table.get("proxy_guards", False), f"{where}.proxy_guards", secrets, {}))
    if "proxy" not in table:
        if guards:
            raise ConfigurationError(f"{named(f'{where}.proxy_guards', table['proxy_guards'])}: there is no proxy")
        return None, False
    if "@" in str(table["proxy"]):
        raise ConfigurationError(
            f"{named(f'{where}.proxy', table['proxy'])}: a login does not stand here itself; put the whole URL where"
            " env:NAME or file:PATH finds it"
        )
    proxy = coerce(Secret, table["proxy"], f"{where}.proxy", secrets, {"plain": True})
    assert isinstance(proxy, Secret)
    return proxy, guards


def _token(value: object, where: str, secrets: Secrets) -> Secret:
    token = coerce(Secret, value, where, secrets, {})
    assert isinstance(token, Secret)
    if not _TOKEN.fullmatch(token.reveal()) and token.reveal() != "***":
        raise ConfigurationError(
            f"{named(where, value)}: it has 16 to 128 letters, digits, - and _; openssl rand -hex 16 prints one"
        )
    return token


def _serves(value: object, where: str, secrets: Secrets) -> tuple[Channel, ...]:
    names = coerce(tuple[str, ...], value, where, secrets, {})
    assert isinstance(names, tuple)
    if not names:
        raise ConfigurationError(f"{named(where, value)}: name at least one channel, or leave the line out")
    for name in names:
        if name not in set(Channel):
            raise ConfigurationError(
                f'{named(where, value)} names "{name}": there is no such channel; {nearest(name, Channel)}'
            )
    return tuple(Channel(name) for name in names)


def _channels(table: Table, worker: WorkerSettings, source: str, secrets: Secrets) -> dict[Channel, ChannelSettings]:
    given = {channel_named(name, value, f"{source}channels"): value for name, value in table.items()}
    channels = {}
    for channel in Channel:
        where = f"{source}channels.{channel}"
        defaults = channel_defaults(channel, worker.lease)
        value = given.get(channel, {})
        settings = coerce(ChannelSettings, value, where, secrets, {})
        assert isinstance(settings, ChannelSettings)
        if settings.region is not None and channel not in BY_PHONE:
            raise ConfigurationError(f"{named(f'{where}.region', value['region'])}: {channel} reaches no phone numbers")
        unset = {name: getattr(defaults, name) for name in ("concurrency", "send_timeout") if name not in value}
        settings = replace(settings, **unset)
        if settings.send_timeout + LEASE_MARGIN > worker.lease and "send_timeout" in value:
            place = named(f"{where}.send_timeout", value["send_timeout"])
            raise ConfigurationError(
                f"{place} is {written(settings.send_timeout)}: too long for worker.lease, {written(worker.lease)}; "
                f"a lease lasts at least {written(LEASE_MARGIN)} longer than a send"
            )
        channels[channel] = settings
    return channels
