"""What is known of services that mails go through: whom SPF has to let send for them, and of which domain."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """`includes`: one of these belongs into the SPF record of the envelope senders' domain.

    That is the domain of the sender with `below` before it; `own`: one of the service's, or one whose records the
    service keeps, unless it was set up otherwise.
    """

    includes: tuple[str, ...]
    below: str = ""
    own: bool = False


BY_PROVIDER: Mapping[str, Service] = {
    "mailgun": Service(("mailgun.org",)),
    "postmark": Service(("spf.mtasv.net",), own=True),
    "resend": Service(("amazonses.com",), below="send."),
    "sendgrid": Service(("sendgrid.net",), own=True),
    "ses": Service(("amazonses.com",), own=True),
}
"""Providers that speak to a service."""

_BY_HOST: Mapping[str, Service] = {
    ".amazonaws.com": BY_PROVIDER["ses"],
    ".gmail.com": Service(("_spf.google.com",)),
    ".mailgun.org": BY_PROVIDER["mailgun"],
    ".office365.com": Service(("spf.protection.outlook.com",)),
    ".outlook.com": Service(("spf.protection.outlook.com",)),
    ".postmarkapp.com": BY_PROVIDER["postmark"],
    ".resend.com": BY_PROVIDER["resend"],
    ".sendgrid.net": BY_PROVIDER["sendgrid"],
}


def service_of(provider: str, host: str) -> Service | None:
    """Which service an account sends through, perhaps by SMTP; of any other relay only its operator knows."""
    if provider in BY_PROVIDER:
        return BY_PROVIDER[provider]
    return next((service for end, service in _BY_HOST.items() if f".{host.lower()}".endswith(end)), None)
