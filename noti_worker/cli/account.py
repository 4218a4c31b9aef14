"""`account`: tenants' own accounts, which stand in the database; those of the configuration are listed as well."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show, show_json, table
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.own_accounts import OwnAccount, of_tenant

if TYPE_CHECKING:
    from noti_worker.store.people.accounts import AccountLine, Given

NAME = click.argument("name", metavar="NAME")
TENANT = click.option("--tenant", metavar="TENANT", default="default", show_default=True, help="Whose account.")
_SETTINGS = click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
_CHANNELS = click.option(
    "--channel",
    "channels",
    multiple=True,
    type=click.Choice([channel.value for channel in Channel]),
    help="What it serves, once for each; else all that its provider does.",
)
_MODE = click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="How far its messages go.")
_ENABLED = click.option("--enable/--disable", "enabled", default=None, help="Disabled, its messages wait.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only see whether it may be so; change nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON: the account as it is then.")


@click.group()
def account() -> None:
    """Look after tenants' own accounts in the database: settings, secrets, routes."""


@account.command("list")
@click.option("--tenant", metavar="TENANT", help="Only those of this tenant.")
@click.option("--json", "as_json", is_flag=True, help="JSON: those of the database and those of the configuration.")
@click.pass_obj
def list_(place: Place, tenant: str | None, as_json: bool) -> None:
    """List the accounts in the database, and those of the configuration, which every tenant may use."""
    from noti_worker.store.people.accounts import accounts, routes

    configured = [] if tenant is not None else list(place.configured().accounts.values())
    with place.connection() as connection:
        lines, steps = accounts(connection, tenant), routes(connection, tenant)
    if as_json:
        of_file = [{"name": one.name, "provider": one.provider, "mode": one.mode.value} for one in configured]
        show_json(
            {
                "accounts": [asdict(line) for line in lines],
                "routes": [asdict(step) for step in steps],
                "configuration": of_file,
            }
        )
        return
    shown: list[tuple[object, ...]] = [
        (line.tenant_id, line.name, line.provider, " ".join(line.channels), _state(line), " ".join(line.secrets) or "-")
        for line in lines
    ]
    shown += [("all", one.name, one.provider, " ".join(one.channels) or "-", "configured", "-") for one in configured]
    show(table(("tenant", "account", "provider", "channels", "state", "secrets"), shown))
    for words in _routes((step.tenant_id, step.channel, step.account) for step in steps):
        click.echo(words)


def _routes(steps: Any) -> list[str]:
    orders: dict[tuple[str, str], list[str]] = {}
    for tenant_id, channel, name in steps:
        orders.setdefault((tenant_id, channel), []).append(name or "the installation's route")
    return [plain(f"route of {tenant}, {channel}: {', '.join(names)}") for (tenant, channel), names in orders.items()]


def _state(line: "AccountLine") -> str:
    if not line.enabled:
        return "disabled"
    if line.trouble is not None:
        return "in trouble"
    return "enabled" if line.mode == Mode.LIVE else line.mode


@account.command("show")
@NAME
@TENANT
@click.option("--json", "as_json", is_flag=True, help="JSON: the account, with what is wrong with it.")
@click.pass_obj
def show_(place: Place, name: str, tenant: str, as_json: bool) -> None:
    """Tell all of an account but its secrets, and what is wrong with it."""
    from noti_worker.store.people import accounts

    with place.connection() as connection:
        line = accounts.account(connection, tenant, name)
    _tell(line, as_json=as_json)


