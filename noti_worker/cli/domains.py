"""`doctor --domain`: what receivers find in the DNS about the domain that mails come from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.finding import Finding, problem, warning

if TYPE_CHECKING:
    from noti_worker.domain.dns import Ask, NotTold, Told
    from noti_worker.domain.dns.services import Service
    from noti_worker.settings import Settings

_AT_ONCE = 8
"""So many selectors are looked up at a time."""


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """Mails from `domain` leave with envelope senders of `envelope`, through `service` where it is known."""

    domain: str
    envelope: str
    service: "Service | None"


def ascii_domains(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The domains as they stand in the DNS; raises click.BadParameter when mails cannot come from one."""
    read = [next(_domains([f"x@{text.strip().rstrip('.')}"]), None) for text in values]
    for text, domain in zip(values, read, strict=True):
        if domain is None:
            raise click.BadParameter(f"{text!r} is no domain that mails come from: write it like example.com")
    return tuple(domain for domain in read if domain is not None)


def of_domains(
    settings: "Settings", domains: Sequence[str], *, own: bool, selectors: Sequence[str], resolver: str | None
) -> Iterator[Finding]:
    """Look at these domains, and with `own` at those of the configured senders."""
    from noti_worker.transport.records import Records

    outgoing = list(_outgoing(settings))
    asked = [*domains]
    if own:
        asked += [one.domain for one in outgoing]
        if not outgoing:
            yield warning("dns", "no account of the configuration sends mails", "name a domain: --domain example.com")
    try:
        ask = Records(resolver)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    for domain in dict.fromkeys(asked):
        yield from _look(ask, domain, [one for one in outgoing if one.domain == domain], selectors)


def _look(ask: "Ask", domain: str, outgoing: Sequence[_Outgoing], selectors: Sequence[str]) -> Iterator[Finding]:
    from noti_worker.domain.dns import NotTold, not_told
    from noti_worker.domain.dns.dkim import dkim
    from noti_worker.domain.dns.dmarc import dmarc
    from noti_worker.domain.dns.mail_hosts import mail_hosts
    from noti_worker.domain.dns.spf import spf

    try:
        if not ask(domain, "TXT").exists:
            yield problem("dns", f"there is no domain {domain} (NXDOMAIN)", "correct the name, or register the domain")
            return
    except NotTold as error:  # all else would wait as long for the same
        yield not_told("dns", error)
        return
    envelopes: dict[str, list[Service]] = {one.envelope: [] for one in outgoing} or {domain: []}
    for one in outgoing:
        if one.service is not None and one.service not in envelopes[one.envelope]:
            envelopes[one.envelope].append(one.service)
    for envelope, services in envelopes.items():
        yield from spf(ask, envelope, services)
    yield from dkim(ask, domain, selectors, _bits, _at_once)
    yield from dmarc(ask, domain, tuple(envelopes))
    for envelope in envelopes:
        yield from mail_hosts(ask, envelope, "bounces")
    if domain not in envelopes:
        yield from mail_hosts(ask, domain, "answers")


def _outgoing(settings: "Settings") -> Iterator[_Outgoing]:
    """What the configuration says of mails that go out, as far as it can be read without a secret."""
    from noti_worker.domain.dns.services import BY_PROVIDER, service_of

    for account in settings.accounts.values():
        if account.provider != "smtp" and account.provider not in BY_PROVIDER:
            continue
        service = service_of(account.provider, str(account.options.get("host", "")))
        back = next(_domains([account.options.get("return_path")]), None)
        senders = account.options.get("from")
        for domain in dict.fromkeys(_domains(senders if isinstance(senders, list | tuple) else [senders])):
            envelope = back or f"{service.below if service is not None else ''}{domain}"
            if account.provider == "mailgun":
                envelope = next(_domains([f"x@{account.options.get('domain')}"]), domain)
            yield _Outgoing(domain, envelope, service)


def _domains(addresses: Iterable[object]) -> Iterator[str]:
    from noti_worker.domain.mailbox import read_mailbox

    for address in addresses:
        with suppress(BadNotification):
            if isinstance(address, str):
                yield read_mailbox(address, "from").domain


def _bits(raw: bytes) -> int | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key.key_size if isinstance(key, RSAPublicKey) else None


def _at_once(look: "Callable[[str], Told | NotTold]", names: Sequence[str]) -> "Sequence[Told | NotTold]":
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(look, names))
