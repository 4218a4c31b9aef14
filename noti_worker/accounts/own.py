"""What sends for an account of a tenant's own: its settings stand in the database, its secrets sealed beside them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, get_args, get_type_hints

from noti_worker import providers
from noti_worker.domain.account import Account
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.lifecycle import LONGEST_SEND
from noti_worker.domain.mode import Mode, stricter
from noti_worker.domain.notification import Channel
from noti_worker.domain.own_accounts import OwnAccount, Place
from noti_worker.domain.ports import Secrets, Sender
from noti_worker.domain.secret import Secret
from noti_worker.secrets import KINDS
from noti_worker.secrets.sealed import Keys
from noti_worker.settings import Settings, parse
from noti_worker.settings.coercion import coerce, keys, nearest, written
from noti_worker.transport import Kit

OF_THE_MACHINE = frozenset({"allow_networks", "ca_file"})
"""Settings that say what this machine trusts, and where it may reach: they stand in its configuration only."""

UNGUARDED = frozenset({"apprise", "console"})
"""Providers that do not go out through our transport, so that nobody would see where they go."""

REFERENCE = "sealed:"


@dataclass(frozen=True)
class Builder:
    """Builds by one reading of the configuration."""

    settings: Settings
    kit: Kit

    def account(self, given: OwnAccount) -> Account:
        """What is known of the account; of one whose provider is not there, too little to send."""
        try:
            module = providers.find(given.provider)
        except ConfigurationError:
            return Account(given.name, given.provider, given.mode, given.channels, version=given.version)
        mode = stricter(self.settings.delivery.mode, given.mode)
        if mode is Mode.REDIRECT and not getattr(module.Settings, "addressed", True):
            mode = Mode.DRY
        return Account(
            given.name,
            given.provider,
            mode,
            given.channels,
            rules=tuple(module.RULES),
            options=tuple(module.OPTIONS),
            version=given.version,
        )

    def sender(self, given: OwnAccount) -> Sender:
        """Its sender; raises ConfigurationError that names the account."""
        with named(f"the account {given.name}"):
            module = providers.find(given.provider)
            options = read(given, module, Opened(given, self._keys))
            check_longest(self.settings, options, given.channels)
            at_once = sum(self.settings.channels[channel].concurrency for channel in given.channels)
            kit = self.kit.of(
                at_once,
                return_paths=[mailbox.signed for mailbox in self.settings.bounces.values()],
                networks=self.settings.database.account_networks,
            )
            return module.build(options, kit)

    @cached_property
    def _keys(self) -> Keys | None:
        return None if self.settings.secrets.keys is None else Keys(self.settings.secrets.keys)


def read(given: OwnAccount, module: providers.Provider, secrets: Secrets) -> Any:
    """The provider's settings of an account; raises ConfigurationError that names the key."""
    if given.provider in UNGUARDED:
        raise ConfigurationError(f"an account of the provider {given.provider} stands in the configuration only")
    for key in sorted(OF_THE_MACHINE.intersection(given.settings)):
        raise ConfigurationError(f"{key} stands in the configuration of the worker only, not in the database")
    for channel in sorted(given.channels - module.CHANNELS):
        raise ConfigurationError(f"channels names {channel}, which the provider {given.provider} does not serve")
    table: dict[str, object] = {**given.settings, **{purpose: f"{REFERENCE}{purpose}" for purpose in given.secrets}}
    return parse(module.Settings, table, given.name, secrets)


@dataclass(frozen=True)
class Opened:
    """Port Secrets of one account: what stands sealed beside it, and nothing else.

    Whoever writes its settings must not have this machine's files and variables sent to a server of theirs.
    """

    given: OwnAccount
    keys: Keys | None

    def resolve(self, reference: str) -> Secret:
        """The secret; raises ConfigurationError that names its purpose."""
        purpose = reference.removeprefix(REFERENCE)
        if not reference.startswith(REFERENCE) or purpose not in self.given.secrets:
            raise ConfigurationError(
                "a secret of an account in the database is set by noti-worker account secret, not by a reference"
            )
        place, sealed = Place(self.given.tenant_id, self.given.own_name, purpose), self.given.secrets[purpose]
        if self.keys is None:
            raise ConfigurationError(
                f"the {place} is sealed under the key {sealed.key_id}, and secrets.keys is not configured here"
            )
        return self.keys.open(place, sealed)


class Withheld:
    """Port Secrets for whoever only looks whether settings are complete: of no secret more than that there is one."""

    def resolve(self, reference: str) -> Secret:
        """Three stars."""
        if not reference.startswith(REFERENCE):
            raise ConfigurationError(
                "a secret of an account in the database is set by noti-worker account secret, not by a reference"
            )
        return Secret("***")


def check_longest(settings: Settings, options: object, channels: frozenset[Channel]) -> None:
    """Refuse a send that may outlast the time for which its lease is prolonged: another worker would begin it too."""
    after = getattr(options, "dot_timeout", timedelta())
    for channel in channels:
        timeout = settings.channels[channel].send_timeout
        if timeout + after > LONGEST_SEND:
            raise ConfigurationError(
                f"dot_timeout ({written(after)}) and channels.{channel}.send_timeout"
                f" ({written(timeout)}) are together longer than a row is kept for one send, {written(LONGEST_SEND)}"
            )


@contextmanager
def named(where: str) -> Iterator[None]:
    """Have an error name the account."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(str(error) if where in str(error) else f"{where}: {error}") from None


def secret_keys(module: providers.Provider) -> list[str]:
    """The settings of a provider that are secrets: what may be sealed."""
    hints = get_type_hints(module.Settings)
    kinds = {key: hints[field.name] for key, field in keys(module.Settings).items()}
    return [key for key, kind in kinds.items() if Secret in (kind, *get_args(kind))]


def check_settings(module: providers.Provider, settings: Mapping[str, object]) -> None:
    """Refuse a setting that does not exist, is no such value, or does not belong into the database.

    Raises ConfigurationError that names the key; what is missing is another matter.
    """
    hints, known, secrets = get_type_hints(module.Settings), keys(module.Settings), secret_keys(module)
    for key, value in settings.items():
        if key not in known:
            raise ConfigurationError(f"{key}: no such setting; {nearest(key, known)}")
        if key in OF_THE_MACHINE:
            raise ConfigurationError(f"{key} stands in the configuration of the worker only, not in the database")
        kind = hints[known[key].name]
        if key in secrets and (kind != str | Secret or str(value).startswith(KINDS)):
            raise ConfigurationError(f"{key} is a secret: noti-worker account secret NAME {key} asks for it")
        coerce(kind, value, key, Withheld(), known[key].metadata)


def fault(given: OwnAccount) -> str | None:
    """What is wrong with an account, or still missing, in words; of its secrets only whether they are there."""
    try:
        with named(f"the account {given.name}"):
            read(given, providers.find(given.provider), Withheld())
    except ConfigurationError as error:
        return str(error)
    return None
