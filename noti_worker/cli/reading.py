"""`list` and `why`: which notifications there are, the story of one or of all about an entity."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.filters import NOTIFICATION_ID, entity, filter_options
from noti_worker.cli.place import Place
from noti_worker.cli.show import show, show_json, table
from noti_worker.cli.story import show_stories
from noti_worker.domain.errors import DatabaseRefused, NotFound
from noti_worker.domain.notification import Status
from noti_worker.domain.spans import span

if TYPE_CHECKING:
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.filters import Filter
    from noti_worker.store.people.listing import Line, Story

_STORIES = 20
"""So many stories about one entity are told at once."""

_ERROR = 200
"""Characters of an error in a list; `why` has the whole."""


@click.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_(place: Place, chosen: "Callable[[], Filter]", limit: int, as_json: bool) -> None:
    """List notifications, the newest first; never their content."""
    from noti_worker.store.people import listing

    with place.connection() as connection:
        lines = listing.list_notifications(connection, chosen(), limit + 1)
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
    columns = ("id", "status", "channel", "recipient", "tries", "age", "when", "last error")
    return table(
        columns,
        [
            (
                line.notification_id,
                line.status + (f" ({line.requested} asked for)" if line.requested else ""),
                line.channel,
                line.recipient,
                line.attempt_count,
                span(line.age_seconds),
                _when(line),
                _cut(line.error_message or ""),
            )
            for line in lines
        ],
    )


def _when(line: "Line") -> str:
    """The instant that matters to a row as it stands: its end, since when it rests, or when it is due."""
    now = line.created_at + timedelta(seconds=line.age_seconds)
    if line.finished_at is not None:
        return f"ended {span((now - line.finished_at).total_seconds())} ago"
    if line.held_at is not None and line.status != Status.GATHERING:
        return f"waits for a person since {span((now - line.held_at).total_seconds())}"
    if line.status == Status.SENDING:
        return "now"
    late = (now - line.due_at).total_seconds()
    return f"due since {span(late)}" if late >= 0 else f"due in {span(-late)}"


def _cut(error: str) -> str:
    return error if len(error) <= _ERROR else error[: _ERROR - 1] + "…"


@click.command()
@click.argument("notification_id", metavar="[ID]", type=NOTIFICATION_ID, required=False)
@click.option("--entity", "about", metavar="TYPE:ID", callback=entity, help="Of all that is about it, like order:17.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="JSON: the row, its events, what blocks it, its tries as fields, its copies; with --entity an array.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Also all that is kept of the answers, unmasked, and of what was sent, where its category keeps that.",
)
@click.pass_obj
def why(
    place: Place, notification_id: int | None, about: tuple[str, str | None] | None, as_json: bool, full: bool
) -> None:
    """Tell the story of one notification, or of all about an entity: every event, every try, and what happens next."""
    from noti_worker.store.people import listing

    if (notification_id is None) == (about is None):
        raise click.UsageError("give the ID of a notification, or --entity TYPE:ID")
    if about is not None and about[1] is None:
        raise click.UsageError("write --entity TYPE:ID, like order:17")
    with place.connection() as connection, _answers_may_be_read(full):
        if notification_id is not None:
            stories, more = [listing.why(connection, notification_id, full=full)], False
        else:
            stories, more = _about(connection, about or ("", None), full)
    if as_json:
        told = [
            {
                "notification": asdict(story.line) if story.line else None,
                "events": [asdict(event) for event in story.events],
                "blocked_by": [asdict(obstacle) for obstacle in story.blocked_by],
                "tries": [asdict(one) for one in story.tries],
                "copies": [asdict(one) for one in story.copies],
                **({"answers": [asdict(one) for one in story.answers]} if full else {}),
                **({"contents": [asdict(one) for one in story.contents]} if full else {}),
            }
            for story in stories
        ]
        show_json(told if about else told[0])
    else:
        show_stories(stories)
    if more:
        click.echo(f"there are more: these are the newest {_STORIES} (noti-worker list --entity)", err=True)


@contextmanager
def _answers_may_be_read(full: bool) -> Iterator[None]:
    """Say who may read answers in full, when the database refused that."""
    try:
        yield
    except DatabaseRefused as error:
        if full and getattr(error, "sqlstate", None) == "42501":
            raise click.ClickException(
                "all that a provider answered may quote content: it is for members of noti_operator, and for the owner"
                " of the schema. Without --full, why prints an excerpt"
            ) from None
        raise


def _about(connection: "Connection", about: tuple[str, str | None], full: bool) -> "tuple[list[Story], bool]":
    """The stories about an entity, the oldest first; and whether there are still older ones."""
    from noti_worker.store.people import listing
    from noti_worker.store.people.filters import Filter

    found = listing.list_notifications(connection, Filter(entity_type=about[0], entity_id=about[1]), _STORIES + 1)
    if not found:
        raise NotFound(f"there is no notification about {about[0]}:{about[1]}")
    ids = [line.notification_id for line in found[:_STORIES]]
    return [listing.why(connection, number, full=full) for number in reversed(ids)], len(found) > _STORIES
