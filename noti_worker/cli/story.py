"""How a story is told: a timeline on a terminal, aligned lines for everything else."""

import json
import sys
from typing import TYPE_CHECKING

import click

from noti_worker.cli.show import moment, plain, show_response
from noti_worker.domain.spans import span

if TYPE_CHECKING:
    from noti_worker.store.people.listing import Answer, Content, Event, Line, Story

_COLOURS = {"sent": "green", "failed": "red", "expired": "red", "next": "cyan"}
_DOUBT = "yellow"
_DOUBTFUL = ("retrying", "held", "unknown", "late result", "cancelled", "suppressed")


def show_stories(stories: "list[Story]") -> None:
    """Print them one after the other."""
    for number, story in enumerate(stories):
        if number:
            click.echo()
        line = story.line
        ended = "removed" if line is None else "sent to staging instead" if _redirected(story) else line.status
        what = ended if line is None else f"{line.channel} to {line.recipient}, {ended}"
        click.secho(plain(f"notification {story.notification_id}: {what}"), bold=True)
        if line is not None:
            click.echo(plain(_ids(story, line)))
        if sys.stdout.isatty():
            _timeline(story)
        else:
            _lines(story)
        _answers(story.answers)
        _contents(story.contents)


def _answers(answers: "tuple[Answer, ...]") -> None:
    """All that is kept of what was answered, try by try."""
    for one in answers:
        click.echo()
        what = "what was answered" if one.response else "nothing is kept of an answer"
        click.secho(plain(f"try {one.attempt_number}, {one.account or 'no account'}, {one.status}: {what}"), bold=True)
        if one.response:
            show_response(one.response, "  ")


def _contents(contents: "tuple[Content, ...]") -> None:
    """What went out, try by try: the text as it stands, of the HTML how much it is."""
    for one in contents:
        click.echo()
        words = f"try {one.attempt_number}: what was sent to {one.recipient}, kept until {moment(one.kept_until)}"
        click.secho(plain(words + ("; it was longer, the rest is not kept" if one.truncated else "")), bold=True)
        if one.subject:
            click.echo(plain(f"  subject: {one.subject}"))
        for name, said in (one.options or {}).items():
            click.echo(plain(f"  {name}: {said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)}"))
        for line in (one.body or "").splitlines():
            click.echo(plain(f"  | {line}"))
        if one.html:
            click.echo(f"  and HTML of {len(one.html)} characters (--json has it)")


def _redirected(story: "Story") -> bool:
    return any(event.event == "sent" and (event.detail or "").startswith("safe mode: ") for event in story.events)


def _ids(story: "Story", line: "Line") -> str:
    """What a provider may be asked by: our id, the same on every try, and theirs."""
    theirs = dict.fromkeys(
        f"{one.account}: {one.provider_message_id}" for one in story.tries if one.provider_message_id
    )
    return f"message id {line.message_id}" + (f"; provider id of {', '.join(theirs)}" if theirs else "")


def _lines(story: "Story") -> None:
    width = max((len(plain(event.event)) for event in story.events), default=0)
    for event in story.events:
        click.echo(f"{moment(event.at)}  {plain(event.event).ljust(width)}  {_words(event)}".rstrip())


def _timeline(story: "Story") -> None:
    """The instants, how long after the first event, and what happened; long words stay in their column."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 1))
    drawn.add_column(no_wrap=True)
    drawn.add_column(justify="right", no_wrap=True, style="dim")
    for _ in range(2):
        drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    began = story.events[0].at if story.events else None
    for event in story.events:
        after = "" if began is None or event.at == began else "+" + span((event.at - began).total_seconds())
        name = plain(event.event)
        colour = _COLOURS.get(name) or (_DOUBT if name in _DOUBTFUL or name.endswith("lost") else "")
        drawn.add_row(
            Text(moment(event.at)),
            after,
            Text("○" if name == "next" else "●", colour),
            Text(name, colour),
            Text(_words(event)),
        )
    Console().print(drawn)


def _words(event: "Event") -> str:
    by = f" (by {plain(event.by)})" if event.by else ""
    return f"{plain(event.detail)}{by}"
