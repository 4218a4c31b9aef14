"""`circuits`: the accounts that are in trouble and not tried now; opened and closed by hand."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from noti_worker.cli import completion
from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment as shown
from noti_worker.cli.show import plain, show_json

if TYPE_CHECKING:
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.pausing import CircuitLine


def circuit_words(line: "CircuitLine") -> str:
    """An open circuit in one line."""
    words = ["account", line.account, "since", shown(line.opened_at), "by", line.opened_by]
    words += ["tried again at", shown(line.retry_at), *([f"({line.reason})"] if line.reason else [])]
    return plain(" ".join(words))


@click.group()
def circuits() -> None:
    """Look after the accounts that are in trouble and not tried now."""


@circuits.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON: the open circuits.")
@click.pass_obj
def list_circuits(place: Place, as_json: bool) -> None:
    """Tell which accounts are in trouble, why, and when one message tries them."""
    from noti_worker.store.people import pausing

    with place.connection() as connection:
        lines = pausing.closed(connection)[1]
    if as_json:
        show_json({"circuits": [asdict(line) for line in lines]})
        return
    for line in lines:
        click.echo(circuit_words(line))
    if not lines:
        click.echo("every account is used", err=True)


@circuits.command("close")
@click.argument("account", shell_complete=completion.accounts)
@click.option("--dry-run", is_flag=True, help="Only tell whether it is in trouble; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: whether that changed anything.")
@click.pass_obj
def close_circuit(place: Place, account: str, dry_run: bool, as_json: bool) -> None:
    """Use an account again from now on, without waiting for the next message that tries it."""
    from noti_worker.store.people import pausing

    with place.connection() as connection:
        closed = _is_open(connection, account) if dry_run else pausing.close_circuit(connection, account, by=person())
    if as_json:
        show_json({"dry_run": dry_run, "account": account, "closed": closed})
    elif closed:
        click.echo(f"{'would be used' if dry_run else 'used'} again: account {plain(account)}")
    else:
        click.echo(f"the account {plain(account)} is not in trouble", err=True)
    if not closed:
        raise SystemExit(1)


@circuits.command("open")
@click.argument("account", shell_complete=completion.accounts)
@click.option("--reason", metavar="TEXT", help="Why; status and why show it.")
@click.option("--until", metavar=MOMENT, callback=moment, help="When one message may try it: in 2h, or at an instant.")
@click.option("--dry-run", is_flag=True, help="Only tell whether it is in trouble already; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: whether that changed anything.")
@click.pass_obj
def open_circuit(
    place: Place, account: str, reason: str | None, until: timedelta | datetime | None, dry_run: bool, as_json: bool
) -> None:
    """Try nothing through an account for now (ten minutes, if not said); then one message at a time tries it."""
    from noti_worker.store.people import pausing

    with place.connection() as connection:
        opened = (
            not _is_open(connection, account)
            if dry_run
            else pausing.open_circuit(connection, account, reason=reason, until=until, by=person())
        )
        strange = not pausing.knows_account(connection, account)
    if as_json:
        show_json({"dry_run": dry_run, "account": account, "opened": opened})
    elif opened:
        click.echo(f"{'would not be tried' if dry_run else 'not tried'} for now: account {plain(account)}")
    else:
        click.echo(f"the account {plain(account)} is in trouble already", err=True)
    if strange:
        click.echo(f"no running worker has an account {plain(account)}", err=True)
    if not opened:
        raise SystemExit(1)


def _is_open(connection: "Connection", account: str) -> bool:
    from noti_worker.store.people import pausing

    return any(line.account == account for line in pausing.closed(connection)[1])
