"""`erase`: take a person's content out of everything that is kept."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from noti_worker.cli.asking import confirm
from noti_worker.cli.place import Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import show_json
from noti_worker.domain.counts import counted

if TYPE_CHECKING:
    from noti_worker.store.upkeep.erasure import Erased


_HELP = """Erase the content of all that went to RECIPIENT, and keep the facts; what waits is cancelled.

RECIPIENT is an address, or user:ID, as it stands in the notifications; e-mail addresses whatever the case. A - reads it
from standard input, where no process list shows it. Copies (cc, bcc) are taken off, and those messages go on. Backups
and providers keep what they have."""


@click.command(help=_HELP)
@click.argument("recipient", metavar="RECIPIENT")
@click.option("--tenant", metavar="NAME", help="Of this tenant only; else of all.")
@click.option("--dry-run", is_flag=True, help="Only tell how many; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: nothing brings the content back.")
@click.option(
    "--wait", type=click.IntRange(0), default=60, show_default=True, metavar="SECONDS", help="For what is in flight."
)
@click.option("--json", "as_json", is_flag=True, help="JSON: the counts, and the ids that are still in flight.")
@click.pass_obj
def erase(place: Place, recipient: str, tenant: str | None, dry_run: bool, yes: bool, wait: int, as_json: bool) -> None:
    """Read the name, ask, erase, wait for what is in flight, and tell."""
    from noti_worker.store.upkeep import erasure

    who = sys.stdin.readline().strip() if recipient == "-" else recipient
    if not who:
        raise click.UsageError("give the recipient")
    with place.connection() as connection:
        if not (dry_run or yes):
            found = erasure.erase(connection, who, tenant, dry_run=True)
            if found:
                whose = counted(found.erased, "notification will lose its", "notifications will lose their")
                confirm(f"{whose} content for good")
        done = erasure.erase(connection, who, tenant, dry_run=dry_run, progress=told)
        for _ in range(0 if dry_run else wait):
            if not done.in_flight:
                break
            rest(1.0)
            done = erasure.again(connection, who, tenant, done)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(done)})
    else:
        tell(done, dry_run=dry_run)
    if done.in_flight and not dry_run:
        raise SystemExit(1)


def told(what: str, seen: int) -> None:
    """Say how far it is, now and then."""
    if seen % 100_000 == 0:
        click.echo(f"{what}: {seen} looked at", err=True)


def tell(done: "Erased", *, dry_run: bool) -> None:
    """Print what was erased, or would be."""
    if not done:
        click.echo("nothing names this recipient", err=True)
        return
    would = "would be " if dry_run else ""
    for count, words in (
        (done.erased, f"notifications {would}erased"),
        (done.cancelled, f"of them {would}cancelled first"),
        (done.copies, f"copies {would}taken off the messages of others"),
        (done.tries, "tries cleaned"),
        (done.lines, "audit lines cleaned"),
        (done.inbox, f"in-app messages {would}erased"),
        (done.kept, f"kept contents of tries {would}deleted"),
        (done.contacts, f"contacts {would}deleted"),
        (done.choices, f"choices {would}deleted"),
        (done.attachments, "attachments deleted"),
        (done.receipts, "receipts cleaned"),
        (done.suppressions, f"entries of the suppression list {would}left without an address, and in force"),
    ):
        if count:
            click.echo(f"{count} {words}")
    if done.in_flight:
        shown = " ".join(map(str, done.in_flight[:20]))
        click.echo(f"{len(done.in_flight)} in flight, not erased yet: {shown}; call again", err=True)
