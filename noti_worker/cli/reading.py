"""`status`, `list` and `why`: what waits, which notifications there are, the story of one."""

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.filters import NOTIFICATION_ID, filter_options
from noti_worker.cli.place import Place
from noti_worker.cli.safety import warnings
from noti_worker.cli.show import moment, plain, show, show_json, span, table

if TYPE_CHECKING:
    from noti_worker.store.filters import Filter
    from noti_worker.store.reading import Line, Status

_WATCH_SECONDS = 2.0


@click.command()
@click.option("--watch", is_flag=True, help="Look again every two seconds until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="JSON; with --watch one line for each look.")
@click.pass_obj
def status(place: Place, watch: bool, as_json: bool) -> None:
    """Show what waits in each channel, what failed, and who works."""
    from noti_worker.store import reading

    with place.connection() as connection:
        pause = threading.Event()
        try:
            while True:
                now = reading.status(connection)
                if as_json:
                    show_json(asdict(now), compact=watch)
                else:
                    if watch and sys.stdout.isatty():
                        click.clear()
                    _show_status(now)
                if not watch:
                    return
                pause.wait(_WATCH_SECONDS)
        except KeyboardInterrupt:
            if not watch:
                raise


def _show_status(now: "Status") -> None:
    if now.channels:
        columns = ("channel", "due", "in flight", "waiting", "scheduled", "held", "failed 1h", "oldest due")
        show(
            table(
                columns,
                [
                    (
                        c.channel,
                        *(
                            f"{count}+" if c.bounded and count else count
                            for count in (c.due, c.in_flight, c.waiting, c.scheduled, c.held)
                        ),
                        c.failed_last_hour,
                        span(c.oldest_due_seconds),
                    )
                    for c in now.channels
                ],
            )
        )
    else:
        click.echo("nothing waits, and nothing failed within the hour")
    click.echo()
    if now.workers:
        columns = ("worker", "host", "pid", "version", "up since", "heartbeat", "in flight", "channels")
        show(table(columns, [_worker_cells(asdict(worker)) for worker in now.workers]))
    for line in warnings(now.workers):
        click.secho(plain(line), fg="red", bold=True)
    if not any(worker.alive for worker in now.workers):
        click.echo("no worker is running: start one with noti-worker run")


def _worker_cells(worker: Mapping[str, Any]) -> tuple[object, ...]:
    channels = worker["state"].get("channels", [])
    heartbeat = span(worker["heartbeat_seconds"]) + ("" if worker["alive"] else " (dead)")
    return (
        worker["worker_id"],
        worker["host"],
        worker["pid"],
        worker["version"],
        worker["started_at"],
        heartbeat,
        worker["state"].get("in_flight"),
        " ".join(map(str, channels)) if isinstance(channels, list) else channels,
    )


@click.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_(place: Place, chosen: "Callable[[], Filter]", limit: int, as_json: bool) -> None:
    """List notifications, the newest first; never their content."""
    from noti_worker.store import reading

    with place.connection() as connection:
        lines = reading.list_notifications(connection, chosen(), limit + 1)
    more = len(lines) > limit
    lines = lines[:limit]
    if as_json:
        show_json([asdict(line) for line in lines])
    elif lines:
        show(lines_table(lines))
    else:
        click.echo("nothing fits", err=True)
    if more:
        click.echo(f"there are more: these are the newest {limit} (--limit)", err=True)


def lines_table(lines: "list[Line]") -> Any:
    """The table of `list`, also the sample of a dry run."""
    columns = ("id", "channel", "recipient", "status", "tries", "due", "last error")
    return table(
        columns,
        [
            (
                line.notification_id,
                line.channel,
                line.recipient,
                line.status + (f" ({line.requested} asked for)" if line.requested else ""),
                line.attempt_count,
                line.due_at if line.finished_at is None else "",
                (line.error_message or "")[:60],
            )
            for line in lines
        ],
    )


@click.command()
@click.argument("notification_id", metavar="ID", type=NOTIFICATION_ID)
@click.option("--json", "as_json", is_flag=True, help="JSON: the notification and its events.")
@click.pass_obj
def why(place: Place, notification_id: int, as_json: bool) -> None:
    """Tell the story of one notification: every event, every try, and what happens next."""
    from noti_worker.store import reading

    with place.connection() as connection:
        story = reading.why(connection, notification_id)
    if as_json:
        show_json({"notification": asdict(story.line), "events": [asdict(event) for event in story.events]})
        return
    line = story.line
    click.echo(plain(f"notification {line.notification_id}: {line.channel} to {line.recipient}, {line.status}"))
    width = max((len(plain(event.event)) for event in story.events), default=0)
    for event in story.events:
        by = f" (by {plain(event.by)})" if event.by else ""
        click.echo(f"{moment(event.at)}  {plain(event.event).ljust(width)}  {plain(event.detail)}{by}".rstrip())
