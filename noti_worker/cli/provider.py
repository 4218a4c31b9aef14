"""`provider list` and `provider test`: which there are, and one real message through one account."""

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from noti_worker.cli import completion
from noti_worker.cli.place import Place, now
from noti_worker.cli.show import plain, show, show_json, show_response, table
from noti_worker.domain.errors import BadNotification, ConfigurationError, NotFound
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.accounts import Accounts
    from noti_worker.domain.outcome import Outcome
    from noti_worker.settings import Settings

_SUBJECT = "A test of noti-worker"
_BODY = "This message was sent by noti-worker provider test. Nothing is wrong; there is nothing to do."


PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
"""Variables that name a proxy to many programs."""


@click.group()
def provider() -> None:
    """Look at the providers and try an account."""


@provider.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON: an array of provider, channels, accounts and error.")
@click.pass_obj
def list_(place: Place, as_json: bool) -> None:
    """List the providers, the channels that they serve, and the accounts that are configured."""
    from noti_worker import providers

    settings = place.configured()
    found: list[dict[str, Any]] = []
    for name in providers.known():
        accounts = [account.name for account in settings.accounts.values() if account.provider == name]
        try:
            serves = providers.find(name).CHANNELS
            error = None
        except ConfigurationError as broken:  # somebody else's, and no reason to hide the others
            serves, error = frozenset(), str(broken)
        channels = [channel.value for channel in Channel if channel in serves]
        found.append({"provider": name, "channels": channels, "accounts": accounts, "error": error})
    if as_json:
        show_json(found)
        return
    everything = len(Channel)
    show(
        table(
            ("provider", "channels", "accounts"),
            [
                (
                    line["provider"],
                    line["error"] or ("all" if len(line["channels"]) == everything else " ".join(line["channels"])),
                    " ".join(line["accounts"]),
                )
                for line in found
            ],
        )
    )


@provider.command()
@click.argument("account", shell_complete=completion.accounts)
@click.option(
    "--to", "recipient", required=True, metavar="ADDRESS", help="Whom the message goes to: an address of yours."
)
@click.option(
    "--channel",
    type=click.Choice([c.value for c in Channel]),
    help="The way it takes; needed when the account serves several.",
)
@click.option("--subject", metavar="TEXT", default=_SUBJECT, show_default=True, help="The subject.")
@click.option("--body", metavar="TEXT", default=_BODY, help="The text; else one that says what it is.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the outcome with the conversation.")
@click.pass_obj
def test(
    place: Place, account: str, recipient: str, channel: str | None, subject: str, body: str, as_json: bool
) -> None:
    """Send one real message through ACCOUNT, past the queue, and print what was said. No database is needed."""
    settings = place.configured()
    outcome = _send(settings, account, recipient, channel, subject, body)
    if as_json:
        show_json(asdict(outcome))
    else:
        _tell(account, outcome)
    sys.exit({"ok": 0, "config": 78}.get(outcome.kind.value, 1))


def proxy_passed_by(accounts: "Accounts", names: Iterable[str]) -> str | None:
    """Say that the proxy of the environment is not used, where one is set and an account over HTTP has none."""
    variable = next((name for name in PROXIES if os.environ.get(name)), None)
    direct = [name for name in names if accounts.proxied(name) is False]
    if variable is None or not direct:
        return None
    return f"{variable} is set and not used, {', '.join(direct)} goes out directly: accounts.NAME.proxy names a proxy"


def _send(settings: "Settings", name: str, recipient: str, wanted: str | None, subject: str, body: str) -> "Outcome":
    """One message through one account, checked as a row is."""
    from noti_worker.accounts import open_accounts
    from noti_worker.delivery.attempt import attempt
    from noti_worker.delivery.recipients import check_recipient
    from noti_worker.delivery.safety import Safety
    from noti_worker.domain.notification import Drop, Message
    from noti_worker.domain.rules import judge
    from noti_worker.settings.coercion import nearest
    from noti_worker.transport import Kit

    if name not in settings.accounts:
        hint = nearest(name, settings.accounts) if settings.accounts else "no account is configured"
        raise NotFound(f"there is no account {name!r}: {hint} (noti-worker provider list)")
    # Only this one: another account's missing secret is no reason not to try it.
    alone = replace(settings, accounts={name: settings.accounts[name]}, routes={})
    with closing(open_accounts(alone, Kit(now))) as accounts:
        account = accounts.account(name)
        channel = _channel(name, account.channels, wanted)
        try:
            number = settings.numbers.international(channel, recipient)
            check_recipient(channel, number)
        except BadNotification as bad:
            raise click.BadParameter(str(bad), param_hint="--to") from None
        message = Message(
            notification_id=0,
            message_id=uuid4(),
            channel=channel,
            tenant_id="default",
            recipient=number,
            account=name,
            dated_at=now(),
            subject=subject,
            text=body,
        )
        safety = Safety(settings.delivery.redirect_to.by_channel)
        safe = safety.apply(message, account.mode)
        if isinstance(safe, Drop):
            raise ConfigurationError(f"{safe.reason}. To log in without sending: noti-worker doctor")
        if number != recipient:
            click.echo(f"dialled: {number}", err=True)
        if passed_by := proxy_passed_by(accounts, [name]):
            click.echo(passed_by, err=True)
        limit = settings.channels[channel].send_timeout.total_seconds()
        outcome = judge(attempt(safe, accounts.sender(name), limit), account.rules, safe)
        return safety.judge(message, account.mode, outcome)


def _channel(account: str, serves: frozenset[Channel], wanted: str | None) -> Channel:
    names = ", ".join(channel.value for channel in Channel if channel in serves)
    if wanted is None and len(serves) == 1:
        return next(iter(serves))
    if wanted is None:
        raise click.UsageError(f"{account} serves {names}: say which with --channel")
    if Channel(wanted) not in serves:
        raise click.BadParameter(f"{account} serves {names}, not {wanted}", param_hint="--channel")
    return Channel(wanted)


_NEXT: Mapping[str, str] = {
    "ok": "the provider accepted it: look whether it arrives",
    "transient": "a passing fault, theirs or the network's: a row would be tried again",
    "throttled": "too fast for them: a row would be tried again later",
    "permanent": "this message will never be accepted: a row would be failed",
    "config": "mend the account and try again; a row would wait for that: noti-worker docs providers",
    "dead": "this address does not exist: a row would be failed",
    "optout": "this person does not want it: a row would be failed",
    "uncertain": "it may have arrived or not: look; a row would do what on_uncertain says",
}


def _tell(account: str, outcome: "Outcome") -> None:
    if outcome.response:
        show_response(outcome.response)
        click.echo()
    words = [outcome.kind.value, outcome.code, outcome.error, outcome.provider_message_id]
    click.echo(plain(f"{account}: {', '.join(word for word in words if word)}"))
    click.echo(_NEXT[outcome.kind.value])
