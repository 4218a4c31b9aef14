"""`provider list`, `provider check` and `provider test`: which there are, whom they know, and one real message."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from noti_worker.cli import completion
from noti_worker.cli.checking import Checked, alone, check_accounts, known_account, proxy_passed_by
from noti_worker.cli.place import Place, now
from noti_worker.cli.show import plain, show, show_finding, show_json, show_response, table
from noti_worker.domain.errors import BadNotification, ConfigurationError, NotFound
from noti_worker.domain.notification import Channel
from noti_worker.domain.traits import Traits
from noti_worker.domain.words import without_recipient

if TYPE_CHECKING:
    from noti_worker.accounts import Accounts
    from noti_worker.domain.outcome import Outcome
    from noti_worker.settings import Settings

SUBJECT = "A test of noti-worker"
BODY = "This message was sent by noti-worker provider test. Nothing is wrong; there is nothing to do."


@click.group()
def provider() -> None:
    """Look at the providers and try an account."""


@provider.command("list")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="JSON: an array of provider, channels, accounts, extra, idempotency, limits, check and error.",
)
@click.pass_obj
def list_(place: Place, as_json: bool) -> None:
    """List the providers, with what they need and take and where message_id goes, and the accounts of each."""
    from noti_worker import providers

    settings = place.configured()
    found: list[dict[str, Any]] = []
    for name in providers.known():
        accounts = [account.name for account in settings.accounts.values() if account.provider == name]
        try:
            provider = providers.find(name)
            serves, traits, error = provider.CHANNELS, providers.traits(provider), None
        except ConfigurationError as broken:  # somebody else's, and no reason to hide the others
            serves, traits, error = frozenset(), Traits(), str(broken)
        channels = [channel.value for channel in Channel if channel in serves]
        of = {"provider": name, "channels": channels, "accounts": accounts, **asdict(traits), "error": error}
        found.append(of if as_json else of | {"traits": traits})
    if as_json:
        show_json(found)
        return
    show(table(("provider", "channels", "accounts", "extra", "idempotency", "limits"), map(_line, found)))


def _line(found: Mapping[str, Any]) -> Sequence[object]:
    channels = "all" if len(found["channels"]) == len(Channel) else " ".join(found["channels"])
    traits: Traits = found["traits"]
    return (
        found["provider"],
        found["error"] or channels,
        " ".join(found["accounts"]),
        traits.extra or "-",
        traits.idempotency or "-",
        "; ".join(map(str, traits.limits)) or "-",
    )


@provider.command()
@click.argument("account", required=False, metavar="[ACCOUNT]", shell_complete=completion.accounts)
@click.option("--json", "as_json", is_flag=True, help="JSON: an array of account, provider, what, todo and outcome.")
@click.pass_obj
def check(place: Place, account: str | None, as_json: bool) -> None:
    """Ask the provider whether it knows ACCOUNT (or all) without sending anything. No database is needed."""
    settings = place.configured()
    if account is None and not settings.accounts:
        raise NotFound("no account is configured (noti-worker docs providers)")
    names = list(settings.accounts) if account is None else [known_account(settings, account)]
    checked = check_accounts(settings, names)
    if passed_by := proxy_passed_by(one.account for one in checked if one.direct):
        click.echo(passed_by, err=True)
    if as_json:
        show_json([_as_json(one) for one in checked])
    else:
        for one in checked:
            if account is not None and one.outcome is not None and one.outcome.response:
                show_response(one.outcome.response)
            show_finding(one.finding)
    sys.exit(max(one.exit_code for one in checked))


def _as_json(checked: Checked) -> dict[str, Any]:
    outcome = None if checked.outcome is None else asdict(checked.outcome)
    what, todo = checked.finding.what, checked.finding.todo
    return {"account": checked.account, "provider": checked.provider, "what": what, "todo": todo, "outcome": outcome}


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
@click.option("--subject", metavar="TEXT", default=SUBJECT, show_default=True, help="The subject.")
@click.option("--body", metavar="TEXT", default=BODY, help="The text; else one that says what it is.")
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
        tell(account, outcome)
    sys.exit(exit_code(outcome))


def _send(settings: "Settings", name: str, recipient: str, wanted: str | None, subject: str, body: str) -> "Outcome":
    """One message through one account, checked as a row is."""
    from noti_worker.transport import Kit

    with alone(settings, known_account(settings, name), Kit(now)) as accounts:
        if passed_by := proxy_passed_by([name] if accounts.proxied(name) is False else []):
            click.echo(passed_by, err=True)
        return send_one(settings, accounts, name, recipient, wanted, subject, body)


def send_one(
    settings: "Settings", accounts: "Accounts", name: str, recipient: str, wanted: str | None, subject: str, body: str
) -> "Outcome":
    """Send one message through one of these accounts; raises ConfigurationError where it may not reach a recipient."""
    from noti_worker.delivery.attempt import attempt
    from noti_worker.delivery.recipients import check_recipient
    from noti_worker.delivery.safety import Safety
    from noti_worker.domain.notification import Drop, Message
    from noti_worker.domain.rules import judge

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
        raise ConfigurationError(f"{safe.reason}. To log in without sending: noti-worker provider check {name}")
    if number != recipient:
        click.echo(f"dialled: {number}", err=True)
    limit = settings.channels[channel].send_timeout.total_seconds()
    outcome = judge(attempt(safe, accounts.sender(name), limit), account.rules, safe)
    outcome = safety.judge(message, account.mode, outcome)
    # What is printed here is pasted into reports: it names nobody.
    for named in (recipient, number, safe.recipient):
        outcome = unnamed(outcome, named)
    return outcome


def unnamed(outcome: "Outcome", recipient: str) -> "Outcome":
    """The outcome without the recipient, wherever the provider repeated it."""
    code, error, response = (_without(part, recipient) for part in (outcome.code, outcome.error, outcome.response))
    return replace(outcome, code=code, error=error, response=response)


def _without(told: Any, recipient: str) -> Any:
    match told:
        case str():
            return without_recipient(told, recipient)
        case Mapping():
            return {name: _without(part, recipient) for name, part in told.items()}
        case list() | tuple():
            return [_without(part, recipient) for part in told]
    return told


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


def exit_code(outcome: "Outcome") -> int:
    """0 when it was accepted, 78 when the account is refused, else 1."""
    return {"ok": 0, "config": 78}.get(outcome.kind.value, 1)


def tell(account: str, outcome: "Outcome") -> None:
    """Print what was said, and what a row would do then."""
    if outcome.response:
        show_response(outcome.response)
        click.echo()
    words = [outcome.kind.value, outcome.code, outcome.error, outcome.provider_message_id]
    click.echo(plain(f"{account}: {', '.join(word for word in words if word)}"))
    click.echo(_NEXT[outcome.kind.value])
