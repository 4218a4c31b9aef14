"""`webhook secret`: the key that an endpoint verifies its requests by."""

from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli import completion
from noti_worker.cli.place import Place
from noti_worker.cli.show import show_json
from noti_worker.domain.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from noti_worker.settings import AccountSettings, Settings


@click.group()
def webhook() -> None:
    """Look at what webhooks are signed with."""


@webhook.command()
@click.argument("url")
@click.option("--tenant", default="default", show_default=True, metavar="TENANT", help="Whose messages it receives.")
@click.option(
    "--account",
    metavar="NAME",
    shell_complete=completion.accounts,
    help="The account that sends; needed when there are several for webhooks.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON: account, tenant, origin, sign_with and secret.")
@click.pass_obj
def secret(place: Place, url: str, tenant: str, account: str | None, as_json: bool) -> None:
    """Print the secret of the endpoint at URL: whsec_…, for its receiver alone. No database is needed."""
    from noti_worker.providers._keys import endpoint_key, origin, read_key, written
    from noti_worker.transport.guard import Refused

    settings = place.configured()
    given = _chosen(settings, account)
    options = _options(given, commands=settings.commands)
    if options.secret is None:
        raise ConfigurationError(f"{given.where}: secret is not set, so nothing is signed")
    try:
        at = origin(url)
    except Refused as refused:
        raise click.BadParameter(str(refused), param_hint="URL") from None
    found = written(endpoint_key(read_key(f"{given.where}.secret", options.secret), tenant, at))
    if options.sign_with == "account":
        click.echo(
            f'not in use yet: {given.where} signs with its own secret; say sign_with = "both" when receivers have'
            " theirs (noti-worker docs webhook)",
            err=True,
        )
    if as_json:
        show_json(
            {"account": given.name, "tenant": tenant, "origin": at, "sign_with": options.sign_with, "secret": found}
        )
    else:
        click.echo(found)


def _chosen(settings: "Settings", name: str | None) -> "AccountSettings":
    ours = {each.name: each for each in settings.accounts.values() if each.provider == "webhook"}
    if name is not None and name in ours:
        return ours[name]
    if name is None and len(ours) == 1:
        return next(iter(ours.values()))
    there_are = f"there are {', '.join(ours)}" if ours else "none is configured"
    if name is None and ours:
        raise click.UsageError(f"several accounts send webhooks: say --account; {there_are}")
    raise NotFound(f"there is no account {name or 'of the provider webhook'}: {there_are} (noti-worker provider list)")


def _options(given: "AccountSettings", *, commands: bool) -> Any:
    from noti_worker.providers import webhook as provider
    from noti_worker.secrets import References
    from noti_worker.settings import parse

    return parse(provider.Settings, given.options, given.where, References(commands=commands))
