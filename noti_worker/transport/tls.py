"""The one place that makes TLS contexts: whom to trust, and that the name is checked."""

import ssl

from noti_worker.domain.errors import ConfigurationError


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A client's context: the usual authorities, and the certificates in `ca_file` (PEM) besides.

    Once for an account: reading the authorities takes tens of milliseconds. Raises ConfigurationError that names
    the setting.
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
