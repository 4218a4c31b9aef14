"""`account secret`, `route`, `rotate` and `test`: what makes an account of a tenant's own send."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from noti_worker.cli.account import NAME, TENANT
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place, now
from noti_worker.cli.provider import BODY, SUBJECT, exit_code, send_one, tell
from noti_worker.cli.show import plain, show_json
from noti_worker.domain.errors import BadNotification, ConfigurationError, NotFound
from noti_worker.domain.notification import Channel
from noti_worker.domain.own_accounts import Place as SealedFor
from noti_worker.domain.own_accounts import Tenants, of_tenant

if TYPE_CHECKING:
    from noti_worker.secrets.sealed import Keys


@click.command()
@NAME
@click.argument("key", metavar="KEY")
@TENANT
@click.option(
    "--from-file",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read it there; without it, from standard input.",
)
@click.option("--remove", is_flag=True, help="Take it away.")
@click.option("--dry-run", is_flag=True, help="Only see whether it may be set; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the key under which it is sealed; never the secret.")
@click.pass_obj
def secret(
    place: Place, name: str, key: str, tenant: str, file: Path | None, remove: bool, dry_run: bool, as_json: bool
) -> None:
    """Set the secret KEY (a setting such as password) of an account; it is sealed here, and cannot be read back."""
    from noti_worker import providers
    from noti_worker.accounts.own import secret_keys
    from noti_worker.settings.coercion import nearest
    from noti_worker.store.people import accounts

    whose, sealed = SealedFor(tenant, name, key), None
    if remove:
        with place.connection() as connection:
            if not accounts.remove_secret(connection, whose, by=person(), dry_run=dry_run):
                raise NotFound(f"there is no {whose}")
    else:
        keys = _keys(place)
        with place.connection() as connection:
            line = accounts.account(connection, tenant, name)
            known = secret_keys(providers.find(line.provider))
            if key not in known:
                raise BadNotification(f"{key} is no secret of the provider {line.provider}: {nearest(key, known)}")
        sealed = keys.seal(whose, _asked(whose, file))
        with place.connection() as connection:
            accounts.keep_secret(connection, whose, sealed, by=person(), dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(whose), "key_id": None if sealed is None else sealed.key_id})
        return
    would = "would be " if dry_run else ""
    done = "removed" if sealed is None else f"sealed under the key {sealed.key_id}"
    click.echo(plain(f"{would}{done}: {whose}"))


def _asked(whose: SealedFor, file: Path | None) -> str:
    if file is None and sys.stdin.isatty():
        return str(click.prompt(str(whose), hide_input=True))
    try:
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadNotification(f"{file} cannot be read ({error.strerror})") from None
    return text.removesuffix("\n").removesuffix("\r")


def _keys(place: Place) -> "Keys":
    from noti_worker.secrets.sealed import Keys

    source = place.configured().secrets.keys
    if source is None:
        raise ConfigurationError("secrets.keys is missing: say where the keys are (noti-worker docs accounts)")
    return Keys(source)


@click.command()
@click.argument("channel", type=click.Choice([channel.value for channel in Channel]))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@TENANT
@click.option("--then-installation", is_flag=True, help="After them the accounts of the configuration may send.")
@click.option("--remove", is_flag=True, help="Remove the route: then all accounts of the tenant serve it, by name.")
@click.option("--dry-run", is_flag=True, help="Only see whether it may be so; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the steps as they are then.")
@click.pass_obj
def route(
    place: Place,
    channel: str,
    names: tuple[str, ...],
    tenant: str,
    then_installation: bool,
    remove: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let CHANNEL of a tenant go through its accounts NAME ..., in failover order."""
    from noti_worker.store.people import accounts

    order: list[str | None] = [*names, *([None] if then_installation else [])]
    if bool(order) == remove:
        raise click.UsageError("name the accounts, or say --then-installation alone; or only --remove")
    with place.connection() as connection:
        for name in names:
            if channel not in accounts.account(connection, tenant, name).channels:
                raise BadNotification(f"the account {of_tenant(tenant, name)} does not serve {channel}")
        steps = accounts.set_route(connection, tenant, channel, order, by=person(), dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, "steps": [asdict(step) for step in steps]})
        return
    path = ", ".join(step.account or "the installation's route" for step in steps) or "no route"
    click.echo(plain(f"{'would be: ' if dry_run else ''}{channel} of {tenant}: {path}"))


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell how many secrets that would be; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: how many were sealed anew, and what could not be opened.")
@click.pass_obj
def rotate(place: Place, dry_run: bool, as_json: bool) -> None:
    """Seal all secrets anew that are not under the newest key; workers go on. Needs the right of a worker."""
    from noti_worker.store.people import accounts

    keys = _keys(place)
    done, failed = 0, []
    with place.connection() as connection:
        for whose, sealed, version in accounts.sealed_otherwise(connection, keys.newest):
            try:
                anew = keys.seal(whose, keys.open(whose, sealed).reveal())
            except ConfigurationError as error:
                failed.append(str(error))
                continue
            done += dry_run or accounts.reseal(connection, whose, sealed, version, anew)
    if as_json:
        show_json({"dry_run": dry_run, "key_id": keys.newest, "sealed_anew": done, "failed": failed})
    else:
        click.echo(plain(f"{'would be sealed' if dry_run else 'sealed'} anew under the key {keys.newest}: {done}"))
        for words in failed:
            click.echo(plain(words), err=True)
    sys.exit(1 if failed else 0)


@click.command()
@NAME
@TENANT
@click.option("--to", "recipient", required=True, metavar="ADDRESS", help="Whom the message goes to: one of yours.")
@click.option(
    "--channel",
    type=click.Choice([c.value for c in Channel]),
    help="The way it takes; needed when the account serves several.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON: the outcome with the conversation.")
@click.pass_obj
def test(place: Place, name: str, tenant: str, recipient: str, channel: str | None, as_json: bool) -> None:
    """Send one real message through an account, past the queue, and print what was said. As a worker may."""
    from noti_worker.accounts import Accounts
    from noti_worker.accounts.own import Builder
    from noti_worker.accounts.owned import Owned
    from noti_worker.store.queue.accounts import own_accounts
    from noti_worker.transport import Kit

    settings, called = place.configured(), of_tenant(tenant, name)
    with place.connection() as connection:
        tenants = Tenants()
        tenants.learn([own_accounts(connection, tenant)])
    if called not in tenants.accounts:
        raise NotFound(f"there is no account {called} in the database (noti-worker account list)")
    builder = Builder(settings, Kit(now))
    accounts = Accounts({}, {}, lambda _: builder.sender(tenants.accounts[called]), owned=Owned(tenants, builder))
    try:
        outcome = send_one(settings, accounts, called, recipient, channel, SUBJECT, BODY)
    finally:
        accounts.close()
    if as_json:
        show_json(asdict(outcome))
    else:
        tell(called, outcome)
    sys.exit(exit_code(outcome))
