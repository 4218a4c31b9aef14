"""Which accounts take what their providers post, and who sees that it is theirs."""

from collections.abc import Iterator

from noti_worker.accounts.configured import kit_of, provider_of
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.receipts import Inlet
from noti_worker.providers import Reporting
from noti_worker.secrets import References
from noti_worker.settings import Settings, parse
from noti_worker.transport import Kit


def open_inlets(settings: Settings, kit: Kit) -> dict[str, Inlet]:
    """The inlet of each account that has a receipt_token, by its name; raises ConfigurationError that names the key."""
    return {inlet.account: inlet for inlet in _inlets(settings, kit)}


def _inlets(settings: Settings, kit: Kit) -> Iterator[Inlet]:
    secrets = References(commands=settings.commands)
    for given in settings.accounts.values():
        if given.receipt_token is None:
            continue
        module = provider_of(given)
        if not isinstance(module, Reporting):
            raise ConfigurationError(f"{given.where}.receipt_token: the provider {given.provider} posts no receipts")
        options = parse(module.Settings, given.options, given.where, secrets)
        try:
            receiver = module.receiver(options, kit_of(kit, settings, given))
        except ConfigurationError as error:
            raise ConfigurationError(f"{given.where}: {error}") from None
        yield Inlet(given.name, given.provider, given.receipt_token, receiver)
