"""The one place that makes TLS contexts: whom to trust, and that the name is checked."""

import ssl

from noti_worker.domain.errors import ConfigurationError


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A client's context: the usual authorities, and the certificates in `ca_file` (PEM) besides.

    Raises ConfigurationError that names the setting.
    """
    import requests

    context = ssl.create_default_context()
    # A slim container has no certificates of its own.
    context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context.hostname_checks_common_name = False
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"ca_file: {ca_file} cannot be read as PEM certificates: {error}") from None
    return context


class Trust:
    """The contexts of one reading of the configuration: accounts that trust alike share one.

    Reading the authorities takes tens of milliseconds and half a megabyte, which a thousand accounts would notice.
    """

    def __init__(self) -> None:
        self._contexts: dict[tuple[str, str | None], ssl.SSLContext] = {}

    def context(self, use: str, ca_file: str | None) -> ssl.SSLContext:
        """As `trusting`; one for each `use`, because some set up a context for themselves."""
        context = self._contexts.get((use, ca_file))
        if context is None:
            context = self._contexts[use, ca_file] = trusting(ca_file)
        return context
