"""`send`: queue one notification from the command line, and wait for its end if asked."""

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli import completion, kinds
from noti_worker.cli.filters import entity
from noti_worker.cli.place import Place
from noti_worker.cli.rehearsing import rehearse
from noti_worker.cli.rest import rest
from noti_worker.cli.show import moment, plain, show_json
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel, OnUncertain, Priority, Status
from noti_worker.domain.spans import span

if TYPE_CHECKING:
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.listing import Line

_LOOK_EVERY = timedelta(seconds=0.25)


@click.command()
@click.option("--channel", required=True, type=click.Choice([c.value for c in Channel]), help="The way it takes.")
@click.option("--recipient", required=True, metavar="ADDRESS", help="One address for the channel.")
@click.option("--subject", metavar="TEXT", help="The subject, where the channel has one.")
@click.option("--body", metavar="TEXT", help="The text.")
@click.option(
    "--body-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The text from a file in UTF-8; - is standard input.",
)
@click.option("--template", "template_id", metavar="ID", help="A template of noti.templates instead of a text.")
@click.option("--template-version", type=click.IntRange(min=1), help="As it was then; else the newest.")
@click.option(
    "--data", "template_data", metavar=kinds.JSON, callback=kinds.json_object, help="What the template fills in."
)
@click.option("--locale", metavar="TAG", help="The language, like de or pt-BR.")
@click.option("--tenant", "tenant_id", metavar="ID", help="The tenant; else default.")
@click.option("--entity", metavar="TYPE:ID", callback=entity, help="What it is about, like order:17.")
@click.option("--priority", type=click.Choice([p.value for p in Priority]), help="How urgent; else normal.")
@click.option(
    "--send-at", metavar=kinds.MOMENT, callback=kinds.moment, help="Not before then: 10m from now, or an instant."
)
@click.option(
    "--expires-at", metavar=kinds.MOMENT, callback=kinds.moment, help="Not after then: 2h from now, or an instant."
)
@click.option("--idempotency-key", metavar="KEY", help="The same key and content give the same notification again.")
@click.option("--max-retries", type=click.IntRange(0, 1000), help="Retries after the first try; else 3.")
@click.option("--category", metavar="NAME", help="A category of your own.")
@click.option(
    "--provider", metavar="NAME", shell_complete=completion.accounts, help="Only through this account or provider."
)
@click.option("--collapse-key", metavar="KEY", help="What belongs together for the receiving device.")
@click.option("--digest-key", metavar="KEY", help="Gathers with others of that key, and goes out with them.")
@click.option(
    "--on-uncertain", type=click.Choice([u.value for u in OnUncertain]), help="When the provider's answer is lost."
)
@click.option(
    "--options",
    metavar=kinds.JSON,
    callback=kinds.json_object,
    help='Options of the channel, like {"cc": ["a@example.com"]}.',
)
@click.option(
    "--metadata", metavar=kinds.JSON, callback=kinds.json_object, help="Kept with the notification, not sent."
)
@click.option("--traceparent", metavar="TEXT", help="A W3C trace context to continue.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 0 when it was sent, 1 otherwise.")
@click.option(
    "--timeout", metavar=kinds.SPAN, callback=kinds.span, default="5m", show_default=True, help="How long --wait waits."
)
@click.option("--dry-run", is_flag=True, help="Fill in, check and route it as delivery does, then send nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the notification as it stands.")
@click.pass_obj
def send(
    place: Place,
    /,
    body: str | None,
    body_file: Path | None,
    entity: tuple[str, str | None] | None,
    send_at: datetime | timedelta | None,
    expires_at: datetime | timedelta | None,
    wait: bool,
    timeout: timedelta,
    dry_run: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Queue one notification and print its id."""
    from noti_worker.store.people import moves

    _check_number(place, Channel(fields["channel"]), fields["recipient"])
    if body_file is not None:
        if body is not None:
            raise click.UsageError("give either --body or --body-file, not both")
        body = kinds.text_of(body_file)
    fields |= {"body": body, "send_at": send_at, "expires_at": expires_at}
    if entity is not None:
        fields["entity_type"], fields["entity_id"] = entity
    with place.connection() as connection:
        accounts: tuple[str, ...] = ()
        if dry_run:
            line, accounts = rehearse(connection, place.configured(), fields)
        else:
            line = moves.send(connection, fields)
        if wait and not dry_run:
            if not as_json:
                click.echo(f"queued notification {line.notification_id}", err=True)
            line = _wait(connection, line, timeout)
    if as_json:
        # A dry run leaves no notification behind: its number says nothing.
        tried = {"notification_id": None, "account": accounts[0] if len(accounts) == 1 else None} if dry_run else {}
        show_json({"dry_run": dry_run, **asdict(line)} | tried)
    elif dry_run:
        through = f", through {' or '.join(accounts)}" if accounts else "; no account for it is known here"
        click.echo(f"would queue: {plain(line.channel)} to {plain(line.recipient)}, due {moment(line.due_at)}{through}")
    elif wait:
        error = f": {plain(line.error_message)}" if line.error_message else ""
        click.echo(f"notification {line.notification_id} is {line.status}{error}")
    else:
        click.echo(line.notification_id)
    if wait and not dry_run and line.status != Status.SENT:
        sys.exit(1)


def _check_number(place: Place, channel: Channel, recipient: str) -> None:
    """Refuse at once what the region of this configuration, if there is one, says can be no number."""
    try:
        place.configured().numbers.international(channel, recipient)
    except BadNotification as bad:
        raise click.BadParameter(str(bad), param_hint="--recipient") from None


def _wait(connection: "Connection", line: "Line", timeout: timedelta) -> "Line":
    """Look until it is finished or parked; the line as it stands at the end, also when the time is over."""
    from noti_worker.store.people import gauges, listing
    from noti_worker.store.people.filters import Filter

    if not any(worker.alive for worker in gauges.status(connection).workers):
        click.echo("no worker is running: start one with noti-worker run", err=True)
    looks = int(timeout / _LOOK_EVERY)
    for _ in range(looks):
        line = listing.list_notifications(connection, Filter(ids=(line.notification_id,)))[0]
        if line.finished_at is not None or line.status in {Status.HELD, Status.UNKNOWN, Status.GATHERING}:
            return line
        rest(_LOOK_EVERY.total_seconds())
    click.echo(f"it is not finished after {span(timeout.total_seconds())}", err=True)
    return line
