"""The accounts of one reading of the configuration."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from noti_worker import providers
from noti_worker.accounts.accounts import Accounts
from noti_worker.accounts.own import Builder, check_longest, named
from noti_worker.accounts.owned import Owned
from noti_worker.accounts.routes import complete
from noti_worker.domain.account import Account
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.mode import Mode, stricter
from noti_worker.domain.notification import Channel
from noti_worker.domain.own_accounts import Tenants
from noti_worker.domain.ports import Secrets, Sender
from noti_worker.domain.replay import Table
from noti_worker.domain.secret import Secret
from noti_worker.secrets import References
from noti_worker.settings import IN_APP, AccountSettings, Settings, parse
from noti_worker.settings.coercion import nearest
from noti_worker.transport import Kit


@dataclass(frozen=True, slots=True)
class _Ready:
    """An account that was read: all that its sender is built of."""

    account: Account
    module: providers.Provider
    options: Any


def open_accounts(settings: Settings, kit: Kit, tenants: Tenants | None = None) -> Accounts:
    """Read every account and complete the routes; each sender is built once, which shows whether it can be.

    The accounts of `tenants` go before them; theirs are built when they are needed.

    A channel with exactly one account that serves it needs no route. Raises ConfigurationError that
    names the setting: an unknown provider, a missing key, a route through an account that cannot serve it.
    """
    with ExitStack() as stack:
        opened = read_accounts(settings, kit, References(commands=settings.commands), tenants)
        stack.callback(opened.close)
        opened.build_all()
        stack.pop_all()
    return opened


def read_accounts(settings: Settings, kit: Kit, secrets: Secrets, tenants: Tenants | None = None) -> Accounts:
    """As `open_accounts`, but no sender is built before it is needed."""
    configured = _configured(settings)
    kit = kit.anew()
    ready = {name: _read(given, settings, secrets) for name, given in configured.items()}
    accounts = {name: of.account for name, of in ready.items()}

    def build(account: Account) -> Sender:
        of = ready[account.name]
        with named(configured[account.name].where):
            at_once = sum(settings.channels[channel].concurrency for channel in account.channels)
            return of.module.build(of.options, kit_of(kit, settings, configured[account.name], at_once))

    owned = Owned(tenants, Builder(settings, kit)) if tenants is not None else None
    return Accounts(accounts, complete(settings.routes, accounts), build, owned=owned)


def kit_of(kit: Kit, settings: Settings, given: AccountSettings, at_once: int = 1) -> Kit:
    """The kit of one account, through which so many messages go at once."""
    return kit.of(
        at_once,
        given.proxy,
        proxy_guards=given.proxy_guards,
        receipts_url=receipts_url(settings, given),
        return_paths=[mailbox.signed for mailbox in settings.bounces.values()],
    )


def receipts_url(settings: Settings, given: AccountSettings) -> Secret | None:
    """Where the provider of an account posts receipts to; None when it has no token."""
    if given.receipt_token is None or settings.web.url is None:
        return None
    return Secret(f"{settings.web.url.rstrip('/')}/receipts/{given.name}/{given.receipt_token.reveal()}")


def _read(given: AccountSettings, settings: Settings, secrets: Secrets) -> _Ready:
    with named(given.where):
        module = provider_of(given)
        channels = _channels(given, module.CHANNELS)
        options = parse(module.Settings, given.options, given.where, secrets)
        check_longest(settings, options, channels)
        reporting = module if given.receipt_token is not None and isinstance(module, providers.Reporting) else None
    account = Account(
        given.name,
        given.provider,
        _mode(settings, given, options),
        channels,
        rules=(*given.answers, *module.RULES),
        options=tuple(module.OPTIONS),
        limits=given.limits.of(given.name),
        references=reporting is not None and reporting.REFERENCES,
    )
    return _Ready(account, module, options)


def provider_of(given: AccountSettings) -> providers.Provider:
    """The provider of a configured account; raises ConfigurationError that names file, key and the nearest one."""
    try:
        return providers.find(given.provider)
    except ConfigurationError:
        known = providers.known()
        if given.provider in known:  # it is there, and broken
            raise
        raise ConfigurationError(
            f"{given.where}.provider: provider {given.provider!r} does not exist; {nearest(given.provider, known)}"
        ) from None


def rules_of(settings: Settings) -> dict[str, Table]:
    """Who judges what each account is told, by its name; no secret is read. Raises ConfigurationError."""
    return {
        name: Table(given.provider, given.answers, tuple(provider_of(given).RULES))
        for name, given in _configured(settings).items()
    }


def _configured(settings: Settings) -> dict[str, AccountSettings]:
    """The accounts of the configuration, and the inbox, which needs none."""
    return {IN_APP: AccountSettings(IN_APP, IN_APP), **settings.accounts}


def _channels(given: AccountSettings, serves: frozenset[Channel]) -> frozenset[Channel]:
    """What the account serves: all that its provider does, or those of them that it limits itself to."""
    for channel in given.channels:
        if channel not in serves:
            raise ConfigurationError(
                f"{given.where}.channels names {channel}, which the provider {given.provider} does not serve;"
                f" {nearest(channel, serves)}"
            )
    return frozenset(given.channels) or serves


def _mode(settings: Settings, given: AccountSettings, options: object) -> Mode:
    """How far its messages go; those with a destination of the account's own cannot be redirected: nothing is sent."""
    mode = stricter(settings.delivery.mode, given.mode)
    return Mode.DRY if mode is Mode.REDIRECT and not getattr(options, "addressed", True) else mode