@account.command()
@NAME
@_SETTINGS
@TENANT
@click.option("--provider", required=True, metavar="PROVIDER", help="smtp, webhook, …: noti-worker provider list.")
@_CHANNELS
@_MODE
@_ENABLED
@_DRY_RUN
@_JSON
@click.pass_obj
def add(
    place: Place,
    name: str,
    settings: tuple[str, ...],
    tenant: str,
    provider: str,
    channels: tuple[str, ...],
    mode: str | None,
    enabled: bool | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add an account of a tenant's own; its secrets are set by `account secret`."""
    from noti_worker import providers
    from noti_worker.store.people.accounts import Given

    serves = [channel.value for channel in Channel if channel in providers.find(provider).CHANNELS]
    given = Given(tenant, name, provider, channels or serves, _read(settings), mode or "live", enabled is not False)
    _keep(place, given, new=True, dry_run=dry_run, as_json=as_json)


@account.command("set")
@NAME
@_SETTINGS
@TENANT
@_CHANNELS
@_MODE
@_ENABLED
@_DRY_RUN
@_JSON
@click.pass_obj
def set_(
    place: Place,
    name: str,
    settings: tuple[str, ...],
    tenant: str,
    channels: tuple[str, ...],
    mode: str | None,
    enabled: bool | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Change settings of an account; `KEY=` takes one away. Workers use it within a second."""
    from noti_worker.store.people import accounts

    with place.connection() as connection:
        line = accounts.account(connection, tenant, name)
    changed = {**line.settings, **_read(settings)}
    given = accounts.Given(
        tenant,
        name,
        line.provider,
        channels or line.channels,
        {key: value for key, value in changed.items() if value != ""},
        mode or line.mode,
        line.enabled if enabled is None else enabled,
    )
    _keep(place, given, new=False, dry_run=dry_run, as_json=as_json)


@account.command()
@NAME
@TENANT
@_DRY_RUN
@click.option("--json", "as_json", is_flag=True, help="JSON: the account as it was.")
@click.pass_obj
def remove(place: Place, name: str, tenant: str, dry_run: bool, as_json: bool) -> None:
    """Remove an account, its secrets and its places on routes; without others the installation's route serves."""
    from noti_worker.store.people import accounts

    with place.connection() as connection:
        line = accounts.remove_account(connection, tenant, name, by=person(), dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(line)})
        return
    routes = f" and its place on the route of {', '.join(line.routes)}" if line.routes else ""
    click.echo(
        plain(
            f"{'would be removed' if dry_run else 'removed'}: {of_tenant(tenant, name)}"
            f" with {len(line.secrets)} secrets{routes}"
        )
    )


def _read(settings: tuple[str, ...]) -> dict[str, object]:
    read: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{plain(key)!r} is no setting: write KEY=VALUE", param_hint="KEY=VALUE")
        try:
            read[key] = json.loads(text)
        except ValueError:
            read[key] = text
    return read


def _keep(place: Place, given: "Given", *, new: bool, dry_run: bool, as_json: bool) -> None:
    from noti_worker import providers
    from noti_worker.accounts.own import UNGUARDED, check_settings
    from noti_worker.store.people import accounts

    module = providers.find(given.provider)
    if given.provider in UNGUARDED:
        raise BadNotification(f"an account of the provider {given.provider} stands in the configuration only")
    check_settings(module, given.settings)
    for channel in given.channels:
        if channel not in module.CHANNELS:
            raise click.BadParameter(f"{given.provider} does not serve {channel}", param_hint="--channel")
    with place.connection() as connection:
        line = accounts.set_account(connection, given, new=new, by=person(), dry_run=dry_run)
    _tell(line, as_json=as_json, dry_run=dry_run)


def own(line: "AccountLine") -> OwnAccount:
    """The account without its secrets: only that there are some."""
    from noti_worker.domain.own_accounts import Sealed

    return OwnAccount(
        line.tenant_id,
        line.name,
        line.provider,
        frozenset(map(Channel, line.channels)),
        line.settings,
        Mode(line.mode),
        0,
        {purpose: Sealed(key_id, b"") for purpose, key_id in line.secrets.items()},
    )


def _tell(line: "AccountLine", *, as_json: bool, dry_run: bool | None = None) -> None:
    from noti_worker.accounts.own import fault

    wrong = fault(own(line))
    if as_json:
        about: Mapping[str, object] = {} if dry_run is None else {"dry_run": dry_run}
        show_json({**about, **asdict(replace(line, settings=dict(line.settings))), "fault": wrong})
        return
    said = {None: "", True: "would be set: ", False: "set: "}[dry_run]
    click.echo(plain(f"{said}{of_tenant(line.tenant_id, line.name)} ({line.provider}), {_state(line)}"))
    click.echo(plain(f"  channels: {', '.join(line.channels)}"))
    for key, value in sorted(line.settings.items()):
        click.echo(plain(f"  {key} = {json.dumps(value, ensure_ascii=False)}"))
    for purpose, key_id in line.secrets.items():
        click.echo(plain(f"  {purpose}: sealed under the key {key_id}"))
    if line.trouble is not None:
        click.echo(plain(f"  in trouble: {line.trouble}"))
    if wrong is not None:
        click.echo(plain(f"not ready: {wrong}"), err=True)
